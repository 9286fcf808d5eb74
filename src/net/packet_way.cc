// A packet's way through the wire in memory: to whom it goes and by which link, what the fault and the link do to it, and
// when it arrives. Times saturate: what is delayed for ever does not arrive.
#include <algorithm>
#include <cstring>

#include "net/virtual_network_impl.h"
#include "wire/bytes.h"
#include "wire/icmp_error.h"
#include "wire/segmentation.h"

namespace lastack {
namespace {

Duration sum(Duration a, Duration b) {
  if (b > Duration::zero() && a > Duration::max() - b) return Duration::max();
  if (b < Duration::zero() && a < Duration::min() - b) return Duration::min();
  return a + b;
}

}  // namespace

std::optional<IpAddress> destination_of(std::span<const std::byte> packet) {
  if (packet.size() < 20) return std::nullopt;
  const auto version = std::to_integer<unsigned>(packet[0]) >> 4;
  if (version == 4) return IpAddress::v4(load32(packet.data() + 16));
  if (version != 6 || packet.size() < 40) return std::nullopt;
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), packet.data() + 24, bytes.size());
  return IpAddress::v6(bytes);
}

std::string_view to_string(WireEvent event) {
  switch (event) {
    case WireEvent::Sent:
      return "sent";
    case WireEvent::Delivered:
      return "delivered";
    case WireEvent::Lost:
      return "lost";
    case WireEvent::QueueFull:
      return "queue full";
    case WireEvent::TooBig:
      return "too big";
    case WireEvent::Unroutable:
      return "unroutable";
    case WireEvent::Gone:
      return "gone";
    case WireEvent::Dropped:
      return "dropped";
    case WireEvent::Delayed:
      return "delayed";
    case WireEvent::Corrupted:
      return "corrupted";
    case WireEvent::Duplicated:
      return "duplicated";
    case WireEvent::Reordered:
      return "reordered";
    case WireEvent::Replayed:
      return "replayed";
  }
  return "?";
}

void Passage::delay(Duration more) {
  delay_ = sum(delay_, more);
}
void Passage::duplicate(Duration later) {
  if (copies_ < kMostCopies) copy_[copies_++] = later;
}
void Passage::fix_checksums() {
  lastack::fix_checksums(bytes_);
}
void Passage::reject(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
  dropped_ = rejected_ = true;
  type_ = type;
  code_ = code;
  rest_ = rest;
}

void VirtualNetwork::Impl::tell(WireEvent event, std::uint32_t from, std::uint32_t to,
                                Instant arrives, std::span<const std::byte> bytes,
                                std::uint64_t number) {
  if (taps.empty()) return;
  const WireNote note{event, now, arrives, NodeId{from}, NodeId{to}, bytes, number};
  const std::size_t all = taps.size();
  for (std::size_t i = 0; i < all; ++i) taps[i](note);
}

void VirtualNetwork::Impl::tell(WireEvent event, Parcel* parcel) {
  tell(event, parcel->from, parcel->to, std::max(parcel->at, now), parcel->bytes(), parcel->number);
}

Link* VirtualNetwork::Impl::link_between(std::uint32_t from, std::uint32_t to) {
  auto& link = links[std::uint64_t{from} << 32 | to];
  if (link == nullptr) {
    link = std::make_unique<Link>(from == to ? loopback : everywhere, seed, from, to);
  }
  return link.get();
}

std::uint32_t VirtualNetwork::Impl::owner_of(const IpAddress& address) const {
  for (std::uint32_t id = 0; id < entries.size(); ++id) {
    if (entries[id]->node != nullptr && entries[id]->node->has_address(address)) return id;
  }
  return kNobody;
}

VirtualNetwork::Impl::Route VirtualNetwork::Impl::route(std::uint32_t from,
                                                        const IpAddress& destination) {
  Entry& entry = *entries[from];
  if (entry.last_route.to != kNobody && entry.last_destination == destination) {
    return entry.last_route;
  }
  Route found;
  if (const auto known = entry.routes.find(destination); known != entry.routes.end()) {
    found = known->second;
  } else {
    const bool own = destination.is_loopback() || entry.node->has_address(destination);
    found.to = own ? from : entry.gateway != kNobody ? entry.gateway : owner_of(destination);
    if (found.to == kNobody) return found;
    found.link = link_between(from, found.to);
    entry.routes.emplace(destination, found);
  }
  entry.last_destination = destination;
  entry.last_route = found;
  return found;
}

void VirtualNetwork::Impl::forget_routes() {
  for (const auto& entry : entries) {
    entry->routes.clear();
    entry->last_route = {};
  }
}

void VirtualNetwork::Impl::send(std::uint32_t from, std::span<const std::byte> packet,
                                std::uint16_t segment_size) {
  const auto destination = destination_of(packet);
  const Route to = destination ? route(from, *destination) : Route{};
  if (to.to == kNobody) {
    ++counts.sent;
    ++counts.unroutable;
    const std::uint64_t number = ++last_number;
    tell(WireEvent::Sent, from, kNobody, now, packet, number);
    tell(WireEvent::Unroutable, from, kNobody, now, packet, number);
    return;
  }
  if (segment_size == 0 || to.link->options.whole_segments) {
    if (packet.size() > kMostParcel) return;
    Parcel* parcel = pool.take(packet.size());
    std::memcpy(parcel->bytes().data(), packet.data(), packet.size());
    launch(parcel, from, to);
    return;
  }
  for (Segmentation pieces(packet, segment_size);
       !pieces.done() && entries[from]->node != nullptr;) {
    Parcel* parcel = pool.take(pieces.length());
    pieces.write(parcel->bytes().data());
    launch(parcel, from, to);
  }
}

void VirtualNetwork::Impl::launch(Parcel* parcel, std::uint32_t from, const Route& to) {
  ++counts.sent;
  parcel->from = from;
  parcel->to = to.to;
  parcel->at = now;
  parcel->number = ++last_number;
  tell(WireEvent::Sent, parcel);
  if (!fault) {
    carry(parcel, *to.link);
    return;
  }
  Passage passage(now, NodeId{from}, NodeId{to.to}, parcel->bytes());
  fault(passage);
  for (std::uint8_t i = 0; i < passage.copies_; ++i) {
    Parcel* copy = copy_of(parcel);
    copy->at = later(later(now, to.link->options.delay), sum(passage.delay_, passage.copy_[i]));
    ++counts.duplicated;
    tell(WireEvent::Duplicated, copy);
    schedule(copy);
  }
  if (passage.dropped_) {
    ++counts.dropped;
    end(WireEvent::Dropped, parcel, passage.rejected_, passage.type_, passage.code_, passage.rest_);
    return;
  }
  if (passage.delay_ > Duration::zero()) {
    parcel->at = later(later(now, to.link->options.delay), passage.delay_);
    tell(WireEvent::Delayed, parcel);
    schedule(parcel);
    return;
  }
  carry(parcel, *to.link);
}

void VirtualNetwork::Impl::carry(Parcel* parcel, Link& link) {
  const LinkOptions& o = link.options;
  if (o.down || link.chance(o.loss)) {
    ++counts.lost;
    end(WireEvent::Lost, parcel);
    return;
  }
  if (o.mtu != 0 && parcel->length > o.mtu) {
    ++counts.too_big;
    const bool v4 = std::to_integer<unsigned>(parcel->bytes()[0]) >> 4 == 4;
    end(WireEvent::TooBig, parcel, true, v4 ? 3 : 2, v4 ? 4 : 0, o.mtu);
    return;
  }
  const auto departs = link.departure(now, parcel->length);
  if (!departs) {
    ++counts.queue_full;
    end(WireEvent::QueueFull, parcel);
    return;
  }
  if (link.chance(o.corrupt)) {
    const std::uint64_t bit = link.below(std::uint64_t{parcel->length} * 8);
    parcel->bytes()[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    ++counts.corrupted;
    tell(WireEvent::Corrupted, parcel);
  }
  parcel->at = later(*departs, o.delay + link.up_to(o.jitter));
  const bool duplicated = link.chance(o.duplicate);
  const bool replayed = link.chance(o.replay);
  const Instant arrives = parcel->at;
  if (duplicated) {
    Parcel* copy = copy_of(parcel);
    copy->at = later(arrives, o.duplicate_delay);
    ++counts.duplicated;
    tell(WireEvent::Duplicated, copy);
    schedule(copy);
  }
  if (replayed) {
    Parcel* copy = copy_of(parcel);
    copy->at = later(arrives, link.up_to(o.replay_delay));
    ++counts.replayed;
    tell(WireEvent::Replayed, copy);
    schedule(copy);
  }
  if (link.chance(o.reorder)) {
    parcel->at = later(parcel->at, link.up_to(o.reorder_delay));
    ++counts.reordered;
    tell(WireEvent::Reordered, parcel);
    schedule(parcel);
    return;
  }
  parcel->at = std::max(parcel->at, link.last_arrival);
  link.last_arrival = parcel->at;
  ++under_way;
  parcel->order = next_order++;
  // Only the first of those that come in order is in the heap.
  if (link.push(parcel)) push_arrival(parcel);
}

Parcel* VirtualNetwork::Impl::copy_of(Parcel* parcel) {
  Parcel* copy = pool.take(parcel->length);
  copy->from = parcel->from;
  copy->to = parcel->to;
  copy->number = parcel->number;
  std::memcpy(copy->bytes().data(), parcel->bytes().data(), parcel->length);
  return copy;
}

void VirtualNetwork::Impl::schedule(Parcel* parcel) {
  ++under_way;
  parcel->order = next_order++;
  push_arrival(parcel);
}

void VirtualNetwork::Impl::push_arrival(Parcel* parcel) {
  arrivals.push_back({parcel->at, parcel->order, parcel});
  std::push_heap(arrivals.begin(), arrivals.end());
}

void VirtualNetwork::Impl::end(WireEvent event, Parcel* parcel, bool icmp, std::uint8_t type,
                               std::uint8_t code, std::uint32_t rest) {
  parcel->at = now;
  tell(event, parcel);
  if (icmp && parcel->from != kNobody && entries[parcel->from]->node != nullptr) {
    const auto by = destination_of(parcel->bytes());
    Parcel* error = pool.take(kMostIcmpError);
    const std::size_t length =
        by ? write_icmp_error(error->bytes().data(), parcel->bytes(), *by, type, code, rest) : 0;
    error->length = static_cast<std::uint32_t>(length);
    if (length == 0) {
      pool.give_back(error);
    } else {
      error->from = parcel->to;
      error->to = parcel->from;
      error->number = ++last_number;
      error->at = later(now, link_between(parcel->to, parcel->from)->options.delay);
      ++counts.sent;
      tell(WireEvent::Sent, error);
      schedule(error);
    }
  }
  pool.give_back(parcel);
}

void VirtualNetwork::Impl::deliver() {
  Parcel* parcel = arrivals.front().parcel;
  std::pop_heap(arrivals.begin(), arrivals.end());
  arrivals.pop_back();
  --under_way;
  if (parcel->in != nullptr) {
    if (Parcel* following = parcel->in->pop()) push_arrival(following);
  }
  Entry& entry = *entries[parcel->to];
  if (entry.node == nullptr) {
    ++counts.gone;
    end(WireEvent::Gone, parcel);
    return;
  }
  ++counts.delivered;
  counts.bytes += parcel->length;
  tell(WireEvent::Delivered, parcel);
  mark(parcel->to);
  entry.node->receive(parcel->bytes(), now);
  pool.give_back(parcel);
}

}  // namespace lastack
