// The changes of state that more than one event leads to.
#pragma once

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

void set_state(Connection& c, TcpContext& x, TcpState state);
// CLOSED, with what the user shall hear of it. Everything that was waiting is forgotten. An attempt to connect that
// its user gives up is no failed one (Linux: tcp_done() counts, tcp_set_state() does not).
enum class By : std::uint8_t { Event, User };
void finish(Connection& c, TcpContext& x, TcpError error, By by = By::Event);
// Sends a RST and closes.
void abort_connection(Connection& c, TcpContext& x, TcpError error, By by = By::Event);
// ESTABLISHED, from either side.
void establish(Connection& c, TcpContext& x);
// Fast Open (RFC 7413), of the side that accepts: what comes with the SYN is taken, and data may be sent, before the
// handshake is over. The caller sends the SYN,ACK.
void open_fast(Connection& c, TcpContext& x, const TcpSegment& syn);
// The SYN,ACK has been acknowledged.
void confirm_fast(Connection& c, TcpContext& x);
// FIN_WAIT_2 and TIME_WAIT are kept by the stack as small records (linux-facts 3, 4).
void enter_time_wait(Connection& c, TcpContext& x);
// The user has gone while the connection is in FIN_WAIT_2: how long it may wait (linux-facts 6, 7).
// `fin_here`: with the segment that brought it there.
void limit_fin_wait_2(Connection& c, TcpContext& x, bool fin_here = false);
void on_fin_wait_2_limit(Connection& c, TcpContext& x);
// Window probe by data: one piece as large as the window allows.
void probe_with_data(Connection& c, TcpContext& x);

inline constexpr int kLinearSyns = 4;
inline constexpr Duration kTimeWaitLength = 60s;

}  // namespace lastack
