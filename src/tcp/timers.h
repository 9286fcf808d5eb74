// Time-outs of a connection: retransmission and window probes (RFC 6298; RFC 9293, 3.8.3 and 3.8.6.1), tail
// loss probes (RFC 8985, 7), keep-alive (3.8.4), delayed ACKs, the limit of an orphan's FIN_WAIT_2.
#pragma once

#include <algorithm>

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

// The earliest of a connection's timers, Instant::max() when there is none.
inline Instant next_timer(const ControlBlock& c) {
  return std::min(std::min(c.send_timer, c.ack_timer), std::min(c.keep_timer, c.trim_timer));
}
// Does what is due at x.now.
void on_timer(Connection& c, TcpContext& x);

void arm_send_timer(Connection& c, TcpContext& x, SendTimer what, Duration after);
inline void stop_send_timer(Connection& c) {
  c.send_timer_is = SendTimer::None;
  c.send_timer = Instant::max();
}
// For the oldest segment that is not acknowledged, from now on; stops it when there is none.
void rearm_retransmit(Connection& c, TcpContext& x);
void arm_window_probe(Connection& c, TcpContext& x);
// In place of the retransmission timer, where a probe may help. Whether it was armed.
bool schedule_loss_probe(Connection& c, TcpContext& x, bool advancing_rto);
void arm_keepalive(Connection& c, TcpContext& x, Duration after);
void arm_delayed_ack(Connection& c, TcpContext& x);

inline constexpr Duration kLeastRto = 200ms;
inline constexpr Duration kMostRto = 120s;
inline constexpr Duration kInitialRto = 1s;  // RFC 6298, 2.1
inline constexpr Duration kLeastTimer = 2ms;
inline constexpr Duration kLeastDelayedAck = 40ms;
inline constexpr Duration kMostDelayedAck = 200ms;

}  // namespace lastack
