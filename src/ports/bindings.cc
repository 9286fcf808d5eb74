#include "ports/bindings.h"

#include <bit>

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

tl::expected<void, PortError> Bindings::may_bind(Port port, const PortHolder& asks) const {
  const bool taken = any_of(
      port, [&](const PortHolder& holds, std::uint32_t) { return stands_against(holds, asks); });
  if (taken) return tl::unexpected(PortError::AddressInUse);
  return {};
}

tl::expected<void, PortError> Bindings::may_listen(Port port, const PortHolder& asks) const {
  const bool taken = any_of(port, [&](const PortHolder& holds, std::uint32_t count) {
    // One of those with its terms is the socket itself.
    return !(holds == asks && count == 1) && stands_against(holds, asks);
  });
  if (taken) return tl::unexpected(PortError::AddressInUse);
  return {};
}

bool Bindings::free_for_bind_zero(Port port, const PortHolder& asks) const {
  return !any_of(
      port, [&](const PortHolder& holds, std::uint32_t) { return addresses_overlap(holds, asks); });
}

bool Bindings::passed_over_by_connect(Port port) const {
  return any_of(port, [](const PortHolder& holds, std::uint32_t) { return !holds.by_connect; });
}

std::size_t Bindings::Hash::operator()(const PortHolder& h) const {
  const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(h.address.bytes());
  std::uint64_t x = words[0] * 0x9e3779b97f4a7c15 ^ words[1];
  x = (x ^ x >> 32) * 0xbf58476d1ce4e5b9 ^ h.rest();
  x = (x ^ x >> 29) * 0x94d049bb133111eb;
  return static_cast<std::size_t>(x ^ x >> 32);
}

std::uint32_t Bindings::find_number(const PortHolder& holder) const {
  std::uint32_t& last =
      lately_[holder.address.bytes()[15] % kLately * 2 + (holder.time_wait ? 1 : 0)];
  if (last != kNone && terms_[last].holder == holder) return last;
  const auto at = numbers_.find(holder);
  return at == numbers_.end() ? kNone : last = at->second;
}

// Terms on which nobody holds anything any more: most will be asked for again, so they are forgotten only
// when there are many.
void Bindings::forget_unused_terms() {
  lately_ = none_lately();
  for (std::uint32_t n = 0; n < terms_.size(); ++n) {
    const auto at = numbers_.find(terms_[n].holder);
    if (terms_[n].entries > 0 || at == numbers_.end() || at->second != n) continue;
    numbers_.erase(at);
    free_terms_.push_back(n);
  }
  most_terms_ = 2 * numbers_.size() + 64;
}

std::uint32_t Bindings::number_of(const PortHolder& holder) {
  if (const std::uint32_t known = find_number(holder); known != kNone) return known;
  if (numbers_.size() >= most_terms_) forget_unused_terms();
  std::uint32_t number = 0;
  if (free_terms_.empty()) {
    number = static_cast<std::uint32_t>(terms_.size());
    terms_.push_back({holder, 0});
  } else {
    number = free_terms_.back();
    free_terms_.pop_back();
    terms_[number] = {holder, 0};
  }
  numbers_.emplace(holder, number);
  return number;
}

auto Bindings::add(Port port, const PortHolder& holder) -> Terms {
  const std::uint32_t terms = number_of(holder);
  auto& page = pages_[port / kPagePorts];
  if (page == nullptr) page = std::make_unique<Page>();
  Entry& first = (*page)[port % kPagePorts];
  if (first.count == 0) {
    ++held_ports_;
    ++terms_[terms].entries;
    first = {terms, 1, kNone};
    return Terms{terms};
  }
  for (Entry* e = &first;; e = &entries_[e->next]) {
    if (e->terms == terms) {
      ++e->count;
      return Terms{terms};
    }
    if (e->next == kNone) break;
  }
  ++terms_[terms].entries;
  const Entry fresh{terms, 1, first.next};
  if (free_entry_ != kNone) {
    first.next = free_entry_;
    free_entry_ = entries_[first.next].next;
    entries_[first.next] = fresh;
  } else {
    first.next = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back(fresh);
  }
  return Terms{terms};
}

void Bindings::remove(Port port, const PortHolder& holder) {
  const std::uint32_t terms = find_number(holder);
  if (terms != kNone) remove(port, Terms{terms});
}

void Bindings::remove(Port port, Terms which) {
  const auto terms = static_cast<std::uint32_t>(which);
  const auto& page = pages_[port / kPagePorts];
  if (page == nullptr) return;
  Entry& first = (*page)[port % kPagePorts];
  if (first.count == 0) return;
  std::uint32_t gone = kNone;  // the place in entries_ that is free now
  if (first.terms == terms) {
    if (--first.count > 0) return;
    gone = first.next;
    if (gone == kNone) {
      --held_ports_;
    } else {
      first = entries_[gone];
    }
  } else {
    std::uint32_t* link = &first.next;
    while (*link != kNone && entries_[*link].terms != terms) link = &entries_[*link].next;
    if (*link == kNone || --entries_[*link].count > 0) return;
    gone = *link;
    *link = entries_[gone].next;
  }
  if (gone != kNone) {
    entries_[gone].next = free_entry_;
    free_entry_ = gone;
  }
  --terms_[terms].entries;
}

std::uint64_t Bindings::holders(Port port) const {
  std::uint64_t n = 0;
  any_of(port, [&](const PortHolder&, std::uint32_t count) {
    n += count;
    return false;
  });
  return n;
}

std::size_t Bindings::bytes() const {
  std::size_t bytes =
      sizeof *this + entries_.capacity() * sizeof(Entry) + terms_.capacity() * sizeof(KnownTerms) +
      free_terms_.capacity() * sizeof(std::uint32_t) + numbers_.bucket_count() * sizeof(void*) +
      numbers_.size() * (sizeof(PortHolder) + 3 * sizeof(void*));
  for (const auto& page : pages_) bytes += page == nullptr ? 0 : sizeof(Page);
  return bytes;
}

}  // namespace lastack
