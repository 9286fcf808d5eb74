// Segments out: what may be sent now (RFC 9293, 3.8.6; Nagle, silly windows), and how it is written.
#pragma once

#include <cstdint>

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

// Data bytes that fit into one packet now: the MSS less the options that this segment will carry.
std::uint32_t send_mss(const Connection& c);
// What the path, the peer and its window take (Linux: tcp_sync_mss).
void agree_on_mss(Connection& c, const TcpContext& x);

// What the path takes: its MTU less the two headers (MUST-14, 16).
inline std::uint16_t path_mss(const Connection& c) {
  const std::uint16_t headers = c.tuple.local.address.is_v4() ? 40 : 60;
  return c.path_mtu > headers + 8 ? static_cast<std::uint16_t>(c.path_mtu - headers)
                                  : std::uint16_t{8};
}

// Sends what may be sent of the data that is waiting. Arms the timers that go with it.
void push_waiting(Connection& c, TcpContext& x);
inline void push(Connection& c, TcpContext& x) {
  // Most segments come where there is nothing to send.
  if (!c.unsent.empty() || (c.fin_queued && !c.fin_sent)) push_waiting(c, x);
}
// The first piece, as far as it may, whatever Nagle says: more is being written at this moment.
void push_one(Connection& c, TcpContext& x);
// How long a piece of the write queue may become: a super-segment, at most half of the largest window that the
// peer had (Linux: tcp_xmit_size_goal).
std::uint32_t piece_goal(const Connection& c, const TcpContext& x);
// Bytes a second at which the window goes out in a round trip, and somewhat more, so that it can grow: as it is when an
// ACK has been looked at, and until the next one (Linux: tcp_update_pacing_rate). Before there is a sample of the round trip
// it is what fits into an eighth of a microsecond.
void update_pacing_rate(Connection& c);
// One segment beyond the congestion window, as a tail loss probe; whether it was sent.
bool push_loss_probe(Connection& c, TcpContext& x);
// What fits into the window, however little.
void push_window_probe(Connection& c, TcpContext& x);

void send_ack(Connection& c, TcpContext& x);
// An ACK for a segment that is out of window, at most one in tcp_invalid_ratelimit.
void send_ack_out_of_window(Connection& c, TcpContext& x, const TcpSegment& segment);
// RFC 5961, 7: rate-limited.
void send_challenge_ack(Connection& c, TcpContext& x);
// The RST of an abort.
void send_reset(Connection& c, TcpContext& x);
// A segment that the peer has seen already and must answer: for a zero window, or to keep alive.
void send_probe(Connection& c, TcpContext& x);
// SYN or SYN,ACK; the first time or again.
void send_syn(Connection& c, TcpContext& x, bool again,
              const std::optional<FastOpenCookie>& cookie = {});

// Sends an unacknowledged segment again, at most `most` packets of it (it is split there). False when the
// peer's window leaves no room for any of it.
// A tail loss probe is no retransmission yet: nothing is held to be lost.
enum class Resending : std::uint8_t { Lost, Probe };
bool retransmit(Connection& c, TcpContext& x, std::uint32_t index, std::uint32_t most,
                Resending why = Resending::Lost);
// Everything that is marked lost, as far as the congestion window goes.
void retransmit_lost(Connection& c, TcpContext& x);

// Splits a segment of the scoreboard after `bytes`; the second part is at index + 1.
void split_sent(Connection& c, std::uint32_t index, std::uint32_t bytes, std::uint32_t mss);
constexpr std::uint32_t kTimestampOption = 12;
// Of segments without SACK blocks; send_mss() is that of the next one.
inline std::uint32_t usual_mss(const Connection& c) {
  return c.mss - (c.timestamps ? kTimestampOption : 0);
}
// By what it was cut into packets when it was sent.
std::uint32_t mss_of(const Connection& c, const SentSegment& segment);

// --- What output.cc and retransmit.cc share
// Sending::place of what is sent next.
std::uint8_t next_place(const Connection& c, const TcpContext& x);
// Data (and the FIN) from `seq` on, `length` in sequence space.
void emit_data(Connection& c, TcpContext& x, SeqNum seq, std::uint32_t length, std::uint8_t flags,
               std::uint32_t mss, bool fresh);
// How many packets one super-segment may have: enough for a millisecond at the present rate, as Linux has
// it, and all that the device takes when the round trip is short.
std::uint32_t super_segment(const Connection& c, const TcpContext& x, std::uint32_t mss);
inline std::uint32_t packets_of(std::uint32_t bytes, std::uint32_t mss) {
  return bytes == 0 ? 1 : (bytes + mss - 1) / mss;
}

}  // namespace lastack
