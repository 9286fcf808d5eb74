// What is to be done at which time, in the order of time and, at the same time, of asking.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "lastack/time.h"

namespace lastack::lab {

class Agenda {
 public:
  // Whether it may change anything, or only looks.
  enum class Kind : std::uint8_t { Deed, Look };
  void at(Instant when, std::function<void()> what, Kind kind = Kind::Deed) {
    if (when != Instant::max()) items_.push({when, next_++, std::move(what), kind});
  }
  Instant next() const { return items_.empty() ? Instant::max() : items_.top().when; }
  // Does what is due. What that adds for now or earlier is done too. Whether there was a deed among it.
  bool advance(Instant now) {
    bool any = false;
    while (!items_.empty() && items_.top().when <= now) {
      const std::function<void()> what = std::move(const_cast<Item&>(items_.top()).what);
      any = any || items_.top().kind == Kind::Deed;
      items_.pop();
      what();
    }
    return any;
  }

 private:
  struct Item {
    Instant when;
    std::uint64_t order;
    std::function<void()> what;
    Kind kind;
    bool operator<(const Item& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  std::priority_queue<Item> items_;
  std::uint64_t next_ = 0;
};

}  // namespace lastack::lab
