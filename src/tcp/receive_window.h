// How much the peer may send: what a packet costs in memory, the window that this leaves room for, and how both grow
// (RFC 9293, 3.8.6.2.2; Linux: __tcp_select_window, tcp_grow_window, tcp_rcv_space_adjust, and skb->truesize as a
// packet from a TUN device has it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

// Of the SYN. `timestamps`: they will take room in every segment.
void choose_initial_window(Connection& c, const TcpContext& x, bool timestamps);
// On becoming ESTABLISHED (Linux: tcp_init_buffer_space).
void start_receive_window(Connection& c, const TcpContext& x);
// The window for a segment that leaves now, scaled.
std::uint16_t choose_window(Connection& c, const TcpContext& x);
// What it would be if one left now, not scaled.
std::uint32_t window_now(Connection& c, const TcpContext& x);
// The user has read so much that the peer should hear of the room (Linux: tcp_cleanup_rbuf).
bool window_update_due(Connection& c, const TcpContext& x);

// The largest window from here on; the user's (TCP_WINDOW_CLAMP), or what the buffer is good for.
void set_window_clamp(Connection& c, std::uint32_t bytes);

// So that as much as the user wants to read at once fits (SO_RCVLOWAT; Linux: tcp_set_rcvlowat).
void grow_for_read_low(Connection& c);

// Memory that a packet of this length takes, IP header and all.
std::uint32_t packet_cost(std::uint32_t bytes);
// Whether one more packet may be kept; makes room for it if it can. `beyond`: where it begins if that is beyond a gap.
bool make_room(Connection& c, const TcpContext& x, SeqNum seq);
// Where the host has no memory left: what is beyond a gap goes for the sake of what comes before it, at `seq`. The
// bytes of memory that it gave back.
std::size_t give_back_beyond(Connection& c, const TcpContext& x, SeqNum seq);
// Data up to `end` is kept in order.
void hold_packet(Connection& c, const TcpSegment& segment, SeqNum end);
// Data from `seq` on is kept beyond a gap; `end` is behind it, or behind its FIN. What has been told by SACK stays.
void hold_beyond_gap(Connection& c, TcpContext& x, const TcpSegment& segment, SeqNum seq,
                     SeqNum end, std::span<const std::byte> data);
// Those beyond a gap that are in order by now become readable.
void take_from_beyond(Connection& c, TcpContext& x);
void release_beyond(Connection& c);
// The user has read, or nobody will.
void release_read(Connection& c);
void release_all(Connection& c);
// After data has been kept: the window grows with what arrives in packets that are worth their memory.
void grow_receive_window(Connection& c, const TcpContext& x, const TcpSegment& segment);
void grow_buffer(Connection& c, const TcpContext& x, std::uint32_t space);
// How large the peer's segments are has changed: what share of the memory is data.
void measure_packets(Connection& c, const TcpSegment& segment);
// The receiver's own round-trip time: what the buffer is measured by.
void measure_receive_rtt(Connection& c, const TcpContext& x, const TcpSegment& segment);
void measure_receive_rtt_by_window(Connection& c, const TcpContext& x);
// After each read (Linux: tcp_rcv_space_adjust).
void adjust_receive_space(Connection& c, const TcpContext& x);

}  // namespace lastack
