// Which segments are lost, and what to do about it: SACK (RFC 2018, 6675, 2883), RACK-TLP (RFC 8985), NewReno
// (RFC 6582), F-RTO (RFC 5682), undoing what was needless (RFC 3522, 3708), proportional rate reduction
// (RFC 6937). The states are Linux's: Open, Disorder, CwndReduced, Recovery, Loss.
#pragma once

#include <cstdint>
#include <optional>

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

// What one ACK told, collected while it is being processed.
struct AckNews {
  bool una_advanced = false;
  bool data_acked = false;
  bool syn_acked = false;
  bool has_data = false;
  bool window_update = false;
  bool data_sacked = false;
  bool dsack = false;
  bool congestion_echo = false;  // ECE (RFC 3168)
  bool original_acked = false;   // data acknowledged that was never sent again (F-RTO)
  bool retransmission_acked = false;
  bool reneging = false;
  bool set_timer = false;
  bool lost_retransmission = false;
  SeqNum prior_una;
  std::uint32_t duplicate_segments = 0;  // told by DSACK
  std::optional<Instant> first_sacked_sent;
  std::optional<Instant> last_sacked_sent;
  std::uint32_t acked_packets = 0;
  // Of what has been delivered, that which was sent last (Linux: tcp_rate_skb_delivered).
  std::uint32_t prior_delivered = 0;
  Sending delivered;

  bool acked() const { return data_acked || syn_acked; }
  bool dubious(CongestionState ca) const {
    const bool not_duplicate = has_data || window_update || acked();
    return !not_duplicate || data_sacked || dsack || congestion_echo || ca != CongestionState::Open;
  }
};

enum class Resend : std::uint8_t { None, Lost, New };

// The right end of what SACK has told of.
inline SeqNum highest_sacked(const Connection& c) {
  return c.sack && c.sacked_out > 0 ? c.rack.fack : c.snd_una;
}
// Marks what the SACK blocks of a segment tell.
void tag_sacks(Connection& c, TcpContext& x, const TcpSegment& segment, AckNews& news);
// Steps of the state machine for an ACK that may mean loss.
Resend on_dubious_ack(Connection& c, TcpContext& x, AckNews& news, std::uint32_t duplicates);
// The echo in the segment at hand is of a time before `clock` of ours.
bool echo_is_before(const Connection& c, std::uint32_t clock);
// A segment was delivered: RACK's clock.
void rack_advance(Connection& c, const TcpContext& x, const SentSegment& segment);
void note_delivered(AckNews& news, const SentSegment& segment);
void update_reordering_window(Connection& c, const TcpContext& x, const AckNews& news);
void check_reordering(Connection& c, const TcpContext& x, SeqNum low);
// The time-out of RACK's reordering window.
void on_reorder_timer(Connection& c, TcpContext& x);
// A retransmission time-out: everything is lost until shown otherwise.
void enter_loss(Connection& c, TcpContext& x);
void process_probe_ack(Connection& c, TcpContext& x, const AckNews& news, SeqNum ack);
// In recovery the window shrinks in proportion to what arrives.
void reduce_window(Connection& c, std::uint32_t delivered, std::uint32_t newly_lost,
                   bool una_advanced);
void enter_cwnd_reduction(Connection& c, TcpContext& x);

// Without SACK, duplicate ACKs count in place of it (RFC 6582).
void remove_reno_sacks(Connection& c, std::uint32_t acked);

inline bool in_reduction(const Connection& c) {
  return c.ca == CongestionState::Recovery || c.ca == CongestionState::CwndReduced;
}

}  // namespace lastack
