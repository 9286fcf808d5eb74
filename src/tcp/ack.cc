#include "tcp/ack.h"

#include <algorithm>

#include "tcp/congestion_control.h"
#include "tcp/output.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"
#include "tcp/send_space.h"
#include "tcp/timers.h"

namespace lastack {
namespace {

// RFC 9293's SND.WL1 and SND.WL2 (a segment with the same numbers and a larger window counts, too).
bool update_window(Connection& c, const TcpContext& x, const TcpSegment& segment) {
  const std::uint32_t window = std::uint32_t{segment.window} << (segment.syn() ? 0 : c.snd_wscale);
  if (!updates_window(c, segment, window)) return false;
  c.snd_wl1 = segment.seq;
  // A window that opens after a long time is no measure of the path (Linux: tcp_ack_update_window).
  if (c.snd_wnd != window && !c.unsent.empty()) restart_after_idle(c, x);
  c.snd_wnd = window;
  if (window > c.max_window) {
    c.max_window = window;
    agree_on_mss(c, x);
  }
  return true;
}

struct Cleaned {
  std::optional<Instant> first_sent;  // of segments acknowledged that were sent once
  std::optional<Instant> last_sent;
  SeqNum reordered;  // the lowest of those that SACK had not told of before
  bool one_sent_again = false;
};

// Takes what is acknowledged off the scoreboard.
Cleaned clean(Connection& c, TcpContext& x, SeqNum ack, AckNews& news) {
  Cleaned cleaned;
  cleaned.reordered = c.snd_nxt;
  while (!c.sent.empty()) {
    SentSegment& s = c.sent.front();
    bool whole = true;
    SentSegment part = s;
    if (s.end() > ack) {
      if (!(ack > s.seq) || s.segments <= 1) break;
      // Some packets of a super-segment.
      whole = false;
      part.length = static_cast<std::uint32_t>(ack - s.seq);
      const std::uint32_t rest = s.length - part.length;
      const auto left =
          static_cast<std::uint16_t>(packets_of(rest - (s.fin() ? 1U : 0U), mss_of(c, s)));
      part.segments = static_cast<std::uint16_t>(s.segments > left ? s.segments - left : 0);
      s.seq = ack;
      s.length = rest;
      s.segments = static_cast<std::uint16_t>(s.segments - part.segments);
    }
    const std::uint32_t packets = part.segments;
    if (part.ever_resent()) {
      if (part.resent()) c.retrans_out -= packets;
      cleaned.one_sent_again = true;
      news.retransmission_acked = true;
    } else if (!part.sacked()) {
      if (!cleaned.first_sent) cleaned.first_sent = part.sent_at;
      cleaned.last_sent = part.sent_at;
      if (part.seq < cleaned.reordered) cleaned.reordered = part.seq;
      if (part.end() <= c.congestion.high_seq) news.original_acked = true;
    }
    if (part.sacked()) {
      c.sacked_out -= packets;
    } else if (c.sack) {
      c.delivered += packets;
      // The first transmission may have been it (RFC 3522).
      if (!part.ever_resent() || !echo_is_before(c, timestamp_clock(part.sent_at))) {
        rack_advance(c, x, part);
      }
    }
    note_delivered(news, part);
    if (part.lost()) c.lost_out -= packets;
    c.packets_out -= packets;
    news.acked_packets += packets;
    if (part.syn()) {
      news.syn_acked = true;
      c.retrans_stamp = 0;
    } else {
      news.data_acked = true;
    }
    if (!whole) break;
    c.sent.pop_front();
  }
  if (c.sent.empty()) {
    stop_waiting_for(c, x, Waiting::Path);
  } else if (c.sent.front().sacked()) {
    news.reneging = true;
  }
  return cleaned;
}

// Whether a sample was found. Karn: what was sent again gives none, but its timestamp may (RFC 7323, 4.1).
bool sample_rtt(Connection& c, TcpContext& x, const Cleaned& cleaned, const AckNews& news) {
  std::optional<Duration> sample;
  if (cleaned.first_sent && !cleaned.one_sent_again) {
    sample = x.now - *cleaned.first_sent;
  } else if (news.first_sacked_sent) {
    sample = x.now - *news.first_sacked_sent;
  } else if (c.saw_tstamp && c.rcv_tsecr != 0 && news.acked()) {
    const std::uint32_t ms = timestamp_clock(x.now) - (c.rcv_tsecr - c.ts_offset);
    if (ms < 1U << 22) sample = std::chrono::milliseconds(std::max(ms, 1U));
  }
  if (!sample) return false;
  add_rtt_sample(c, x.now, *sample);
  set_rto(c);
  c.backoff = 0;
  return true;
}

void forget_sent_bytes(Connection& c, SeqNum from, SeqNum to) {
  // SYN and FIN take sequence numbers and no bytes.
  auto bytes = static_cast<std::size_t>(to - from);
  bytes = std::min(bytes, c.send_buffer.size());
  if (bytes == 0) return;
  c.send_buffer.drop(bytes);
}

// An ACK of nothing while a window probe is due: has the window opened?
void after_probe(Connection& c, TcpContext& x) {
  if (!c.has_unsent()) return;
  const std::uint32_t wanted =
      std::min(static_cast<std::uint32_t>(c.write_seq - c.snd_nxt), send_mss(c));
  if (c.snd_nxt + std::max(wanted, 1U) <= c.send_limit()) {
    c.backoff = 0;
    c.probe_since = Instant{};
    if (c.send_timer_is == SendTimer::WindowProbe) stop_send_timer(c);
  } else {
    arm_window_probe(c, x);
  }
}

bool may_grow(const Connection& c, const TcpContext& x, const AckNews& news) {
  if (c.rack.reordering > static_cast<std::uint32_t>(x.settings.reordering)) {
    return news.acked() || news.data_sacked;
  }
  return news.data_acked;
}

// Something gets through.
void note_life(Connection& c, const TcpContext& x) {
  c.probes_out = 0;
  c.last_ack_received = x.now;
  c.soft_error = TcpError::None;
}

// Takes bytes up to `ack` as delivered; `data_from`: the first of them that is data.
void advance_una(Connection& c, SeqNum data_from, SeqNum ack) {
  if (ack > data_from) forget_sent_bytes(c, data_from, ack);
  // The SYN of a passive open is none of Linux's child sockets' bytes.
  const bool only_syn = c.state == TcpState::SynReceived && c.origin != TcpState::SynSent;
  const auto fresh = static_cast<std::uint32_t>(ack - c.snd_una) - (only_syn ? 1U : 0U);
  c.bytes_acked += fresh;
  c.snd_una = ack;
  if (c.urgent_pending && c.snd_una >= c.snd_up) c.urgent_pending = false;
}

// What nearly every ACK is that acknowledges something: no loss in sight, no SACK, nothing was sent again, and whole
// segments. How many of them; 0 for any other ACK.
std::uint32_t plainly_acked(const Connection& c, const TcpSegment& segment) {
  const SeqNum ack = segment.ack;
  if (!(ack > c.snd_una) || ack > c.snd_nxt || segment.options.sack_count > 0 || !c.sack || c.ecn ||
      c.ca != CongestionState::Open || c.rack.probe_high || c.rack.dsack_seen ||
      c.rack.window_persist == 0 || (c.sacked_out | c.lost_out | c.retrans_out) != 0) {
    return 0;
  }
  constexpr std::uint8_t kOdd =
      SentSegment::kSacked | SentSegment::kLost | SentSegment::kResent | SentSegment::kEverResent;
  // Its head may have been acknowledged before, which looks like reordering (as to Linux).
  if (c.sent.empty() || c.sent.front().seq != c.snd_una) return 0;
  std::uint32_t n = 0;
  for (; n < c.sent.size() && c.sent[n].seq < ack; ++n) {
    if ((c.sent[n].flags & kOdd) != 0 || c.sent[n].end() > ack) return 0;
  }
  return n;
}

// process_ack() for such an ACK.
void take_plain_ack(Connection& c, TcpContext& x, const TcpSegment& segment, std::uint32_t whole) {
  c.retransmits = 0;
  update_window(c, x, segment);
  note_life(c, x);
  const Instant first_sent = c.sent.front().sent_at;
  Instant last_sent = first_sent;
  const bool syn = c.sent.front().syn();
  bool data = !syn;
  std::uint32_t packets = 0;
  for (std::uint32_t n = 0; n < whole; ++n) {
    const SentSegment& s = c.sent.front();
    packets += s.segments;
    last_sent = s.sent_at;
    data = data || !s.syn();
    rack_advance(c, x, s);
    c.sent.pop_front();
  }
  c.delivered += packets;
  c.packets_out -= packets;
  if (c.sent.empty()) stop_waiting_for(c, x, Waiting::Path);
  if (syn) c.retrans_stamp = 0;
  advance_una(c, syn ? c.snd_una + 1 : c.snd_una, segment.ack);
  add_rtt_sample(c, x.now, x.now - first_sent);
  set_rto(c);
  c.backoff = 0;
  note_delay(c, x, x.now - last_sent);
  if (!schedule_loss_probe(c, x, true)) rearm_retransmit(c, x);
  if (data || c.rack.reordering > static_cast<std::uint32_t>(x.settings.reordering)) {
    grow_window(c, x, packets);
  }
  update_pacing_rate(c);
}

}  // namespace

bool updates_window(const Connection& c, const TcpSegment& segment, std::uint32_t window) {
  return segment.ack > c.snd_una || segment.seq > c.snd_wl1 ||
         (segment.seq == c.snd_wl1 && (window > c.snd_wnd || window == 0));
}

AckVerdict process_ack(Connection& c, TcpContext& x, const TcpSegment& segment) {
  if (const std::uint32_t whole = plainly_acked(c, segment); whole > 0) {
    take_plain_ack(c, x, segment, whole);
    return AckVerdict::Good;
  }
  AckNews news;
  news.prior_una = c.snd_una;
  const SeqNum ack = segment.ack;
  const std::uint32_t prior_packets = c.packets_out;
  const std::uint32_t prior_delivered = c.delivered;
  const std::uint32_t prior_lost = c.ever_lost;

  if (ack < c.snd_una) {
    // RFC 5961, 5.2; and no older than the first byte, as Linux has it.
    const std::uint32_t range =
        x.settings.rules.ack_range_by_bytes
            ? static_cast<std::uint32_t>(std::min<std::uint64_t>(c.max_window, c.bytes_acked))
            : c.max_window;
    if (x.settings.rules.ack_range_check && ack < c.snd_una - range) return AckVerdict::TooOld;
    if (segment.options.sack_count > 0 && c.sack) {
      tag_sacks(c, x, segment, news);
      const Resend resend = on_dubious_ack(c, x, news, 0);
      if (resend != Resend::None) retransmit_lost(c, x);
    }
    return AckVerdict::Old;
  }
  if (ack > c.snd_nxt) return AckVerdict::Unsent;

  news.una_advanced = ack > c.snd_una;
  if (news.una_advanced) c.retransmits = 0;
  news.has_data = segment.length() > 0;
  news.congestion_echo = c.ecn && segment.has(tcp_flag::kEce) && !segment.syn();
  const SeqNum prior_fack = c.sacked_out > 0 ? c.rack.fack : c.snd_una;
  news.window_update = update_window(c, x, segment);
  note_life(c, x);
  if (c.sack && segment.options.sack_count > 0) tag_sacks(c, x, segment, news);

  if (prior_packets == 0) {
    if (news.dsack) on_dubious_ack(c, x, news, 0);
    after_probe(c, x);
    if (c.rack.probe_high) process_probe_ack(c, x, news, ack);
    return AckVerdict::Good;
  }

  // The bytes go before the scoreboard is cut: both count from snd_una.
  const SeqNum data_from = c.sent.empty() || !c.sent.front().syn() ? c.snd_una : c.snd_una + 1;
  const Cleaned cleaned = clean(c, x, ack, news);
  advance_una(c, data_from, ack);

  const bool sampled = sample_rtt(c, x, cleaned, news);
  if (cleaned.last_sent && !cleaned.one_sent_again) {
    note_delay(c, x, x.now - *cleaned.last_sent);
  } else if (news.last_sacked_sent) {
    note_delay(c, x, x.now - *news.last_sacked_sent);
  }
  if (news.acked()) {
    news.set_timer = true;
    if (!c.sack) {
      remove_reno_sacks(c, news.acked_packets);
      // Which of the two transmissions came through only SACK could tell.
      if (news.retransmission_acked) news.original_acked = false;
    } else if (cleaned.reordered < prior_fack) {
      check_reordering(c, x, cleaned.reordered);
    }
  } else if (sampled && news.first_sacked_sent && !c.sent.empty() &&
             *news.first_sacked_sent < c.sent.front().sent_at) {
    news.set_timer = true;
  }
  update_reordering_window(c, x, news);
  if (c.rack.probe_high) process_probe_ack(c, x, news, ack);

  Resend resend = Resend::None;
  const bool dubious = news.dubious(c.ca);
  if (dubious) {
    // RFC 5681, 2: no data, the same window, nothing new acknowledged, something outstanding.
    const bool duplicate =
        !news.una_advanced && !news.has_data && !news.window_update && !news.acked() && !news.dsack;
    resend = on_dubious_ack(c, x, news, duplicate ? 1 : 0);
  }
  if (news.set_timer && !schedule_loss_probe(c, x, true)) rearm_retransmit(c, x);

  const std::uint32_t delivered = c.delivered - prior_delivered;
  if (news.congestion_echo) c.delivered_marked += delivered;
  const std::uint32_t newly_lost = c.ever_lost - prior_lost;
  if (in_reduction(c)) {
    reduce_window(c, delivered, newly_lost, news.una_advanced);
  } else if (may_grow(c, x, news)) {
    grow_window(c, x, delivered);
  }
  update_pacing_rate(c);
  if (resend == Resend::New) {
    push(c, x);
    if (!(c.snd_nxt > c.congestion.high_seq)) {
      c.rack.frto = false;
      resend = Resend::Lost;
    }
  }
  if (resend == Resend::Lost) retransmit_lost(c, x);
  return AckVerdict::Good;
}

}  // namespace lastack
