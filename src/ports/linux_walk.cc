#include "ports/linux_walk.h"

#include <algorithm>

#include "timewait/tuple_hash.h"

namespace lastack {
namespace {

constexpr std::size_t kTable = 1 << 16;

// A range as the kernel walks it: [low, high), with an even number of places unless it goes in steps of one.
// When that leaves the last port over, it is reached all the same by whoever begins before it.
struct Walk {
  Walk(const RangeToChooseFrom& r)
      : low(r.range.low), high(r.range.high + 1U), step(r.own ? 1 : 2), places(high - low) {
    if (!r.own && places > 1) places &= ~1U;
  }

  std::uint32_t low;
  std::uint32_t high;
  std::uint32_t step;
  std::uint32_t places;
};

struct Step {
  Port port = 0;
  std::uint32_t walked = 0;
};

// All round once from low + offset.
template <class F>
bool round(const Walk& w, std::uint32_t offset, const PortSet& reserved, Step& at,
           std::uint32_t& looked_at, F&& test) {
  std::uint32_t port = w.low + offset;
  for (std::uint32_t i = 0; i < w.places; i += w.step, port += w.step) {
    if (port >= w.high) port -= w.places;
    ++looked_at;
    at = {static_cast<Port>(port), i};
    if (!reserved.contains(at.port) && test(at.port)) return true;
  }
  return false;
}

std::uint32_t scale(std::uint32_t random, std::uint32_t n) {
  return static_cast<std::uint32_t>(std::uint64_t{random} * n >> 32);
}

}  // namespace

LinuxPortWalk::LinuxPortWalk(const SipKey& key) : key_(key), moved_on_(kTable) {
  for (std::size_t i = 0; i < kTable; ++i) {
    moved_on_[i] = static_cast<std::uint32_t>(SipHash(key).add(i).finish());
  }
}

tl::expected<Port, PortError> LinuxPortWalk::connect(const IpAddress& source,
                                                     const Endpoint& destination,
                                                     const RangeToChooseFrom& range,
                                                     const PortSet& reserved, std::uint64_t random,
                                                     const Test& test) {
  looked_at_ = 0;
  if (range.range.low > range.range.high) return tl::unexpected(PortError::InvalidRange);
  const Walk walk(range);
  SipHash sip(key_);
  timewait::add(timewait::add(sip, source), destination.address);
  const std::uint64_t hash = sip.finish(destination.port, sizeof destination.port);
  std::uint32_t& moved_on = moved_on_[hash % kTable];
  std::uint32_t offset = (moved_on + static_cast<std::uint32_t>(hash >> 32)) % walk.places;
  if (!range.own) offset &= ~1U;

  Step at;
  bool found = round(walk, offset, reserved, at, looked_at_, test);
  if (!found && !range.own && walk.places > 1) {
    found = round(walk, offset + 1, reserved, at, looked_at_, test);
  }
  if (!found) return tl::unexpected(PortError::AddressNotAvailable);
  // The next one begins behind this port, and a little further by chance while there is room.
  const std::uint32_t chance = scale(static_cast<std::uint32_t>(random), 8) * walk.step;
  moved_on += std::max(at.walked, chance) + walk.step;
  return at.port;
}

tl::expected<Port, PortError> LinuxPortWalk::bind_zero(const RangeToChooseFrom& range,
                                                       const PortSet& reserved, bool reuse_address,
                                                       std::uint64_t random, const Test& test) {
  if (range.range.low > range.range.high) return tl::unexpected(PortError::InvalidRange);
  const Walk whole(range);
  const bool in_halves = reuse_address && whole.high - whole.low >= 4;
  Step at;
  std::uint32_t looked_at = 0;
  for (int half = 0; half < (in_halves ? 2 : 1); ++half) {
    Walk walk = whole;
    if (in_halves) {
      const std::uint32_t middle = whole.low + ((whole.high - whole.low) >> 2 << 1);
      (half == 0 ? walk.high : walk.low) = middle;
      walk.places = walk.high - walk.low;
      if (!range.own && walk.places > 1) walk.places &= ~1U;
    }
    std::uint32_t offset = scale(static_cast<std::uint32_t>(random >> (32 * half)), walk.places);
    if (range.own) {
      if (round(walk, offset, reserved, at, looked_at, test)) return at.port;
      continue;
    }
    offset |= 1;
    if (round(walk, offset, reserved, at, looked_at, test)) return at.port;
    if (round(walk, offset - 1, reserved, at, looked_at, test)) return at.port;
  }
  return tl::unexpected(PortError::AddressInUse);
}

}  // namespace lastack
