// All connections of a host: where they are, and how a four-tuple finds them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lastack/four_tuple.h"
#include "stack/secret_hash.h"
#include "tcp/connection.h"

namespace lastack {

// Connections do not move while they live. An index names one until it is released.
class ConnectionTable {
 public:
  using Index = std::uint32_t;
  static constexpr Index kNone = 0xffffffff;

  explicit ConnectionTable(const SecretKey& key) : key_(key), slots_(kLeastSlots, kNone) {}

  Index allocate();
  // Not in the hash any more.
  void release(Index index);
  Connection& operator[](Index index) { return chunks_[index / kChunk]->items[index % kChunk]; }
  const Connection& operator[](Index index) const {
    return chunks_[index / kChunk]->items[index % kChunk];
  }
  std::uint32_t live() const { return live_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(chunks_.size()) * kChunk; }
  bool is_live(Index index) const { return index < capacity() && alive_[index]; }

  // By its tuple, which must not change while it is in.
  void insert(Index index);
  void erase(Index index);
  Index find(const FourTuple& tuple) const;
  std::uint32_t hashed() const { return hashed_; }

 private:
  static constexpr std::uint32_t kChunk = 64;
  static constexpr std::uint32_t kLeastSlots = 64;
  static constexpr std::size_t kMostWarm = 256;  // free places that keep their small buffers
  struct Chunk {
    std::array<Connection, kChunk> items;
  };

  std::uint32_t hash(const FourTuple& tuple) const {
    return static_cast<std::uint32_t>(hash_tuple(key_, tuple));
  }
  std::uint32_t home(Index index) const { return (*this)[index].tuple_hash & mask(); }
  std::uint32_t mask() const { return static_cast<std::uint32_t>(slots_.size()) - 1; }
  void grow();

  SecretKey key_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<bool> alive_;
  std::vector<Index> free_;
  std::vector<Index> slots_;  // open addressing, linear probing
  std::uint32_t live_ = 0;
  std::uint32_t hashed_ = 0;
};

}  // namespace lastack
