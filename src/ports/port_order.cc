#include "ports/port_order.h"

#include <algorithm>

#include "timewait/tuple_hash.h"

namespace lastack {

// The table begins with zeros where Linux's begins with random numbers: the hash that is added to an entry is as secret.
std::uint32_t& PortOrder::moved_on(std::uint64_t hash) {
  constexpr std::size_t kTable = 1 << 16;
  if (moved_on_.empty()) moved_on_.resize(kTable);
  return moved_on_[hash % kTable];
}

std::uint64_t PortOrder::hash(const IpAddress& source, const Endpoint& destination) const {
  SipHash sip(key_);
  timewait::add(timewait::add(sip, source), destination.address);
  return sip.finish(destination.port, sizeof destination.port);
}

std::uint32_t PortOrder::offset(std::uint64_t hash, const PortWalk& walk) {
  const std::uint32_t offset =
      (moved_on(hash) + static_cast<std::uint32_t>(hash >> 32)) % walk.places;
  return walk.step == 2 ? offset & ~1U : offset;
}

void PortOrder::move_on(std::uint64_t hash, const PortWalk& walk, std::uint32_t walked,
                        std::uint64_t random) {
  moved_on(hash) += std::max(walked, part_of(8, random) * walk.step) + walk.step;
}

std::uint32_t PortOrder::part_of(std::uint32_t n, std::uint64_t random) {
  return static_cast<std::uint32_t>((random & 0xffffffff) * n >> 32);
}

}  // namespace lastack
