#include "tcp/calls.h"

#include <algorithm>

#include "tcp/congestion_control.h"
#include "tcp/output.h"
#include "tcp/receive.h"
#include "tcp/receive_window.h"
#include "tcp/recovery.h"
#include "tcp/send_space.h"
#include "tcp/state.h"
#include "tcp/timers.h"

namespace lastack {
namespace {

void queue_fin(Connection& c, TcpContext& x) {
  c.fin_queued = true;
  if (c.closed_first == WhoClosed::Nobody) c.closed_first = WhoClosed::Here;
  if (c.unsent.empty()) wait_for(c, x, Waiting::Path);
  c.nonagle_push = true;  // the FIN lets a short segment go
  push(c, x);
  c.nonagle_push = false;
}

TcpError error_of(IcmpKind kind) {
  switch (kind) {
    case IcmpKind::NetworkUnreachable:
    case IcmpKind::NetworkRefused:
      return TcpError::NetworkUnreachable;
    case IcmpKind::ProtocolUnreachable:
      return TcpError::ProtocolUnreachable;
    case IcmpKind::PortUnreachable:
      return TcpError::Refused;
    case IcmpKind::PacketTooBig:
      return TcpError::MessageTooBig;
    case IcmpKind::ParameterProblem:
    case IcmpKind::Unknown:
      return TcpError::Protocol;
    case IcmpKind::SourceRouteFailed:
      return TcpError::NotSupported;
    case IcmpKind::HostUnknown:
      return TcpError::HostDown;
    case IcmpKind::HostIsolated:
      return TcpError::HostIsolated;
    case IcmpKind::Prohibited:
      return TcpError::Prohibited;
    case IcmpKind::HostUnreachable:
    case IcmpKind::HostRefused:
    case IcmpKind::TimeExceeded:
    case IcmpKind::SourceQuench:
      return TcpError::HostUnreachable;
  }
  return TcpError::HostUnreachable;
}

// Path MTU discovery (RFC 1191, 8201): what is too long is cut and sent again, without blaming congestion.
void shrink_path(Connection& c, TcpContext& x, std::uint32_t mtu) {
  constexpr std::uint32_t kLeastV4 = 552, kLeastV6 = 1280;
  const std::uint32_t least = c.tuple.local.address.is_v4() ? kLeastV4 : kLeastV6;
  mtu = std::max(mtu, least);
  if (mtu >= c.path_mtu) return;
  c.path_mtu = static_cast<std::uint16_t>(mtu);
  agree_on_mss(c, x);
  if (!c.synchronized()) return;
  const std::uint32_t mss = send_mss(c);
  bool lost = false;
  for (std::uint32_t i = 0; i < c.sent.size(); ++i) {
    SentSegment& s = c.sent[i];
    if (s.length <= mss || s.sacked() || s.syn()) continue;
    if (s.resent()) {
      s.flags &= static_cast<std::uint8_t>(~SentSegment::kResent);
      c.retrans_out -= s.segments;
    }
    if (!s.lost()) {
      s.flags |= SentSegment::kLost;
      c.lost_out += s.segments;
    }
    lost = true;
  }
  if (!lost) return;
  if (!c.sack) c.sacked_out = std::min(c.sacked_out, c.packets_out - c.lost_out);
  if (c.ca != CongestionState::Loss) {
    c.congestion.high_seq = c.snd_nxt;
    c.congestion.prior_ssthresh = 0;
    c.congestion.can_undo = false;
    c.ca = CongestionState::Loss;
  }
  retransmit_lost(c, x);
}

}  // namespace

void begin(Connection& c, TcpContext& x, const Opening& opening) {
  c.news |= news::kBuffers;  // small ones may lie ready
  c.tuple = opening.tuple;
  c.iss = opening.iss;
  c.snd_una = c.snd_nxt = opening.iss;
  c.write_seq = opening.iss + 1;
  c.snd_small = c.snd_up = opening.iss;
  c.pushed = c.write_seq;
  c.ts_offset = opening.ts_offset;
  c.path_mtu = opening.mtu;
  c.announced = path_mss(c);
  if (c.options.max_segment != 0) c.announced = std::min(c.announced, c.options.max_segment);
  c.peer_mss = c.mss = c.announced;
  c.rtt.rto = kInitialRto;
  c.rtt.variance = c.rtt.deviation_max = kLeastRto / 4;
  c.congestion.cwnd = x.settings.initial_cwnd;
  c.congestion.high_seq = opening.iss;
  c.rack.reordering = static_cast<std::uint32_t>(x.settings.reordering);
  choose_initial_window(c, x, c.ts_recent_valid);
}

void open_active(Connection& c, TcpContext& x, const Opening& opening) {
  begin(c, x, opening);
  c.timestamps_offered = x.settings.timestamps;
  c.retrans_stamp = stamp_of(x.now);  // TCP_USER_TIMEOUT counts from here (Linux: tcp_connect)
  c.origin = TcpState::SynSent;
  set_state(c, x, TcpState::SynSent);
  c.snd_nxt = c.iss + 1;
  c.sent.push_back({c.iss, 1, x.now, 1, SentSegment::kSyn});
  c.packets_out = 1;
  ++x.counters.ActiveOpens;
  if (opening.not_before > x.now) {
    c.send_timer_is = SendTimer::HeldSyn;
    c.send_timer = opening.not_before;
    return;
  }
  send_first_syn(c, x);
}

void send_first_syn(Connection& c, TcpContext& x) {
  c.syn_sent_clock = timestamp_clock(x.now);
  c.sent.front().sent_at = x.now;
  send_syn(c, x, false);
  arm_send_timer(c, x, SendTimer::Retransmit, c.rtt.rto);
}

std::size_t write(Connection& c, TcpContext& x, std::span<const std::byte> data, WriteHow how) {
  if (c.fin_queued || c.state == TcpState::Closed) return 0;
  // What is not pushed by half of the peer's window has waited long enough (Linux: forced_push).
  const auto push_is_due = [&] { return c.write_seq > c.pushed + c.max_window / 2; };
  const auto end_of_push = [&] {
    if (!c.unsent.empty()) c.unsent.back().flags |= SentSegment::kPush;
    c.pushed = c.write_seq;
  };
  std::size_t taken = 0;
  while (taken < data.size()) {
    // A goal is an MSS at least; where all fits into one it does not matter what it is.
    const std::uint32_t mss = send_mss(c);
    const bool all_in_one = c.unsent.empty() && data.size() - taken <= mss;
    const std::uint32_t goal = how.urgent || all_in_one ? mss : piece_goal(c, x);
    if (c.unsent.empty() || c.unsent.back().length >= goal ||
        (c.unsent.back().flags & SentSegment::kEndOfRecord) != 0) {
      if (!may_queue(c, x)) {
        c.no_space = c.found_no_room = true;
        break;
      }
      restart_after_idle(c, x);
      if (c.unsent.empty()) wait_for(c, x, Waiting::Path);
      if (c.unsent.push_back({c.write_seq, 0, {}, 0, 0})) c.news |= news::kBuffers;
    }
    SentSegment& piece = c.unsent.back();
    if (taken == 0) piece.flags &= static_cast<std::uint8_t>(~SentSegment::kPush);
    const std::size_t n = std::min<std::size_t>(data.size() - taken, goal - piece.length);
    if (c.send_buffer.write(data.subspan(taken, n))) c.news |= news::kBuffers;
    piece.length += static_cast<std::uint32_t>(n);
    c.write_seq += static_cast<std::uint32_t>(n);
    taken += n;
    if (taken == data.size()) {
      if (how.end_of_record) piece.flags |= SentSegment::kEndOfRecord;
      break;
    }
    if (piece.length < goal || how.urgent) continue;  // the mark is set once all of it is there
    if (push_is_due()) {
      end_of_push();
      c.nonagle_push = true;
      push(c, x);
      c.nonagle_push = false;
    } else if (c.unsent.size() == 1) {
      push_one(c, x);
    }
  }
  if (taken == 0) return 0;
  c.trim_timer = x.now + 1s;
  if (!how.more || push_is_due()) end_of_push();
  if (how.urgent) {
    c.snd_up = c.write_seq;
    c.urgent_pending = true;
  }
  const bool corked = c.options.cork;
  c.options.cork = corked || how.more;
  push(c, x);
  c.options.cork = corked;
  if (!is_writable(c, x)) c.no_space = true;
  return taken;
}

std::size_t read(Connection& c, TcpContext& x, std::span<std::byte> out, bool peek) {
  // Reading stops before the urgent byte; from there it goes on behind it, unless that is in line.
  std::size_t n = 0, at = 0;
  const std::size_t have = c.receive_buffer.size();
  while (n < out.size() && at < have) {
    std::size_t piece = std::min(have - at, out.size() - n);
    if (c.urgent != Urgent::None) {
      const std::int32_t to_mark = c.rcv_up - (c.read_next() + static_cast<std::uint32_t>(at));
      if (to_mark == 0) {
        if (n > 0) break;
        if (!c.options.urgent_inline) {
          ++at;
          continue;
        }
      } else if (to_mark > 0) {
        piece = std::min(piece, static_cast<std::size_t>(to_mark));
      }
    }
    c.receive_buffer.peek(at, out.subspan(n, piece));
    n += piece;
    at += piece;
  }
  if (at == 0 || peek) return n;
  c.receive_buffer.drop(at);
  release_read(c);
  adjust_receive_space(c, x);
  if (c.urgent != Urgent::None && c.read_next() > c.rcv_up) c.urgent = Urgent::None;
  c.trim_timer = x.now + 1s;
  after_read(c, x, at);
  return n;
}

void shutdown_write(Connection& c, TcpContext& x) {
  switch (c.state) {
    case TcpState::SynReceived:
      if (!c.orphan) {  // the FIN goes once the handshake is over (Linux: tcp_shutdown)
        c.fin_queued = true;
        break;
      }
      [[fallthrough]];
    case TcpState::Established:
      set_state(c, x, TcpState::FinWait1);
      queue_fin(c, x);
      break;
    case TcpState::CloseWait:
      set_state(c, x, TcpState::LastAck);
      queue_fin(c, x);
      break;
    case TcpState::SynSent:
      finish(c, x, TcpError::None, By::User);
      break;
    case TcpState::FinWait1:
    case TcpState::FinWait2:
    case TcpState::Closing:
    case TcpState::LastAck:
    case TcpState::TimeWait:
    case TcpState::Listen:
    case TcpState::Closed:
      break;
  }
}

void close(Connection& c, TcpContext& x) {
  c.orphan = true;
  c.read_shutdown = true;
  if (c.state == TcpState::Closed) return;
  const bool unread = !c.receive_buffer.empty();
  if (unread && x.settings.rules.reset_on_unread && c.state != TcpState::SynSent) {
    ++x.counters.TCPAbortOnClose;
    abort_connection(c, x, TcpError::None, By::User);
    return;
  }
  c.receive_buffer.drop(c.receive_buffer.size());
  release_read(c);
  if (c.options.linger && c.options.linger_seconds == 0) {
    ++x.counters.TCPAbortOnData;
    // A peer that has our FIN, and has sent its own, needs no more (Linux: tcp_disconnect).
    if ((c.state == TcpState::Closing || c.state == TcpState::LastAck) && c.fin_sent) {
      finish(c, x, TcpError::None, By::User);
    } else {
      abort_connection(c, x, TcpError::None, By::User);
    }
    return;
  }
  shutdown_write(c, x);
  if (c.state == TcpState::FinWait2) {
    if (c.options.linger2.value_or(0) < 0) {
      ++x.counters.TCPAbortOnLinger;
      abort_connection(c, x, TcpError::None, By::User);
      return;
    }
    limit_fin_wait_2(c, x);
  }
}

void disconnect(Connection& c, TcpContext& x) {
  finish(c, x, TcpError::Reset, By::User);
}

void abort(Connection& c, TcpContext& x) {
  c.orphan = true;
  if (c.state != TcpState::Closed) abort_connection(c, x, TcpError::Aborted, By::User);
}

void options_changed(Connection& c, TcpContext& x, bool let_go) {
  if (c.state == TcpState::Closed || !c.synchronized()) return;
  if (c.options.keepalive && c.keep_timer == Instant::max() && !c.orphan) {
    arm_keepalive(c, x,
                  std::chrono::seconds(c.options.keep_idle.value_or(x.settings.keepalive_time)));
  } else if (!c.options.keepalive && !c.orphan) {
    c.keep_timer = Instant::max();
  }
  if (!c.options.cork || let_go) {
    c.nonagle_push = c.options.no_delay || let_go;
    push(c, x);
    c.nonagle_push = false;
  }
}

void on_icmp(Connection& c, TcpContext& x, const IcmpError& error) {
  if (error.kind == IcmpKind::SourceQuench) return;  // MUST-55
  // A forger has to guess a number that is on its way (RFC 5927).
  if (!(error.seq >= (c.fast_open ? c.iss : c.snd_una) && error.seq <= c.snd_nxt)) {
    ++x.counters.OutOfWindowIcmps;
    return;
  }
  if (error.kind == IcmpKind::PacketTooBig) {
    // Routers before RFC 1191 do not say; half is a guess that ends somewhere.
    shrink_path(c, x, error.mtu != 0 ? error.mtu : c.path_mtu / 2U);
    return;
  }
  const TcpError what = error_of(error.kind);
  // Who has a connection of Fast Open already has one like any other (Linux: tcp_v4_err).
  const bool opening = c.state == TcpState::SynSent ||
                       (c.state == TcpState::SynReceived && !(c.fast_open && c.user != 0));
  const bool hard =
      error.kind == IcmpKind::ProtocolUnreachable || error.kind == IcmpKind::PortUnreachable;
  const TcpRules& rules = x.settings.rules;
  const bool over = opening ? hard || rules.icmp_soft_ends_opening : hard && rules.icmp_hard_aborts;
  if (over) {
    c.error_queued = opening && c.tuple.local.address.is_v4();
    finish(c, x, what);
    return;
  }
  if (c.options.hears_icmp) {  // IP_RECVERR: told at once, and the connection goes on
    c.error = what;
    c.news |= news::kReadable | news::kWritable;
    return;
  }
  c.soft_error = what;
}

}  // namespace lastack
