// How much of the user's data may wait for acknowledgement or for being sent, and when the user is told that
// there is room again. As Linux has it: a piece of data costs its bytes and what it takes to keep it, the
// buffer grows with the congestion window unless the user has set it (SO_SNDBUF), and room is told of when a
// third of it is free, not with every byte.
#pragma once

#include <cstdint>

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

// Whether another piece may begin (sk_stream_memory_free). Its length is not asked for: the buffer may be
// exceeded by one piece.
bool may_queue(const Connection& c, const TcpContext& x);
// What is kept of sent segments has outgrown the buffer: a peer that takes only tiny segments would have us keep a
// note of every few bytes (CVE-2019-11478; Linux: tcp_fragment). Nothing new is cut off until some of it is
// acknowledged.
bool write_queue_too_big(const Connection& c, const TcpContext& x);
// Whether poll() says so (sk_stream_is_writeable).
bool is_writable(const Connection& c, const TcpContext& x);
// SO_SNDBUF, bytes.
std::uint32_t send_buffer_limit(const Connection& c, const TcpContext& x);
// A connection begins, or has room in its congestion window: what is sent in two round trips shall fit
// (tcp_sndbuf_expand).
void grow_send_buffer(Connection& c, const TcpContext& x);
// What holds the sender back from now on, if it is more than what did (tcp_chrono_start); and that it no longer does
// (tcp_chrono_stop).
void wait_for(Connection& c, const TcpContext& x, Waiting what);
void stop_waiting_for(Connection& c, const TcpContext& x, Waiting what);
// After an ACK: tells a user who had found no room.
void tell_of_space(Connection& c, const TcpContext& x);
inline void check_send_space(Connection& c, const TcpContext& x) {
  if (c.no_space) tell_of_space(c, x);
}

}  // namespace lastack
