// What has been sent and not yet acknowledged, segment by segment: the scoreboard of RFC 6675 and RFC 8985.
#pragma once

#include <cstdint>

#include "lastack/time.h"
#include "tcp/heap_ring.h"
#include "wire/seq_num.h"

namespace lastack {

// When a segment was sent last. Its place among those of the same instant: a clock that stands still while a host works,
// as in virtual time, does not tell which went first.
struct Sending {
  Instant at{};
  std::uint8_t place = 0;
  SeqNum end;

  bool after(const Sending& o) const {
    if (at != o.at) return at > o.at;
    if (place != o.place) return place > o.place;
    return end > o.end;
  }
};

struct SentSegment {
  SeqNum seq;
  std::uint32_t length = 0;    // in sequence space: SYN and FIN count
  Instant sent_at;             // the last time
  std::uint16_t segments = 1;  // packets of MSS that it makes
  std::uint8_t flags = 0;
  std::uint8_t place : 7 = 0;  // Sending::place
  // RACK has taken it for lost and does not look at it until it is sent again (HostOptions::rack_forgets_undone).
  std::uint8_t forgotten : 1 = 0;
  std::uint32_t delivered = 0;  // how many had arrived when it was sent last

  static constexpr std::uint8_t kMostPlaces = 127;

  static constexpr std::uint8_t kSacked = 1;  // the peer has it (RFC 2018)
  static constexpr std::uint8_t kLost = 2;    // given up on, to be sent again
  static constexpr std::uint8_t kResent = 4;  // is on its way again
  static constexpr std::uint8_t kEverResent = 8;
  static constexpr std::uint8_t kFin = 16;
  static constexpr std::uint8_t kPush = 32;
  static constexpr std::uint8_t kSyn = 64;
  static constexpr std::uint8_t kEndOfRecord = 128;  // nothing is appended to it (MSG_EOR)

  void set_place(std::uint8_t at) {
    place = at & kMostPlaces;
    forgotten = 0;
  }
  void clear(int which) { flags &= static_cast<std::uint8_t>(~which); }
  SeqNum end() const { return seq + length; }
  Sending sending() const { return {sent_at, place, end()}; }
  bool sacked() const { return (flags & kSacked) != 0; }
  bool lost() const { return (flags & kLost) != 0; }
  bool resent() const { return (flags & kResent) != 0; }
  bool ever_resent() const { return (flags & kEverResent) != 0; }
  bool fin() const { return (flags & kFin) != 0; }
  bool syn() const { return (flags & kSyn) != 0; }
};
static_assert(sizeof(SentSegment) == 24);

// In the order of sequence numbers, without gaps.
class SentQueue : public HeapRing<SentSegment> {
 public:
  // The first segment that ends after `seq`; size() if none does.
  std::uint32_t first_ending_after(SeqNum seq) const {
    std::uint32_t low = 0, high = size();
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if ((*this)[middle].end() > seq) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
};
static_assert(sizeof(SentQueue) == sizeof(void*));

}  // namespace lastack
