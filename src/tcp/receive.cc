#include "tcp/receive.h"

#include <algorithm>
#include <utility>

#include "tcp/output.h"
#include "tcp/receive_window.h"
#include "tcp/state.h"
#include "tcp/timers.h"
#include "wire/ip_packet.h"

namespace lastack {
namespace {

bool extend(SeqRange& range, SeqRange by) {
  if (by.left > range.right || range.left > by.right) return false;
  range.left = min(range.left, by.left);
  range.right = max(range.right, by.right);
  return true;
}

// The newest range first (RFC 2018, 4), with what it touches (Linux: tcp_sack_new_ofo_skb).
void tell_first(Connection& c, TcpContext& x, SeqRange fresh) {
  OutOfOrder& o = c.out_of_order;
  constexpr std::uint8_t kExpected = 2;  // blocks that the peer will hear of even if ACKs get lost
  std::uint8_t i = 0;
  while (i < o.recent_count && !extend(o.recent[i], fresh)) ++i;
  if (i >= kExpected && c.compressed_acks > 0) send_ack(c, x);
  if (i < o.recent_count) {
    std::rotate(o.recent.begin(), o.recent.begin() + i, o.recent.begin() + i + 1);
    for (std::uint8_t k = 1; k < o.recent_count;) {
      if (!extend(o.recent[0], o.recent[k])) {
        ++k;
        continue;
      }
      std::copy(o.recent.begin() + k + 1, o.recent.begin() + o.recent_count, o.recent.begin() + k);
      --o.recent_count;
    }
    return;
  }
  if (o.recent_count < o.recent.size()) ++o.recent_count;
  std::copy_backward(o.recent.begin(), o.recent.begin() + o.recent_count - 1,
                     o.recent.begin() + o.recent_count);
  o.recent[0] = fresh;
}

// Pieces beyond a gap are kept one by one, and one byte in two can make as many as the window has bytes: they
// are bounded, so that neither memory nor the work for a segment is the sender's to choose (CVE-2018-5390).
// Who loses every second full-sized segment of the largest window stays below.
constexpr std::size_t kMostPieces = 4096;

auto first_piece_from(std::vector<SeqRange>& gaps, SeqNum left) {
  return std::lower_bound(gaps.begin(), gaps.end(), left,
                          [](const SeqRange& g, SeqNum seq) { return g.right < seq; });
}

// Whether there is no room for one more piece, and this is one.
bool too_many_pieces(const Connection& c, SeqRange fresh) {
  if (!c.gaps || c.gaps->size() < kMostPieces) return false;
  const auto at = first_piece_from(*c.gaps, fresh.left);
  return at == c.gaps->end() || at->left > fresh.right;
}

// Adds a range beyond rcv_nxt.
void add_gap_data(Connection& c, TcpContext& x, SeqRange fresh) {
  if (!c.gaps) c.gaps = std::make_unique<std::vector<SeqRange>>();
  std::vector<SeqRange>& gaps = *c.gaps;
  auto at = first_piece_from(gaps, fresh.left);
  SeqRange merged = fresh;
  auto last = at;
  for (; last != gaps.end() && last->left <= fresh.right; ++last) {
    merged.left = min(merged.left, last->left);
    merged.right = max(merged.right, last->right);
  }
  at = gaps.erase(at, last);
  gaps.insert(at, merged);
  if (c.sack) tell_first(c, x, fresh);
}

// After the FIN nothing comes: what a peer sends beyond it all the same does not count.
void note_fin(Connection& c, SeqNum at) {
  if (c.fin_at && at >= *c.fin_at) return;
  c.fin_at = at;
  if (!c.gaps) return;
  std::vector<SeqRange>& gaps = *c.gaps;
  while (!gaps.empty() && gaps.back().left > at) gaps.pop_back();
  if (!gaps.empty()) gaps.back().right = min(gaps.back().right, at + 1);
  if (gaps.empty()) c.gaps.reset();
  OutOfOrder& o = c.out_of_order;
  std::uint8_t kept = 0;
  for (std::uint8_t i = 0; i < o.recent_count; ++i) {
    if (o.recent[i].left > at) continue;
    o.recent[kept] = o.recent[i];
    o.recent[kept].right = min(o.recent[kept].right, at + 1);
    ++kept;
  }
  o.recent_count = kept;
}

// In-order data may have closed gaps.
void close_gaps(Connection& c) {
  if (!c.gaps) return;
  std::vector<SeqRange>& gaps = *c.gaps;
  std::size_t n = 0;
  while (n < gaps.size() && gaps[n].left <= c.rcv_nxt) ++n;
  gaps.erase(gaps.begin(), gaps.begin() + static_cast<std::ptrdiff_t>(n));
  if (gaps.empty()) c.gaps.reset();
}
// And what SACK tells of them is known.
void forget_known_blocks(Connection& c) {
  OutOfOrder& o = c.out_of_order;
  std::uint8_t kept = 0;
  for (std::uint8_t i = 0; i < o.recent_count; ++i) {
    if (o.recent[i].left > c.rcv_nxt) o.recent[kept++] = o.recent[i];
  }
  o.recent_count = kept;
}

// How large the peer's segments are, and whether it seems to have said all it has to say (Linux:
// tcp_measure_rcv_mss).
void measure(Connection& c, const TcpSegment& segment) {
  const auto length = static_cast<std::uint32_t>(segment.payload.size());
  const std::uint16_t last = std::exchange(c.last_segment_size, std::uint16_t{0});
  if (length >= c.rcv_mss) {
    if (length != c.rcv_mss) measure_packets(c, segment);
    const std::uint32_t most = c.announced - (c.timestamps ? 12U : 0U);
    c.rcv_mss = static_cast<std::uint16_t>(std::min(length, most));
    // Exactly one segment, and pushed: it may be the end of what was to be said.
    if (segment.has(tcp_flag::kPsh)) c.pushed_in = std::max<std::uint8_t>(c.pushed_in, 1);
    return;
  }
  constexpr std::uint32_t kDefault = 536, kLeast = 88;
  const std::uint32_t whole =
      length + segment.header_bytes - static_cast<std::uint32_t>(kTcpHeaderLength);
  if (whole >= kDefault || (whole >= kLeast && !segment.has(tcp_flag::kPsh | tcp_flag::kFin |
                                                            tcp_flag::kUrg | tcp_flag::kSyn))) {
    const auto size = static_cast<std::uint16_t>(whole - (c.timestamps ? 12U : 0U));
    c.last_segment_size = size;
    if (size == last) {
      c.rcv_mss = size;
      return;
    }
  }
  c.pushed_in = c.pushed_in > 0 ? 2 : 1;
}

// RFC 3168, 6.1.3: a mark is told in every ACK until the sender says that it has heard (Linux:
// tcp_ecn_check_ce, tcp_ecn_accept_cwr).
void note_marks(Connection& c, const TcpSegment& segment) {
  if (!c.ecn) {
    // Nobody is told of a mark (input.cc notes it), but what is not marked among what is looks as odd as below.
    if (segment.ecn == ecn::kNotCapable && c.peer_marks) quick_acks(c, 2);
    return;
  }
  if (segment.has(tcp_flag::kCwr)) {
    c.congestion_seen = false;
    c.ack_now = true;
  }
  constexpr std::uint32_t kQuick = 2;
  if (segment.ecn == ecn::kNotCapable) {
    // A retransmission most likely.
    if (c.peer_marks) quick_acks(c, kQuick);
    return;
  }
  c.peer_marks = true;
  if (segment.ecn != ecn::kCongestion || c.congestion_seen) return;
  c.congestion_seen = true;
  quick_acks(c, kQuick);
  c.pingpong = 0;
}

// Linux's tcp_event_data_recv: how long an ACK may wait follows how often data comes.
void note_data(Connection& c, TcpContext& x, const TcpSegment& segment) {
  c.ack_wanted = true;
  measure(c, segment);
  measure_receive_rtt_by_window(c, x);
  if (c.ato == Duration::zero()) {
    quick_acks(c, kMostQuickAcks);
    c.ato = kLeastDelayedAck;
  } else {
    const Duration since = x.now - c.last_received;
    if (since <= kLeastDelayedAck / 2) {
      c.ato = c.ato / 2 + kLeastDelayedAck / 2;
    } else if (since < c.ato) {
      c.ato = std::min<Duration>(c.ato / 2 + since, c.rtt.rto);
    } else if (since > c.rtt.rto) {
      quick_acks(c, kMostQuickAcks);
    }
  }
  c.last_received = x.now;
  note_marks(c, segment);
  grow_receive_window(c, x, segment);
}

// The ACK of a FIN behind what was a gap goes out of the middle of it all, and has the blocks of before (Linux: tcp_fin, which
// tcp_sack_remove follows).
void receive_fin(Connection& c, TcpContext& x) {
  c.fin_received = true;
  c.rcv_nxt += 1;
  ++c.bytes_received;
  c.news |= news::kPeerClosed | news::kReadable;
  c.ack_wanted = true;
  c.gaps.reset();
  if (c.held_beyond) release_beyond(c);
  switch (c.state) {
    case TcpState::SynReceived:
    case TcpState::Established:
      c.closed_first = WhoClosed::There;
      set_state(c, x, TcpState::CloseWait);
      if (c.pingpong == 0) c.pingpong = 1;  // an answer may carry the ACK
      break;
    case TcpState::FinWait1:  // simultaneous close
      c.closed_first = WhoClosed::Both;
      send_ack(c, x);
      set_state(c, x, TcpState::Closing);
      break;
    case TcpState::FinWait2:
      send_ack(c, x);
      enter_time_wait(c, x);
      break;
    case TcpState::CloseWait:
    case TcpState::Closing:
    case TcpState::LastAck:
    case TcpState::TimeWait:
    case TcpState::Listen:
    case TcpState::SynSent:
    case TcpState::Closed:
      break;
  }
  c.out_of_order.recent_count = 0;
  c.out_of_order.has_duplicate = false;
}

void out_of_window(Connection& c) {
  quick_acks(c, kMostQuickAcks);
  c.pingpong = 0;
  c.ack_wanted = true;
}

}  // namespace

void quick_acks(Connection& c, std::uint32_t most) {
  std::uint32_t n = c.rcv_wnd / (2 * std::max<std::uint32_t>(c.rcv_mss, 1));
  if (n == 0) n = 2;
  n = std::min(n, most);
  if (n > c.quick) c.quick = static_cast<std::uint8_t>(n);
}

void note_duplicate(Connection& c, TcpContext& x, SeqNum left, SeqNum right) {
  if (!c.sack || !x.settings.dsack || !(left < right)) return;
  c.out_of_order.duplicate = {left, right};
  c.out_of_order.has_duplicate = true;
}

void extend_duplicate(Connection& c, TcpContext& x, SeqNum left, SeqNum right) {
  OutOfOrder& o = c.out_of_order;
  if (!o.has_duplicate) {
    note_duplicate(c, x, left, right);
  } else {
    extend(o.duplicate, {left, right});
  }
}

void receive_data(Connection& c, TcpContext& x, const TcpSegment& segment) {
  const SeqNum end = segment.end();
  SeqNum seq = segment.seq + (segment.syn() && end > c.rcv_nxt ? 1 : 0);
  if (seq == end) return;
  c.out_of_order.has_duplicate = false;
  if (end <= c.rcv_nxt) {  // all of it is known
    note_duplicate(c, x, seq, end);
    quick_acks(c, kMostQuickAcks);
    c.pingpong = 0;
    c.ack_wanted = true;
    return;
  }
  std::uint32_t window = c.receive_window();
  if (seq == c.rcv_nxt && window == 0) {
    // A FIN alone needs no room.
    if (!(segment.payload.empty() && segment.fin())) {
      out_of_window(c);
      return;
    }
    window = 1;
  }
  if (seq >= c.rcv_nxt + window) {
    out_of_window(c);
    return;
  }
  std::span<const std::byte> data = segment.payload;
  if (seq < c.rcv_nxt) {
    const auto known = static_cast<std::size_t>(c.rcv_nxt - seq);
    note_duplicate(c, x, seq, c.rcv_nxt);
    if (window == 0) {
      out_of_window(c);
      return;
    }
    data = data.subspan(std::min(known, data.size()));
    seq = c.rcv_nxt;
  }
  if (c.fin_at && seq + static_cast<std::uint32_t>(data.size()) > *c.fin_at) {
    if (seq > *c.fin_at) {
      out_of_window(c);
      return;
    }
    data = data.first(static_cast<std::size_t>(*c.fin_at - seq));
  }
  const auto offset = static_cast<std::size_t>(seq - c.rcv_nxt);
  const SeqNum data_end = seq + static_cast<std::uint32_t>(data.size());
  const bool had_gaps = c.gaps != nullptr || c.fin_at.has_value();
  // Data that can come again is not taken where there is no room for it; a connection that has nothing waiting can
  // always go on.
  bool no_room = x.memory_full && (offset > 0 || !c.receive_buffer.empty()) && !data.empty();
  if (no_room && offset == 0) no_room = give_back_beyond(c, x, seq) < data.size();
  if (no_room || (offset > 0 && too_many_pieces(c, {seq, data_end}))) {
    out_of_window(c);
    c.ack_now = true;
    return;
  }
  if (!make_room(c, x, seq)) {
    if (offset > 0) return;
    c.no_memory = c.ack_now = c.ack_wanted = true;
    if (!c.receive_buffer.empty() && !data.empty()) return;
  }
  const bool grew = offset == 0 && c.receive_buffer.write(data);
  if (segment.fin()) note_fin(c, end - 1);
  if (grew || offset > 0 || had_gaps) c.news |= news::kBuffers;
  c.trim_timer = x.now + 1s;
  if (offset > 0) {
    note_marks(c, segment);
    measure(c, segment);
    c.ack_wanted = true;
    ++c.out_of_order_in;
    // A FIN takes a number in its piece, as SACK tells it.
    const bool with_fin = c.fin_at && data_end == *c.fin_at && segment.fin();
    const SeqNum piece_end = data_end + (with_fin ? 1U : 0U);
    if (seq < piece_end) {
      hold_beyond_gap(c, x, segment, seq, piece_end, data);
      add_gap_data(c, x, {seq, piece_end});
      if (c.user != 0) grow_buffer(c, x, c.rcv_space);
    }
    return;
  }
  if (!data.empty()) {
    hold_packet(c, segment, data_end);
    c.bytes_received += data.size();
    c.rcv_nxt = data_end;
    note_data(c, x, segment);
    c.news |= news::kReadable;
    take_from_beyond(c, x);
    close_gaps(c);
    // Nobody will read it, and the window shall not close over it.
    if (c.read_shutdown && c.state != TcpState::Established) {
      c.receive_buffer.drop(c.receive_buffer.size());
      release_read(c);
    }
    // The last gap has closed: at once (RFC 5681, 4.2).
    if (had_gaps && !c.gaps) c.ack_now = true;
  }
  if (c.fin_at && c.rcv_nxt == *c.fin_at && !c.fin_received) {
    c.fin_at.reset();
    receive_fin(c, x);
  }
  forget_known_blocks(c);
}

// Linux: tcp_fastopen_add_skb. It is no measure of how the peer sends.
void take_syn_data(Connection& c, const TcpSegment& syn) {
  if (syn.payload.empty()) return;
  c.receive_buffer.write(syn.payload);
  c.rcv_nxt += static_cast<std::uint32_t>(syn.payload.size());
  c.rcv_wup = c.rcv_nxt;
  hold_packet(c, syn, c.rcv_nxt);
  c.bytes_received += syn.payload.size();
  ++c.data_segments_in;
  c.syn_data = true;
  c.news |= news::kReadable | news::kBuffers;
}

// Beyond a gap the first few ACKs tell the sender of the loss, and those that follow may be one for many (Linux:
// compressed ACKs; RFC 5681, 4.2).
static void acknowledge_beyond_gap(Connection& c, TcpContext& x) {
  constexpr std::uint8_t kTold = 3;
  if (!c.sack || c.compressed_acks >= x.settings.comp_sack_nr) {
    send_ack(c, x);
    return;
  }
  if (c.told_at != c.rcv_nxt) {
    c.told_at = c.rcv_nxt;
    c.told = 0;
  }
  if (c.told < kTold) {
    ++c.told;
    send_ack(c, x);
    return;
  }
  if (c.compressed_acks++ > 0) return;
  Duration rtt = c.rcv_rtt;
  if (c.rtt.smoothed != Duration::zero() && c.rtt.smoothed < rtt) rtt = c.rtt.smoothed;
  const Duration wait =
      std::min<Duration>(std::chrono::nanoseconds(x.settings.comp_sack_delay_ns), rtt / 20);
  c.ack_timer = std::min(c.ack_timer, x.now + wait);
}

void acknowledge_news(Connection& c, TcpContext& x) {
  if (c.state == TcpState::Closed || c.state == TcpState::TimeWait) return;
  const auto unannounced = static_cast<std::uint32_t>(c.rcv_nxt - c.rcv_wup);
  // Every second full segment (MUST-58), if the window can keep its size.
  const auto unread = static_cast<std::uint32_t>(c.receive_buffer.size());
  const bool second = unannounced > c.rcv_mss &&
                      (unread < std::max(c.options.read_low, 1U) || window_now(c, x) >= c.rcv_wnd);
  // A buffer that is half full ends the quick ones (Linux: __tcp_select_window).
  if (second || (c.quick > 0 && !interactive(c)) || c.ack_now) {
    send_ack(c, x);
  } else if (c.gaps) {
    acknowledge_beyond_gap(c, x);
  } else {
    arm_delayed_ack(c, x);
  }
}

void after_read(Connection& c, TcpContext& x, std::size_t n) {
  if (c.state == TcpState::Closed) return;
  bool now = false;
  if (c.ack_wanted) {
    const auto unannounced = static_cast<std::uint32_t>(c.rcv_nxt - c.rcv_wup);
    now = unannounced > c.rcv_mss ||
          (n > 0 && c.rcv_memory == 0 && (c.pushed_in > 1 || (c.pushed_in > 0 && !interactive(c))));
  }
  if (!now && n > 0) now = window_update_due(c, x);
  if (now) send_ack(c, x);
}

}  // namespace lastack
