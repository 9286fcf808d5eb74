#include "stack/local_ports.h"

#include <algorithm>

namespace lastack {
namespace {

bool any(const IpAddress& address) {
  return address.is_unspecified();
}

// Whether two local addresses can meet in one packet.
bool overlap(const PortOwner& a, const PortOwner& b) {
  const bool a4 = a.address.is_v4(), b4 = b.address.is_v4();
  if (a4 != b4) {
    // :: takes IPv4 too, unless it was told not to.
    const PortOwner& six = a4 ? b : a;
    if (!any(six.address) || six.v6_only) return false;
    return true;
  }
  return any(a.address) || any(b.address) || a.address == b.address;
}

template <class Test>
std::optional<Port> walk(PortRange range, const PortSet& reserved, std::uint64_t hash,
                         bool low_first, Test&& test) {
  const std::uint32_t size = range.size();
  const std::uint32_t half = (size + 1) / 2;
  const auto start = static_cast<std::uint32_t>(hash % std::max(half, 1U));
  for (unsigned pass = 0; pass < 2; ++pass) {
    const unsigned odd = low_first ? pass : 1 - pass;
    const std::uint32_t count = odd == 0 ? half : size / 2;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto port = static_cast<Port>(range.low + odd + 2 * ((start + i) % count));
      if (!reserved.contains(port) && test(port)) return port;
    }
  }
  return std::nullopt;
}

}  // namespace

bool LocalPorts::conflicts(Port port, const PortOwner& wanted) const {
  const auto found = holders_.find(port);
  if (found == holders_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const Held& held) {
    const PortOwner& there = held.owner;
    if (!overlap(there, wanted)) return false;
    if (there.reuse_port && wanted.reuse_port) return false;
    return !(there.reuse_address && wanted.reuse_address && !there.listening && !wanted.listening);
  });
}

void LocalPorts::hold(Port port, Holder holder, const PortOwner& owner) {
  holders_[port].push_back({holder, owner});
}

void LocalPorts::release(Port port, Holder holder) {
  const auto found = holders_.find(port);
  if (found == holders_.end()) return;
  std::erase_if(found->second, [&](const Held& held) { return held.holder == holder; });
  if (found->second.empty()) holders_.erase(found);
}

void LocalPorts::set_listening(Port port, Holder holder, bool listening) {
  const auto found = holders_.find(port);
  if (found == holders_.end()) return;
  for (Held& held : found->second) {
    if (held.holder == holder) held.owner.listening = listening;
  }
}

std::optional<Port> LocalPorts::choose(PortRange range, const PortSet& reserved, std::uint64_t hash,
                                       const std::function<bool(Port)>& free) const {
  return walk(range, reserved, hash, true, [&](Port port) { return !is_held(port) && free(port); });
}

std::optional<Port> LocalPorts::choose_for_bind(PortRange range, const PortSet& reserved,
                                                std::uint64_t random,
                                                const PortOwner& wanted) const {
  return walk(range, reserved, random, false, [&](Port port) {
    return !is_held(port) || (wanted.reuse_address && !conflicts(port, wanted));
  });
}

}  // namespace lastack
