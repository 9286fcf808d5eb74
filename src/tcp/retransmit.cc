// What has been sent goes again: which part of it, and how it is cut and joined on the way.
#include <algorithm>

#include "tcp/output.h"
#include "tcp/timers.h"

namespace lastack {

namespace {

std::uint32_t data_of(const SentSegment& s) {
  return s.length - (s.fin() || s.syn() ? 1U : 0U);
}

// The counts follow: it makes more packets than were counted, or fewer.
void count_again(Connection& c, const SentSegment& like, std::uint32_t old, std::uint32_t now) {
  const auto adjust = [&](std::uint32_t& count) { count = count + now - old; };
  adjust(c.packets_out);
  if (like.sacked()) adjust(c.sacked_out);
  if (like.lost()) adjust(c.lost_out);
  if (like.resent()) adjust(c.retrans_out);
}

}  // namespace

std::uint32_t mss_of(const Connection& c, const SentSegment& s) {
  constexpr std::uint32_t kMostSack = 36;  // what blocks in our own headers take away
  const std::uint32_t usual = usual_mss(c);
  const std::uint32_t data = data_of(s);
  if (s.segments <= 1) return usual;
  const std::uint32_t each = std::max((data + s.segments - 1) / s.segments, 1U);
  if (data == each * s.segments && each + kMostSack >= usual) return each;
  return packets_of(data, usual) == s.segments ? usual : each;
}

void split_sent(Connection& c, std::uint32_t index, std::uint32_t bytes, std::uint32_t mss) {
  SentSegment& first = c.sent[index];
  if (bytes == 0 || bytes >= first.length) return;
  SentSegment second = first;
  second.seq = first.seq + bytes;
  second.length = first.length - bytes;
  const std::uint32_t old = first.segments;
  second.segments = static_cast<std::uint16_t>(packets_of(data_of(second), mss));
  first.length = bytes;
  first.flags &= static_cast<std::uint8_t>(
      ~(SentSegment::kFin | SentSegment::kPush | SentSegment::kEndOfRecord));
  first.segments = static_cast<std::uint16_t>(packets_of(bytes, mss));
  count_again(c, first, old, std::uint32_t{first.segments} + second.segments);
  c.sent.insert(index + 1, second);
  c.news |= news::kBuffers;
}

namespace {

// Whether the packet that the host sent last, and that the device still has, is this one.
bool is_held(const Connection& c, const TcpContext& x, const SentSegment& segment) {
  return x.settings.device_holds_last_packet && x.out.last_of() == &c &&
         segment.sent_at == c.last_sent && segment.place == c.last_place;
}

// What goes again takes along what follows it, as far as both fit one segment: the FIN above all (Linux:
// tcp_retrans_try_collapse).
void join_following(Connection& c, const TcpContext& x, std::uint32_t index, std::uint32_t mss) {
  while (index + 1 < c.sent.size()) {
    SentSegment& segment = c.sent[index];
    const SentSegment& next = c.sent[index + 1];
    if (segment.segments > 1 || next.segments > 1 || segment.fin() || segment.sacked() ||
        next.sacked())
      return;
    if ((segment.flags & SentSegment::kEndOfRecord) != 0 || next.end() > c.send_limit()) return;
    if (segment.length + next.length - (next.fin() ? 1U : 0U) > mss) return;
    if (is_held(c, x, next)) return;
    constexpr std::uint8_t kTaken = SentSegment::kFin | SentSegment::kPush |
                                    SentSegment::kEndOfRecord | SentSegment::kEverResent;
    if (next.lost()) --c.lost_out;
    if (next.resent()) --c.retrans_out;
    --c.packets_out;
    // Duplicate ACKs without SACK count packets and not places (Linux: tcp_adjust_pcount).
    if (!c.sack && c.sacked_out > 0) --c.sacked_out;
    segment.length += next.length;
    segment.flags |= next.flags & kTaken;
    c.sent.erase(index + 1);
  }
}

}  // namespace

bool retransmit(Connection& c, TcpContext& x, std::uint32_t index, std::uint32_t most,
                Resending why) {
  if (c.sent[index].syn()) {
    SentSegment& syn = c.sent[index];
    syn.sent_at = x.now;
    if (!syn.resent()) c.retrans_out += syn.segments;
    syn.flags |= SentSegment::kResent | SentSegment::kEverResent;
    send_syn(c, x, true);
    if (c.retrans_stamp == 0) c.retrans_stamp = stamp_of(x.now);
    return true;
  }
  const std::uint32_t mss = send_mss(c);
  if (c.sent[index].seq < c.snd_una) {
    // Its head has been acknowledged (Linux: tcp_trim_head).
    SentSegment& s = c.sent[index];
    if (s.end() <= c.snd_una) return false;
    s.length = static_cast<std::uint32_t>(s.end() - c.snd_una);
    s.seq = c.snd_una;
  }
  // Beyond the window only the first may go, to probe it.
  const std::int32_t room = c.send_limit() - c.sent[index].seq;
  const bool fin_only = c.sent[index].length == 1 && c.sent[index].fin();
  if (room <= 0 && c.sent[index].seq != c.snd_una) return false;
  std::uint32_t bytes = mss * most;
  if (room > 0) {
    bytes = std::min(bytes, std::max<std::uint32_t>(static_cast<std::uint32_t>(room), 1));
  } else {
    bytes = std::min(bytes, mss);
  }
  const std::uint32_t data = data_of(c.sent[index]);
  if (!fin_only && data > bytes) {
    split_sent(c, index, bytes, mss);
  } else if (const std::uint32_t packets = packets_of(data, mss);
             packets != c.sent[index].segments) {
    count_again(c, c.sent[index], c.sent[index].segments, packets);
    c.sent[index].segments = static_cast<std::uint16_t>(packets);
  }
  if (x.settings.retrans_collapse) join_following(c, x, index, mss);
  SentSegment& segment = c.sent[index];
  if (why == Resending::Lost) {
    if (c.retrans_stamp == 0) c.retrans_stamp = stamp_of(x.now);
    if (!segment.resent()) c.retrans_out += segment.segments;
    segment.flags |= SentSegment::kResent;
    if (c.congestion.undo_retrans < 0) c.congestion.undo_retrans = 0;
    c.congestion.undo_retrans += segment.segments;
  }
  segment.flags |= SentSegment::kEverResent;
  segment.sent_at = x.now;
  segment.set_place(next_place(c, x));
  segment.delivered = c.delivered;
  c.total_retrans += segment.segments;
  c.bytes_resent += segment.length - (segment.fin() ? 1U : 0U);
  x.counters.RetransSegs += packets_of(segment.length - (segment.fin() ? 1U : 0U), mss);
  emit_data(c, x, segment.seq, segment.length, segment.flags, mss, false);
  return true;
}

void retransmit_lost(Connection& c, TcpContext& x) {
  if (c.lost_out == 0 && c.packets_out == 0) return;
  bool rearm = false;
  const std::uint32_t mss = send_mss(c);
  const std::uint32_t most_segments = super_segment(c, x, mss);
  for (std::uint32_t i = 0; i < c.sent.size(); ++i) {
    const SentSegment& segment = c.sent[i];
    if (!segment.lost() || segment.resent() || segment.sacked()) continue;
    const std::uint32_t flight = c.in_flight();
    if (c.congestion.cwnd <= flight) break;
    const std::uint32_t most = std::min(c.congestion.cwnd - flight, most_segments);
    const std::uint32_t out_before = c.retrans_out;
    if (!retransmit(c, x, i, most)) break;
    if (c.ca == CongestionState::Recovery || c.ca == CongestionState::CwndReduced) {
      c.congestion.prr_out += c.retrans_out - out_before;
    }
    if (i == 0 && c.send_timer_is != SendTimer::Reorder) rearm = true;
  }
  if (rearm) arm_send_timer(c, x, SendTimer::Retransmit, c.rtt.rto);
}

}  // namespace lastack
