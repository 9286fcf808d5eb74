#include "tcp/receive_window.h"

#include <algorithm>
#include <bit>

#include "tcp/output.h"
#include "tcp/receive.h"

namespace lastack {
namespace {

// struct sk_buff and struct skb_shared_info of Linux 6 on a 64-bit machine, and what a device keeps free before a packet.
constexpr std::uint32_t kSkBuff = 256, kSharedInfo = 320, kHeadroom = 64;
constexpr std::uint32_t kSmallHead = 576;  // SKB_SMALL_HEAD_CACHE_SIZE
constexpr std::uint32_t kPage = 4096;
constexpr std::uint32_t kLeastBuffer = 2048 + kSkBuff;  // SOCK_MIN_RCVBUF
constexpr std::uint32_t kWorthGrowing = 128;            // bytes of data in a packet

// What is allocated for a packet's head when `bytes` are wanted.
std::uint32_t head_of(std::uint32_t bytes) {
  const std::uint32_t wanted = (bytes + 63) / 64 * 64 + kSharedInfo;
  return wanted <= kSmallHead ? kSmallHead : std::bit_ceil(wanted);
}
bool is_paged(std::uint32_t bytes) {
  return kHeadroom + bytes >= kPage;
}
std::uint32_t length_of(const TcpSegment& segment, bool v4) {
  return static_cast<std::uint32_t>(segment.payload.size()) + segment.header_bytes + (v4 ? 20 : 40);
}
std::uint32_t length_of(const Connection& c, const TcpSegment& segment) {
  return length_of(segment, c.tuple.local.address.is_v4());
}
std::uint32_t room_behind(std::uint32_t bytes) {
  if (is_paged(bytes)) return 0;
  return head_of(kHeadroom + bytes) - kSharedInfo - kHeadroom - bytes;
}

std::uint32_t window_from(const Connection& c, std::uint32_t memory) {
  return static_cast<std::uint32_t>(std::uint64_t{memory} * c.rcv_share >> 8);
}
std::uint32_t memory_from(const Connection& c, std::uint32_t window) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>((std::uint64_t{window} << 8) / c.rcv_share, 1U << 30));
}
std::int32_t free_space(const Connection& c) {
  const std::int64_t memory = std::int64_t{c.rcv_buffer_size} - std::int64_t{c.rcv_memory};
  return static_cast<std::int32_t>(memory * c.rcv_share >> 8);
}

// Pieces that lie beyond a gap: those of one stretch as one packet, as far as it fits a page (Linux: tcp_collapse).
constexpr std::uint32_t kMostCollapsed = kPage - kSharedInfo;

void put_collapsed(Connection& c, SeqNum from, SeqNum to) {
  while (from < to) {
    const auto bytes = std::min(static_cast<std::uint32_t>(to - from), kMostCollapsed);
    from += bytes;
    const std::uint32_t head = head_of(bytes);
    c.held.push_back({from, head + kSkBuff, head - kSharedInfo - bytes});
    c.rcv_memory += head + kSkBuff;
  }
}

void collapse_in_order(Connection& c) {
  const std::uint32_t n = c.held.size();
  SeqNum from = c.read_next();
  std::uint32_t first = 0;
  for (; first < n; ++first) {
    const HeldPacket& p = c.held[first];
    if (window_from(c, p.cost) > static_cast<std::uint32_t>(p.end - from)) break;
    from = p.end;
  }
  if (first == n) return;
  const SeqNum to = c.held.back().end;
  for (std::uint32_t i = first; i < n; ++i) c.rcv_memory -= c.held[i].cost;
  c.held.keep_first(first);
  put_collapsed(c, from, to);
}

void collapse_beyond(Connection& c) {
  if (!c.held_beyond) return;
  HeldBeyond& pieces = *c.held_beyond;
  HeldBeyond kept;
  std::vector<std::byte> stretch;
  for (std::size_t i = 0; i < pieces.size();) {
    std::size_t next = i + 1;
    std::uint32_t cost = pieces[i].cost;
    const SeqNum begin = pieces[i].left;
    SeqNum end = pieces[i].right;
    while (next < pieces.size() && pieces[next].left <= end) {
      end = max(end, pieces[next].right);
      cost += pieces[next++].cost;
    }
    const auto bytes = static_cast<std::uint32_t>(end - begin);
    if (next == i + 1 && bytes < kMostCollapsed) {
      kept.insert(kept.size(), std::move(pieces[i]));
    } else {
      // The number of a FIN is a byte in it that nobody reads.
      stretch.assign(bytes, std::byte{});
      SeqNum done = begin;
      for (; i < next; ++i) {
        const auto data = pieces[i].between(done, pieces[i].right);
        std::copy(data.begin(), data.end(), stretch.begin() + (max(done, pieces[i].left) - begin));
        done = max(done, pieces[i].right);
      }
      c.rcv_memory -= cost;
      for (SeqNum from = begin; from < end;) {
        const auto n = std::min(static_cast<std::uint32_t>(end - from), kMostCollapsed);
        const std::uint32_t head = head_of(n);
        const auto data = std::span(stretch).subspan(static_cast<std::size_t>(from - begin), n);
        kept.insert(kept.size(), HeldBeyond::piece(from, from + n, data, head + kSkBuff,
                                                   head - kSharedInfo - n));
        c.rcv_memory += head + kSkBuff;
        from += n;
      }
    }
    i = next;
  }
  pieces = std::move(kept);
  c.news |= news::kBuffers;
}

// The last resort: what is farthest goes first, an eighth of the buffer at a time (Linux: tcp_prune_ofo_queue).
void prune_beyond(Connection& c, const TcpContext& x, SeqNum seq) {
  if (!c.held_beyond) return;
  HeldBeyond& pieces = *c.held_beyond;
  std::int64_t goal = c.rcv_buffer_size >> 3;
  bool pruned = false;
  while (!pieces.empty() && !(seq > pieces.back().left)) {
    pruned = true;
    goal -= pieces.back().cost;
    c.rcv_memory -= pieces.back().cost;
    pieces.erase(pieces.size() - 1, pieces.size());
    if (pieces.empty() || goal <= 0) {
      if (c.rcv_memory <= c.rcv_buffer_size && !x.memory_full) break;
      goal = c.rcv_buffer_size >> 3;
    }
  }
  if (!pruned) return;
  // What is no longer kept was not received; SACK starts again (RFC 2018, 8).
  const SeqNum end = pieces.empty() ? c.rcv_nxt : pieces.back().right;
  if (c.fin_at && *c.fin_at >= end) c.fin_at.reset();
  if (c.gaps) {
    while (!c.gaps->empty() && c.gaps->back().left >= end) c.gaps->pop_back();
    if (!c.gaps->empty()) c.gaps->back().right = min(c.gaps->back().right, end);
    if (c.gaps->empty()) c.gaps.reset();
  }
  if (pieces.empty()) c.held_beyond.reset();
  c.out_of_order.recent_count = 0;
  c.news |= news::kBuffers;
}

// Linux: tcp_clamp_window.
void clamp_window(Connection& c, const TcpContext& x) {
  c.quick = 0;
  if (c.rcv_buffer_size < x.settings.rmem_max && c.options.receive_buffer == 0) {
    c.rcv_buffer_size = std::min(c.rcv_memory, x.settings.rmem_max);
  }
  if (c.rcv_memory > c.rcv_buffer_size) {
    c.rcv_window_limit = std::min<std::uint32_t>(c.window_clamp, 2U * c.announced);
  }
}

std::uint32_t most_scaled(const Connection& c) {
  return std::uint32_t{65535} << c.rcv_wscale;
}

std::uint32_t advertised_mss(const Connection& c) {
  return c.announced - (c.timestamps ? 12U : 0U);
}

}  // namespace

std::uint32_t packet_cost(std::uint32_t bytes) {
  if (!is_paged(bytes)) return head_of(kHeadroom + bytes) + kSkBuff;
  // A head and pages, in pieces of at most eight.
  std::uint32_t cost = head_of(kHeadroom) + kSkBuff;
  for (std::uint32_t order = 3; bytes > 0;) {
    while (order > 0 && bytes < (kPage << order)) --order;
    const std::uint32_t chunk = std::min(bytes, kPage << order);
    cost += kPage << order;
    bytes -= chunk;
  }
  return cost;
}

void choose_initial_window(Connection& c, const TcpContext& x, bool timestamps) {
  c.rcv_buffer_size =
      c.options.receive_buffer != 0 ? c.options.receive_buffer : x.settings.rmem_default;
  const std::uint32_t whole = window_from(c, c.rcv_buffer_size);
  std::uint32_t clamp = c.options.window_clamp;
  if (c.options.receive_buffer != 0 && (clamp > whole || clamp == 0)) clamp = whole;
  if (clamp == 0) clamp = 65535U << 14;
  std::uint32_t space = std::min(clamp, whole);
  const std::uint32_t mss = c.announced - (timestamps ? 12U : 0U);
  if (space > mss && mss > 0) space = space / mss * mss;
  c.rcv_wnd = space;
  c.rcv_wscale = 0;
  if (x.settings.window_scaling) {
    const std::uint32_t most =
        std::min(std::max({space, x.settings.rmem_max, x.settings.rmem_limit}), clamp);
    const int bits = static_cast<int>(std::bit_width(most)) - 1;
    c.rcv_wscale = static_cast<std::uint8_t>(std::clamp(bits - 15, 0, 14));
  }
  c.offered_wscale = c.rcv_wscale;
  c.window_clamp = std::min(clamp, most_scaled(c));
  c.rcv_window_limit = c.rcv_wnd;
}

void start_receive_window(Connection& c, const TcpContext& x) {
  const std::uint32_t mss = advertised_mss(c);
  const std::uint32_t most = window_from(c, c.rcv_buffer_size);
  if (c.window_clamp >= most) {
    c.window_clamp = most;
    if (most > 4 * mss) c.window_clamp = std::max(most, 4 * mss);
  }
  // Room for one segment is kept.
  if (c.window_clamp > 2 * mss && c.window_clamp + mss > most) {
    c.window_clamp = std::max(2 * mss, most - mss);
  }
  c.rcv_window_limit = std::min(c.rcv_window_limit, c.window_clamp);
  constexpr std::uint32_t kInitialWindow = 10;
  c.rcv_space = std::max(std::min({c.rcv_window_limit, c.rcv_wnd, kInitialWindow * mss}), 1U);
  c.rcv_space_at = x.now;
  c.rcv_space_seq = c.read_next();
}

void set_window_clamp(Connection& c, std::uint32_t bytes) {
  const std::uint32_t old = c.window_clamp;
  c.window_clamp = std::max(kLeastBuffer / 2, bytes);
  if (c.window_clamp == old) return;
  if (c.window_clamp < old) {
    c.rcv_window_limit = std::min(c.rcv_window_limit, c.window_clamp);
  } else {
    c.rcv_window_limit = std::max(std::min(c.rcv_wnd, c.window_clamp), c.rcv_window_limit);
  }
}

void grow_for_read_low(Connection& c) {
  if (c.options.receive_buffer != 0) return;
  const std::uint32_t wanted = memory_from(c, c.options.read_low);
  if (wanted <= c.rcv_buffer_size) return;
  c.rcv_buffer_size = wanted;
  if (c.window_clamp < c.options.read_low) set_window_clamp(c, c.options.read_low);
}

std::uint32_t window_now(Connection& c, const TcpContext& x) {
  std::int32_t space = free_space(c);
  const auto allowed = static_cast<std::int32_t>(window_from(c, c.rcv_buffer_size));
  const auto whole =
      static_cast<std::int32_t>(std::min(c.window_clamp, static_cast<std::uint32_t>(allowed)));
  std::int32_t mss = c.rcv_mss;
  if (mss > whole) {
    mss = whole;
    if (mss <= 0) return 0;
  }
  const std::uint32_t unit = 1U << c.rcv_wscale;
  const bool may_shrink = x.settings.shrink_window && c.rcv_wscale != 0;
  const auto down = [&](std::int32_t n) { return n & ~static_cast<std::int32_t>(unit - 1); };
  const auto up = [&](std::uint32_t n) { return (n + unit - 1) & ~(unit - 1); };
  if (may_shrink) space = down(space);
  if (space < whole / 2) {
    c.quick = 0;
    space = down(space);
    // Nothing rather than a silly piece, and nothing before the memory is used up (RFC 1122, 4.2.3.3).
    if (space < allowed / 16 || space < mss) return 0;
    if (may_shrink && space < static_cast<std::int32_t>(unit)) return 0;
  }
  if (may_shrink) {
    return space > static_cast<std::int32_t>(c.rcv_window_limit)
               ? up(c.rcv_window_limit)
               : static_cast<std::uint32_t>(std::max(space, 0));
  }
  space = std::min(space, static_cast<std::int32_t>(c.rcv_window_limit));
  if (c.rcv_wscale != 0) return up(static_cast<std::uint32_t>(std::max(space, 0)));
  auto window = static_cast<std::int32_t>(c.rcv_wnd);
  if (window <= space - mss || window > space) {
    window = space > 0 ? space / mss * mss : 0;
  } else if (mss == whole && space > window + whole / 2) {
    window = space;
  }
  // A closed window has to open again, even where it has never been as large as one segment.
  if (window == 0 && c.rcv_memory == 0) window = space;
  return static_cast<std::uint32_t>(std::max(window, 0));
}

std::uint16_t choose_window(Connection& c, const TcpContext& x) {
  if (c.state == TcpState::Closed) return 0;
  if (c.no_memory) {
    c.rcv_wnd = 0;
    c.rcv_wup = c.rcv_nxt;
    return 0;
  }
  const std::uint32_t old = c.receive_window();
  std::uint32_t window = window_now(c, x);
  // What was offered is not taken back (RFC 9293, SHLD-14).
  if (window < old && !(x.settings.shrink_window && c.rcv_wscale != 0)) {
    const std::uint32_t unit = 1U << c.rcv_wscale;
    window = (old + unit - 1) & ~(unit - 1);
  }
  c.rcv_wnd = window;
  c.rcv_wup = c.rcv_nxt;
  return static_cast<std::uint16_t>(std::min(window, most_scaled(c)) >> c.rcv_wscale);
}

bool window_update_due(Connection& c, const TcpContext& x) {
  if (c.read_shutdown || c.fin_received) return false;
  const std::uint32_t old = c.receive_window();
  if (2 * std::uint64_t{old} > c.window_clamp) return false;
  const std::uint32_t window = window_now(c, x);
  return window != 0 && window >= 2 * old;
}

bool make_room(Connection& c, const TcpContext& x, SeqNum seq) {
  if (c.rcv_memory <= c.rcv_buffer_size) return true;
  clamp_window(c, x);
  if (c.rcv_memory <= c.rcv_buffer_size) return true;
  collapse_beyond(c);
  if (!c.held.empty()) collapse_in_order(c);
  if (c.rcv_memory <= c.rcv_buffer_size) return true;
  prune_beyond(c, x, seq);
  return c.rcv_memory <= c.rcv_buffer_size;
}

std::size_t give_back_beyond(Connection& c, const TcpContext& x, SeqNum seq) {
  if (!c.held_beyond) return 0;
  const std::size_t before = c.held_beyond->memory();
  prune_beyond(c, x, seq);
  return before - (c.held_beyond ? c.held_beyond->memory() : 0);
}

void hold_packet(Connection& c, const TcpSegment& segment, SeqNum end) {
  const auto data = static_cast<std::uint32_t>(segment.payload.size());
  if (!c.held.empty()) {
    // Copied behind what is there, if it fits (Linux: tcp_try_coalesce). Nothing of it may be known already.
    HeldPacket& last = c.held.back();
    if (segment.seq == last.end && data <= last.room) {
      last.end = end;
      last.room -= data;
      return;
    }
  }
  const std::uint32_t bytes = length_of(c, segment);
  const std::uint32_t cost = packet_cost(bytes);
  if (c.held.push_back({end, cost, room_behind(bytes)})) c.news |= news::kBuffers;
  c.rcv_memory += cost;
}

void hold_beyond_gap(Connection& c, TcpContext& x, const TcpSegment& segment, SeqNum seq,
                     SeqNum end, std::span<const std::byte> data) {
  if (!c.held_beyond) c.held_beyond = std::make_unique<HeldBeyond>();
  HeldBeyond& pieces = *c.held_beyond;
  const auto length = static_cast<std::uint32_t>(end - seq);
  // Before it is counted, as Linux has it; and without SACK the window stays as it is: only then are ACKs duplicates
  // (RFC 5681, 2).
  const auto grow = [&] {
    if (c.sack) grow_receive_window(c, x, segment);
  };
  const auto joins = [&](std::size_t i) {
    HeldBeyond::Piece& p = pieces[i];
    if (p.right != seq || length > p.room) return false;
    // Behind the number of a FIN nothing is ever read.
    if (p.stored != static_cast<std::uint32_t>(p.right - p.left)) return false;
    grow();
    pieces.append(i, data);
    p.right = end;
    p.room -= length;
    return true;
  };
  if (!pieces.empty() && joins(pieces.size() - 1)) return;
  std::size_t at = pieces.first_after(seq);
  bool replaces = false;
  if (at > 0) {
    const HeldBeyond::Piece& before = pieces[at - 1];
    if (seq < before.right) {
      if (end <= before.right) {  // all of it is there
        note_duplicate(c, x, seq, end);
        return;
      }
      if (seq > before.left) {
        note_duplicate(c, x, seq, before.right);
      } else {  // the new one takes its place
        extend_duplicate(c, x, before.left, before.right);
        c.rcv_memory -= before.cost;
        replaces = true;
        --at;
      }
    } else if (joins(at - 1)) {
      return;
    }
  }
  const std::size_t covered = at + (replaces ? 1 : 0);
  std::size_t last = covered;
  for (; last < pieces.size() && pieces[last].right <= end; ++last) {
    extend_duplicate(c, x, pieces[last].left, pieces[last].right);
    c.rcv_memory -= pieces[last].cost;
  }
  if (last < pieces.size() && pieces[last].left < end) {
    extend_duplicate(c, x, pieces[last].left, end);
  }
  grow();
  const std::uint32_t bytes = length_of(c, segment);
  const std::uint32_t cost = packet_cost(bytes);
  HeldBeyond::Piece fresh = HeldBeyond::piece(seq, end, data, cost, room_behind(bytes));
  if (last > at) {
    pieces.replace(at, std::move(fresh));
    pieces.erase(at + 1, last);
  } else {
    pieces.insert(at, std::move(fresh));
  }
  c.rcv_memory += cost;
}

void take_from_beyond(Connection& c, TcpContext& x) {
  if (!c.held_beyond) return;
  HeldBeyond& pieces = *c.held_beyond;
  const SeqNum known = c.rcv_nxt;
  std::size_t n = 0;
  for (; n < pieces.size() && pieces[n].left <= c.rcv_nxt; ++n) {
    HeldBeyond::Piece& p = pieces[n];
    const SeqNum right = c.fin_at ? min(p.right, *c.fin_at) : p.right;  // a FIN is no data
    if (p.left < known) extend_duplicate(c, x, p.left, min(right, known));
    if (right <= c.rcv_nxt && p.left < right) {
      c.rcv_memory -= p.cost;
      continue;
    }
    const auto fresh = p.between(c.rcv_nxt, right);
    c.receive_buffer.write(fresh);
    c.bytes_received += fresh.size();
    c.rcv_nxt += static_cast<std::uint32_t>(fresh.size());
    const auto data = static_cast<std::uint32_t>(right - p.left);
    if (!c.held.empty() && p.left == c.held.back().end && data <= c.held.back().room) {
      c.held.back().end = right;
      c.held.back().room -= data;
      c.rcv_memory -= p.cost;
    } else {
      c.held.push_back({right, p.cost, p.room});
    }
  }
  pieces.erase(0, n);
  if (pieces.empty()) c.held_beyond.reset();
  if (n > 0) c.news |= news::kBuffers;
}

void release_beyond(Connection& c) {
  if (!c.held_beyond) return;
  for (std::size_t i = 0; i < c.held_beyond->size(); ++i) c.rcv_memory -= (*c.held_beyond)[i].cost;
  c.held_beyond.reset();
}

void release_read(Connection& c) {
  const SeqNum next = c.read_next();
  while (!c.held.empty() && c.held.front().end <= next) {
    c.rcv_memory -= c.held.front().cost;
    c.held.pop_front();
  }
}

void release_all(Connection& c) {
  c.held.clear();
  c.held_beyond.reset();
  c.rcv_memory = 0;
}

void grow_receive_window(Connection& c, const TcpContext& x, const TcpSegment& segment) {
  const auto data = static_cast<std::uint32_t>(segment.payload.size());
  if (data < kWorthGrowing || x.memory_full) return;
  const auto limit = static_cast<std::int64_t>(c.rcv_window_limit);
  const std::int64_t room =
      std::min<std::int64_t>(std::int64_t{c.window_clamp}, free_space(c)) - limit;
  if (room <= 0) return;
  const std::uint32_t bytes = length_of(c, segment);
  std::uint32_t cost = packet_cost(bytes);
  if (is_paged(bytes)) cost -= head_of(kHeadroom) + kSkBuff;
  std::uint32_t more = 0;
  if (window_from(c, cost) <= data) {
    more = 2 * advertised_mss(c);
  } else {
    std::uint32_t share = window_from(c, cost) / 2;
    std::uint32_t window = window_from(c, x.settings.rmem_max) / 2;
    while (c.rcv_window_limit <= window) {
      if (share <= data) {
        more = 2U * c.rcv_mss;
        break;
      }
      share /= 2;
      window /= 2;
    }
  }
  if (more == 0) return;
  more = std::max(more, 2 * data);
  c.rcv_window_limit += static_cast<std::uint32_t>(std::min<std::int64_t>(room, more));
  c.quick |= 1;
}

void grow_buffer(Connection& c, const TcpContext& x, std::uint32_t space) {
  const std::uint32_t old = c.rcv_space;
  c.rcv_space = space;
  if (!x.settings.moderate_rcvbuf || c.options.receive_buffer != 0) return;
  // The measure is one round trip late, and slow start doubles in each.
  std::uint64_t window = std::uint64_t{space} * 2;
  window += window * (space - old) / std::max(old, 1U) * 2;
  if (c.held_beyond) window += static_cast<std::uint32_t>(c.held_beyond->back().right - c.rcv_nxt);
  window = std::min<std::uint64_t>(window, 1U << 30);
  const std::uint32_t wanted =
      std::min(memory_from(c, static_cast<std::uint32_t>(window)), x.settings.rmem_max);
  if (wanted <= c.rcv_buffer_size) return;
  c.rcv_buffer_size = wanted;
  c.window_clamp = window_from(c, wanted);
}

void measure_packets(Connection& c, const TcpSegment& segment) {
  const auto data = static_cast<std::uint32_t>(segment.payload.size());
  const std::uint32_t share = (data << 8) / packet_cost(length_of(c, segment));
  const auto old = c.rcv_share;
  c.rcv_share = static_cast<std::uint8_t>(std::clamp(share, 1U, 255U));
  if (c.rcv_share == old) return;
  set_window_clamp(c, window_from(c, c.rcv_buffer_size));
  c.rcv_space = std::min(c.rcv_space, c.window_clamp);
}

namespace {

void add_receive_rtt(Connection& c, Duration sample, bool by_window) {
  if (c.rcv_rtt == Duration::zero() || sample < c.rcv_rtt) {
    c.rcv_rtt = sample;
  } else if (!by_window) {
    c.rcv_rtt += (sample - c.rcv_rtt) / 8;
  }
}

}  // namespace

void measure_receive_rtt(Connection& c, const TcpContext& x, const TcpSegment& segment) {
  if (c.rcv_tsecr == c.rcv_rtt_echo) return;
  c.rcv_rtt_echo = c.rcv_tsecr;
  if (segment.length() < c.rcv_mss) return;
  const std::uint32_t ms = timestamp_clock(x.now) - (c.rcv_tsecr - c.ts_offset);
  if (ms == 0 || ms >= 1U << 21) return;
  add_receive_rtt(c, std::chrono::milliseconds(ms), false);
}

void measure_receive_rtt_by_window(Connection& c, const TcpContext& x) {
  if (c.rcv_rtt_at != Instant{}) {
    if (c.rcv_nxt < c.rcv_rtt_seq) return;
    add_receive_rtt(c, std::max<Duration>(x.now - c.rcv_rtt_at, 1us), true);
  }
  c.rcv_rtt_seq = c.rcv_nxt + c.rcv_wnd;
  c.rcv_rtt_at = x.now;
}

void adjust_receive_space(Connection& c, const TcpContext& x) {
  // The time of the last packet will do.
  if (c.rcv_rtt == Duration::zero() || c.last_packet - c.rcv_space_at < c.rcv_rtt) return;
  const SeqNum next = c.read_next();
  const auto copied = static_cast<std::int32_t>(next - c.rcv_space_seq) -
                      static_cast<std::int32_t>(c.receive_buffer.size());
  if (copied > static_cast<std::int32_t>(c.rcv_space)) {
    grow_buffer(c, x, static_cast<std::uint32_t>(copied));
  }
  c.rcv_space_seq = next;
  c.rcv_space_at = c.last_packet;
}

}  // namespace lastack
