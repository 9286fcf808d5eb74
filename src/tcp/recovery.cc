#include "tcp/recovery.h"

#include <algorithm>

#include "tcp/congestion_control.h"
#include "tcp/output.h"
#include "tcp/rtt.h"
#include "tcp/timers.h"

namespace lastack {
namespace {

constexpr std::uint8_t kRecoveriesWide = 16;

bool any_resent(const Connection& c) {
  if (c.retrans_out > 0) return true;
  return !c.sent.empty() && c.sent.front().ever_resent();
}

void mark_lost(Connection& c, SentSegment& segment) {
  if (segment.sacked()) return;
  if (segment.lost()) {
    if (segment.resent()) {  // lost once more
      segment.clear(SentSegment::kResent);
      c.retrans_out -= segment.segments;
      c.ever_lost += segment.segments;
    }
    return;
  }
  segment.flags |= SentSegment::kLost;
  c.lost_out += segment.segments;
  c.ever_lost += segment.segments;
}

void set_state(Connection& c, CongestionState state) {
  c.ca = state;
  if (state == CongestionState::Loss) forget_epoch(c);
}

// --- Undo

// The ACK's timestamp is older than the first retransmission: the original had arrived (RFC 3522).
bool original_had_arrived(const Connection& c) {
  if (c.retrans_stamp != 0) return echo_is_before(c, c.retrans_stamp);
  // Nothing was sent again; or that has been forgotten, as it is when a SYN is acknowledged, and without SACK.
  return c.state != TcpState::SynSent && (c.sack || c.snd_una < c.congestion.high_seq);
}
bool may_undo(const Connection& c) {
  return c.congestion.can_undo && (c.congestion.undo_retrans == 0 || original_had_arrived(c));
}

void undo(Connection& c, bool unmark) {
  Congestion& g = c.congestion;
  if (unmark) {
    for (std::uint32_t i = 0; i < c.sent.size(); ++i) c.sent[i].clear(SentSegment::kLost);
    c.lost_out = 0;
  }
  if (g.prior_ssthresh != 0) {
    g.cwnd = std::max(g.cwnd, g.prior_cwnd);
    if (g.prior_ssthresh > g.ssthresh) {
      g.ssthresh = g.prior_ssthresh;
      c.congestion_answered = false;
    }
  }
  g.used_at = c.last_packet;
  g.can_undo = false;
  c.rack.advanced = true;  // look again at what is lost
}

void remember_for_undo(Connection& c) {
  c.congestion.undo_marker = c.snd_una;
  c.congestion.can_undo = true;
  const bool probe = c.rack.probe_high && c.rack.probe_is_retransmission;
  const std::uint32_t out = c.retrans_out + (probe ? 1U : 0U);
  c.congestion.undo_retrans = out > 0 ? static_cast<std::int32_t>(out) : -1;
}

// Without SACK the old state holds until something beyond high_seq is acknowledged: duplicate ACKs of
// retransmissions must not start another recovery (RFC 6582, 3.2).
bool held_without_sack(Connection& c) {
  if (c.snd_una != c.congestion.high_seq || c.sack) return false;
  if (!any_resent(c)) c.retrans_stamp = 0;
  return true;
}

void keep_open(Connection& c) {
  const bool left = c.sacked_out + c.lost_out > 0 || any_resent(c);
  const CongestionState state = left ? CongestionState::Disorder : CongestionState::Open;
  if (c.ca != state) {
    set_state(c, state);
    c.congestion.high_seq = c.snd_nxt;
  }
}

bool undo_recovery(Connection& c) {
  if (may_undo(c)) {
    undo(c, false);
  } else if (c.rack.window_persist > 0) {
    --c.rack.window_persist;
  }
  if (held_without_sack(c)) return true;
  set_state(c, CongestionState::Open);
  return false;
}

bool undo_by_dsack(Connection& c) {
  if (!c.congestion.can_undo || c.congestion.undo_retrans != 0) return false;
  c.rack.window_persist =
      std::min<std::uint8_t>(kRecoveriesWide, static_cast<std::uint8_t>(c.rack.window_persist + 1));
  undo(c, false);
  return true;
}

bool undo_loss(Connection& c, bool frto) {
  if (!frto && !may_undo(c)) return false;
  undo(c, true);
  c.retransmits = 0;
  if (held_without_sack(c)) return true;
  if (frto || c.sack) set_state(c, CongestionState::Open);
  return true;
}

// True: nothing more is to be done yet. What is undone may be followed by a recovery that there is a better reason for.
bool undo_partial(Connection& c, const TcpContext& x, SeqNum prior_una) {
  if (!c.congestion.can_undo || !original_had_arrived(c)) return false;
  check_reordering(c, x, prior_una);
  // Retransmissions that are still out would be undone as well: wait for them.
  if (c.retrans_out > 0) return true;
  if (!any_resent(c)) c.retrans_stamp = 0;
  undo(c, true);
  keep_open(c);
  return false;
}

// --- Windows

std::uint32_t current_ssthresh(const Connection& c) {
  const Congestion& g = c.congestion;
  if (in_reduction(c)) return g.ssthresh;
  return std::max(g.ssthresh, (g.cwnd >> 1) + (g.cwnd >> 2));
}

void begin_reduction(Connection& c, TcpContext& x) {
  Congestion& g = c.congestion;
  g.high_seq = c.snd_nxt;
  c.rack.probe_high.reset();
  g.cwnd_count = 0;
  g.prior_cwnd = g.cwnd;
  g.prr_delivered = 0;
  g.prr_out = 0;
  c.congestion_answered = c.ecn;
  g.ssthresh = slow_start_threshold(c, x);
}

void end_reduction(Connection& c) {
  Congestion& g = c.congestion;
  if (g.ssthresh < kUnlimited && (c.ca == CongestionState::CwndReduced || g.can_undo)) {
    g.cwnd = g.ssthresh;
    g.used_at = c.last_packet;
  }
}

void enter_recovery(Connection& c, TcpContext& x, bool congestion_echo) {
  if (!any_resent(c)) c.retrans_stamp = 0;
  c.congestion.prior_ssthresh = 0;
  remember_for_undo(c);
  if (!in_reduction(c)) {
    if (!congestion_echo) c.congestion.prior_ssthresh = current_ssthresh(c);
    begin_reduction(c, x);
  }
  set_state(c, CongestionState::Recovery);
}

void try_to_open(Connection& c, TcpContext& x, const AckNews& news) {
  if (!any_resent(c)) c.retrans_stamp = 0;
  if (news.congestion_echo) enter_cwnd_reduction(c, x);
  if (c.ca != CongestionState::CwndReduced) keep_open(c);
}

// --- RACK (RFC 8985, 6)

Duration reordering_window(const Connection& c, const TcpContext& x) {
  constexpr int kStatic = 2, kNoThreshold = 4;
  if (!c.rack.reordering_seen) {
    if (c.ca >= CongestionState::Recovery) return Duration::zero();
    if (c.sacked_out >= c.rack.reordering && (x.settings.recovery & kNoThreshold) == 0) {
      return Duration::zero();
    }
  }
  const Duration least = c.rtt.least == Duration::max() ? Duration::zero() : c.rtt.least;
  const int steps = (x.settings.recovery & kStatic) != 0 ? 1 : c.rack.window_steps;
  return std::min(least / 4 * steps, c.rtt.smoothed);
}

// How long until this segment counts as lost; not positive when it does now.
Duration time_left(const Connection& c, Instant now, const SentSegment& segment, Duration window) {
  return segment.sent_at + c.rack.rtt + window - now;
}

// Returns how long to wait for those that are not lost yet, zero when there are none.
Duration detect_loss(Connection& c, TcpContext& x) {
  Duration wait = Duration::zero();
  const Duration window = reordering_window(c, x);
  for (std::uint32_t i = 0; i < c.sent.size(); ++i) {
    SentSegment& segment = c.sent[i];
    if (segment.sacked()) continue;
    if (segment.lost() && !segment.resent()) continue;
    if (segment.forgotten != 0) continue;
    if (!c.rack.last.after(segment.sending())) continue;
    const Duration left = time_left(c, x.now, segment, window);
    if (left <= Duration::zero()) {
      mark_lost(c, segment);
      if (x.settings.rack_forgets_undone) segment.forgotten = 1;
    } else {
      wait = std::max(wait, left);
    }
  }
  return wait;
}

bool rack_mark_lost(Connection& c, TcpContext& x) {
  if (!c.rack.advanced) return false;
  c.rack.advanced = false;
  const Duration wait = detect_loss(c, x);
  if (wait <= Duration::zero()) return false;
  arm_send_timer(c, x, SendTimer::Reorder, wait + kLeastTimer);
  return true;
}

// --- Without SACK

// There is no more to be delivered than was sent and not lost. Whether that had to be seen to.
bool limit_reno_sacks(Connection& c) {
  const std::uint32_t holes = std::min(std::max(c.lost_out, 1U), c.packets_out);
  if (c.sacked_out + holes <= c.packets_out) return false;
  c.sacked_out = c.packets_out - holes;
  return true;
}

// More duplicate ACKs than segments: the network reorders.
void check_reno_reordering(Connection& c, std::uint32_t more) {
  if (!limit_reno_sacks(c)) return;
  c.rack.reordering = std::clamp<std::uint32_t>(c.packets_out + more, 1, 300);
  c.rack.reordering_seen = true;
  ++c.rack.reorderings;
}

void add_reno_sacks(Connection& c, std::uint32_t duplicates) {
  if (duplicates == 0) return;
  const std::uint32_t before = c.sacked_out;
  c.sacked_out += duplicates;
  check_reno_reordering(c, 0);
  if (c.sacked_out > before) c.delivered += c.sacked_out - before;
}

void newreno_mark_lost(Connection& c, bool una_advanced) {
  if ((c.ca < CongestionState::Recovery && c.sacked_out >= c.rack.reordering) ||
      (c.ca == CongestionState::Recovery && una_advanced)) {
    if (c.sent.empty() || c.sent.front().lost()) return;
    if (c.sent.front().segments > 1) split_sent(c, 0, send_mss(c), send_mss(c));
    mark_lost(c, c.sent.front());
    limit_reno_sacks(c);
  }
}

void identify_losses(Connection& c, TcpContext& x, AckNews& news) {
  if (c.sent.empty()) return;
  if (!c.sack) {
    newreno_mark_lost(c, news.una_advanced);
    return;
  }
  const std::uint32_t before = c.retrans_out;
  if (rack_mark_lost(c, x)) news.set_timer = false;
  if (before > c.retrans_out) news.lost_retransmission = true;
}

Resend process_loss(Connection& c, AckNews& news, std::uint32_t duplicates) {
  Congestion& g = c.congestion;
  const bool recovered = c.snd_una >= g.high_seq;
  if (news.una_advanced && undo_loss(c, false)) return Resend::None;
  if (c.rack.frto) {  // RFC 5682, 3.1
    if (news.original_acked && undo_loss(c, true)) return Resend::None;
    if (c.snd_nxt > g.high_seq) {
      if (news.data_sacked || duplicates > 0) c.rack.frto = false;  // step 3.a: a real loss
    } else if (news.una_advanced && !recovered) {
      g.high_seq = c.snd_nxt;
      // Step 2.b: new data, if there is some that may go, to see which ACK it draws.
      if (c.write_seq > c.snd_nxt && c.send_limit() > c.snd_nxt) return Resend::New;
      c.rack.frto = false;
    }
  }
  if (recovered) {
    undo_recovery(c);
    return Resend::None;
  }
  if (!c.sack) {
    if (c.snd_nxt > g.high_seq && duplicates > 0) {
      add_reno_sacks(c, duplicates);
    } else if (news.una_advanced) {
      c.sacked_out = 0;
    }
  }
  return Resend::Lost;
}

}  // namespace

bool echo_is_before(const Connection& c, std::uint32_t clock) {
  return c.saw_tstamp && c.rcv_tsecr != 0 &&
         static_cast<std::int32_t>(c.rcv_tsecr - c.ts_offset - clock) < 0;
}

void remove_reno_sacks(Connection& c, std::uint32_t acked) {
  if (acked == 0) return;
  c.delivered += std::max(acked > c.sacked_out ? acked - c.sacked_out : 1U, 1U);
  c.sacked_out = acked - 1 >= c.sacked_out ? 0 : c.sacked_out - (acked - 1);
  check_reno_reordering(c, acked);
}

void check_reordering(Connection& c, const TcpContext& x, SeqNum low) {
  const SeqNum fack = highest_sacked(c);
  if (low >= fack) return;
  const auto metric = static_cast<std::uint32_t>(fack - low);
  const std::uint32_t mss = send_mss(c);
  if (metric > c.rack.reordering * mss) {
    c.rack.reordering = std::min<std::uint32_t>(
        (metric + mss - 1) / mss, static_cast<std::uint32_t>(x.settings.max_reordering));
  }
  c.rack.reordering_seen = true;
  ++c.rack.reorderings;
}

void rack_advance(Connection& c, const TcpContext& x, const SentSegment& segment) {
  const Duration rtt = x.now - segment.sent_at;
  // Shorter than any round trip can be: this acknowledges an earlier transmission.
  if (segment.ever_resent() && c.rtt.least != Duration::max() && rtt < c.rtt.least) return;
  c.rack.advanced = true;
  c.rack.rtt = std::min(rtt, kLongestRtt);
  if (segment.sending().after(c.rack.last)) c.rack.last = segment.sending();
}

void note_delivered(AckNews& news, const SentSegment& segment) {
  if (news.prior_delivered != 0 && !segment.sending().after(news.delivered)) return;
  news.prior_delivered = segment.delivered;
  news.delivered = segment.sending();
}

void update_reordering_window(Connection& c, const TcpContext& x, const AckNews& news) {
  // RFC 8985, 6.2 step 4: wider after a DSACK, once a round trip, back after 16 recoveries without one.
  constexpr int kStatic = 2;
  if ((x.settings.recovery & kStatic) != 0 || news.prior_delivered == 0) return;
  if (static_cast<std::int32_t>(news.prior_delivered - c.rack.window_at) < 0) {
    c.rack.dsack_seen = false;
  }
  if (c.rack.dsack_seen) {
    if (c.rack.window_steps < 255) ++c.rack.window_steps;
    c.rack.dsack_seen = false;
    c.rack.window_at = c.delivered;
    c.rack.window_persist = kRecoveriesWide;
  } else if (c.rack.window_persist == 0) {
    c.rack.window_steps = 1;
  }
}

void on_reorder_timer(Connection& c, TcpContext& x) {
  const std::uint32_t before = c.in_flight();
  detect_loss(c, x);
  if (c.in_flight() != before) {
    if (c.ca != CongestionState::Recovery) {
      enter_recovery(c, x, false);
      reduce_window(c, 1, 0, false);
    }
    retransmit_lost(c, x);
  }
  if (c.send_timer_is != SendTimer::Retransmit) rearm_retransmit(c, x);
}

void enter_loss(Connection& c, TcpContext& x) {
  Congestion& g = c.congestion;
  const bool fresh = c.ca < CongestionState::Recovery;
  const bool reneged = !c.sent.empty() && c.sent.front().sacked();
  if (reneged) {
    c.sacked_out = 0;
    c.rack.fack = c.snd_una;
  } else if (!c.sack) {
    c.sacked_out = 0;
  }
  for (std::uint32_t i = 0; i < c.sent.size(); ++i) {
    SentSegment& s = c.sent[i];
    if (reneged) {
      s.clear(SentSegment::kSacked);
    } else if (i > 0 && c.sack && time_left(c, x.now, s, Duration::zero()) > Duration::zero()) {
      continue;  // sent only just now
    }
    mark_lost(c, s);
  }
  if (c.ca <= CongestionState::Disorder || !(g.high_seq > c.snd_una) ||
      (c.ca == CongestionState::Loss && c.retransmits == 0)) {
    g.prior_ssthresh = current_ssthresh(c);
    g.prior_cwnd = g.cwnd;
    g.ssthresh = slow_start_threshold(c, x);
    remember_for_undo(c);
  }
  if (c.ca <= CongestionState::Disorder &&
      c.sacked_out >= static_cast<std::uint32_t>(x.settings.reordering)) {
    c.rack.reordering =
        std::min(c.rack.reordering, static_cast<std::uint32_t>(x.settings.reordering));
  }
  g.cwnd = c.in_flight() + 1;
  g.cwnd_count = 0;
  g.used_at = x.now;
  set_state(c, CongestionState::Loss);
  g.high_seq = c.snd_nxt;
  c.congestion_answered = c.ecn;
  c.rack.probe_high.reset();
  c.rack.frto = x.settings.frto != 0 && (fresh || c.retransmits > 0);
}

void enter_cwnd_reduction(Connection& c, TcpContext& x) {
  c.congestion.prior_ssthresh = 0;
  if (c.ca >= CongestionState::CwndReduced) return;
  c.congestion.can_undo = false;
  begin_reduction(c, x);
  set_state(c, CongestionState::CwndReduced);
}

void process_probe_ack(Connection& c, TcpContext& x, const AckNews& news, SeqNum ack) {
  if (ack < *c.rack.probe_high) return;
  if (!c.rack.probe_is_retransmission) {
    c.rack.probe_high.reset();  // new data: nothing was lost, or SACK would tell
  } else if (news.dsack) {
    c.rack.probe_high.reset();  // the original and the probe both arrived
  } else if (ack > *c.rack.probe_high) {
    // The probe repaired a loss, which no one else noticed: it is a sign of congestion nevertheless.
    begin_reduction(c, x);
    set_state(c, CongestionState::CwndReduced);
    end_reduction(c);
    keep_open(c);
  } else if (!news.una_advanced && !news.has_data && !news.window_update && !news.data_sacked) {
    c.rack.probe_high.reset();
  }
}

void reduce_window(Connection& c, std::uint32_t delivered, std::uint32_t newly_lost,
                   bool una_advanced) {
  Congestion& g = c.congestion;
  if (delivered == 0 || g.prior_cwnd == 0) return;
  g.prr_delivered += delivered;
  const std::int64_t flight = c.in_flight();
  const std::int64_t delta = std::int64_t{g.ssthresh} - flight;
  std::int64_t count;
  if (delta < 0) {
    const std::int64_t dividend = std::int64_t{g.ssthresh} * g.prr_delivered + g.prior_cwnd - 1;
    count = dividend / g.prior_cwnd - g.prr_out;
  } else {
    count = std::max<std::int64_t>(std::int64_t{g.prr_delivered} - g.prr_out, delivered);
    if (una_advanced && newly_lost == 0) ++count;
    count = std::min(delta, count);
  }
  // Forces a retransmission on entry of recovery.
  count = std::max<std::int64_t>(count, g.prr_out > 0 ? 0 : 1);
  g.cwnd = static_cast<std::uint32_t>(flight + count);
}

Resend on_dubious_ack(Connection& c, TcpContext& x, AckNews& news, std::uint32_t duplicates) {
  Congestion& g = c.congestion;
  if (c.packets_out == 0 && c.sacked_out > 0) c.sacked_out = 0;
  if (news.congestion_echo) g.prior_ssthresh = 0;

  // The receiver has thrown away what it had SACKed (RFC 2018, 8): soon a time-out will believe it.
  if (news.reneging && news.una_advanced) {
    news.set_timer = false;
    const Duration delay = std::max<Duration>(c.rtt.smoothed / 2, 10ms);
    arm_send_timer(c, x, SendTimer::Retransmit, delay);
    return Resend::None;
  }

  if (c.ca == CongestionState::Open) {
    c.retrans_stamp = 0;
  } else if (c.snd_una >= g.high_seq) {
    if (c.ca == CongestionState::CwndReduced) {
      if (c.snd_una != g.high_seq) {
        end_reduction(c);
        set_state(c, CongestionState::Open);
      }
    } else if (c.ca == CongestionState::Recovery) {
      if (!c.sack) c.sacked_out = 0;
      if (undo_recovery(c)) return Resend::None;
      end_reduction(c);
    }
  }

  Resend resend = Resend::None;
  switch (c.ca) {
    case CongestionState::Recovery:
      if (!news.una_advanced) {
        if (!c.sack) add_reno_sacks(c, duplicates);
      } else if (undo_partial(c, x, news.prior_una)) {
        return Resend::None;
      }
      if (undo_by_dsack(c)) try_to_open(c, x, news);
      identify_losses(c, x, news);
      if (c.ca != CongestionState::Recovery) {
        if (c.lost_out == 0) return Resend::None;
        enter_recovery(c, x, news.congestion_echo);
      }
      return Resend::Lost;
    case CongestionState::Loss:
      resend = process_loss(c, news, duplicates);
      if (c.ca != CongestionState::Loss && c.time_outs_since != Instant{}) {
        c.time_outs_ms += static_cast<std::uint32_t>((x.now - c.time_outs_since) / 1ms);
        c.time_outs_since = Instant{};
      }
      identify_losses(c, x, news);
      // What follows is for a window that was restored, or a retransmission that was lost in its turn.
      if (c.ca != CongestionState::Open && !news.lost_retransmission) return resend;
      break;
    case CongestionState::Open:
    case CongestionState::Disorder:
    case CongestionState::CwndReduced:
      break;
  }
  if (!c.sack) {
    if (news.una_advanced) c.sacked_out = 0;
    add_reno_sacks(c, duplicates);
  }
  if (c.ca <= CongestionState::Disorder) undo_by_dsack(c);
  identify_losses(c, x, news);
  if (c.lost_out == 0) {
    try_to_open(c, x, news);
    return resend;
  }
  enter_recovery(c, x, news.congestion_echo);
  return Resend::Lost;
}

}  // namespace lastack
