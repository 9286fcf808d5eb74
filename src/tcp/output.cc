#include "tcp/output.h"

#include <algorithm>
#include <cstring>

#include "tcp/congestion_control.h"
#include "tcp/receive_window.h"
#include "tcp/seen.h"
#include "tcp/send_space.h"
#include "tcp/timers.h"
#include "wire/ip_packet.h"
#include "wire/plain_segment.h"

namespace lastack {
namespace {

constexpr std::uint32_t kMostPayload = 65535 - 60 - 60;

bool tells_by_sack(const Connection& c) {
  return c.sack && (c.out_of_order.recent_count > 0 || c.out_of_order.has_duplicate);
}

Timestamps timestamps_now(const Connection& c, const TcpContext& x) {
  return {timestamp_clock(x.now) + c.ts_offset, c.ts_recent};
}

void set_usual_options(const Connection& c, const TcpContext& x, TcpOptions& options) {
  if (c.timestamps) options.timestamps = timestamps_now(c, x);
  if (!tells_by_sack(c)) return;
  const OutOfOrder& o = c.out_of_order;
  const std::size_t most = c.timestamps ? 3 : 4;
  if (o.has_duplicate) {
    options.sack[options.sack_count++] = {o.duplicate.left, o.duplicate.right};
  }
  for (std::uint8_t i = 0; i < o.recent_count && options.sack_count < most; ++i) {
    options.sack[options.sack_count++] = {o.recent[i].left, o.recent[i].right};
  }
}

// What a packet carries beside its headers.
struct Payload {
  SeqNum seq;
  std::uint32_t length = 0;        // of the send buffer, from `seq` on
  std::uint16_t segment_size = 0;  // to be cut into pieces of that size
  bool again = false;              // does not count as sent (Linux: __tcp_transmit_skb)
};

// Queues one packet, whose headers `write` writes where the payload lies already. False if there is no room.
template <class Write>
[[gnu::always_inline]] inline bool queue_packet(Connection& c, TcpContext& x,
                                                const Payload& payload, std::uint16_t flags,
                                                std::size_t headers, Write&& write) {
  const std::uint32_t length = payload.length;
  std::byte* packet = x.out.reserve(headers + length);
  if (packet == nullptr) return false;
  if (length > 0) {
    // The first byte kept is the one after what is acknowledged; a SYN that is not has none.
    const SeqNum first = max(c.snd_una, c.iss + 1);
    c.send_buffer.peek(static_cast<std::size_t>(payload.seq - first), {packet + headers, length});
  }
  write(packet, !x.checksum_offload && payload.segment_size == 0);
  x.out.commit(payload.segment_size);
  const std::uint32_t packets =
      payload.segment_size == 0 ? 1 : packets_of(length, payload.segment_size);
  c.segments_out += packets;
  if (length > 0) {
    c.data_segments_out += packets;
    c.bytes_sent += length;
  }
  if (!payload.again) x.counters.OutSegs += packets;
  if ((flags & tcp_flag::kRst) != 0) ++x.counters.OutRsts;
  return true;
}

// Each segment on its own, as it will be on the wire.
[[gnu::noinline]] void tell_sent(const Connection& c, const TcpContext& x, const SeenSegment& whole,
                                 std::uint16_t segment_size) {
  if (segment_size == 0) {
    x.observer->sent(x.now, c.tuple, whole);
    return;
  }
  SeenSegment piece = whole;
  for (std::uint32_t at = 0; at < whole.length; at += piece.length) {
    piece.seq = whole.seq + at;
    piece.length = std::min<std::uint32_t>(segment_size, whole.length - at);
    piece.flags = whole.flags;
    if (at > 0) piece.flags &= static_cast<std::uint16_t>(~tcp_flag::kCwr);
    if (at + piece.length < whole.length)
      piece.flags &= static_cast<std::uint16_t>(~(tcp_flag::kPsh | tcp_flag::kFin));
    x.observer->sent(x.now, c.tuple, piece);
  }
}

// Writes one packet of any kind.
void emit(Connection& c, TcpContext& x, TcpSegment& segment, const Payload& payload) {
  segment.source = c.tuple.local.port;
  segment.destination = c.tuple.remote.port;
  const IpHeader ip{
      .source = c.tuple.local.address,
      .destination = c.tuple.remote.address,
      .hop_limit = c.options.hop_limit,
      .traffic_class = static_cast<std::uint8_t>(c.options.traffic_class | segment.ecn)};
  const std::size_t ip_length = ip_header_length(ip.source);
  const std::size_t tcp_length = header_length(segment.options);
  const auto write = [&](std::byte* packet, bool with_checksum) {
    write_ip(packet, ip, tcp_length + payload.length);
    write_tcp(packet + ip_length, segment, payload.length, ip.source, ip.destination,
              with_checksum);
  };
  if (!queue_packet(c, x, payload, segment.flags, ip_length + tcp_length, write)) return;
  if (x.observer != nullptr) tell_sent(c, x, seen(segment, payload.length), payload.segment_size);
}

// What every segment with an ACK does to the connection: it announces a window, and no ACK is owed any more.
void note_ack_sent(Connection& c) {
  // The last of the quick ones begins the measure of how long an ACK may wait (Linux: tcp_dec_quickack_mode).
  if (c.quick > 0 && c.ack_wanted && --c.quick == 0) c.ato = kLeastDelayedAck;
  c.ack_wanted = c.ack_pending = c.ack_now = c.no_memory = false;
  c.pushed_in = 0;
  c.compressed_acks = 0;
  c.ack_timer = Instant::max();
  c.out_of_order.has_duplicate = false;
}

// A segment with an ACK, which nearly all are.
struct Outgoing {
  Payload payload;
  std::uint16_t flags = 0;  // besides ACK, and ECE
  std::uint16_t urgent = 0;
  std::uint8_t ecn = 0;
};

void emit_with_ack(Connection& c, TcpContext& x, const Outgoing& what) {
  PlainNumbers n{.seq = what.payload.seq,
                 .ack = c.rcv_nxt,
                 .flags = static_cast<std::uint16_t>(what.flags | tcp_flag::kAck),
                 .window = choose_window(c, x),
                 .urgent = what.urgent,
                 .timestamps = {}};
  if (c.congestion_seen) n.flags |= tcp_flag::kEce;
  if (c.timestamps && !tells_by_sack(c) && c.tuple.local.address.is_v4()) {
    // Nearly always.
    n.timestamps = timestamps_now(c, x);
    const auto write = [&](std::byte* packet, bool with_checksum) {
      write_plain(packet, c.tuple, n, c.options.hop_limit,
                  static_cast<std::uint8_t>(c.options.traffic_class | what.ecn),
                  what.payload.length, with_checksum);
    };
    if (!queue_packet(c, x, what.payload, n.flags, kPlainHeaders, write)) return;
    if (x.observer != nullptr)
      tell_sent(c, x, seen(n, what.payload.length), what.payload.segment_size);
    return;
  }
  TcpSegment segment;
  segment.seq = n.seq;
  segment.ack = n.ack;
  segment.flags = n.flags;
  segment.window = n.window;
  segment.urgent = n.urgent;
  segment.ecn = what.ecn;
  set_usual_options(c, x, segment.options);
  emit(c, x, segment, what.payload);
}

}  // namespace

std::uint8_t next_place(const Connection& c, const TcpContext& x) {
  if (c.last_sent != x.now) return 0;
  return static_cast<std::uint8_t>(std::min<int>(c.last_place + 1, SentSegment::kMostPlaces));
}

void emit_data(Connection& c, TcpContext& x, SeqNum seq, std::uint32_t length, std::uint8_t flags,
               std::uint32_t mss, bool fresh) {
  const bool fin = (flags & SentSegment::kFin) != 0;
  const std::uint32_t bytes = length - (fin ? 1 : 0);
  const auto one = [&](SeqNum from, std::uint32_t n, bool last, std::uint16_t segment_size) {
    Outgoing segment{
        .payload = {.seq = from, .length = n, .segment_size = segment_size, .again = !fresh}};
    // A super-segment always says PSH, on its last piece: the peer that puts it together again (GRO) need not
    // wait for more (Linux: __tcp_transmit_skb).
    if (last && ((flags & SentSegment::kPush) != 0 || segment_size != 0)) {
      segment.flags |= tcp_flag::kPsh;
    }
    if (last && fin) segment.flags |= tcp_flag::kFin;
    // Only new data may be marked (RFC 3168, 6.1.5), and tells of a reduction (6.1.2).
    if (c.ecn && fresh && n > 0) {
      segment.ecn = ecn::kCapable0;
      if (c.congestion_answered) segment.flags |= tcp_flag::kCwr;
      c.congestion_answered = false;
    }
    if (c.urgent_pending && c.snd_up > from) {
      const std::uint32_t distance = static_cast<std::uint32_t>(c.snd_up - from);
      if (distance <= 0xffff) {
        segment.flags |= tcp_flag::kUrg;
        segment.urgent = static_cast<std::uint16_t>(distance);
      }
    }
    emit_with_ack(c, x, segment);
    note_ack_sent(c);
  };
  if (bytes <= mss || x.settings.gso_max_size != 0) {
    one(seq, bytes, true, bytes > mss ? static_cast<std::uint16_t>(mss) : std::uint16_t{0});
  } else {
    for (std::uint32_t at = 0; at < bytes; at += mss) {
      const std::uint32_t n = std::min(mss, bytes - at);
      one(seq + at, n, at + n == bytes, 0);
    }
  }
  c.last_place = next_place(c, x);
  c.last_sent = x.now;
  x.out.say_last_of(&c);
  // An answer within the delayed ACK's time makes this an interactive session (Linux: pingpong).
  if (bytes > 0 && x.now - c.last_received < c.ato && c.pingpong < 255) ++c.pingpong;
}

std::uint32_t super_segment(const Connection& c, const TcpContext& x, std::uint32_t mss) {
  if (x.settings.gso_max_size == 0) return 1;
  const std::uint32_t most_bytes = std::min(kMostPayload, x.settings.gso_max_size);
  const std::uint32_t most = std::max<std::uint32_t>(1, most_bytes / mss);
  if (c.rtt.smoothed == Duration::zero()) return most;
  double bytes = static_cast<double>(c.pacing_rate) / 1024;
  const auto shift = c.rtt.least / std::chrono::microseconds(512);
  if (c.rtt.least != Duration::max() && shift < 17) bytes += most_bytes >> shift;
  const auto goal = static_cast<std::uint32_t>(std::min(bytes / mss, 65535.0));
  return std::min(most, std::max(goal, static_cast<std::uint32_t>(x.settings.min_tso_segs)));
}

namespace {

// RFC 1122, 4.2.3.4, as refined by Minshall: a short segment waits while another short one is on its way.
bool nagle_holds(const Connection& c) {
  if (c.nonagle_push || c.urgent_pending) return false;
  if (c.options.cork) return true;
  if (c.options.no_delay) return false;
  return c.packets_out > 0 && c.snd_small > c.snd_una && c.snd_small <= c.snd_nxt;
}

enum class Defer : std::uint8_t { No, Yes, ForCwnd, ForWindow };

// A segment of several packets waits for more when the window is nearly used up anyway and an ACK is about to
// come (Linux: tcp_tso_should_defer; RFC 9293, 3.8.6.2.1).
Defer defer_super_segment(const Connection& c, const TcpContext& x, std::uint32_t window,
                          std::uint32_t mss, std::uint32_t waiting, bool last_piece,
                          std::uint32_t most_segments) {
  if (c.ca >= CongestionState::Recovery) return Defer::No;
  if (x.now - c.last_sent > 1ms) return Defer::No;
  const std::uint32_t flight = c.in_flight();
  const std::uint32_t quota = c.congestion.cwnd > flight ? c.congestion.cwnd - flight : 0;
  const std::uint32_t allowed = quota * mss;
  const std::uint32_t limit = std::min(window, allowed);
  if (limit >= most_segments * mss) return Defer::No;
  // In the middle of the queue it will not become longer.
  if (!last_piece && limit >= waiting) return Defer::No;
  const std::uint32_t chunk = std::min(c.snd_wnd, c.congestion.cwnd * mss) / 3;
  if (limit >= chunk) return Defer::No;
  // The next ACK has to be near (Linux 6.18; before it was enough that half a round trip had gone by).
  if (c.sent.empty()) return Defer::No;
  const Duration until_ack = c.sent.front().sent_at + c.rtt.smoothed - x.now;
  if (until_ack > std::min<Duration>(c.rtt.smoothed / 2, 1ms)) return Defer::No;
  if (allowed < window) {
    if (allowed <= waiting) return Defer::ForCwnd;
  } else if (window <= waiting) {
    return Defer::ForWindow;
  }
  return Defer::Yes;
}

// What is shorter than may be sent is made longer by what follows it (Linux: tcp_grow_skb).
void take_from_next_piece(Connection& c, std::uint32_t wanted) {
  SentSegment& piece = c.unsent.front();
  if (piece.length >= wanted || (piece.flags & SentSegment::kEndOfRecord) != 0) return;
  SentSegment& next = c.unsent[1];
  const std::uint32_t n = std::min(wanted - piece.length, next.length);
  piece.length += n;
  next.seq += n;
  next.length -= n;
  if (next.length > 0) return;
  piece.flags |= next.flags;
  c.unsent.erase(1);
}

enum class Push { Usual, One, LossProbe, WindowProbe };

// Whether there is data left that nothing on its way will let go: the window probe has to.
bool push_data(Connection& c, TcpContext& x, Push how) {
  if (c.state == TcpState::SynSent || (c.state == TcpState::SynReceived && !c.fast_open) ||
      c.state == TcpState::Closed || c.state == TcpState::Listen) {
    return false;
  }
  if (!c.has_unsent()) return false;
  const std::uint32_t mss = send_mss(c);
  // Most pushes have one short segment to send, and none of these divisions to make.
  const bool several = c.unsent.size() > 1 || (!c.unsent.empty() && c.unsent.front().length > mss);
  const std::uint32_t most_segments = several ? super_segment(c, x, mss) : 1;
  std::uint32_t sent_packets = 0;
  bool cwnd_limited = false, window_limited = false;
  for (;;) {
    if (c.fin_sent || (c.unsent.empty() && !c.fin_queued)) break;
    if (c.packets_out > 0 && write_queue_too_big(c, x)) break;
    std::uint32_t quota = c.congestion.cwnd > c.in_flight() ? c.congestion.cwnd - c.in_flight() : 0;
    if (quota == 0) {
      if (how != Push::LossProbe) {
        cwnd_limited = true;
        break;
      }
      quota = 1;
    }
    // A super-segment takes at most half of the window, so that ACKs go on coming (Linux: tcp_cwnd_test).
    quota = std::min(quota, std::max(c.congestion.cwnd / 2, 1U));
    if (c.unsent.size() > 1) take_from_next_piece(c, mss * std::min(quota, most_segments));
    // Only the last piece may still grow, and be worth waiting for.
    const bool last_piece = c.unsent.size() <= 1;
    const bool fin_waits = c.fin_queued && last_piece;
    const std::uint32_t waiting = c.unsent.empty() ? 0 : c.unsent.front().length;
    const std::int32_t window_left = c.send_limit() - c.snd_nxt;
    const std::uint32_t window = window_left < 0 ? 0 : static_cast<std::uint32_t>(window_left);
    // A whole segment has to fit, with its FIN if it is the last: no silly piece of window is used, unless it was
    // waited for long enough (RFC 9293, 3.8.6.2.1; Linux: tcp_snd_wnd_test).
    const std::uint32_t first = waiting > mss ? mss : waiting + (fin_waits ? 1U : 0U);
    if (how == Push::WindowProbe ? window == 0 : window < first) {
      window_limited = true;
      break;
    }
    std::uint32_t bytes = waiting;
    if (how == Push::WindowProbe) {
      bytes = std::min({waiting, mss, window});
    } else if (waiting > mss) {
      if (how == Push::Usual) {
        const Defer defer =
            defer_super_segment(c, x, window, mss, waiting, last_piece, most_segments);
        cwnd_limited |= defer == Defer::ForCwnd;
        window_limited |= defer == Defer::ForWindow;
        // With nothing more to come there is nothing to wait for.
        if (defer != Defer::No && !(defer == Defer::Yes && fin_waits)) break;
      }
      // Linux: tcp_mss_split_point. The rest of the window may be used with it.
      const std::uint32_t most = mss * std::min(quota, most_segments);
      const std::uint32_t needed = std::min(waiting, window);
      if (c.urgent_pending) {
        bytes = mss;
      } else if ((most <= window && !last_piece) || most <= needed) {
        bytes = std::min(most, waiting);
      } else {
        bytes = needed;
        if (needed % mss != 0 && how == Push::Usual && nagle_holds(c)) bytes -= needed % mss;
      }
    } else if (waiting < mss && last_piece && !fin_waits && how == Push::Usual && nagle_holds(c)) {
      break;
    }
    const bool all = bytes == waiting;
    const bool fin = fin_waits && all;
    std::uint8_t flags = 0;
    if (all && waiting > 0) {
      flags |= static_cast<std::uint8_t>(c.unsent.front().flags &
                                         (SentSegment::kPush | SentSegment::kEndOfRecord));
    }
    if (how == Push::WindowProbe) flags |= SentSegment::kPush;  // Linux: tcp_write_wakeup
    if (fin) flags |= SentSegment::kFin;
    if (fin && bytes == 0) flags &= static_cast<std::uint8_t>(~SentSegment::kPush);
    const std::uint32_t length = bytes + (fin ? 1 : 0);
    const auto packets = static_cast<std::uint16_t>(packets_of(bytes, mss));
    const SeqNum seq = c.snd_nxt;
    const std::uint32_t before = c.packets_out;
    if (c.in_flight() == 0) shift_epoch(c, x);
    c.snd_nxt += length;
    if (fin) c.fin_sent = true;
    if (all && waiting > 0) {
      c.unsent.pop_front();
    } else if (waiting > 0) {
      c.unsent.front().seq += bytes;
      c.unsent.front().length -= bytes;
    }
    SentSegment going{.seq = seq,
                      .length = length,
                      .sent_at = x.now,
                      .segments = packets,
                      .flags = flags,
                      .delivered = c.delivered};
    going.set_place(next_place(c, x));
    if (c.sent.push_back(going)) {
      c.news |= news::kBuffers;
    }
    c.packets_out += packets;
    sent_packets += packets;
    if (bytes < mss * packets) c.snd_small = seq + length;
    emit_data(c, x, seq, length, flags, mss, true);
    if (before == 0 || c.send_timer_is == SendTimer::LossProbe) rearm_retransmit(c, x);
    if (how != Push::Usual) break;
  }
  if (window_limited) {
    wait_for(c, x, Waiting::Window);
  } else if (c.waits_for == Waiting::Window) {
    stop_waiting_for(c, x, Waiting::Window);
  }
  if (c.in_flight() >= c.congestion.cwnd) cwnd_limited = true;
  if (sent_packets > 0 || cwnd_limited) validate_cwnd(c, x, cwnd_limited);
  if (sent_packets > 0) {
    if (c.ca == CongestionState::Recovery || c.ca == CongestionState::CwndReduced) {
      c.congestion.prr_out += sent_packets;
    }
    // After a probe it is the time-out that is waited for (Linux: only tcp_write_xmit schedules one).
    if (how == Push::Usual || how == Push::One) schedule_loss_probe(c, x, false);
    return false;
  }
  return c.packets_out == 0 && c.has_unsent();
}

}  // namespace

std::uint32_t send_mss(const Connection& c) {
  std::uint32_t mss = usual_mss(c);
  const OutOfOrder& o = c.out_of_order;
  if (c.sack && (o.recent_count > 0 || o.has_duplicate)) {
    const std::uint32_t blocks =
        std::min<std::uint32_t>(o.recent_count + (o.has_duplicate ? 1U : 0U), c.timestamps ? 3 : 4);
    const std::uint32_t taken = 4 + 8 * blocks;
    mss = mss > taken + 8 ? mss - taken : mss;
  }
  return std::max<std::uint32_t>(mss, 8);
}

void agree_on_mss(Connection& c, const TcpContext& x) {
  const auto floor = static_cast<std::uint16_t>(x.settings.min_snd_mss);
  c.mss = std::max(std::min(c.peer_mss, path_mss(c)), floor);
  // No segment takes more than half of the largest window that the peer has ever had (Linux: tcp_bound_to_half_wnd).
  constexpr std::uint32_t kUsual = 536, kLeastPacket = 68;
  const std::uint32_t options = c.timestamps ? kTimestampOption : 0;
  std::uint32_t most = c.max_window > kUsual ? c.max_window / 2 : c.max_window;
  if (most == 0) return;
  most = std::max<std::uint32_t>(most, kLeastPacket - kTcpHeaderLength - options) + options;
  if (c.mss > most) c.mss = static_cast<std::uint16_t>(most);
}

void push_waiting(Connection& c, TcpContext& x) {
  if (!push_data(c, x, Push::Usual)) return;
  if (c.send_timer_is == SendTimer::None) arm_window_probe(c, x);
}

void update_pacing_rate(Connection& c) {
  const std::uint32_t gain = c.congestion.cwnd < c.congestion.ssthresh / 2 ? 200 : 120;
  std::uint64_t rate = std::uint64_t{send_mss(c)} * (10'000 << 3) * gain;
  rate *= std::max(c.congestion.cwnd, c.packets_out);
  const auto rtt = static_cast<std::uint64_t>(8 * c.rtt.smoothed / 1us);
  c.pacing_rate = rtt == 0 ? rate : rate / rtt;
}

void push_one(Connection& c, TcpContext& x) {
  push_data(c, x, Push::One);
}

std::uint32_t piece_goal(const Connection& c, const TcpContext& x) {
  const std::uint32_t mss = send_mss(c);
  std::uint32_t most =
      x.settings.gso_max_size == 0 ? kMostPayload : std::min(kMostPayload, x.settings.gso_max_size);
  constexpr std::uint32_t kUsualMss = 536;
  const std::uint32_t half = c.max_window > kUsualMss ? c.max_window / 2 : c.max_window;
  if (half != 0) most = std::min(most, half);
  return std::max(most / mss * mss, mss);
}

bool push_loss_probe(Connection& c, TcpContext& x) {
  const std::uint32_t before = c.packets_out;
  push_data(c, x, Push::LossProbe);
  return c.packets_out > before;
}

void push_window_probe(Connection& c, TcpContext& x) {
  push_data(c, x, Push::WindowProbe);
}

void send_ack(Connection& c, TcpContext& x) {
  if (c.state == TcpState::Closed) return;
  emit_with_ack(c, x, {.payload = {.seq = c.snd_nxt}});
  note_ack_sent(c);
}

void send_ack_out_of_window(Connection& c, TcpContext& x, const TcpSegment& segment) {
  // Data, or a FIN, is always told; only empty ACKs could go back and forth for ever.
  if (segment.length() > 0 && !segment.syn()) {
    send_ack(c, x);
    return;
  }
  const auto limit = std::chrono::milliseconds(x.settings.invalid_ratelimit_ms);
  if (c.last_out_of_window != Instant{} && x.now - c.last_out_of_window < limit) return;
  c.last_out_of_window = x.now;
  send_ack(c, x);
}

void send_challenge_ack(Connection& c, TcpContext& x) {
  const auto limit = std::chrono::milliseconds(x.settings.invalid_ratelimit_ms);
  if (c.last_out_of_window != Instant{} && x.now - c.last_out_of_window < limit) return;
  c.last_out_of_window = x.now;
  ChallengeLimit& host = x.challenges;
  if (host.per_second != 0x7fffffff) {
    if (x.now - host.second >= 1s || host.second == Instant{}) {
      host.second = x.now;
      host.refill();
    }
    if (host.left == 0) return;
    --host.left;
  }
  ++x.counters.TCPChallengeACK;
  send_ack(c, x);
}

void send_reset(Connection& c, TcpContext& x) {
  emit_with_ack(c, x, {.payload = {.seq = c.snd_nxt}, .flags = tcp_flag::kRst});
}

void send_probe(Connection& c, TcpContext& x) {
  // Below snd_una: the peer has it, and must answer (RFC 1122, 4.2.3.6; Linux: tcp_xmit_probe_skb). Of urgent
  // data the peer is told in one of its own, to which it need not answer.
  const bool urgent = c.urgent_pending && c.snd_up > c.snd_una && c.snd_up <= c.snd_una + 0xffff;
  if (urgent) {
    emit_with_ack(c, x,
                  {.payload = {.seq = c.snd_una},
                   .flags = tcp_flag::kUrg,
                   .urgent = static_cast<std::uint16_t>(c.snd_up - c.snd_una)});
  }
  emit_with_ack(c, x, {.payload = {.seq = c.snd_una - 1}});
  note_ack_sent(c);
}

void send_syn(Connection& c, TcpContext& x, bool again,
              const std::optional<FastOpenCookie>& cookie) {
  TcpSegment segment;
  segment.seq = c.iss;
  segment.flags = tcp_flag::kSyn;
  segment.options.fast_open = cookie;
  const bool answer = c.state == TcpState::SynReceived || c.fast_open;
  if (answer) {
    segment.flags |= tcp_flag::kAck;
    segment.ack = c.rcv_nxt;
    if (c.ecn) segment.flags |= tcp_flag::kEce;
  } else if (x.settings.ecn == 1 && !again) {
    // Not when the SYN has to be repeated: something on the path may dislike it (Linux: tcp_ecn_fallback).
    segment.flags |= tcp_flag::kEce | tcp_flag::kCwr;
    c.ecn_offered = true;
  }
  // Not scaled in a SYN (RFC 7323, 2.2).
  segment.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(c.rcv_wnd, 65535));
  segment.options.mss = c.announced;
  // In a simultaneous open the SYN goes again as it was, with an ACK.
  const bool repeats = answer && c.origin == TcpState::SynSent;
  const bool offer = !answer || repeats;
  if (offer ? x.settings.timestamps : c.timestamps) {
    segment.options.timestamps =
        Timestamps{timestamp_clock(x.now) + c.ts_offset, c.ts_recent_valid ? c.ts_recent : 0};
  }
  if (offer ? x.settings.sack && !c.options.sack_off : c.sack)
    segment.options.sack_permitted = true;
  if (offer ? x.settings.window_scaling : c.window_scaling) {
    segment.options.window_scale = c.offered_wscale;
  }
  c.syn_last_clock = timestamp_clock(x.now);
  if (!again && !repeats) c.syn_sent_clock = c.syn_last_clock;
  emit(c, x, segment, {.seq = c.iss, .again = repeats || (again && !answer)});
  if (again) {
    ++x.counters.RetransSegs;
    ++x.counters.TCPSynRetrans;
    ++c.total_retrans;
  }
}

}  // namespace lastack
