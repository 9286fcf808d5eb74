// Limits the ACKs that segments out of window draw, as Linux's tcp_invalid_ratelimit does: one in 500 ms for
// each record, so that two ends that disagree cannot answer each other for ever. A TIME_WAIT record has no
// room for the time of its last such ACK. It is remembered here, in a table of fixed size that forgets what
// another record displaces: at worst somebody gets an ACK too many, at best 256 records in 500 ms are told
// apart.
#pragma once

#include <array>
#include <cstdint>

#include "lastack/time.h"

namespace lastack::timewait {

class AckLimit {
 public:
  // `who`: a keyed hash of the record. True if it may have its ACK now.
  bool may_send(std::uint64_t who, Instant now, Duration interval) {
    Last& last = table_[who % table_.size()];
    if (last.known && last.who == who && now >= last.at && now - last.at < interval) return false;
    last = {who, now, true};
    return true;
  }

  static constexpr std::size_t bytes() { return sizeof(Table); }

 private:
  struct Last {
    std::uint64_t who = 0;
    Instant at{};
    bool known = false;
  };
  using Table = std::array<Last, 256>;
  Table table_{};
};

}  // namespace lastack::timewait
