// How much may be in the network: RFC 5681 (slow start, congestion avoidance), RFC 9438 (CUBIC), RFC 6937
// (proportional rate reduction), and the state that loss recovery keeps.
#pragma once

#include <cstdint>

#include "lastack/time.h"
#include "wire/seq_num.h"

namespace lastack {

// RFC 9438. Windows are in segments, times in milliseconds.
struct Cubic {
  std::uint32_t w_max = 0;  // before the last reduction
  std::uint32_t w_last = 0;
  std::uint32_t origin = 0;      // the plateau
  std::uint32_t tcp_cwnd = 0;    // what Reno would have
  std::uint32_t to_plateau = 0;  // from the start of the epoch, 1024ths of a second
  std::uint32_t acked = 0;
  std::uint32_t count = 0;  // ACKs for one more segment
  Instant epoch{};          // 0: none yet
  Instant updated{};
  // HyStart: slow start ends when a round trip shows that a queue builds up (Linux: hystart_update; RFC 9406
  // is its descendant).
  Duration least_delay{};  // 0: none yet
  Duration round_delay{Duration::max()};
  Instant round_start{};
  Instant train_end{};
  SeqNum round_end;
  std::uint8_t samples = 0;  // of this round
  bool found = false;
};

// As Linux names them. Open: nothing odd. Disorder: SACKs or duplicate ACKs, not yet a loss.
// Recovery: fast retransmit. Loss: a time-out.
enum class CongestionState : std::uint8_t { Open, Disorder, CwndReduced, Recovery, Loss };

inline constexpr std::uint32_t kUnlimited = 0x7fffffff;

struct Congestion {
  std::uint32_t cwnd = 10;  // segments
  std::uint32_t ssthresh = kUnlimited;
  std::uint32_t cwnd_count = 0;  // ACKs towards the next segment
  std::uint32_t prior_cwnd = 0;  // at the start of a reduction
  std::uint32_t prior_ssthresh = 0;
  std::uint32_t prr_delivered = 0;
  std::uint32_t prr_out = 0;
  std::uint32_t max_packets_out = 0;  // in the current window
  std::uint32_t used = 0;             // the most of cwnd that was used since
  Instant used_at{};
  SeqNum cwnd_usage_seq;
  SeqNum high_seq;     // snd_nxt when recovery began
  SeqNum undo_marker;  // snd_una when recovery began, if it can be undone
  bool can_undo = false;
  bool cwnd_limited = false;
  std::int32_t undo_retrans = -1;  // retransmissions not yet shown to be needless
  Cubic cubic;
};

}  // namespace lastack
