// What a segment does to a connection in TIME_WAIT, or in FIN_WAIT_2 when its socket is closed: pure
// functions of the record's numbers and the segment. Three sets of rules for TIME_WAIT, since three exist:
//
//   Linux     tcp_timewait_state_process() of 6.18 (linux-facts 12 to 14), in its order of checks. The
//             default, and the one that is held against the kernel
//   Rfc9293   3.10.7.4 with RFC 6191 for SYNs (SHLD-4), MAY-2, and RFC 7323 for old timestamps
//   Rfc793    3.9 of that document: no timestamps, no reopening
//
// Where they differ:
//
//   segment                      Linux               Rfc9293                    Rfc793
//   FIN again                    ACK, 60 s again     ACK, 2 MSL again           ACK, 2 MSL again
//   ACK that is expected         60 s again          nothing                    nothing
//   other ACK, data              ACK, 60 s again     ACK                        ACK
//   RST, exact                   ends it, unless tcp_rfc1337                    the same
//   SYN, later                   reopens             reopens                    ACK
//   SYN, exactly rcv_nxt         ACK                 reopens if later by time   RST, ends it
//   SYN, not later               ACK                 nothing                    ACK
//   timestamp from the past      ACK, 60 s again     ACK                        not looked at
//
// Linux reopens for a SYN later by number or by time; RFC 6191 looks at the number only where there are no
// two timestamps to compare, or they are equal. The window is taken to be zero: nothing is expected any more.
#pragma once

#include <cstdint>
#include <optional>

#include "lastack/time.h"
#include "wire/seq_num.h"

namespace lastack {

// What the rules need of a segment; its four-tuple has been looked up already.
struct SegmentSummary {
  SeqNum seq{};
  SeqNum ack{};
  std::uint32_t length = 0;  // of the data
  bool syn = false;
  bool fin = false;
  bool rst = false;
  bool ack_flag = false;
  std::optional<std::uint32_t> ts_val{};
  std::optional<std::uint32_t> ts_ecr{};

  SeqNum end() const {
    return seq + length + static_cast<std::uint32_t>(syn) + static_cast<std::uint32_t>(fin);
  }
};

namespace timewait {

enum class Profile { Linux, Rfc9293, Rfc793 };

struct RuleSettings {
  Profile profile = Profile::Linux;
  bool rfc1337 = false;    // a RST does not end TIME_WAIT (RFC 1337, fix F1)
  bool timestamps = true;  // new connections would use them (RFC 6191)
};

struct Numbers {
  SeqNum rcv_nxt;
  SeqNum snd_nxt;
  std::optional<std::uint32_t> ts_recent;
  Duration age{};                // since the stay began
  std::uint32_t rcv_window = 0;  // FIN_WAIT_2 only
};

struct Judgement {
  enum class Action {
    Drop,
    Ack,
    End,
    Reset,          // a RST in answer, and the end
    Reopen,         // for a listener; without one, an ACK
    EnterTimeWait,  // from FIN_WAIT_2: the FIN has come. An ACK
  };
  Action action = Action::Drop;
  bool rearm = false;           // the stay begins again
  bool take_timestamp = false;  // ts_val is the new ts_recent
  bool paws = false;            // the timestamp was from the past
  bool limited = false;         // an ACK like it must not have been sent just now
};

Judgement judge_time_wait(const Numbers& record, const SegmentSummary& segment,
                          const RuleSettings& settings);
// The same for all profiles (linux-facts 11).
Judgement judge_fin_wait_2(const Numbers& record, const SegmentSummary& segment);

// Where a connection begins that takes the place of one in TIME_WAIT: past all it may have sent (MAY-2,
// linux-facts 13 and 18). Linux keeps 0 for "none chosen".
constexpr SeqNum next_isn(SeqNum snd_nxt) {
  const SeqNum isn = snd_nxt + 65537;
  return isn == SeqNum(0) ? SeqNum(1) : isn;
}

}  // namespace timewait
}  // namespace lastack
