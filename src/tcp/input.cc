#include "tcp/input.h"

#include <algorithm>

#include "tcp/ack.h"
#include "tcp/calls.h"
#include "tcp/output.h"
#include "tcp/receive.h"
#include "tcp/receive_window.h"
#include "tcp/rtt.h"
#include "tcp/send_space.h"
#include "tcp/state.h"
#include "tcp/timers.h"
#include "wire/ip_packet.h"

namespace lastack {
namespace {

// --- Options

void take_timestamps(Connection& c, const TcpSegment& segment) {
  c.saw_tstamp = c.timestamps && segment.options.timestamps.has_value();
  if (!c.saw_tstamp) return;
  c.rcv_tsval = segment.options.timestamps->value;
  c.rcv_tsecr = segment.options.timestamps->echo;
}

// RFC 7323, 4.3: only what is not beyond what was acknowledged last.
void update_ts_recent(Connection& c, TcpContext& x, const TcpSegment& segment) {
  if (!c.saw_tstamp || segment.seq > c.rcv_wup) return;
  if (c.ts_recent_valid && static_cast<std::int32_t>(c.rcv_tsval - c.ts_recent) < 0 &&
      x.now - c.ts_recent_at < std::chrono::hours(24 * 24)) {
    return;
  }
  c.ts_recent = c.rcv_tsval;
  c.ts_recent_at = x.now;
  c.ts_recent_valid = true;
}

// PAWS (RFC 7323, 5.3). A pure ACK that came out of order is no reason to answer: Linux lets one pass that
// repeats the last ACK, is no older than a time-out, and changes nothing.
bool fails_paws(const Connection& c, TcpContext& x, const TcpSegment& segment) {
  if (!c.saw_tstamp || !c.ts_recent_valid) return false;
  // One tick does not matter, since clocks of different processors may differ by it (Linux: TCP_PAWS_WINDOW).
  if (c.ts_recent == 0 || static_cast<std::int32_t>(c.rcv_tsval - c.ts_recent) >= -1) return false;
  // After 24 days without a segment the peer's clock may have wrapped.
  if (x.now - c.ts_recent_at >= std::chrono::hours(24 * 24)) return false;
  const bool pure_repeat =
      segment.ack_flag() && segment.seq == segment.end() && segment.seq == c.rcv_nxt &&
      segment.ack == c.snd_una &&
      !updates_window(c, segment, std::uint32_t{segment.window} << c.snd_wscale);
  if (pure_repeat) {
    // As many ticks of a fast clock as a time-out has.
    const auto behind = static_cast<std::int32_t>(c.ts_recent - c.rcv_tsval);
    if (behind <= c.rtt.rto / 1ms * 12 / 10) return false;
  }
  return true;
}

// What both SYNs agree upon.
void agree(Connection& c, TcpContext& x, const TcpSegment& syn) {
  const TcpOptions& o = syn.options;
  c.timestamps = x.settings.timestamps && o.timestamps.has_value();
  c.sack = x.settings.sack && !c.options.sack_off && o.sack_permitted;
  c.window_scaling = x.settings.window_scaling && o.window_scale.has_value();
  // RFC 3168, 6.1.1: both flags in a SYN, ECE alone in the SYN,ACK. A SYN is not marked itself.
  if (syn.ack_flag()) {
    c.ecn = c.ecn_offered && syn.has(tcp_flag::kEce) && !syn.has(tcp_flag::kCwr);
  } else {
    c.ecn = x.settings.ecn != 0 && syn.has(tcp_flag::kEce) && syn.has(tcp_flag::kCwr) &&
            syn.ecn == ecn::kNotCapable;
  }
  if (c.window_scaling) {
    c.snd_wscale = std::min<std::uint8_t>(*o.window_scale, 14);
  } else {
    c.snd_wscale = 0;
    // In a simultaneous open the SYN is yet to be repeated, as it was (Linux: tcp_send_synack).
    if (syn.ack_flag() || c.origin != TcpState::SynSent) c.rcv_wscale = 0;
    c.window_clamp = std::min<std::uint32_t>(c.window_clamp, 65535);
  }
  // MUST-15: 536 (IPv4) or 1220 (IPv6) without the option.
  const std::uint16_t usual = c.tuple.local.address.is_v4() ? 536 : 1220;
  std::uint16_t peer = o.mss.value_or(usual);
  if (c.options.max_segment != 0) peer = std::min(peer, c.options.max_segment);
  c.peer_mss = peer;
  c.max_window = syn.ack_flag() ? syn.window : 0;
  agree_on_mss(c, x);
  if (c.timestamps) {
    c.saw_tstamp = true;
    c.rcv_tsval = o.timestamps->value;
    c.rcv_tsecr = o.timestamps->echo;
    c.ts_recent = c.rcv_tsval;
    c.ts_recent_at = x.now;
    c.ts_recent_valid = true;
  }
}

void start_receiving(Connection& c, const TcpSegment& syn) {
  c.irs = syn.seq;
  c.rcv_nxt = c.rcv_wup = syn.seq + 1;
  c.snd_wl1 = syn.seq;
}

// --- Reset

void on_reset(Connection& c, TcpContext& x) {
  // MUST-12: the user hears that this was no normal end.
  switch (c.state) {
    case TcpState::SynSent:
      finish(c, x, TcpError::Refused);
      break;
    case TcpState::CloseWait:
      finish(c, x, TcpError::BrokenPipe);
      break;
    case TcpState::SynReceived:
    case TcpState::Established:
    case TcpState::FinWait1:
    case TcpState::FinWait2:
    case TcpState::Closing:
    case TcpState::LastAck:
    case TcpState::TimeWait:
      finish(c, x, TcpError::Reset);
      break;
    case TcpState::Listen:
    case TcpState::Closed:
      break;
  }
}

// RFC 5961, 3.2: a RST ends the connection only with exactly the number expected. One more is good (Linux):
// the right edge of what SACK told, for a peer that lost track behind a gap; and one less, from a peer that
// did not count our ACK of its FIN.
bool reset_is_exact(const Connection& c, const TcpSegment& segment) {
  if (segment.seq == c.rcv_nxt) return true;
  if (segment.seq == c.rcv_nxt - 1 &&
      (c.state == TcpState::CloseWait || c.state == TcpState::LastAck ||
       c.state == TcpState::Closing)) {
    return true;
  }
  if (!c.sack || c.out_of_order.recent_count == 0) return false;
  SeqNum highest = c.out_of_order.recent[0].right;
  for (std::uint8_t i = 1; i < c.out_of_order.recent_count; ++i) {
    highest = max(highest, c.out_of_order.recent[i].right);
  }
  return segment.seq == highest;
}

// --- 3.10.7.4, first to fourth: may this segment be looked at?

// Whether any of the segment is inside the window. Data beyond it is taken only where the buffer is empty, as
// a peer may have missed that the window was closed.
bool acceptable(const Connection& c, const TcpSegment& segment) {
  const SeqNum end = segment.end();
  if (end < c.rcv_wup) return false;
  const SeqNum right = c.rcv_nxt + c.receive_window();
  if (end <= right) return true;
  // Some send a FIN where there is no room even for it (Linux: tcp_sequence).
  if (segment.fin() && end - 1U <= right) return true;
  if (segment.seq > right) return false;
  return c.receive_buffer.empty();
}

enum class Step { GoOn, Done, Reset };

// Linux: tcp_send_dupack.
void send_duplicate_ack(Connection& c, TcpContext& x, const TcpSegment& segment) {
  if (segment.length() > 0 && segment.seq < c.rcv_nxt) {
    quick_acks(c, kMostQuickAcks);
    c.pingpong = 0;
    note_duplicate(c, x, segment.seq, min(segment.end(), c.rcv_nxt));
  }
  send_ack_out_of_window(c, x, segment);
}

// A SYN for a connection that is there (U5).
Step on_stray_syn(Connection& c, TcpContext& x, const TcpSegment& segment, bool in_window) {
  if (c.state == TcpState::Established) ++x.counters.InErrs;
  ++x.counters.TCPSYNChallenge;
  switch (x.settings.rules.syn_answer) {
    case SynAnswer::Challenge:  // RFC 5961, 4
      send_challenge_ack(c, x);
      return Step::Done;
    case SynAnswer::Ignore:
      return Step::Done;
    case SynAnswer::ByWindow:
      if (in_window) break;
      send_ack_out_of_window(c, x, segment);
      return Step::Done;
    case SynAnswer::Reset:
      break;
  }
  finish(c, x, TcpError::Reset);  // RFC 793: "it is an error, send a reset"
  return Step::Reset;
}

Step validate(Connection& c, TcpContext& x, const TcpSegment& segment) {
  if (fails_paws(c, x, segment) && !segment.rst()) {
    if (segment.syn()) return on_stray_syn(c, x, segment, false);
    // ACKs that are overtaken are common, and tell nothing (Linux: PAWSOldAck).
    if (segment.ack_flag() && segment.length() == 0 && segment.seq < c.rcv_nxt) return Step::Done;
    ++x.counters.PAWSEstab;
    send_duplicate_ack(c, x, segment);
    return Step::Done;
  }

  // First, check the sequence number (U3).
  if (!acceptable(c, segment)) {
    if (segment.rst()) {
      if (reset_is_exact(c, segment)) on_reset(c, x);
      return Step::Done;
    }
    if (segment.syn()) return on_stray_syn(c, x, segment, false);
    send_duplicate_ack(c, x, segment);
    return Step::Done;
  }

  // Second, check the RST bit (U4).
  if (segment.rst()) {
    if (reset_is_exact(c, segment) || !x.settings.rules.rfc5961) {
      on_reset(c, x);
    } else {
      send_challenge_ack(c, x);
    }
    return Step::Done;
  }

  // Fourth, check the SYN bit (U5).
  if (segment.syn()) {
    // The other half of a simultaneous open: SYN,ACK with the number of the SYN.
    if (c.state == TcpState::SynReceived && segment.ack_flag() && segment.seq + 1 == c.rcv_nxt &&
        segment.end() == c.rcv_nxt && segment.ack == c.snd_nxt) {
      return Step::GoOn;
    }
    return on_stray_syn(c, x, segment, true);
  }
  return Step::GoOn;
}

// --- 3.10.7.3: SYN_SENT

Reply in_syn_sent(Connection& c, TcpContext& x, const TcpSegment& segment) {
  // First, the ACK bit.
  if (segment.ack_flag()) {
    if (!(segment.ack > c.snd_una) || segment.ack > c.snd_nxt) {
      // A stranger's, or an old connection's. RFC 9293: RST, unless it is one. When a SYN of ours met the
      // peer's old half, this RST is what frees the way (claim A5): our SYN goes again soon.
      // An earlier segment or its RST may have gone unheard: the SYN goes again at once.
      if (c.retransmits == 0 && x.settings.rules.quick_syn_again) {
        arm_send_timer(c, x, SendTimer::Retransmit, kLeastTimer * 4);
      }
      if (segment.rst()) return Reply::None;
      return Reply::Reset;
    }
    if (c.timestamps_offered && segment.options.timestamps &&
        segment.options.timestamps->echo != 0) {
      const std::uint32_t echo = segment.options.timestamps->echo - c.ts_offset;
      const std::uint32_t now = timestamp_clock(x.now);
      if (static_cast<std::int32_t>(now - echo) < 0 ||
          static_cast<std::int32_t>(echo - c.syn_sent_clock) < 0) {
        ++x.counters.PAWSActive;
        return Reply::Reset;
      }
    }
  }
  // Second, the RST bit.
  if (segment.rst()) {
    if (segment.ack_flag()) on_reset(c, x);
    return Reply::None;
  }
  // Fourth, the SYN bit.
  if (!segment.syn()) return Reply::None;

  start_receiving(c, segment);
  agree(c, x, segment);
  if (segment.ack_flag()) {
    c.snd_wnd = segment.window;
    c.max_window = std::max<std::uint32_t>(c.max_window, c.snd_wnd);
    process_ack(c, x, segment);
    c.snd_wnd = segment.window;
    stop_send_timer(c);
    establish(c, x);
    if (c.fin_queued || c.write_seq > c.snd_nxt) {
      c.ack_wanted = true;
      push(c, x);  // the data carries the ACK
      if (c.ack_wanted) send_ack(c, x);
    } else {
      send_ack(c, x);
    }
    if (segment.length() > 1) {
      receive_data(c, x, segment);
      acknowledge(c, x);
    }
    return Reply::None;
  }

  // Simultaneous open (MUST-10): our SYN again, with an ACK.
  c.snd_wnd = segment.window;
  c.max_window = c.snd_wnd;
  set_state(c, x, TcpState::SynReceived);
  c.origin = TcpState::SynSent;
  send_syn(c, x, false);
  if (!c.sent.empty()) c.sent.front().sent_at = x.now;
  return Reply::None;
}

// --- 3.10.7.4, fifth: the ACK, and what it means for each state

// Whether our FIN has been acknowledged.
bool fin_acked(const Connection& c) {
  return c.fin_sent && c.snd_una == c.snd_nxt;
}

enum class AckStep { GoOn, Done, Reset };

// Linux's header prediction.
bool is_predicted(const Connection& c, const TcpSegment& segment) {
  return c.state == TcpState::Established && (segment.flags & ~tcp_flag::kPsh) == tcp_flag::kAck &&
         segment.seq == c.rcv_nxt && (std::uint32_t{segment.window} << c.snd_wscale) == c.snd_wnd &&
         c.gaps == nullptr && c.saw_tstamp &&
         static_cast<std::int32_t>(c.rcv_tsval - c.ts_recent) >= 0;
}

// Data after close() (RFC 1122, 4.2.2.13), or a FIN behind data that is still to come.
bool comes_too_late(const Connection& c, const TcpContext& x, const TcpSegment& segment) {
  return x.settings.rules.reset_on_data_after_close && segment.length() > 0 &&
         segment.end() - (segment.fin() ? 1U : 0U) > c.rcv_nxt;
}

AckStep on_ack(Connection& c, TcpContext& x, const TcpSegment& segment) {
  const bool opening = c.state == TcpState::SynReceived;
  // When two SYNs have crossed any ACK will do that is not wrong (Linux: tcp_rcv_state_process).
  const bool crossed = opening && (c.origin == TcpState::SynSent || c.fast_open);
  if (opening &&
      !((crossed ? segment.ack >= c.snd_una : segment.ack > c.iss) && segment.ack <= c.snd_nxt)) {
    return AckStep::Reset;
  }
  // An ACK that is out of place tells nothing about the peer's clock either, unless the segment is what was
  // expected next in all but that (Linux: tcp_ack, and the fast path of tcp_rcv_established).
  const bool in_place = segment.ack >= c.snd_una || is_predicted(c, segment);
  if (in_place && segment.ack <= c.snd_nxt) update_ts_recent(c, x, segment);
  if (opening || c.fast_open) {
    c.snd_wnd = std::uint32_t{segment.window} << c.snd_wscale;
    c.snd_wl1 = segment.seq;
    // The window of a SYN is no measure of the peer (Linux: tcp_create_openreq_child).
    c.max_window = c.snd_wnd;
    agree_on_mss(c, x);
  }
  switch (process_ack(c, x, segment)) {
    case AckVerdict::Good:
      break;
    case AckVerdict::Old:
      break;
    case AckVerdict::TooOld:
      send_challenge_ack(c, x);
      return AckStep::Done;
    case AckVerdict::Unsent:
      // U3's sibling: an ACK for what was not sent draws an ACK.
      send_challenge_ack(c, x);
      return AckStep::Done;
  }

  switch (c.state) {
    case TcpState::SynReceived:
      if (c.fast_open) {
        confirm_fast(c, x);
      } else {
        // Where two SYNs have crossed, ours has been told of twice (Linux: tcp_rcv_state_process counts it, and so does
        // what took it off the queue).
        if (crossed) ++c.delivered;
        establish(c, x);
      }
      if (c.fin_queued) {
        set_state(c, x, TcpState::FinWait1);
        push(c, x);
      }
      break;
    case TcpState::FinWait1:
      if (c.fast_open) confirm_fast(c, x);
      if (!fin_acked(c)) break;
      set_state(c, x, TcpState::FinWait2);
      stop_send_timer(c);
      if (!c.orphan) break;
      if (c.options.linger2.value_or(0) < 0) {
        ++x.counters.TCPAbortOnData;  // not TCPAbortOnLinger: Linux counts that in close() only
        finish(c, x, TcpError::None);
        return AckStep::Reset;
      }
      if (comes_too_late(c, x, segment)) {
        ++x.counters.TCPAbortOnData;
        finish(c, x, TcpError::None);
        return AckStep::Reset;
      }
      // With a FIN, which is looked at next, it is the whole socket that waits: there may be a gap before the FIN.
      limit_fin_wait_2(c, x, segment.fin());
      if ((c.news & news::kFinWait2) != 0) return AckStep::Done;
      break;
    case TcpState::Closing:
      if (!fin_acked(c)) break;
      enter_time_wait(c, x);
      return AckStep::Done;
    case TcpState::LastAck:
      if (!fin_acked(c)) break;
      finish(c, x, TcpError::None);  // no TIME_WAIT (linux-facts 1)
      return AckStep::Done;
    case TcpState::Established:
    case TcpState::FinWait2:
    case TcpState::CloseWait:
    case TcpState::TimeWait:
    case TcpState::Listen:
    case TcpState::SynSent:
    case TcpState::Closed:
      break;
  }
  return AckStep::GoOn;
}

// Sixth, the URG bit (RFC 9293, 3.8.5; MUST-31: any length of urgent data, 32: the user is told). The pointer points
// behind the urgent byte, whatever the first RFC said of it (RFC 6093; Linux: tcp_check_urg).
void note_urgent(Connection& c, const TcpSegment& segment) {
  const SeqNum up = segment.seq + (segment.urgent == 0 ? 0U : segment.urgent - 1U);
  if (c.read_next() > up || up < c.rcv_nxt) return;        // seen already
  if (c.urgent != Urgent::None && up <= c.rcv_up) return;  // no news
  // There is one mark only: an older byte that nobody has fetched is lost.
  if (c.at_urgent_mark() && !c.options.urgent_inline && !c.receive_buffer.empty()) {
    c.receive_buffer.drop(1);
    release_read(c);
  }
  c.rcv_up = up;
  c.urgent = Urgent::Coming;
  c.news |= news::kUrgent;
}

void on_urgent(Connection& c, const TcpSegment& segment) {
  if (segment.has(tcp_flag::kUrg)) note_urgent(c, segment);
  if (c.urgent != Urgent::Coming) return;
  const SeqNum first = segment.seq + (segment.syn() ? 1U : 0U);
  if (c.rcv_up < first) return;
  const auto at = static_cast<std::uint32_t>(c.rcv_up - first);
  if (at >= segment.payload.size()) return;
  c.urgent_byte = segment.payload[at];
  c.urgent = Urgent::There;
  c.news |= news::kUrgent;
}

// Seventh, the segment text; eighth, the FIN. Whether a RST is due.
bool on_text(Connection& c, TcpContext& x, const TcpSegment& segment) {
  switch (c.state) {
    case TcpState::FinWait1:
    case TcpState::FinWait2:
      // The user can read no more: data that is new draws a RST.
      if ((c.orphan || c.read_shutdown) && comes_too_late(c, x, segment)) {
        ++x.counters.TCPAbortOnData;
        finish(c, x, TcpError::Reset);
        return true;
      }
      [[fallthrough]];
    case TcpState::Established:
      if (c.saw_tstamp && c.state == TcpState::Established) measure_receive_rtt(c, x, segment);
      if (segment.length() > 0) receive_data(c, x, segment);
      return false;
    case TcpState::CloseWait:
    case TcpState::Closing:
    case TcpState::LastAck:
      // After the FIN nothing comes: what begins there is not looked at (RFC 9293, 3.10.7.4: "this should not
      // occur"), what goes on beyond it draws a RST (Linux), and what is known is acknowledged again.
      if (segment.length() == 0 || segment.seq >= c.rcv_nxt) return false;
      if (comes_too_late(c, x, segment)) {
        ++x.counters.TCPAbortOnData;
        on_reset(c, x);
        return true;
      }
      if (segment.end() <= c.rcv_nxt) receive_data(c, x, segment);
      return false;
    case TcpState::SynReceived:
    case TcpState::TimeWait:
    case TcpState::Listen:
    case TcpState::SynSent:
    case TcpState::Closed:
      return false;
  }
  return false;
}

}  // namespace

void accept_syn(Connection& c, TcpContext& x, const TcpSegment& syn) {
  start_receiving(c, syn);
  choose_initial_window(c, x, x.settings.timestamps && syn.options.timestamps.has_value());
  agree(c, x, syn);
  c.snd_wnd = syn.window;
  c.max_window = syn.window;
  if (c.state == TcpState::Closed) c.state = TcpState::Listen;
  c.origin = c.state;
  set_state(c, x, TcpState::SynReceived);
}

Reply on_segment(Connection& c, TcpContext& x, const TcpSegment& segment) {
  if (c.state == TcpState::Closed || c.state == TcpState::Listen) return Reply::None;
  ++c.segments_in;
  if (!segment.payload.empty()) ++c.data_segments_in;
  if (c.state == TcpState::SynSent) return in_syn_sent(c, x, segment);

  // Without an ACK there is nothing to do. RFC 9293 asks this fifth; Linux asks it first, and does not answer.
  if (!segment.ack_flag() && !segment.rst() && !segment.syn()) return Reply::None;
  take_timestamps(c, segment);
  c.last_packet = x.now;
  switch (validate(c, x, segment)) {
    case Step::Done:
      return Reply::None;
    case Step::Reset:
      return Reply::Reset;
    case Step::GoOn:
      break;
  }
  // Fifth: without an ACK there is nothing to do.
  if (!segment.ack_flag()) return Reply::None;
  // Without ECN a mark is seen only here, on whatever comes (Linux 6.18: tcp_rcv_established).
  if (!c.ecn && segment.ecn != ecn::kNotCapable && c.state == TcpState::Established)
    c.peer_marks = true;
  switch (on_ack(c, x, segment)) {
    case AckStep::Done:
      return Reply::None;
    case AckStep::Reset:
      return Reply::Reset;
    case AckStep::GoOn:
      break;
  }
  on_urgent(c, segment);
  if (on_text(c, x, segment)) return Reply::Reset;
  if (c.state == TcpState::Closed || c.state == TcpState::TimeWait) return Reply::None;
  push(c, x);
  check_send_space(c, x);
  acknowledge(c, x);
  return Reply::None;
}

}  // namespace lastack
