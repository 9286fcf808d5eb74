// What must hold of a connection between any two events, whatever the network sends and the user does: the
// sequence spaces are in order, the counts of the scoreboard are the sums of what is on it, no window is
// negative, nothing waits without a timer. For fuzzers and the swarm; an empty answer is a good one.
#pragma once

#include <algorithm>
#include <string>

#include "tcp/connection.h"
#include "tcp/output.h"
#include "tcp/settings.h"
#include "tcp/timers.h"

namespace lastack::test {

namespace audit_detail {

inline std::string seq_text(const Connection& c, SeqNum seq) {
  return "iss+" + std::to_string(seq - c.iss);
}

inline std::string scoreboard(const Connection& c) {
  std::uint32_t packets = 0, sacked = 0, lost = 0, resent = 0;
  for (std::uint32_t i = 0; i < c.sent.size(); ++i) {
    const SentSegment& s = c.sent[i];
    if (s.length == 0) return "an empty segment on the scoreboard";
    if (i > 0 && c.sent[i - 1].end() != s.seq) return "a gap on the scoreboard";
    if (s.sacked() && s.lost()) return "a segment both delivered and lost";
    if (s.resent() && !s.ever_resent()) return "a segment sent again that never was";
    if (s.syn() && (s.seq != c.iss || s.length != 1)) return "a SYN that is not the first number";
    if (s.fin() && (i + 1 != c.sent.size() || !c.fin_sent)) return "a FIN that is not the last";
    packets += s.segments;
    if (s.sacked()) sacked += s.segments;
    if (s.lost()) lost += s.segments;
    if (s.resent()) resent += s.segments;
  }
  if (!c.sent.empty()) {
    if (c.sent.front().seq > c.snd_una) return "snd_una is before the scoreboard";
    if (!(c.sent.front().end() > c.snd_una)) return "the scoreboard holds what is acknowledged";
    if (c.sent.back().end() != c.snd_nxt) return "the scoreboard does not end at snd_nxt";
  } else if (c.snd_una != c.snd_nxt) {
    return "something is out that is not on the scoreboard";
  }
  const auto sums = [](const char* what, std::uint32_t have, std::uint32_t sum) {
    return std::string(what) + " is " + std::to_string(have) + ", the sum " + std::to_string(sum);
  };
  if (packets != c.packets_out) return sums("packets_out", c.packets_out, packets);
  if (lost != c.lost_out) return sums("lost_out", c.lost_out, lost);
  if (resent != c.retrans_out) return sums("retrans_out", c.retrans_out, resent);
  if (c.sack && sacked != c.sacked_out) return sums("sacked_out", c.sacked_out, sacked);
  if (std::uint64_t{c.sacked_out} + c.lost_out > c.packets_out) {
    return "more left the network than was sent: " + std::to_string(c.sacked_out) + " + " +
           std::to_string(c.lost_out) + " of " + std::to_string(c.packets_out);
  }
  return {};
}

inline std::string send_space(const Connection& c) {
  if (c.snd_una < c.iss) return "snd_una before iss";
  if (c.snd_nxt < c.snd_una) return "snd_nxt before snd_una";
  const SeqNum end = c.write_seq + (c.fin_sent ? 1 : 0);
  if (c.snd_nxt > end) return "snd_nxt after what was written";
  if (c.fin_sent && c.snd_nxt != end) return "a FIN sent before the data";
  if (c.fin_sent && !c.fin_queued) return "a FIN that nobody asked for";
  // Bytes that are not acknowledged are all there.
  const SeqNum first = max(c.snd_una, c.iss + 1);
  const std::uint32_t bytes =
      first > c.write_seq ? 0 : static_cast<std::uint32_t>(c.write_seq - first);
  if (c.send_buffer.size() != bytes) {
    return "the send buffer has " + std::to_string(c.send_buffer.size()) + " bytes in place of " +
           std::to_string(bytes);
  }
  SeqNum at = max(c.snd_nxt, c.iss + 1);
  if (c.fin_sent) at = c.write_seq;
  for (std::uint32_t i = 0; i < c.unsent.size(); ++i) {
    if (c.unsent[i].seq != at) return "a gap in the write queue";
    if (c.unsent[i].length == 0) return "an empty piece in the write queue";
    at = c.unsent[i].end();
  }
  if (at != c.write_seq) return "the write queue ends at " + seq_text(c, at);
  return {};
}

inline std::string receive_space(const Connection& c, const TcpSettings& settings) {
  if (c.rcv_nxt < c.rcv_wup) return "rcv_nxt before rcv_wup";
  if (c.receive_window() > 1U << 30) return "a receive window beyond 2^30";
  if (c.rcv_wscale > 14 || c.snd_wscale > 14) return "a window scale above 14";
  const std::uint32_t limit = c.options.receive_buffer != 0
                                  ? c.options.receive_buffer
                                  : std::max(settings.rmem_max, settings.rmem_default);
  // One segment more than there is room for may be taken by an empty buffer (input.cc, acceptable()).
  if (c.receive_buffer.size() > std::uint64_t{limit} + 65536 + 65536) {
    return "the receive buffer has " + std::to_string(c.receive_buffer.size()) + " bytes, limit " +
           std::to_string(limit);
  }
  if (c.gaps) {
    if (c.gaps->empty()) return "an empty list of gaps";
    SeqNum last = c.rcv_nxt;
    for (const SeqRange& g : *c.gaps) {
      if (!(g.left > last)) return "ranges beyond the gap that touch or are out of order";
      if (!(g.right > g.left)) return "an empty range beyond the gap";
      last = g.right;
    }
    if (static_cast<std::uint32_t>(last - c.rcv_nxt) > 1U << 30)
      return "data far beyond the window";
    // The FIN itself is in its piece.
    if (c.fin_at && last > *c.fin_at + 1) return "data after the FIN";
  }
  for (std::uint8_t i = 0; i < c.out_of_order.recent_count; ++i) {
    const SeqRange& r = c.out_of_order.recent[i];
    if (!(r.right > r.left)) return "an empty SACK block";
    if (!(r.right > c.rcv_nxt)) return "a SACK block of what is acknowledged";
  }
  return {};
}

inline std::string timers(const Connection& c) {
  const bool waits = c.packets_out == 0 && c.synchronized() && c.state != TcpState::TimeWait &&
                     (c.write_seq > c.snd_nxt || (c.fin_queued && !c.fin_sent));
  if ((c.send_timer == Instant::max()) != (c.send_timer_is == SendTimer::None)) {
    return "a timer without a time, or a time without a timer";
  }
  if (c.packets_out > 0 && c.state != TcpState::Closed &&
      (c.send_timer_is == SendTimer::None || c.send_timer_is == SendTimer::WindowProbe)) {
    return "something is out, and no timer for it";
  }
  // Corked data waits for the user; Linux sends it after 200 ms.
  if (waits && c.send_timer_is == SendTimer::None && !c.options.cork) {
    return "something waits to be sent, and no timer for it";
  }
  if (c.ack_pending && c.ack_timer == Instant::max()) return "a delayed ACK that never goes";
  return {};
}

}  // namespace audit_detail

inline std::string audit(const Connection& c, const TcpSettings& settings) {
  using namespace audit_detail;
  if (c.state == TcpState::Listen) return {};
  if (c.state == TcpState::Closed) {
    if (c.packets_out + c.lost_out + c.sacked_out + c.retrans_out != 0) return "closed, and counts";
    if (c.sent.size() + c.unsent.size() != 0 || c.gaps) return "closed, and segments";
    // What has come may still be read, and its memory be given back later.
    if (c.send_timer_is != SendTimer::None ||
        std::min({c.send_timer, c.ack_timer, c.keep_timer}) != Instant::max()) {
      return "closed, and a timer";
    }
    return {};
  }
  if (std::string what = scoreboard(c); !what.empty()) return what;
  if (std::string what = send_space(c); !what.empty()) return what;
  if (c.state == TcpState::SynSent) {
    if (c.sent.size() != 1) return "SYN_SENT without a SYN";
  } else if (std::string what = receive_space(c, settings); !what.empty()) {
    return what;
  }
  if (std::string what = timers(c); !what.empty()) return what;
  if (c.congestion.cwnd == 0) return "a congestion window of nothing";
  if (c.congestion.cwnd > 1U << 28) return "a congestion window beyond all bounds";
  if (c.congestion.ssthresh < 2) return "ssthresh below 2";
  if (c.rtt.rto < kLeastRto || c.rtt.rto > kMostRto) return "an RTO out of bounds";
  if (c.rtt.smoothed < Duration::zero()) return "a negative round trip";
  const std::uint32_t mss = send_mss(c);
  if (mss < 8 || mss > 65535) return "an MSS of " + std::to_string(mss);
  switch (c.state) {
    case TcpState::Established:
    case TcpState::FinWait1:
    case TcpState::FinWait2:
    case TcpState::SynReceived:
      if (c.fin_received) return "the peer's FIN, and a state before it";
      break;
    case TcpState::CloseWait:
    case TcpState::Closing:
    case TcpState::LastAck:
      if (!c.fin_received) return "a state after the peer's FIN, without one";
      break;
    case TcpState::TimeWait:
    case TcpState::Closed:
    case TcpState::Listen:
    case TcpState::SynSent:
      break;
  }
  switch (c.state) {
    case TcpState::Established:
    case TcpState::CloseWait:
      if (c.fin_queued) return "a FIN queued, and a state before it";
      break;
    case TcpState::FinWait2:
      if (c.snd_una != c.snd_nxt || !c.fin_sent)
        return "FIN_WAIT_2 before the FIN was acknowledged";
      break;
    case TcpState::FinWait1:
    case TcpState::Closing:
    case TcpState::LastAck:
      if (!c.fin_queued) return "a state after close(), without a FIN";
      break;
    case TcpState::TimeWait:
    case TcpState::Closed:
    case TcpState::Listen:
    case TcpState::SynSent:
    case TcpState::SynReceived:
      break;
  }
  return {};
}

// The changes of state that the diagram allows (RFC 9293, 3.3.2, and the resets), within one event, which may
// take several steps.
inline bool allowed(TcpState from, TcpState to) {
  using S = TcpState;
  if (from == to || to == S::Closed) return true;
  switch (from) {
    case S::Closed:
      return to == S::SynSent || to == S::Listen || to == S::SynReceived;
    case S::Listen:
      return to == S::SynReceived;
    case S::SynSent:
      return to == S::SynReceived || to == S::Established || to == S::CloseWait;
    case S::SynReceived:
      return to == S::Established || to == S::CloseWait || to == S::FinWait1 || to == S::FinWait2 ||
             to == S::Closing || to == S::TimeWait;
    case S::Established:
      return to == S::FinWait1 || to == S::CloseWait || to == S::LastAck;
    case S::FinWait1:
      return to == S::FinWait2 || to == S::Closing || to == S::TimeWait;
    case S::FinWait2:
      return to == S::TimeWait;
    case S::CloseWait:
      return to == S::LastAck;
    case S::Closing:
      return to == S::TimeWait;
    case S::LastAck:
    case S::TimeWait:
      return false;
  }
  return false;
}

}  // namespace lastack::test
