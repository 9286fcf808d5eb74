#include "tcp/state.h"

#include <algorithm>

#include "tcp/output.h"
#include "tcp/receive.h"
#include "tcp/receive_window.h"
#include "tcp/rtt.h"
#include "tcp/send_space.h"
#include "tcp/timers.h"

namespace lastack {

void set_state(Connection& c, TcpContext& x, TcpState state) {
  if (c.state == state) return;
  if (x.observer != nullptr) {
    // A handshake that fails leaves what it came from: a listener, or a record (MUST-11, MAY-2).
    const bool back = state == TcpState::Closed && c.state == TcpState::SynReceived &&
                      c.origin != TcpState::SynSent && c.listener != 0;
    x.observer->state_changed(x.now, c.tuple, c.state, back ? c.origin : state, SeenEnd::Other);
  }
  c.state = state;
  c.state_since = x.now;
  c.news |= news::kState;
}

void finish(Connection& c, TcpContext& x, TcpError error, By by) {
  if (c.state == TcpState::Closed) return;
  if (c.state == TcpState::SynSent || c.state == TcpState::SynReceived) {
    if (by == By::Event) ++x.counters.AttemptFails;
  } else if (c.state == TcpState::Established || c.state == TcpState::CloseWait) {
    ++x.counters.EstabResets;  // whoever ended it (Linux: tcp_set_state)
  }
  if (error != TcpError::None) c.error = c.ended_by = error;
  set_state(c, x, TcpState::Closed);
  stop_send_timer(c);
  c.ack_timer = c.keep_timer = c.trim_timer = Instant::max();
  c.send_buffer.clear();
  c.sent.clear();
  c.unsent.clear();
  c.gaps.reset();
  c.held_beyond.reset();
  c.packets_out = c.sacked_out = c.lost_out = c.retrans_out = 0;
  if (error != TcpError::None)
    c.backoff = 0;  // with what waited (Linux: tcp_write_queue_purge, but not tcp_done)
  c.snd_nxt = c.write_seq;
  c.news |= news::kClosed | news::kReadable | news::kWritable;
}

void abort_connection(Connection& c, TcpContext& x, TcpError error, By by) {
  // RFC 9293, 3.10.5: in SYN_SENT there is nobody to tell.
  if (c.synchronized() || c.state == TcpState::SynReceived) send_reset(c, x);
  finish(c, x, error, by);
}

namespace {

void expect_silence(Connection& c, TcpContext& x) {
  if (c.options.keepalive) {
    arm_keepalive(c, x,
                  std::chrono::seconds(c.options.keep_idle.value_or(x.settings.keepalive_time)));
  }
}

// Data may go to and fro.
void start_transfer(Connection& c, TcpContext& x) {
  // What a lost SYN has taken from the threshold is given back (Linux: tcp_init_metrics). Of a SYN,ACK nothing is left at all:
  // it is the request's and not the connection's.
  c.congestion.ssthresh = kUnlimited;
  c.congestion.cubic = {};
  if (c.origin != TcpState::SynSent) {
    c.congestion.can_undo = false;
    c.ca = CongestionState::Open;
    c.rack.frto = false;
  }
  c.congestion.cwnd = std::max<std::uint32_t>(x.settings.initial_cwnd, 1);
  // RFC 6928, 2: one SYN may be lost by chance, or be late; a second says little good of the path. Where the echo is that of
  // the first one none was lost (Linux: tcp_init_transfer, tcp_try_undo_spurious_syn).
  const bool late = c.saw_tstamp && c.rcv_tsecr - c.ts_offset == c.syn_sent_clock;
  if (c.total_retrans > 1 && c.time_outs > 0 && !late) c.congestion.cwnd = 1;
  c.rack.reordering = static_cast<std::uint32_t>(x.settings.reordering);
  grow_send_buffer(c, x);
  c.last_ack_received = x.now;
  c.last_received = x.now;  // what tcpi_last_data_recv counts from (Linux: tcp_finish_connect)
  c.rcv_mss = static_cast<std::uint16_t>(std::max<std::uint32_t>(
      88, std::min<std::uint32_t>({c.announced, send_mss(c), c.rcv_wnd / 2, 536})));
  if (c.origin != TcpState::SynSent) c.backoff = 0;  // else until there is a round trip to measure
  c.retransmits = 0;
  start_receive_window(c, x);
  c.last_sent = x.now;
  if (c.origin != TcpState::SynSent) {
    update_pacing_rate(c);
    c.segments_out = 0;  // those were the listener's
    ++c.segments_in;     // and the SYN counts
  }
  c.trim_timer = x.now + 1s;  // if nothing follows it may sleep
}

}  // namespace

void establish(Connection& c, TcpContext& x) {
  set_state(c, x, TcpState::Established);
  c.news |= news::kConnected | news::kWritable;
  start_transfer(c, x);
  expect_silence(c, x);
}

void open_fast(Connection& c, TcpContext& x, const TcpSegment& syn) {
  c.fast_open = true;
  c.syn_ack_sent = x.now;
  c.snd_una = c.snd_nxt = c.write_seq;
  c.news |= news::kWritable;
  start_transfer(c, x);
  take_syn_data(c, syn);
  arm_send_timer(c, x, SendTimer::Retransmit, kInitialRto);
}

// Linux: tcp_rcv_synrecv_state_fastopen, tcp_synack_rtt_meas.
void confirm_fast(Connection& c, TcpContext& x) {
  c.fast_open = false;
  ++c.delivered;
  if (c.rtt.smoothed == Duration::zero() && c.retransmits == 0) {
    add_rtt_sample(c, x.now, x.now - c.syn_ack_sent);
    set_rto(c);
  }
  update_pacing_rate(c);
  c.retransmits = 0;
  c.retrans_stamp = 0;
  rearm_retransmit(c, x);
  if (c.state == TcpState::SynReceived) {
    set_state(c, x, TcpState::Established);
    c.news |= news::kConnected | news::kWritable;
  }
  expect_silence(c, x);
}

void enter_time_wait(Connection& c, TcpContext& x) {
  set_state(c, x, TcpState::TimeWait);
  stop_send_timer(c);
  c.ack_timer = c.keep_timer = Instant::max();
  c.news |= news::kTimeWait;
}

void limit_fin_wait_2(Connection& c, TcpContext& x, bool fin_here) {
  if (!x.settings.rules.fin_wait_2_limit) return;
  Duration limit = std::chrono::seconds(c.options.linger2.value_or(x.settings.fin_timeout));
  // Not before the peer had a chance to send its FIN again.
  limit = std::max(limit, c.rtt.rto * 4 - c.rtt.rto / 2);
  if (fin_here) {
    arm_keepalive(c, x, limit);
    return;
  }
  if (limit > kTimeWaitLength) {
    // Linux keeps the whole socket for the time beyond 60 s first (linux-facts 7).
    arm_keepalive(c, x, limit - kTimeWaitLength);
    return;
  }
  c.fin_wait_2_until = x.now + limit;
  c.news |= news::kFinWait2;
}

void on_fin_wait_2_limit(Connection& c, TcpContext& x) {
  if (c.options.linger2.value_or(0) >= 0) {
    const Duration limit = std::chrono::seconds(c.options.linger2.value_or(x.settings.fin_timeout));
    const Duration rest = limit - kTimeWaitLength;
    if (rest > Duration::zero()) {
      c.fin_wait_2_until = x.now + rest;
      c.news |= news::kFinWait2;
      return;
    }
  }
  send_reset(c, x);
  finish(c, x, TcpError::None);
}

void probe_with_data(Connection& c, TcpContext& x) {
  push_window_probe(c, x);
}

}  // namespace lastack
