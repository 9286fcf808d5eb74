// Timers for many connections: setting and clearing one costs the same however many there are. Four wheels of
// 256 slots, each slot of one as wide as the whole wheel below it; a timer moves down as its time comes
// near (Varghese and Lauck, 1987). A slot of the lowest wheel is about a millisecond, and the times inside
// are kept exactly: those of the slot whose time it is, and who are not due yet, are in a heap.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "lastack/time.h"

namespace lastack {

class TimerWheel {
 public:
  using Id = std::uint32_t;

  TimerWheel();

  // Replaces what `id` had. Instant::max() clears it.
  void set(Id id, Instant deadline);
  // The same, but what `id` has stays if it is sooner: whoever is called too early says again when he wants to be.
  // For those that put their timers off with every packet.
  void set_at_latest(Id id, Instant deadline) {
    if (id < ids_ && nodes_[id].deadline <= deadline) return;
    set(id, deadline);
  }
  void clear(Id id) {
    if (id < ids_) unlink(id);
  }
  // No timer is due before. May be early: for a timer that was put off or cleared, or is far away. Then take_due()
  // finds none, and knows better.
  Instant next() const { return quiet_until_; }
  // Takes one that is due at `now`; kNone when there is none.
  Id take_due(Instant now) {
    if (now >= quiet_until_) return find_due(now);
    tick_ = std::max(tick_, tick_of(now));  // nobody has to be moved for it
    return kNone;
  }

  static constexpr Id kNone = 0xffffffff;

 private:
  static constexpr unsigned kLevels = 4;
  static constexpr unsigned kSlots = 256;
  static constexpr unsigned kTickBits = 20;  // 1.05 ms
  static constexpr std::uint16_t kUnset = 0xffff;
  static constexpr std::uint16_t kSoon = 0xfffe;  // in the heap, at `previous`

  struct Node {
    Instant deadline{Instant::max()};
    Id next = kNone;
    Id previous = kNone;
    std::uint16_t slot = kUnset;  // level * kSlots + slot
  };

  static std::uint64_t tick_of(Instant t) {
    const auto ns = t.time_since_epoch().count();
    return ns < 0 ? 0 : static_cast<std::uint64_t>(ns) >> kTickBits;
  }
  // The first tick of a slot, which is never past. `place`: level * kSlots + slot.
  std::uint64_t begin_of(std::uint16_t place) const;
  Id find_due(Instant now);
  // Where the first one is, or the slot that it is to move down from begins.
  Instant first() const;
  void link(Id id);
  void unlink(Id id);
  // The heap of this tick.
  bool is_sooner(Id a, Id b) const {
    return nodes_[a].deadline != nodes_[b].deadline ? nodes_[a].deadline < nodes_[b].deadline
                                                    : a < b;
  }
  void put_soon(std::size_t at, Id id) {
    soon_[at] = id;
    nodes_[id].previous = static_cast<Id>(at);
  }
  void push_soon(Id id);
  void remove_soon(Id id);
  void rise(std::size_t at, Id id);
  // Moves the clock to `tick`, cascading what is above.
  void go_to(std::uint64_t tick);
  // The first used slot of a level from `from` on, going round; kSlots when there is none.
  unsigned first_used(unsigned level, unsigned from) const;

  std::vector<Node> nodes_;
  Id ids_ = 0;  // nodes_.size()
  std::array<Id, std::size_t{kLevels} * kSlots> heads_;
  std::array<Instant, kSlots> least_;  // of the lowest wheel's slots: no timer in it is earlier
  std::array<std::array<std::uint64_t, kSlots / 64>, kLevels> used_{};
  std::vector<Id> soon_;
  std::uint64_t tick_ = 0;
  Id set_ = 0;                           // so many timers
  Instant quiet_until_{Instant::max()};  // none is due before, nor has one to be moved
};

}  // namespace lastack
