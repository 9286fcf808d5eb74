#include "ports/linux_walk.h"

namespace lastack {
namespace {

struct Step {
  Port port = 0;
  std::uint32_t walked = 0;
};

// All round once from low + offset.
template <class F>
bool round(const PortWalk& w, std::uint32_t offset, const PortSet& reserved, Step& at,
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

}  // namespace

tl::expected<Port, PortError> LinuxPortWalk::connect(const IpAddress& source,
                                                     const Endpoint& destination,
                                                     const RangeToChooseFrom& range,
                                                     const PortSet& reserved, std::uint64_t random,
                                                     const Test& test) {
  looked_at_ = 0;
  if (range.range.low > range.range.high) return tl::unexpected(PortError::InvalidRange);
  const PortWalk walk(range);
  const std::uint64_t hash = order_.hash(source, destination);
  const std::uint32_t offset = order_.offset(hash, walk);

  Step at;
  bool found = round(walk, offset, reserved, at, looked_at_, test);
  if (!found && walk.has_second_round()) {
    found = round(walk, offset + 1, reserved, at, looked_at_, test);
  }
  if (!found) return tl::unexpected(PortError::AddressNotAvailable);
  order_.move_on(hash, walk, at.walked, random);
  return at.port;
}

tl::expected<Port, PortError> LinuxPortWalk::bind_zero(const RangeToChooseFrom& range,
                                                       const PortSet& reserved, bool reuse_address,
                                                       std::uint64_t random, const Test& test) {
  if (range.range.low > range.range.high) return tl::unexpected(PortError::InvalidRange);
  const PortWalk whole(range);
  const bool in_halves = reuse_address && whole.high - whole.low >= 4;
  Step at;
  std::uint32_t looked_at = 0;
  for (int half = 0; half < (in_halves ? 2 : 1); ++half) {
    PortWalk walk = whole;
    if (in_halves) {
      const std::uint32_t middle = whole.low + ((whole.high - whole.low) >> 2 << 1);
      (half == 0 ? walk.high : walk.low) = middle;
      walk.places = walk.high - walk.low;
      if (!range.own && walk.places > 1) walk.places &= ~1U;
    }
    std::uint32_t offset = PortOrder::part_of(walk.places, random >> (32 * half));
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
