#include "cli/stage_addresses.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/http_message.h"

namespace lastack {
namespace {

// Why no endpoint can have that address, nor the kernel's side of a device; "": it can.
std::string why_not(const IpAddress& address) {
  const auto first = unsigned{address.bytes()[address.is_v4() ? 12 : 0]};
  if (address.is_unspecified()) return "the unspecified address is nobody's";
  if (address.is_loopback()) return "a loopback address stays inside its host";
  if (address.is_v4()) {
    if (first == 0) return "addresses of 0.0.0.0/8 are nobody's";
    if (address.v4_value() == UINT32_MAX) return "the broadcast address is everybody's";
    if (first >= 240) return "addresses of 240.0.0.0/4 are reserved";
    if (first >= 224) return "a multicast address is not one host's";
  } else if (first == 0xff) {
    return "a multicast address is not one host's";
  }
  return "";
}

Result<TunAddress> parse_peer(const std::string& text) {
  const auto wrong = [&](const std::string& why) { return failure("--peer " + text + ": " + why); };
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return wrong("not an IP address; such as 10.77.0.1/24");
  if (const std::string why = why_not(*address); !why.empty()) {
    return wrong(why + "; such as 10.77.0.1/24");
  }
  const unsigned most = address->is_v4() ? 32 : 128;
  if (slash == text.size()) return TunAddress{*address, most};
  const auto prefix = parse_decimal(text.substr(slash + 1));
  if (!prefix || *prefix > most) {
    return wrong(fmt::format("the length of a prefix is a number up to {}", most));
  }
  return TunAddress{*address, static_cast<unsigned>(*prefix)};
}

bool same_network(const TunAddress& network, const IpAddress& address) {
  if (network.address.is_v4() != address.is_v4()) return false;
  const std::size_t begin = address.is_v4() ? 96 : 0;
  for (std::size_t bit = begin; bit < begin + network.prefix; ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((unsigned{network.address.bytes()[bit / 8]} & mask) !=
        (unsigned{address.bytes()[bit / 8]} & mask)) {
      return false;
    }
  }
  return true;
}

bool is_broadcast(const TunAddress& network, const IpAddress& address) {
  if (!address.is_v4() || network.prefix > 30 || !same_network(network, address)) return false;
  const std::uint32_t hosts = static_cast<std::uint32_t>(UINT64_C(0xffffffff) >> network.prefix);
  return (address.v4_value() & hosts) == hosts;
}

}  // namespace

std::vector<IpAddress> StageSides::unreached() const {
  std::vector<IpAddress> all;
  if (peers.empty()) return all;
  for (const IpAddress& address : ours) {
    if (std::none_of(peers.begin(), peers.end(),
                     [&](const TunAddress& peer) { return same_network(peer, address); })) {
      all.push_back(address);
    }
  }
  return all;
}

Result<StageSides> parse_sides(const std::vector<std::string>& ours,
                               const std::vector<std::string>& peers) {
  StageSides sides;
  for (const std::string& text : peers) {
    auto peer = parse_peer(text);
    if (!peer) return tl::unexpected(std::move(peer.error()));
    sides.peers.push_back(*peer);
  }
  for (const std::string& text : ours) {
    const auto wrong = [&](const std::string& why) {
      return failure("--address " + text + ": " + why);
    };
    const auto address = IpAddress::parse(text);
    if (!address) return wrong("not an IP address; such as 10.77.0.2");
    if (const std::string why = why_not(*address); !why.empty()) {
      return wrong(why + "; such as 10.77.0.2");
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (sides.peers[i].address == *address) {
        return failure(peers[i] + " cannot be on both sides of the device");
      }
      if (is_broadcast(sides.peers[i], *address)) {
        return wrong("that is the broadcast address of --peer " + peers[i]);
      }
    }
    sides.ours.push_back(*address);
  }
  return sides;
}

}  // namespace lastack
