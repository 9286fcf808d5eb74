// A packet arrives: whose is it, and what does it mean (RFC 9293, 3.10.7)?
#include <algorithm>

#include "stack/host_impl.h"
#include "stack/syn_cookie.h"
#include "tcp/calls.h"
#include "tcp/input.h"
#include "tcp/output.h"
#include "tcp/seen.h"
#include "tcp/state.h"
#include "tcp/timers.h"
#include "wire/plain_segment.h"

namespace lastack {
namespace {

// MUST-57, MUST-63: nobody opens a connection with a group.
bool is_unicast(const IpAddress& address) {
  if (address.is_unspecified()) return false;
  if (address.is_v4()) return address.v4_value() >> 28 != 0xe && address.v4_value() != 0xffffffff;
  return address.bytes()[0] != 0xff;
}

// An attempt at a listener has no user who could be told. Which errors end it: those that say that the client cannot
// be reached; of IPv6 those that are for good (Linux: tcp_req_err, told apart by tcp_v4_err and icmpv6_err_convert).
bool ends_attempt(IcmpKind kind, bool v4) {
  switch (kind) {
    case IcmpKind::NetworkUnreachable:
    case IcmpKind::HostUnreachable:
    case IcmpKind::TimeExceeded:
      return v4;
    case IcmpKind::ParameterProblem:
      return true;
    case IcmpKind::PortUnreachable:
    case IcmpKind::Prohibited:
      return !v4;
    default:
      return false;
  }
}

SegmentSummary summary_of(const TcpSegment& segment) {
  SegmentSummary summary{.seq = segment.seq,
                         .ack = segment.ack,
                         .length = static_cast<std::uint32_t>(segment.payload.size()),
                         .syn = segment.syn(),
                         .fin = segment.fin(),
                         .rst = segment.rst(),
                         .ack_flag = segment.ack_flag()};
  if (segment.options.timestamps) {
    summary.ts_val = segment.options.timestamps->value;
    summary.ts_ecr = segment.options.timestamps->echo;
  }
  return summary;
}

}  // namespace

void Host::Impl::receive(std::span<const std::byte> packet, Instant at, bool checksum_checked) {
  see(at);
  const Checksum checksum = checksum_checked ? Checksum::Trust : Checksum::Verify;
  // Nearly every packet looks like this, and is for a connection that is there: then its addresses are in order.
  FourTuple tuple;
  TcpSegment plain;
  if (read_plain(packet, checksum, tuple, plain) && !is_quiet()) {
    if (const ConnectionIndex index = connections.find(tuple); index != kNoConnection) {
      ++counters.InSegs;
      on_connection(index, plain, tuple);
      return;
    }
  }
  receive_any(packet, checksum);
}

void Host::Impl::receive_any(std::span<const std::byte> packet, Checksum checksum) {
  const auto ip = parse_ip(packet);
  if (!ip) {
    ++counters.InErrs;
    return;
  }
  if (is_quiet()) return;
  if (!is_local(ip->header.destination) || !is_unicast(ip->header.source) ||
      !is_unicast(ip->header.destination)) {
    return;
  }
  // Nobody else has a loopback address (RFC 1122, 3.2.1.3). The rest of 0/8, and 240/4, Linux answers.
  if (ip->header.source.is_loopback() && !ip->header.destination.is_loopback() &&
      !is_local(ip->header.source)) {
    return;
  }
  switch (ip->header.protocol) {
    case kProtocolTcp: {
      ++counters.InSegs;
      const auto segment = parse_tcp(ip->payload, ip->header, checksum);
      if (!segment) {
        ++counters.InErrs;
        return;
      }
      const FourTuple tuple{{ip->header.destination, segment->destination},
                            {ip->header.source, segment->source}};
      if (const ConnectionIndex index = connections.find(tuple); index != kNoConnection) {
        on_connection(index, *segment, tuple);
      } else {
        on_stray(tuple, *segment);
      }
      return;
    }
    case kProtocolIcmp:
    case kProtocolIcmpV6:
      // Each family has its own.
      if ((ip->header.protocol == kProtocolIcmp) != ip->header.source.is_v4()) return;
      on_icmp_message(ip->payload, ip->header);
      return;
    default:
      return;
  }
}

void Host::Impl::on_icmp_message(std::span<const std::byte> payload, const IpHeader& ip) {
  const auto error = parse_icmp(payload, ip);
  if (!error || !*error || !is_local((*error)->tuple.local.address)) return;
  const ConnectionIndex index = connections.find((*error)->tuple);
  if (index == kNoConnection) return;
  Connection& c = connections[index];
  if (options.observer != nullptr) options.observer->received_icmp(now, c.tuple);
  const bool attempt = c.state == TcpState::SynReceived && c.listener != 0 && !c.fast_open &&
                       tcp.rules.icmp_soft_ends_opening;
  if (!attempt) {
    on_icmp(c, context(), **error);
  } else if (!ends_attempt((*error)->kind, c.tuple.local.address.is_v4())) {
    return;
  } else if ((*error)->seq != c.iss) {
    ++counters.OutOfWindowIcmps;
  } else {
    ++counters.ListenDrops;
    finish(c, context(), TcpError::None, By::User);  // AttemptFails does not count it
  }
  settle(index);
}

void Host::Impl::on_connection(ConnectionIndex index, const TcpSegment& segment,
                               const FourTuple& tuple) {
  Connection& c = connections[index];
  if (options.observer != nullptr) saw_segment(c.tuple, segment);
  const bool half_open = c.fast_open || (c.state == TcpState::SynReceived && c.listener != 0);
  if (half_open && on_half_open(index, segment)) {
    return;
  }
  if (on_segment(c, context(), segment) == Reply::Reset) reply_reset(segment, tuple);
  settle(index);
}

void Host::Impl::saw_segment(const FourTuple& tuple, const TcpSegment& segment) {
  // What was over before it came is told before it, and not as something that it brought about.
  waits.advance(now);
  options.observer->received(now, tuple,
                             seen(segment, static_cast<std::uint32_t>(segment.payload.size())));
}

// A segment that belongs to no connection: to a small record, to a listener, or to nobody.
void Host::Impl::on_stray(const FourTuple& tuple, const TcpSegment& segment) {
  if (options.observer != nullptr) saw_segment(tuple, segment);

  std::optional<SeqNum> reopen;
  if (waits.size() > 0) {
    using Action = TimeWaitVerdict::Action;
    const TimeWaitVerdict verdict = waits.on_segment(tuple, summary_of(segment), now, counters);
    const auto answer = [&] {
      TimeWaitVerdict::Reply r = verdict.reply;
      if (r.window == 0 && options.keep_time_wait_windows) {
        const auto kept = time_wait_windows.find(tuple);
        if (kept != time_wait_windows.end()) r.window = kept->second;
      }
      std::optional<Timestamps> stamps;
      if (r.ts_ecr) stamps = Timestamps{timestamp_clock(now) + timestamp_offset(tuple), *r.ts_ecr};
      send_plain_ack(tuple, r.seq, r.ack, static_cast<std::uint16_t>(std::min(r.window, 65535U)),
                     stamps);
    };
    switch (verdict.action) {
      case Action::NoRecord:
        break;
      case Action::Drop:
      case Action::Removed:
        return;
      case Action::EnteredTimeWait:
        if (waits.find(tuple)) saw_state(tuple, TcpState::FinWait2, TcpState::TimeWait);
        answer();
        return;
      case Action::Ack:
        answer();
        return;
      case Action::RstAndRemoved:
        reply_reset(segment, tuple);
        return;
      case Action::Reopen:
        if (listener_for(tuple.local, tuple) == nullptr) {
          answer();
          return;
        }
        reopen = verdict.isn;
        break;
    }
  }

  Listener* listener = listener_for(tuple.local, tuple);
  if (listener == nullptr) {
    reply_reset(segment, tuple);  // U9
    return;
  }
  on_listener(*listener, listener->number, segment, tuple, reopen);
}

// An accepted connection holds the listener's port as long as it lives, as its bind() did.
void Host::Impl::hold_as_child(ConnectionIndex index, const Listener& listener) {
  const Connection& parent = connections[listener.socket];
  PortHolder holder;
  holder.address = connections[index].tuple.local.address;
  holder.reuse_address = parent.options.reuse_address;
  holder.reuse_port = parent.options.reuse_port;
  hold(index, listener.local.port, holder);
}

// 3.10.7.2
void Host::Impl::on_listener(Listener& listener, std::uint32_t number, const TcpSegment& segment,
                             const FourTuple& tuple, std::optional<SeqNum> reopen_isn) {
  // First a RST, then an ACK, then a SYN.
  if (segment.rst()) return;
  if (segment.syn() && !segment.ack_flag() &&
      !waits.accepts_syn(tuple.remote.address, summary_of(segment).ts_val, now)) {
    return;  // tcp_tw_recycle, the trap of claim B3
  }
  if (segment.ack_flag()) {
    if (!segment.syn() && cookies_may_come_back()) {
      const auto child = accept_cookie(listener, number, segment, tuple);
      if (!child) return;  // the queue is full: the client has to repeat it
      if (*child != kNoConnection) {
        TcpContext& x = context();
        if (on_segment(connections[*child], x, segment) == Reply::Reset)
          reply_reset(segment, tuple);
        settle(*child);
        return;
      }
    }
    reply_reset(segment, tuple);
    return;
  }
  if (!segment.syn() || segment.fin()) return;

  const std::int64_t cookies = settings.tcp_syncookies.value_or(1);
  // A SYN in TIME_WAIT has its number already, and is neither dropped here nor answered with a cookie.
  const bool want_cookie = !reopen_isn && (cookies == 2 || listener.syn_queue_full());
  if (want_cookie && cookies == 0) {
    ++counters.TCPReqQFullDrop;
    ++counters.ListenDrops;
    return;
  }
  if (want_cookie) ++counters.TCPReqQFullDoCookies;
  if (listener.accept_queue_full()) {
    ++counters.ListenOverflows;
    ++counters.ListenDrops;
    ++listener.overflows;
    return;
  }
  // Without cookies the last quarter is for peers that are known. Nobody is here: there is no memory of peers.
  if (cookies == 0 && !reopen_isn &&
      most_half_open() - std::int64_t{listener.half_open} < most_half_open() >> 2) {
    ++counters.ListenDrops;
    return;
  }

  FastOpenAnswer fast;
  if (!want_cookie) fast = try_fast_open(listener, segment, tuple);
  const ConnectionIndex index = connections.allocate();
  Connection& c = connections[index];
  c.options = connections[listener.socket].options;
  TcpContext x = context();
  if (want_cookie) x.observer = nullptr;  // nothing is kept of it
  if (reopen_isn) c.state = TcpState::TimeWait;
  SeqNum isn = reopen_isn ? *reopen_isn : choose_isn(tuple);
  std::uint32_t ts_offset = timestamp_offset(tuple);
  if (want_cookie) {
    isn = make_syn_cookie(cookie_key, tuple, segment, now);
    ts_offset = encode_in_timestamp(segment, tcp, timestamp_clock(now), ts_offset);
  }
  begin(c, x, {.tuple = tuple, .iss = isn, .ts_offset = ts_offset, .mtu = options.mtu});
  c.listener = number;
  if (want_cookie && !(tcp.timestamps && segment.options.timestamps)) {
    // Without a timestamp to carry them back nothing else can be agreed upon (Linux: tcp_clear_options).
    TcpSegment bare = segment;
    bare.options.sack_permitted = false;
    bare.options.window_scale.reset();
    accept_syn(c, x, bare);
  } else {
    accept_syn(c, x, segment);
  }
  if (want_cookie) {
    // Nothing is kept: what the client sends back must be enough.
    last_cookie = now;
    ++counters.SyncookiesSent;
    c.ecn = false;  // a cookie has no room for it
    x.observer = options.observer;
    send_syn(c, x, false);
    c.news = 0;
    connections.release(index);
    return;
  }
  if (reopen_isn) {
    if (const auto record = waits.reopen(tuple, now)) reopened.emplace(index, *record);
  }
  hold_as_child(index, listener);
  connections.insert(index);
  c.hashed = true;
  if (fast.begins) {
    begin_fast_open(listener, index, segment);
    send_syn(c, x, false, fast.cookie);
    settle(index);
    return;
  }
  begin_half_open(listener, index);
  c.snd_nxt = c.iss + 1;
  c.sent.push_back({c.iss, 1, now, 1, SentSegment::kSyn});
  c.packets_out = 1;
  send_syn(c, x, false, fast.cookie);
  arm_send_timer(c, x, SendTimer::Retransmit, c.rtt.rto);
  settle(index);
}

// The rules of Linux's tcp_check_req(), in its order.
bool Host::Impl::on_half_open(ConnectionIndex index, const TcpSegment& segment) {
  Connection& c = connections[index];
  Listener* listener = listener_at(c.listener);
  if (listener == nullptr && !c.fast_open) return false;
  TcpContext& x = context();
  const auto& stamps = segment.options.timestamps;
  const bool paws = c.timestamps && stamps && c.ts_recent != 0 &&
                    static_cast<std::int32_t>(stamps->value - c.ts_recent) < 0;
  // An echo of what no SYN,ACK has said (Linux 6.14: TSEcrRejected).
  const bool stray_echo =
      c.timestamps && stamps && stamps->echo != 0 &&
      stamps->echo - c.ts_offset - c.syn_sent_clock > c.syn_last_clock - c.syn_sent_clock;
  const auto answer_is_due = [&] {
    if (segment.length() > 0 && !segment.syn()) return true;
    const auto limit = std::chrono::milliseconds(tcp.invalid_ratelimit_ms);
    if (c.last_out_of_window != Instant{} && now - c.last_out_of_window < limit) return false;
    c.last_out_of_window = now;
    return true;
  };
  const std::uint16_t flags =
      segment.flags & (tcp_flag::kSyn | tcp_flag::kRst | tcp_flag::kAck | tcp_flag::kFin);
  // The same SYN again: the SYN,ACK may be lost.
  if (flags == tcp_flag::kSyn && segment.seq == c.irs && !paws) {
    if (answer_is_due()) {
      send_syn(c, x, true);
      if (!c.fast_open) arm_send_timer(c, x, SendTimer::Retransmit, c.rtt.rto);
    }
    settle(index);
    return true;
  }
  if (segment.ack_flag() && segment.ack != c.snd_nxt && !segment.rst() && !c.fast_open) {
    reply_reset(segment, c.tuple);
    return true;
  }
  const std::uint32_t window = std::min(c.rcv_wnd, 65535U);
  const SeqNum window_end = c.rcv_nxt + window;
  const bool in_window = segment.seq == c.rcv_nxt ||
                         (segment.end() > c.rcv_nxt && segment.seq < window_end) ||
                         (segment.seq == window_end && segment.end() == segment.seq);
  const auto send_ack_of_request = [&] {
    std::optional<Timestamps> ours;
    if (c.timestamps) ours = Timestamps{timestamp_clock(now) + c.ts_offset, c.ts_recent};
    send_plain_ack(c.tuple, c.snd_nxt, c.rcv_nxt,
                   static_cast<std::uint16_t>(window >> c.rcv_wscale), ours);
  };
  if (paws || stray_echo || !in_window) {
    if (!segment.rst() && answer_is_due()) send_ack_of_request();
    if (paws) ++counters.PAWSEstab;
    return true;
  }
  if (segment.rst() && segment.seq != c.rcv_nxt) {  // RFC 5961, 3.2
    ++counters.TCPChallengeACK;
    send_ack_of_request();
    return true;
  }
  if (segment.rst() || (segment.syn() && segment.seq != c.irs)) {
    // Back to LISTEN (MUST-11). RFC 793: a SYN in the window is an error, and here nothing is lost yet.
    ++counters.EmbryonicRsts;
    reply_reset(segment, c.tuple);
    if (!c.fast_open) {
      finish(c, x, TcpError::None);
    } else if (segment.rst()) {
      // Who was not accepted yet leaves nothing behind (Linux: reqsk_fastopen_remove).
      Listener* const from = listener_for(c.tuple.local, c.tuple);
      if (from != nullptr && c.user != 0) {
        from->fast_open_resets.push_back(now + 60s);
      }
      c.fast_open = false;
      finish(c, x, TcpError::Reset);
    }
    settle(index);
    return true;
  }
  if (!segment.ack_flag()) return true;
  if (c.fast_open) return false;  // it has been accepted long since
  if (c.retransmits < c.options.defer_accept && segment.payload.empty() && !segment.fin()) {
    c.ack_deferred = true;
    return true;  // the user wants data, not just a handshake
  }
  if (listener->accept_queue_full()) {
    ++counters.ListenOverflows;
    ++counters.ListenDrops;
    ++listener->overflows;
    if (settings.tcp_abort_on_overflow.value_or(0) != 0) {
      ++counters.EmbryonicRsts;
      reply_reset(segment, c.tuple);
      finish(c, x, TcpError::None, By::User);  // it had not failed
      settle(index);
    }
    return true;
  }
  ++counters.PassiveOpens;
  c.pingpong = connections[listener->socket].pingpong;  // as set by now (TCP_QUICKACK)
  return false;
}

std::optional<ConnectionIndex> Host::Impl::accept_cookie(Listener& listener, std::uint32_t number,
                                                         const TcpSegment& segment,
                                                         const FourTuple& tuple) {
  const auto agreed = check_syn_cookie(cookie_key, tuple, segment, now, tcp);
  if (!agreed) {
    ++counters.SyncookiesFailed;
    return kNoConnection;
  }
  ++counters.SyncookiesRecv;
  if (listener.accept_queue_full()) {
    ++counters.ListenOverflows;
    ++counters.ListenDrops;
    ++listener.overflows;
    return std::nullopt;
  }
  ++counters.PassiveOpens;
  const ConnectionIndex index = connections.allocate();
  Connection& c = connections[index];
  c.options = connections[listener.socket].options;
  c.pingpong = connections[listener.socket].pingpong;
  TcpContext& x = context();
  begin(c, x,
        {.tuple = tuple,
         .iss = segment.ack - 1,
         .ts_offset = timestamp_offset(tuple),
         .mtu = options.mtu});
  accept_syn(c, x, *agreed);
  // What was offered is not known any more: whole segments of the peer's (Linux: cookie_v4_check).
  if (const std::uint32_t mss = agreed->options.mss.value_or(0); mss > 0) {
    const std::uint32_t space = std::min(c.window_clamp, c.rcv_buffer_size / 2);
    c.rcv_wnd = c.rcv_window_limit = space > mss ? space / mss * mss : space;
  }
  hold_as_child(index, listener);
  c.listener = number;
  c.snd_nxt = c.iss + 1;
  c.sent.push_back({c.iss, 1, now, 1, SentSegment::kSyn});
  c.packets_out = 1;
  connections.insert(index);
  c.hashed = true;
  return index;
}

}  // namespace lastack
