// All connections of a host: where they are, and how a four-tuple finds them.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "lastack/four_tuple.h"
#include "stack/asleep.h"
#include "stack/secret_hash.h"
#include "tcp/connection.h"
#include "timewait/fold_hash.h"

namespace lastack {

// Connections do not move while they are awake. An index names one until it is released. To touch one that is
// asleep wakes it.
class ConnectionTable {
 public:
  using Index = std::uint32_t;
  static constexpr Index kNone = 0xffffffff;

  explicit ConnectionTable(const SecretKey& key) : key_(key), slots_(kLeastSlots) {}

  Index allocate();
  // Not in the hash any more.
  void release(Index index);
  Connection& operator[](Index index) {
    Place& place = places_[index];
    return place.awake ? *place.awake : wake(index);
  }
  const Connection& operator[](Index index) const {
    return const_cast<ConnectionTable&>(*this)[index];
  }
  // As it is or, if it is asleep, a copy in `room`.
  const ControlBlock& look_at(Index index, ControlBlock& room) const;
  std::uint32_t live() const { return live_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(places_.size()); }
  bool is_live(Index index) const {
    return index < capacity() && (places_[index].awake || places_[index].asleep);
  }
  // Null if it is asleep.
  const Connection* awake(Index index) const { return places_[index].awake.get(); }
  bool is_awake(Index index) const { return index < capacity() && places_[index].awake; }

  // If it is idle; may_sleep() says so.
  void put_to_sleep(Index index);
  // One that was woken since it was named last, and may be idle again soon; kNone when there is none.
  Index next_woken();

  // By its tuple, which must not change while it is in.
  void insert(Index index);
  void erase(Index index);
  Index find(const FourTuple& tuple) const {
    if (last_ != kNone && places_[last_].awake && places_[last_].awake->tuple == tuple) {
      return last_;
    }
    return look_up(tuple);
  }
  std::uint32_t hashed() const { return hashed_; }

 private:
  static constexpr std::uint32_t kLeastSlots = 64;
  static constexpr std::size_t kMostSpare = 256;

  // One of both, or none of them: free.
  struct Place {
    std::unique_ptr<Connection> awake;
    Asleep asleep;
  };
  // Open addressing, linear probing, at most three quarters full. The hash tells nearly all others apart
  // without a look at them.
  struct Slot {
    std::uint32_t hash = 0;
    Index index = kNone;
  };
  static_assert(sizeof(Slot) == 8);

  std::uint32_t hash(const FourTuple& tuple) const {
    const std::uint32_t ports = std::uint32_t{tuple.local.port} << 16 | tuple.remote.port;
    using Words = std::array<std::uint64_t, 2>;
    const auto local = std::bit_cast<Words>(tuple.local.address.bytes());
    const auto remote = std::bit_cast<Words>(tuple.remote.address.bytes());
    FoldHash hash(key_);
    if (!tuple.local.address.is_v4()) hash.add(local[0], remote[0]);
    return static_cast<std::uint32_t>(hash.add(local[1], remote[1]).add(ports).finish());
  }
  std::uint32_t mask() const { return static_cast<std::uint32_t>(slots_.size()) - 1; }
  void grow();
  std::unique_ptr<Connection> fresh();
  Connection& wake(Index index);
  Index look_up(const FourTuple& tuple) const;

  SecretKey key_;
  std::vector<Place> places_;
  std::vector<Index> free_;
  // Where connections come and go the next one has the memory of the last, and small buffers lie ready for it.
  std::vector<std::unique_ptr<Connection>> spare_;
  std::vector<Index> woken_;
  std::vector<Slot> slots_;
  // The one found last, while it is in. Packets come in trains (Jain 1986): the next is often for the same.
  mutable Index last_ = kNone;
  std::uint32_t live_ = 0;
  std::uint32_t hashed_ = 0;
};

}  // namespace lastack
