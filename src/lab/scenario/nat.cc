#include "lab/scenario/nat.h"

#include <algorithm>
#include <cstring>

#include "lastack/packet_view.h"
#include "wire/bytes.h"
#include "wire/segmentation.h"

namespace lastack::lab {
namespace {

// Where the addresses and ports of a packet that PacketView::of() could read are.
struct Places {
  std::size_t source, destination, length, ports;
};
Places places(const std::vector<std::byte>& packet, const PacketView& segment, std::size_t header) {
  static_cast<void>(segment);
  if (std::to_integer<unsigned>(packet[0]) >> 4 == 4) return {12, 16, 4, header};
  return {8, 24, 16, header};
}

void put_address(std::byte* at, const IpAddress& address, std::size_t length) {
  const auto bytes = address.bytes();
  std::memcpy(at, bytes.data() + (length == 4 ? 12 : 0), length);
}

// TCP begins there; nothing for extension headers of IPv6, which no host of ours sends.
std::optional<std::size_t> tcp_at(std::span<const std::byte> packet) {
  if (std::to_integer<unsigned>(packet[0]) >> 4 == 4)
    return (std::to_integer<std::size_t>(packet[0]) & 15) * 4;
  if (packet.size() > 40 && std::to_integer<unsigned>(packet[6]) == 6) return 40;
  return std::nullopt;
}

}  // namespace

bool Nat::expired(const Mapping& mapping, Instant now) const {
  const bool closed = mapping.fins == 3 || mapping.reset;
  return now - mapping.last > (closed ? spec_.closed_after : spec_.forget_after);
}

std::size_t Nat::mappings(Instant now) const {
  return static_cast<std::size_t>(
      std::count_if(by_port_.begin(), by_port_.end(),
                    [&](const auto& one) { return !expired(one.second, now); }));
}

void Nat::set_times(std::optional<Duration> closed_after, std::optional<Duration> forget_after) {
  spec_.closed_after = closed_after.value_or(spec_.closed_after);
  spec_.forget_after = forget_after.value_or(spec_.forget_after);
}

void Nat::forget_all() {
  counts_.expired += by_port_.size();
  by_inside_.clear();
  by_port_.clear();
}

void Nat::forget(std::map<Port, Mapping>::iterator mapping) {
  ++counts_.expired;
  by_inside_.erase(mapping->second.inside);
  by_port_.erase(mapping);
}

Nat::Mapping* Nat::map(const Endpoint& inside, Instant now, Port& port) {
  if (const auto known = by_inside_.find(inside); known != by_inside_.end()) {
    port = known->second;
    const auto mapping = by_port_.find(port);
    if (!expired(mapping->second, now)) return &mapping->second;
    forget(mapping);
  }
  const std::uint32_t all = std::uint32_t{spec_.last_port} - spec_.first_port + 1;
  for (std::uint32_t tried = 0; tried < all; ++tried) {
    const auto candidate = static_cast<Port>(next_);
    next_ = next_ == spec_.last_port ? spec_.first_port : next_ + 1;
    const auto taken = by_port_.find(candidate);
    if (taken != by_port_.end()) {
      if (!expired(taken->second, now)) continue;
      forget(taken);
    }
    ++counts_.mapped;
    by_inside_[inside] = candidate;
    port = candidate;
    return &(by_port_[candidate] = Mapping{inside, now});
  }
  return nullptr;
}

void Nat::receive(std::span<const std::byte> packet, Instant now) {
  const auto segment = PacketView::of(packet);
  const auto at = segment ? tcp_at(packet) : std::nullopt;
  if (!at) return;  // ICMP of mapped connections is not translated
  std::vector<std::byte> bytes(packet.begin(), packet.end());
  const Places p = places(bytes, *segment, *at);
  Mapping* mapping = nullptr;
  const bool outside = segment->tuple.remote.address == spec_.address;
  if (outside) {
    const auto found = by_port_.find(segment->tuple.remote.port);
    const bool known = found != by_port_.end();
    if (!known || expired(found->second, now)) {
      if (known) forget(found);
      ++counts_.unknown;
      if (lost_) lost_(packet, now, known ? "mapping forgotten" : "no mapping");
      return;
    }
    mapping = &found->second;
    put_address(bytes.data() + p.destination, mapping->inside.address, p.length);
    store16(bytes.data() + p.ports + 2, mapping->inside.port);
  } else {
    Port port = 0;
    mapping = map(segment->tuple.local, now, port);
    if (mapping == nullptr) {
      ++counts_.no_port;
      if (lost_) lost_(packet, now, "no port left");
      return;
    }
    put_address(bytes.data() + p.source, spec_.address, p.length);
    store16(bytes.data() + p.ports, port);
  }
  mapping->last = now;
  if (segment->syn() && !outside) mapping->fins = 0, mapping->reset = false;
  if (segment->fin()) mapping->fins |= outside ? 2 : 1;
  mapping->reset = mapping->reset || segment->rst();
  fix_checksums(bytes);
  out_.push_back(std::move(bytes));
}

std::span<const std::byte> Nat::next_packet() {
  if (out_.empty()) return {};
  sending_ = std::move(out_.front());
  out_.pop_front();
  return sending_;
}

}  // namespace lastack::lab
