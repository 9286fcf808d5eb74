// Data in: what is new of a segment, what lies beyond a gap, and when to acknowledge it (RFC 9293, 3.10.7.4,
// "seventh, process the segment text" and 3.8.6.3; RFC 5681, 4.2; RFC 2018; RFC 2883).
#pragma once

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

// Takes data and FIN of an acceptable segment. Acknowledges when that is due.
void receive_data(Connection& c, TcpContext& x, const TcpSegment& segment);
// After a segment that may have brought something: an ACK now, or later.
// What comes with a SYN that is taken at once (RFC 7413).
void take_syn_data(Connection& c, const TcpSegment& syn);
void acknowledge_news(Connection& c, TcpContext& x);
inline void acknowledge(Connection& c, TcpContext& x) {
  if (c.ack_wanted || c.ack_now) acknowledge_news(c, x);
}
// The user has read `n` bytes: the window may have opened, and a waiting ACK may go.
void after_read(Connection& c, TcpContext& x, std::size_t n);
// Let that many segments be acknowledged at once.
void quick_acks(Connection& c, std::uint32_t most);
// A segment that was acknowledged before: tell with DSACK.
void note_duplicate(Connection& c, TcpContext& x, SeqNum left, SeqNum right);

// The same, but what has been noted for this ACK already grows if it touches it.
void extend_duplicate(Connection& c, TcpContext& x, SeqNum left, SeqNum right);

inline constexpr std::uint32_t kMostQuickAcks = 16;
inline bool interactive(const Connection& c) {
  return c.pingpong >= 1;
}

}  // namespace lastack
