#include "ports/bindings.h"

#include <algorithm>

namespace lastack {

PortHolder holder_of(const TimeWaitRecord& record) {
  PortHolder holder;
  holder.address = record.tuple.local.address;
  holder.reuse_address = record.port.reuse_address;
  holder.reuse_port = record.port.reuse_port;
  holder.time_wait = true;
  holder.by_connect = !record.port.bound;
  return holder;
}

bool addresses_overlap(const PortHolder& a, const PortHolder& b) {
  if (a.address == b.address) return true;
  // `wide` is a wildcard: does it cover the other's address, or some of them?
  const auto covers = [](const PortHolder& wide, const PortHolder& other) {
    if (!wide.address.is_unspecified()) return false;
    if (wide.address.is_v4()) {
      return other.address.is_v4() || (other.address.is_unspecified() && !other.v6_only);
    }
    return !other.address.is_v4() || !wide.v6_only;
  };
  return covers(a, b) || covers(b, a);
}

bool stands_against(const PortHolder& holds, const PortHolder& asks) {
  if (!addresses_overlap(holds, asks)) return false;
  if (asks.reuse_address && holds.reuse_address && !holds.listening) return false;
  const bool same_owner = holds.time_wait || holds.uid == asks.uid;
  return !(asks.reuse_port && holds.reuse_port && same_owner);
}

auto Bindings::entries(Port port) const -> const std::vector<Entry>* {
  const auto at = ports_.find(port);
  return at == ports_.end() ? nullptr : &at->second;
}

tl::expected<void, PortError> Bindings::may_bind(Port port, const PortHolder& asks) const {
  if (const auto* all = entries(port)) {
    for (const Entry& e : *all) {
      if (stands_against(e.holder, asks)) return tl::unexpected(PortError::AddressInUse);
    }
  }
  return {};
}

tl::expected<void, PortError> Bindings::may_listen(Port port, const PortHolder& asks) const {
  if (const auto* all = entries(port)) {
    for (const Entry& e : *all) {
      // One of those with its terms is the socket itself.
      if (e.holder == asks && e.count == 1) continue;
      if (stands_against(e.holder, asks)) return tl::unexpected(PortError::AddressInUse);
    }
  }
  return {};
}

bool Bindings::free_for_bind_zero(Port port, const PortHolder& asks) const {
  const auto* all = entries(port);
  return all == nullptr || std::none_of(all->begin(), all->end(), [&](const Entry& e) {
           return addresses_overlap(e.holder, asks);
         });
}

bool Bindings::passed_over_by_connect(Port port) const {
  const auto* all = entries(port);
  return all != nullptr &&
         std::any_of(all->begin(), all->end(), [](const Entry& e) { return !e.holder.by_connect; });
}

void Bindings::add(Port port, const PortHolder& holder) {
  auto& all = ports_[port];
  const auto same = [&](const Entry& e) { return e.holder == holder; };
  const auto at = std::find_if(all.begin(), all.end(), same);
  if (at == all.end()) {
    all.push_back({holder, 1});
  } else {
    ++at->count;
  }
}

void Bindings::remove(Port port, const PortHolder& holder) {
  const auto of_port = ports_.find(port);
  if (of_port == ports_.end()) return;
  auto& all = of_port->second;
  const auto same = [&](const Entry& e) { return e.holder == holder; };
  const auto at = std::find_if(all.begin(), all.end(), same);
  if (at == all.end() || --at->count > 0) return;
  *at = all.back();
  all.pop_back();
  if (all.empty()) ports_.erase(of_port);
}

std::uint64_t Bindings::holders(Port port) const {
  std::uint64_t n = 0;
  if (const auto* all = entries(port)) {
    for (const Entry& e : *all) n += e.count;
  }
  return n;
}

std::size_t Bindings::bytes() const {
  std::size_t bytes = sizeof *this + ports_.bucket_count() * sizeof(void*);
  for (const auto& [port, all] : ports_) {
    bytes += sizeof port + sizeof(std::vector<Entry>) + 2 * sizeof(void*) +
             all.capacity() * sizeof(Entry);
  }
  return bytes;
}

}  // namespace lastack
