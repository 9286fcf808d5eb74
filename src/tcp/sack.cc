// What SACK blocks tell (RFC 2018, 2883): the scoreboard, segment by segment.
#include <algorithm>
#include <array>

#include "tcp/output.h"
#include "tcp/recovery.h"

namespace lastack {
namespace {

// What a DSACK says (RFC 2883): `range` has come twice. False if that cannot be (Linux: tcp_dsack_seen).
bool believe_duplicate(Connection& c, AckNews& news, SackBlock range) {
  const auto bytes = static_cast<std::uint32_t>(range.right - range.left);
  if (bytes > c.max_window) return false;
  std::uint32_t segments = 1;
  bool probe = false;
  const std::uint32_t mss = usual_mss(c);
  if (bytes > mss) {
    segments = packets_of(bytes, mss);
  } else {
    probe = c.rack.probe_high && *c.rack.probe_high == range.right;
  }
  c.duplicates_told += segments;
  if (c.duplicates_told > c.total_retrans) return false;  // more than was sent again
  // RACK need not wait longer when it was not RACK that sent it again.
  if (c.rack.reorderings > 0 && !probe) c.rack.dsack_seen = true;
  news.dsack = true;
  news.duplicate_segments = segments;
  c.delivered += segments;  // it has arrived, if in vain
  return true;
}

}  // namespace

void tag_sacks(Connection& c, TcpContext& x, const TcpSegment& segment, AckNews& news) {
  const auto blocks = segment.options.sack_blocks();
  if (blocks.empty()) return;
  if (c.sacked_out == 0) c.rack.fack = c.snd_una;
  SeqNum reordered = c.snd_nxt;
  std::array<SackBlock, TcpOptions::kMostSackBlocks> valid;
  std::size_t count = 0;
  bool duplicate = false;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const SackBlock b = blocks[i];
    if (!(b.left < b.right) || b.right > c.snd_nxt) continue;
    if (i == 0) {
      // DSACK (RFC 2883): below the ACK, or inside the second block.
      duplicate = b.left < segment.ack ||
                  (blocks.size() > 1 && b.left >= blocks[1].left && b.right <= blocks[1].right);
      if (duplicate && !believe_duplicate(c, news, b)) duplicate = false;
      if (duplicate) {
        Congestion& g = c.congestion;
        if (g.can_undo && g.undo_retrans > 0 && b.right <= news.prior_una &&
            b.right > g.undo_marker) {
          g.undo_retrans = std::max(0, g.undo_retrans - static_cast<int>(news.duplicate_segments));
        }
        if (b.right <= c.snd_una) continue;
      }
    }
    // Long past: an ACK that was held up.
    if (c.snd_una - b.left > static_cast<std::int32_t>(c.max_window) && b.left < c.snd_una)
      continue;
    if (b.right <= c.snd_una) continue;
    valid[count++] = b;
  }
  std::sort(valid.begin(), valid.begin() + static_cast<std::ptrdiff_t>(count),
            [](const SackBlock& a, const SackBlock& b) { return a.left < b.left; });
  const SackBlock first = blocks[0];
  for (std::size_t n = 0; n < count; ++n) {
    const SackBlock block = valid[n];
    const bool is_duplicate = duplicate && block == first;
    for (std::uint32_t i = c.sent.first_ending_after(block.left); i < c.sent.size(); ++i) {
      if (c.sent[i].seq >= block.right) break;
      bool inside = c.sent[i].seq >= block.left && c.sent[i].end() <= block.right;
      if (!inside && c.sent[i].segments > 1) {
        // Part of it: split at a packet's boundary.
        const std::uint32_t mss = mss_of(c, c.sent[i]);
        const bool head = c.sent[i].seq >= block.left;
        auto length = static_cast<std::uint32_t>(head ? block.right - c.sent[i].seq
                                                      : block.left - c.sent[i].seq);
        if (!head) length = std::max(length, mss);
        if (length > mss) {
          std::uint32_t whole = length / mss * mss;
          if (!head && whole < length) whole += mss;
          length = whole;
        } else if (head && length < mss) {
          continue;
        }
        if (length < c.sent[i].length) {
          split_sent(c, i, length, mss);
          if (!head) continue;  // the second part is looked at next
        }
        inside = c.sent[i].seq >= block.left && c.sent[i].end() <= block.right;
      }
      SentSegment& s = c.sent[i];
      if (!inside) continue;
      if (is_duplicate && s.ever_resent()) {
        Congestion& g = c.congestion;
        if (g.can_undo && g.undo_retrans > 0 && s.end() > g.undo_marker) {
          g.undo_retrans = std::max(0, g.undo_retrans - static_cast<int>(s.segments));
        }
        if (s.sacked() && s.seq < reordered) reordered = s.seq;
      }
      if (s.end() <= c.snd_una) continue;
      if (!s.sacked()) {
        rack_advance(c, x, s);
        note_delivered(news, s);
        if (s.resent()) {
          if (s.lost()) {
            c.lost_out -= s.segments;
            c.retrans_out -= s.segments;
            s.clear(SentSegment::kLost | SentSegment::kResent);
          }
        } else {
          if (!s.ever_resent()) {
            // A hole is filled by what was never sent again: reordering.
            if (s.seq < highest_sacked(c) && s.seq < reordered) reordered = s.seq;
            if (s.end() <= c.congestion.high_seq) news.original_acked = true;
            if (!news.first_sacked_sent) news.first_sacked_sent = s.sent_at;
            news.last_sacked_sent = s.sent_at;
          }
          if (s.lost()) {
            c.lost_out -= s.segments;
            s.clear(SentSegment::kLost);
          }
        }
        s.flags |= SentSegment::kSacked;
        news.data_sacked = true;
        c.sacked_out += s.segments;
        c.delivered += s.segments;
        if (c.rack.fack < s.end()) c.rack.fack = s.end();
      }
      if (is_duplicate && s.resent()) {
        s.clear(SentSegment::kResent);
        c.retrans_out -= s.segments;
      }
    }
  }
  if (c.ca != CongestionState::Loss || c.congestion.can_undo) check_reordering(c, x, reordered);
}

}  // namespace lastack
