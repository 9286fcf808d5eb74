#include "tcp/timers.h"

#include <algorithm>
#include <bit>

#include "tcp/calls.h"
#include "tcp/congestion_control.h"
#include "tcp/output.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"
#include "tcp/state.h"

namespace lastack {
namespace {

using std::chrono::seconds;

// How long `boundary` retransmissions take in all when each wait is twice the one before (Linux:
// tcp_model_timeout): what R1 and R2 mean in time (RFC 9293, 3.8.3).
Duration model_timeout(int boundary, Duration base) {
  const auto doublings =
      static_cast<int>(std::bit_width(static_cast<unsigned>(kMostRto / base))) - 1;
  if (boundary <= doublings) return ((2 << boundary) - 1) * base;
  return ((2 << doublings) - 1) * base + (boundary - doublings) * kMostRto;
}

bool timed_out(const Connection& c, const TcpContext& x, int boundary, Duration timeout) {
  if (c.retransmits == 0) return false;
  const auto since = std::chrono::milliseconds(timestamp_clock(x.now) - c.retrans_stamp);
  if (timeout != Duration::zero()) return since >= timeout;
  // Linux's timers are up to an eighth late (its timer wheel), and it holds the sum of them against the model, which
  // knows of no lateness. Ours are exact: the little by which a loss probe or the first round trip puts them below the
  // model is what they are given here, or they would go on for twice as long as Linux does.
  return since + since / 32 >= model_timeout(boundary, kLeastRto);
}

// Not beyond the time that the user gives (Linux: tcp_clamp_rto_to_user_timeout).
Duration clamp_to_user_timeout(const Connection& c, const TcpContext& x, Duration rto) {
  const auto user = std::chrono::milliseconds(c.options.user_timeout_ms);
  if (user == Duration::zero() || c.retrans_stamp == 0) return rto;
  const auto since = std::chrono::milliseconds(timestamp_clock(x.now) - c.retrans_stamp);
  return since >= user ? kLeastTimer : std::min<Duration>(rto, user - since);
}

// How often an orphan may try: it has no user to complain.
int orphan_retries(const Connection& c, const TcpContext& x, bool alive) {
  const int retries = x.settings.orphan_retries;
  if (c.soft_error != TcpError::None && !alive) return 0;
  return retries == 0 && alive ? 8 : retries;
}

void give_up(Connection& c, TcpContext& x) {
  ++x.counters.TCPAbortOnTimeout;
  finish(c, x, c.soft_error != TcpError::None ? c.soft_error : TcpError::TimedOut);
}

// R2 (MUST-20, 21, 23).
bool out_of_retries(Connection& c, TcpContext& x) {
  const auto user = std::chrono::milliseconds(c.options.user_timeout_ms);
  if (c.state == TcpState::SynSent || c.state == TcpState::SynReceived) {
    const int retries = c.options.syn_count.value_or(
        c.state == TcpState::SynSent ? x.settings.syn_retries : x.settings.synack_retries);
    // The first SYNs are repeated each second (Linux: tcp_syn_linear_timeouts).
    const int linear = c.state == TcpState::SynSent ? kLinearSyns : 0;
    if (user > Duration::zero() && timed_out(c, x, 0, user)) return true;
    // Few of them are over sooner, in the time that they would have taken had each wait been twice the one before.
    if (linear > 0) {
      const auto since = std::chrono::milliseconds(timestamp_clock(x.now) - c.syn_sent_clock);
      if (c.retransmits > 0 && since >= model_timeout(retries, kInitialRto)) return true;
    }
    return c.retransmits >= retries + linear;
  }
  int retries = x.settings.retries2;
  if (c.orphan) {
    const bool alive = c.rtt.rto < kMostRto;
    retries = orphan_retries(c, x, alive);
  }
  return timed_out(c, x, retries, user);
}

// Before the SYN,ACK is acknowledged nothing else is sent again (Linux: tcp_fastopen_synack_timer).
void on_fast_open_timer(Connection& c, TcpContext& x) {
  if (c.retransmits >= c.options.syn_count.value_or(x.settings.synack_retries) + 1) {
    give_up(c, x);
    return;
  }
  if (c.retransmits == 1 && !c.sent.empty()) enter_loss(c, x);
  send_syn(c, x, true);
  if (c.retransmits < 255) ++c.retransmits;
  if (c.retrans_stamp == 0) c.retrans_stamp = stamp_of(x.now);
  arm_send_timer(
      c, x, SendTimer::Retransmit,
      std::min<Duration>(kInitialRto * (1 << std::min<int>(c.retransmits, 16)), kMostRto));
}

void on_retransmit_timer(Connection& c, TcpContext& x) {
  if (c.fast_open) {
    on_fast_open_timer(c, x);
    return;
  }
  if (c.sent.empty()) return;
  const bool opening = c.state == TcpState::SynSent || c.state == TcpState::SynReceived;
  if (c.snd_wnd == 0 && !c.orphan && !opening) {
    // The peer has shrunk its window to nothing: what is out serves as a probe, for as long as it is
    // answered.
    // A user who has set a limit wants progress, not answers (Linux: tcp_rtx_probe0_timed_out).
    const auto user = std::chrono::milliseconds(c.options.user_timeout_ms);
    const std::uint32_t since =
        c.retrans_stamp != 0 ? c.retrans_stamp : timestamp_clock(c.sent.front().sent_at);
    const auto trying = std::chrono::milliseconds(timestamp_clock(x.now) - since);
    if (x.now - c.last_ack_received > kMostRto || (user > Duration::zero() && trying > user)) {
      give_up(c, x);
      return;
    }
    enter_loss(c, x);
    retransmit(c, x, 0, 1);
  } else {
    ++x.counters.TCPTimeouts;
    if (x.observer != nullptr && !opening &&
        timed_out(c, x, x.settings.retries1, Duration::zero())) {
      x.observer->path_doubted(x.now, c.tuple);
    } else if (x.observer != nullptr && opening && c.retransmits > 0) {
      x.observer->path_doubted(x.now,
                               c.tuple);  // Linux: dst_negative_advice, at each SYN but the first
    }
    if (out_of_retries(c, x)) {
      if (opening && c.listener != 0 && c.origin != TcpState::SynSent) {
        // Only an attempt at a listener, of which nobody was told (Linux: reqsk_timer_handler counts nothing).
        finish(c, x, TcpError::TimedOut, By::User);
      } else {
        give_up(c, x);
      }
      return;
    }
    // Nothing is said again while data is waited for, but for once at the end of it (Linux: syn_ack_recalc).
    const bool silent = c.ack_deferred && c.state == TcpState::SynReceived &&
                        c.retransmits + 1 < c.options.defer_accept;
    enter_loss(c, x);
    if (c.retransmits == 0) {
      ++c.time_out_episodes;
      c.time_outs_since = x.now;
    }
    ++c.time_outs;
    if (c.retransmits < 255) ++c.retransmits;
    if (!silent) retransmit(c, x, 0, 1);
  }
  const bool thin = c.packets_out < 4 && c.ca != CongestionState::Open;
  if (c.state == TcpState::SynSent) {
    if (c.retransmits > kLinearSyns) {
      ++c.backoff;
      c.rtt.rto = std::min(c.rtt.rto * 2, kMostRto);
    }
  } else if (x.settings.thin_linear_timeouts && thin && c.retransmits <= 6) {
    c.backoff = 0;
    set_rto(c);
  } else {
    ++c.backoff;
    c.rtt.rto = std::min(c.rtt.rto * 2, kMostRto);
  }
  arm_send_timer(c, x, SendTimer::Retransmit, clamp_to_user_timeout(c, x, c.rtt.rto));
}

// RFC 9293, 3.8.6.1 (MUST-35 to 37): probes go on for as long as they are answered.
void on_window_probe_timer(Connection& c, TcpContext& x) {
  const bool waiting = c.write_seq > c.snd_nxt || (c.fin_queued && !c.fin_sent);
  if (c.packets_out > 0 || !waiting) {
    c.probes_out = 0;
    c.probe_since = Instant{};
    return;
  }
  if (c.probe_since == Instant{}) c.probe_since = x.now;
  const auto user = std::chrono::milliseconds(c.options.user_timeout_ms);
  if (user > Duration::zero() && x.now - c.probe_since >= user) {
    give_up(c, x);
    return;
  }
  int most = x.settings.retries2;
  if (c.orphan) {
    const bool alive = c.rtt.rto * (1 << std::min<int>(c.backoff, 16)) < kMostRto;
    most = orphan_retries(c, x, alive);
    if (!alive && c.backoff >= most) {
      give_up(c, x);
      return;
    }
  }
  if (c.probes_out >= most) {
    give_up(c, x);
    return;
  }
  // If the window has room for something after all, that something is the probe.
  const std::uint32_t before = c.packets_out;
  if (c.write_seq > c.snd_nxt && c.send_limit() > c.snd_nxt) {
    c.nonagle_push = true;
    probe_with_data(c, x);
    c.nonagle_push = false;
    if (c.packets_out > before) {
      // What is on its way has a timer of its own, and waiting for the window begins anew (Linux: tcp_send_probe0).
      c.probes_out = 0;
      c.backoff = 0;
      c.probe_since = Instant{};
      return;
    }
  }
  send_probe(c, x);
  if (c.backoff < 31) ++c.backoff;
  if (c.probes_out < 255) ++c.probes_out;
  arm_window_probe(c, x);
}

void on_loss_probe_timer(Connection& c, TcpContext& x) {
  // RFC 8985, 7.3: new data if there is some that may go, else the last segment again.
  if (c.rack.probe_high) {
    rearm_retransmit(c, x);
    return;
  }
  c.rack.probe_is_retransmission = false;
  bool sent = false;
  if (c.write_seq > c.snd_nxt && c.send_limit() > c.snd_nxt) sent = push_loss_probe(c, x);
  if (!sent && !c.sent.empty()) {
    const std::uint32_t mss = send_mss(c);
    std::uint32_t last = c.sent.size() - 1;
    if (c.sent[last].segments > 1) {
      split_sent(c, last, (c.sent[last].segments - 1U) * mss, mss);
      last = c.sent.size() - 1;
    }
    sent = retransmit(c, x, last, 1, Resending::Probe);
    c.rack.probe_is_retransmission = sent;
  }
  if (sent) {
    c.rack.probe_high = c.snd_nxt;
    stop_send_timer(c);  // a whole time-out from now on
  }
  rearm_retransmit(c, x);
}

void saw_send_timer(const Connection& c, TcpContext& x, SendTimer what) {
  switch (what) {
    case SendTimer::None:
    case SendTimer::HeldSyn:
      break;
    case SendTimer::Retransmit:
      return x.observer->timer_fired(x.now, c.tuple, SeenTimer::Retransmit);
    case SendTimer::LossProbe:
      return x.observer->timer_fired(x.now, c.tuple, SeenTimer::LossProbe);
    case SendTimer::Reorder:
      return x.observer->timer_fired(x.now, c.tuple, SeenTimer::Reorder);
    case SendTimer::WindowProbe:
      return x.observer->timer_fired(x.now, c.tuple, SeenTimer::WindowProbe);
  }
}

void on_send_timer(Connection& c, TcpContext& x) {
  const SendTimer what = c.send_timer_is;
  stop_send_timer(c);
  // Until the next is set a probe's timer counts as running: that decides how long the time-out is that follows
  // (Linux: icsk_pending in tcp_rearm_rto).
  if (what == SendTimer::LossProbe || what == SendTimer::Reorder) c.send_timer_is = what;
  if (x.observer != nullptr) saw_send_timer(c, x, what);
  switch (what) {
    case SendTimer::None:
      break;
    case SendTimer::Retransmit:
      on_retransmit_timer(c, x);
      break;
    case SendTimer::LossProbe:
      on_loss_probe_timer(c, x);
      break;
    case SendTimer::Reorder:
      on_reorder_timer(c, x);
      break;
    case SendTimer::WindowProbe:
      on_window_probe_timer(c, x);
      break;
    case SendTimer::HeldSyn:
      send_first_syn(c, x);
      break;
  }
  if (c.send_timer == Instant::max()) c.send_timer_is = SendTimer::None;
}

void on_ack_timer(Connection& c, TcpContext& x) {
  c.ack_timer = Instant::max();
  c.ack_pending = false;
  if (!c.ack_wanted) return;
  if (x.observer != nullptr) x.observer->timer_fired(x.now, c.tuple, SeenTimer::DelayedAck);
  if (c.compressed_acks > 0) {
    send_ack(c, x);
    return;
  }
  // The guess was wrong: the user did not answer in time. Wait less, or not at all, from here on.
  if (c.pingpong < 1) {
    c.ato = std::min<Duration>(c.ato * 2, c.rtt.rto);
  } else {
    c.pingpong = 0;
    c.ato = kLeastDelayedAck;
  }
  send_ack(c, x);
}

// RFC 9293, 3.8.4 (MUST-24 to 29).
void on_keep_timer(Connection& c, TcpContext& x) {
  c.keep_timer = Instant::max();
  if (c.orphan && c.state == TcpState::FinWait2) {
    if (x.observer != nullptr) x.observer->timer_fired(x.now, c.tuple, SeenTimer::FinWait2);
    on_fin_wait_2_limit(c, x);
    return;
  }
  if (!c.options.keepalive || c.state == TcpState::Closed || c.state == TcpState::SynSent) return;
  const Duration idle_limit = seconds(c.options.keep_idle.value_or(x.settings.keepalive_time));
  if (c.packets_out > 0 || c.write_seq > c.snd_nxt) {
    arm_keepalive(c, x, idle_limit);
    return;
  }
  const Duration idle = x.now - std::max(c.last_received, c.last_ack_received);
  if (idle < idle_limit) {
    arm_keepalive(c, x, idle_limit - idle);
    return;
  }
  if (x.observer != nullptr) x.observer->timer_fired(x.now, c.tuple, SeenTimer::KeepAlive);
  const auto user = std::chrono::milliseconds(c.options.user_timeout_ms);
  const int probes = c.options.keep_count.value_or(x.settings.keepalive_probes);
  if ((user > Duration::zero() && idle >= user && c.probes_out > 0) ||
      (user == Duration::zero() && c.probes_out >= probes)) {
    send_reset(c, x);
    give_up(c, x);
    return;
  }
  ++x.counters.TCPKeepAlive;
  send_probe(c, x);
  ++c.probes_out;
  arm_keepalive(c, x, seconds(c.options.keep_intvl.value_or(x.settings.keepalive_intvl)));
}

}  // namespace

void on_timer(Connection& c, TcpContext& x) {
  if (c.trim_timer <= x.now) {
    c.trim_timer = Instant::max();
    c.send_buffer.trim();
    c.receive_buffer.trim();
    if (c.held.empty()) c.held.release();
    if (c.sent.empty()) c.sent.release();
    if (c.unsent.empty()) c.unsent.release();
    c.news |= news::kBuffers;
  }
  if (c.ack_timer <= x.now && c.state != TcpState::Closed) on_ack_timer(c, x);
  if (c.send_timer <= x.now && c.state != TcpState::Closed) on_send_timer(c, x);
  if (c.keep_timer <= x.now && c.state != TcpState::Closed) on_keep_timer(c, x);
}

void arm_send_timer(Connection& c, TcpContext& x, SendTimer what, Duration after) {
  c.send_timer_is = what;
  c.send_timer = x.now + std::min(after, kMostRto);
}

void rearm_retransmit(Connection& c, TcpContext& x) {
  if (c.fast_open) return;  // the timer is the SYN,ACK's
  if (c.packets_out == 0) {
    stop_send_timer(c);
    return;
  }
  Duration rto = c.rtt.rto;
  // A loss probe was in its place: the time since the first segment was sent counts.
  if (c.send_timer_is == SendTimer::Reorder || c.send_timer_is == SendTimer::LossProbe) {
    rto = std::max<Duration>(c.sent.front().sent_at + c.rtt.rto - x.now, 1us);
  }
  arm_send_timer(c, x, SendTimer::Retransmit, rto);
}

void arm_window_probe(Connection& c, TcpContext& x) {
  const Duration base = std::max(c.rtt.rto, kLeastRto);
  Duration after = std::min(base * (std::int64_t{1} << std::min<int>(c.backoff, 20)), kMostRto);
  const auto user = std::chrono::milliseconds(c.options.user_timeout_ms);
  if (user > Duration::zero() && c.probe_since != Instant{}) {
    // Linux: tcp_clamp_probe0_to_user_timeout.
    after =
        std::min<Duration>(after, std::max<Duration>(user - (x.now - c.probe_since), kLeastTimer));
  }
  arm_send_timer(c, x, SendTimer::WindowProbe, after);
}

bool schedule_loss_probe(Connection& c, TcpContext& x, bool advancing_rto) {
  const int mode = x.settings.early_retrans;
  if ((mode != 3 && mode != 4) || c.packets_out == 0 || !c.sack ||
      (c.ca != CongestionState::Open && c.ca != CongestionState::CwndReduced)) {
    return false;
  }
  if (c.state == TcpState::SynSent || c.state == TcpState::SynReceived || c.fast_open) return false;
  Duration after = kInitialRto;
  if (c.rtt.smoothed != Duration::zero()) {
    // A lone segment's ACK may be delayed.
    after = 2 * c.rtt.smoothed + (c.packets_out == 1 ? kLeastRto : kLeastTimer);
  }
  const Duration rto = advancing_rto ? c.rtt.rto : c.sent.front().sent_at + c.rtt.rto - x.now;
  if (rto > Duration::zero()) after = std::min(after, rto);
  arm_send_timer(c, x, SendTimer::LossProbe, after);
  return true;
}

void arm_keepalive(Connection& c, TcpContext& x, Duration after) {
  // Of no time at all there would be no end (tcp_keepalive_time 0).
  c.keep_timer = x.now + std::max<Duration>(after, kLeastTimer);
}

void arm_delayed_ack(Connection& c, TcpContext& x) {
  Duration wait = std::min(c.ato, kMostDelayedAck);
  // Not longer than a round trip: the sender's time-out was made from that.
  if (c.rtt.smoothed != Duration::zero())
    wait = std::min(wait, std::max(c.rtt.smoothed, kLeastDelayedAck));
  // One that is nearly due does not wait for its time (Linux: tcp_send_delayed_ack).
  if (c.ack_pending && c.ack_timer <= x.now + wait / 4) {
    send_ack(c, x);
    return;
  }
  // Before any data there is no measure of how long to wait, and a lone FIN is acknowledged at the next tick
  // (Linux: tcp_send_delayed_ack with an ato of 0).
  const Instant at = x.now + std::max<Duration>(wait, 1ms);
  if (c.ack_pending && c.ack_timer <= at) return;
  c.ack_pending = true;
  c.ack_timer = at;
}

}  // namespace lastack
