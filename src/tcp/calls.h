// What a user may ask of a connection (RFC 9293, 3.10.1 to 3.10.6), and what ICMP tells it (3.9.2.2).
#pragma once

#include <cstddef>
#include <span>

#include "tcp/connection.h"
#include "tcp/context.h"
#include "wire/icmp.h"

namespace lastack {

// How a connection begins, chosen by the stack.
struct Opening {
  FourTuple tuple;
  SeqNum iss;
  std::uint32_t ts_offset = 0;
  std::uint16_t mtu = 1500;
  Instant not_before{Instant::min()};  // the SYN of an active open waits so long (quiet time)
};

// Active OPEN: sends the SYN. `c` has its options and nothing else.
void open_active(Connection& c, TcpContext& x, const Opening& opening);
void send_first_syn(Connection& c, TcpContext& x);
// What active and passive opens have in common: sequence numbers, windows, MSS.
void begin(Connection& c, TcpContext& x, const Opening& opening);

struct WriteHow {
  bool urgent = false;         // the last byte is urgent (MSG_OOB; MUST-30 to 32)
  bool more = false;           // what does not fill a segment waits for the next call (MSG_MORE)
  bool end_of_record = false;  // nothing that comes later goes into the same segment (MSG_EOR)
};
// SEND: takes what there is room for. 0 when there is none, or when this direction is closed.
std::size_t write(Connection& c, TcpContext& x, std::span<const std::byte> data, WriteHow how = {});
// RECEIVE: gives what has arrived, in order.
// 0 though something is there: only the urgent byte was, which is fetched in another way.
std::size_t read(Connection& c, TcpContext& x, std::span<std::byte> out, bool peek = false);
// CLOSE of this direction: shutdown(SHUT_WR).
void shutdown_write(Connection& c, TcpContext& x);
// CLOSE by a user who will not look at it again: close(). Afterwards nobody reads.
void close(Connection& c, TcpContext& x);
// Gives an attempt to connect up, which is an error and no failed attempt (Linux: tcp_disconnect in SYN_SENT).
void disconnect(Connection& c, TcpContext& x);
// ABORT.
void abort(Connection& c, TcpContext& x);

// Options were changed: sends what they let go. TCP_NODELAY lets go even of what TCP_CORK holds back (Linux:
// __tcp_sock_set_nodelay): `let_go`.
void options_changed(Connection& c, TcpContext& x, bool let_go = false);

void on_icmp(Connection& c, TcpContext& x, const IcmpError& error);

}  // namespace lastack
