// A segment arrives for a connection: RFC 9293, 3.10.7.3 (SYN_SENT) and 3.10.7.4 (all other states), step by
// step, with RFC 5961 and RFC 7323 where they have changed it.
#pragma once

#include "tcp/connection.h"
#include "tcp/context.h"
#include "wire/tcp_segment.h"

namespace lastack {

enum class Reply : std::uint8_t {
  None,   // or already sent
  Reset,  // the segment is to be answered with a RST made from it (3.10.7.1)
};

// LISTEN's part of a SYN (3.10.7.2): after begin(), the connection is in SYN_RECEIVED. The caller sends the
// SYN,ACK.
void accept_syn(Connection& c, TcpContext& x, const TcpSegment& syn);

Reply on_segment(Connection& c, TcpContext& x, const TcpSegment& segment);

}  // namespace lastack
