#include "tcp/send_space.h"

#include <algorithm>
#include <bit>

namespace lastack {
namespace {

// Of an empty sk_buff of Linux 6 on a 64-bit machine, with its head and its shared information.
constexpr std::uint32_t kPieceCost = 960;
constexpr std::uint32_t kMostPiece = 65536;
constexpr std::uint32_t kMostHeaders = 320;  // MAX_TCP_HEADER
constexpr std::uint32_t kSharedInfo = 320, kSkBuff = 256;

std::uint32_t cost(const Connection& c) {
  return static_cast<std::uint32_t>(c.send_buffer.size()) +
         kPieceCost * (c.sent.size() + c.unsent.size());
}
std::uint64_t not_sent(const Connection& c) {
  return static_cast<std::uint32_t>(c.write_seq - c.snd_nxt);
}
std::uint32_t not_sent_low(const Connection& c, const TcpContext& x) {
  return c.options.not_sent_low != 0 ? c.options.not_sent_low : x.settings.notsent_lowat;
}

}  // namespace

std::uint32_t send_buffer_limit(const Connection& c, const TcpContext& x) {
  if (c.options.send_buffer != 0) return c.options.send_buffer;
  return std::max(c.send_buffer_size, x.settings.wmem_default);
}

bool write_queue_too_big(const Connection& c, const TcpContext& x) {
  return cost(c) / 2 > send_buffer_limit(c, x) + 2 * kMostPiece;
}

bool may_queue(const Connection& c, const TcpContext& x) {
  // Who has something on its way will be told when that is through; who has nothing may have a little.
  if (x.memory_full && !c.send_buffer.empty()) return false;
  return cost(c) < send_buffer_limit(c, x) && not_sent(c) < not_sent_low(c, x);
}

bool is_writable(const Connection& c, const TcpContext& x) {
  if (c.sent.empty() && c.unsent.empty()) return not_sent_low(c, x) > 0;  // nothing is kept
  if (x.memory_full && !c.send_buffer.empty()) return false;
  const std::uint64_t used = cost(c);
  const std::uint64_t limit = send_buffer_limit(c, x);
  return used + used / 2 <= limit && 2 * not_sent(c) < not_sent_low(c, x);
}

void grow_send_buffer(Connection& c, const TcpContext& x) {
  const std::uint32_t segment =
      std::bit_ceil(std::max(c.peer_mss, c.mss) + kMostHeaders + kSharedInfo) + kSkBuff;
  constexpr std::uint32_t kInitialWindow = 10;
  const std::uint64_t segments =
      std::max({kInitialWindow, c.congestion.cwnd, c.rack.reordering + 1});
  const std::uint64_t wanted = std::min<std::uint64_t>(2 * segments * segment, x.settings.wmem_max);
  c.send_buffer_size = std::max(c.send_buffer_size, static_cast<std::uint32_t>(wanted));
}

namespace {

void set_waiting(Connection& c, const TcpContext& x, Waiting what) {
  if (c.waits_for != Waiting::None) {
    c.waited[static_cast<std::size_t>(c.waits_for) - 1] += x.now - c.waits_since;
  }
  c.waits_since = x.now;
  c.waits_for = what;
}

}  // namespace

void wait_for(Connection& c, const TcpContext& x, Waiting what) {
  if (what > c.waits_for) set_waiting(c, x, what);
}

void stop_waiting_for(Connection& c, const TcpContext& x, Waiting what) {
  if (c.sent.empty() && c.unsent.empty() && (!c.fin_queued || c.fin_sent)) {
    if (c.waits_for != Waiting::None) set_waiting(c, x, Waiting::None);
  } else if (c.waits_for == what) {
    set_waiting(c, x, Waiting::Path);
  }
}

void tell_of_space(Connection& c, const TcpContext& x) {
  if (c.options.send_buffer == 0 && c.in_flight() < c.congestion.cwnd) grow_send_buffer(c, x);
  if (!is_writable(c, x)) return;
  c.no_space = c.found_no_room = false;
  c.news |= news::kWritable;
  stop_waiting_for(c, x, Waiting::Buffer);
}

}  // namespace lastack
