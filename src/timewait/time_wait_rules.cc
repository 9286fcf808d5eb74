#include "timewait/time_wait_rules.h"

namespace lastack::timewait {
namespace {

using Action = Judgement::Action;

// a before b, as timestamps go (RFC 7323, 5.2).
bool earlier(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

// RFC 7323, 5.3, as Linux does it: a remembered 0 is not believed (some send zeros with their SYN), and
// neither is one of a minute ago against a RST. Its age is taken to be that of the stay, as a record has no
// other time; so after a repeated FIN it counts as younger than Linux has it. That it may be older than 24
// days cannot happen here.
bool paws_rejects(const Numbers& record, const SegmentSummary& s, bool rst_is_exempt) {
  if (!record.ts_recent || !s.ts_val || *record.ts_recent == 0) return false;
  if (!earlier(*s.ts_val, *record.ts_recent)) return false;
  return !(s.rst && (rst_is_exempt || record.age >= 60s));
}

Judgement as_linux(const Numbers& r, const SegmentSummary& s, const RuleSettings& settings) {
  Judgement j;
  j.paws = paws_rejects(r, s, false);
  // What is expected can only be empty, or a reset.
  if (!j.paws && s.seq == r.rcv_nxt && (s.end() == s.seq || s.rst)) {
    if (s.rst && !settings.rfc1337) {
      j.action = Action::End;
      return j;
    }
    j.rearm = !s.rst;
    j.take_timestamp = r.ts_recent && s.ts_val;
    return j;
  }
  if (s.syn && !s.rst && !s.ack_flag && !j.paws) {
    const bool later_by_time = r.ts_recent && s.ts_val && earlier(*r.ts_recent, *s.ts_val);
    if (s.seq > r.rcv_nxt || later_by_time) {
      j.action = Action::Reopen;
      return j;
    }
  }
  if (s.rst) return j;
  j.action = Action::Ack;
  // A SYN alone may be an old duplicate, or a new one with an unlucky number: that does not prolong it.
  j.rearm = j.paws || s.ack_flag;
  // Segments with data or a FIN are not part of an endless exchange of ACKs.
  j.limited = s.end() == s.seq || s.syn;
  return j;
}

// RFC 6191, section 2.
bool reopens(const Numbers& r, const SegmentSummary& s, bool timestamps_here) {
  const bool later_by_number = s.seq > r.rcv_nxt;
  const bool timestamps = timestamps_here && s.ts_val;
  if (!r.ts_recent) return timestamps || later_by_number;
  if (!timestamps) return later_by_number;
  return *s.ts_val == *r.ts_recent ? later_by_number : earlier(*r.ts_recent, *s.ts_val);
}

Judgement as_rfc9293(const Numbers& r, const SegmentSummary& s, const RuleSettings& settings) {
  Judgement j;
  if (s.syn && !s.rst && !s.ack_flag) {
    if (reopens(r, s, settings.timestamps)) j.action = Action::Reopen;
    return j;
  }
  j.paws = paws_rejects(r, s, true);
  // First, the sequence number; then a RST, which has to be exact (RFC 5961, 3).
  if (s.rst) {
    if (s.seq == r.rcv_nxt && !settings.rfc1337) j.action = Action::End;
    return j;
  }
  if (!j.paws && s.seq == r.rcv_nxt && s.end() == s.seq) return j;
  j.action = Action::Ack;
  // "The only thing that can arrive in this state is a retransmission of the remote FIN."
  j.rearm = !j.paws && s.fin && s.ack_flag && s.end() == r.rcv_nxt;
  j.limited = !j.rearm;
  return j;
}

Judgement as_rfc793(const Numbers& r, const SegmentSummary& s, const RuleSettings& settings) {
  Judgement j;
  const bool exact = s.seq == r.rcv_nxt;
  if (s.rst) {
    if (exact && !settings.rfc1337) j.action = Action::End;
    return j;
  }
  if (s.syn && exact) {  // in the window: an error
    j.action = Action::Reset;
    return j;
  }
  if (exact && s.end() == s.seq) return j;
  j.action = Action::Ack;
  j.rearm = s.fin && s.ack_flag && s.end() == r.rcv_nxt;
  return j;
}

// RFC 9293, 3.10.7.4, "First": is any part of the segment in the window?
bool in_window(const Numbers& r, const SegmentSummary& s) {
  const SeqNum window_end = r.rcv_nxt + r.rcv_window;
  if (s.seq == r.rcv_nxt) return true;
  if (s.end() > r.rcv_nxt && s.seq < window_end) return true;
  return s.seq == window_end && s.seq == s.end();
}

}  // namespace

Judgement judge_time_wait(const Numbers& record, const SegmentSummary& segment,
                          const RuleSettings& settings) {
  switch (settings.profile) {
    case Profile::Linux:
      return as_linux(record, segment, settings);
    case Profile::Rfc9293:
      return as_rfc9293(record, segment, settings);
    case Profile::Rfc793:
      return as_rfc793(record, segment, settings);
  }
  return {};
}

Judgement judge_fin_wait_2(const Numbers& r, const SegmentSummary& s) {
  Judgement j;
  j.paws = paws_rejects(r, s, false);
  if (j.paws || !in_window(r, s)) {
    j.action = Action::Ack;
    j.limited = s.end() == s.seq || s.syn;
    return j;
  }
  if (s.rst) {
    j.action = Action::End;
    return j;
  }
  if (s.syn && s.seq >= r.rcv_nxt) {
    j.action = Action::Reset;
    return j;
  }
  // An ACK of something old.
  if (!s.ack_flag || s.end() <= r.rcv_nxt || s.end() == s.seq) return j;
  // Data that nobody will read.
  if (!s.fin || s.end() != r.rcv_nxt + 1) {
    j.action = Action::Reset;
    return j;
  }
  j.action = Action::EnterTimeWait;
  j.take_timestamp = r.ts_recent && s.ts_val;
  return j;
}

}  // namespace lastack::timewait
