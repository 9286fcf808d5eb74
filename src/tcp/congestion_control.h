// How the congestion window moves: NewReno (RFC 5681, 6582) and CUBIC (RFC 9438), chosen by name.
#pragma once

#include <cstdint>

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

// What the window is to be after a loss, noted before it is cut.
std::uint32_t slow_start_threshold(Connection& c, const TcpContext& x);
// ACKs outside of recovery let the window grow, as long as it was used.
void grow_window(Connection& c, const TcpContext& x, std::uint32_t acked);
// An ACK gave a sample of the round trip: slow start may be over.
void note_delay(Connection& c, const TcpContext& x, Duration sample);
// Remembers how much of the window was used (RFC 7661's concern, Linux's way).
void validate_cwnd(Connection& c, const TcpContext& x, bool limited);
// After an idle time the window is not what the path can take any more (RFC 5681, 4.1).
void restart_after_idle(Connection& c, const TcpContext& x);
// After a pause the curve of CUBIC goes on where it was (Linux: CA_EVENT_TX_START).
void shift_epoch(Connection& c, const TcpContext& x);
// A new epoch of CUBIC: after a time-out.
void forget_epoch(Connection& c);

}  // namespace lastack
