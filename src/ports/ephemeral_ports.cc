#include "ports/ephemeral_ports.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "timewait/fold_hash.h"

namespace lastack {
namespace {

constexpr std::uint32_t kReusable = 1U << 16;
Port port_of(std::uint32_t entry) {
  return static_cast<Port>(entry);
}

auto first_from(const std::vector<std::uint32_t>& few, std::uint32_t port) {
  return std::lower_bound(few.begin(), few.end(), port,
                          [](std::uint32_t entry, std::uint32_t p) { return port_of(entry) < p; });
}

// A port's place in the bitmaps, and the port of a place.
Port place_of(Port port) {
  return std::rotr(port, 1);
}
Port port_at(Port place) {
  return std::rotl(place, 1);
}

}  // namespace

// --- The ports of one destination ----------------------------------------------------------------------------

bool EphemeralPorts::Taken::contains(Port port) const {
  if (many_) return many_->contains(place_of(port));
  const auto at = first_from(few_, port);
  return at != few_.end() && port_of(*at) == port;
}

bool EphemeralPorts::Taken::is_reusable(Port port) const {
  if (many_) return reusable_ && reusable_->contains(place_of(port));
  const auto at = first_from(few_, port);
  return at != few_.end() && *at == (port | kReusable);
}

void EphemeralPorts::Taken::insert(Port port) {
  if (many_) {
    many_->insert(place_of(port));
    return;
  }
  const auto at = first_from(few_, port);
  if (at != few_.end() && port_of(*at) == port) return;
  few_.insert(at, port);
  if (few_.size() <= kFew) return;
  many_ = std::make_unique<PortBitmap>();
  std::vector<std::uint32_t> few;
  few.swap(few_);
  for (const std::uint32_t entry : few) {
    many_->insert(place_of(port_of(entry)));
    if ((entry & kReusable) != 0) set_reusable(port_of(entry), true);
  }
}

// A bitmap stays one until the last port has gone.
void EphemeralPorts::Taken::erase(Port port) {
  if (many_) {
    const Port place = place_of(port);
    many_->erase(place);
    if (reusable_) reusable_->erase(place);
    if (place >= full_.first && place <= full_.last) full_ = {};
    return;
  }
  const auto at = first_from(few_, port);
  if (at != few_.end() && port_of(*at) == port) few_.erase(at);
}

void EphemeralPorts::Taken::set_reusable(Port port, bool reusable) {
  if (many_) {
    const Port place = place_of(port);
    if (!many_->contains(place) || (!reusable && !reusable_)) return;
    if (!reusable_) reusable_ = std::make_unique<PortBitmap>();
    reusable ? reusable_->insert(place) : reusable_->erase(place);
    return;
  }
  const auto at = first_from(few_, port);
  if (at == few_.end() || port_of(*at) != port) return;
  few_[static_cast<std::size_t>(at - few_.begin())] = reusable ? port | kReusable : port;
}

bool EphemeralPorts::Taken::are_all_taken(Port from, Port last, bool reuse) {
  if (!many_ || (reuse && reusable_)) return false;
  const Port first_place = place_of(from);
  const Port last_place = place_of(static_cast<Port>(last - ((last ^ from) & 1)));
  if (first_place >= full_.first && last_place <= full_.last) return true;
  if (many_->next_absent(first_place, last_place)) return false;
  full_ = {first_place, last_place};
  return true;
}

// Whichever of taken and excluded stands in the way is passed over as a whole. Where they alternate too often to get
// anywhere, both are looked through word by word.
std::optional<Port> EphemeralPorts::Taken::next(Port from, Port last, bool reuse,
                                                const PortBitmap& excluded) const {
  Port place = place_of(from);
  const Port last_place = place_of(static_cast<Port>(last - ((last ^ from) & 1)));
  if (!many_) {
    for (;;) {
      const auto open = excluded.next_absent(place, last_place);
      if (!open) return std::nullopt;
      const Port port = port_at(*open);
      if (!contains(port) || (reuse && is_reusable(port))) return port;
      if (*open == last_place) return std::nullopt;
      place = static_cast<Port>(*open + 1);
    }
  }
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    auto open = many_->next_absent(place, last_place);
    if (reuse && reusable_) {
      const auto rested = reusable_->next_present(place, open.value_or(last_place));
      if (rested) open = rested;
    }
    if (!open) return std::nullopt;
    if (!excluded.contains(*open)) return port_at(*open);
    const auto allowed = excluded.next_absent(*open, last_place);
    if (!allowed) return std::nullopt;
    place = *allowed;
  }
  return scan(place, last_place, reuse, excluded);
}

std::optional<Port> EphemeralPorts::Taken::scan(Port place, Port last, bool reuse,
                                                const PortBitmap& excluded) const {
  std::uint64_t of_first = ~std::uint64_t{0} << (place % 64);
  for (std::uint32_t w = place / 64U; w <= last / 64U; ++w) {
    std::uint64_t open = ~many_->word(w);
    if (reuse && reusable_) open |= reusable_->word(w);
    open &= ~excluded.word(w) & of_first;
    of_first = ~std::uint64_t{0};
    if (open == 0) continue;
    const std::uint32_t at = w * 64 + static_cast<std::uint32_t>(std::countr_zero(open));
    if (at > last) break;
    return port_at(static_cast<Port>(at));
  }
  return std::nullopt;
}

std::size_t EphemeralPorts::Taken::bytes() const {
  return few_.capacity() * sizeof(std::uint32_t) + (many_ ? sizeof(PortBitmap) : 0) +
         (reusable_ ? sizeof(PortBitmap) : 0);
}

// --- All destinations ------------------------------------------------------------------------------------------

EphemeralPorts::EphemeralPorts(const SipKey& key)
    : hash_{key}, order_(key), destinations_(16, hash_) {}

std::size_t EphemeralPorts::Hash::operator()(const Key& k) const {
  using Words = std::array<std::uint64_t, 2>;
  const auto from = std::bit_cast<Words>(k.source.bytes());
  const auto to = std::bit_cast<Words>(k.destination.address.bytes());
  FoldHash hash(key);
  return static_cast<std::size_t>(
      hash.add(from[0], from[1]).add(to[0], to[1]).add(k.destination.port).finish());
}

auto EphemeralPorts::lately(const Key& key) -> Lately& {
  const unsigned ends = key.source.bytes()[15] ^ key.destination.address.bytes()[15];
  Lately& known = lately_[(ends ^ key.destination.port) % lately_.size()];
  if (known.filled && known.key == key) return known;
  const auto at = destinations_.find(key);
  known = {true, key, at == destinations_.end() ? nullptr : &at->second,
           order_.hash(key.source, key.destination)};
  return known;
}

void EphemeralPorts::forget(const Key& key) {
  lately(key).taken = nullptr;
  destinations_.erase(key);
}

void EphemeralPorts::take(const FourTuple& tuple) {
  const Key key{tuple.local.address, tuple.remote};
  Lately& known = lately(key);
  if (known.taken == nullptr) known.taken = &destinations_[key];
  if (known.taken == idle_) idle_ = nullptr;
  known.taken->insert(tuple.local.port);
}

void EphemeralPorts::release(const FourTuple& tuple) {
  const Key key{tuple.local.address, tuple.remote};
  Taken* const taken = lately(key).taken;
  if (taken == nullptr || taken == idle_) return;
  taken->erase(tuple.local.port);
  if (!taken->empty()) return;
  if (taken->has_bitmap()) {
    forget(key);
    return;
  }
  if (idle_ != nullptr) forget(idle_key_);
  idle_ = taken;
  idle_key_ = key;
}

void EphemeralPorts::set_reusable(const FourTuple& tuple, bool reusable) {
  Taken* const taken = lately({tuple.local.address, tuple.remote}).taken;
  if (taken != nullptr) taken->set_reusable(tuple.local.port, reusable);
}

void EphemeralPorts::set_reserved(const PortSet& reserved) {
  reserved_ = reserved;
  for (std::uint32_t i = 0; i <= 65535; ++i) {
    const Port port = static_cast<Port>(i);
    reserved.contains(port) || bound_.count(port) != 0 ? excluded_.insert(place_of(port))
                                                       : excluded_.erase(place_of(port));
  }
}

void EphemeralPorts::exclude(Port port) {
  if (++bound_[port] == 1) excluded_.insert(place_of(port));
}

void EphemeralPorts::include(Port port) {
  const auto at = bound_.find(port);
  if (at == bound_.end() || --at->second > 0) return;
  bound_.erase(at);
  if (!reserved_.contains(port)) excluded_.erase(place_of(port));
}

std::optional<Port> EphemeralPorts::next(const Taken& taken, std::uint32_t from, std::uint32_t last,
                                         std::uint32_t step, bool reuse) const {
  const auto of_parity = [&](std::uint32_t first) {
    return first > last
               ? std::nullopt
               : taken.next(static_cast<Port>(first), static_cast<Port>(last), reuse, excluded_);
  };
  const auto port = of_parity(from);
  if (step == 2) return port;
  const auto other = of_parity(from + 1);
  return port && other ? std::min(port, other) : std::max(port, other);
}

auto EphemeralPorts::choose(const IpAddress& source, const Endpoint& destination,
                            const RangeToChooseFrom& range, bool reuse_allowed,
                            std::uint64_t random) -> tl::expected<Choice, PortError> {
  if (range.range.low > range.range.high) return tl::unexpected(PortError::InvalidRange);
  const Lately& known = lately({source, destination});
  Taken& taken = known.taken == nullptr ? none_ : *known.taken;
  const PortWalk walk(range);
  const std::uint32_t offset = order_.offset(known.order, walk);
  const std::uint32_t last = walk.high - 1;
  for (std::uint32_t parity = 0; parity <= (walk.has_second_round() ? 1 : 0); ++parity) {
    const std::uint32_t first = walk.low + parity;
    // The parity that is tried first is full, or nearly so, wherever ports are scarce.
    if (walk.step == 2 &&
        taken.are_all_taken(static_cast<Port>(first), static_cast<Port>(last), reuse_allowed)) {
      continue;
    }
    const std::uint32_t start = first + offset;
    std::uint32_t walked = 0;
    auto port = next(taken, start, last, walk.step, reuse_allowed);
    if (port) {
      walked = *port - start;
    } else if (offset > 0) {
      port = next(taken, first, start - 1, walk.step, reuse_allowed);
      if (port) walked = walk.places - (start - *port);
    }
    if (!port) continue;
    order_.move_on(known.order, walk, walked, random);
    return Choice{*port, taken.contains(*port)};
  }
  ++exhausted_;
  return tl::unexpected(PortError::AddressNotAvailable);
}

auto EphemeralPorts::counts(const IpAddress& source, const Endpoint& destination,
                            PortRange range) const -> Counts {
  Counts counts;
  const auto at = destinations_.find({source, destination});
  for (std::uint32_t i = range.low; i <= range.high; ++i) {
    const Port port = static_cast<Port>(i);
    if (excluded_.contains(place_of(port))) continue;
    if (at == destinations_.end() || !at->second.contains(port)) {
      ++counts.free;
    } else {
      ++counts.taken;
      if (at->second.is_reusable(port)) ++counts.reusable;
    }
  }
  return counts;
}

std::size_t EphemeralPorts::bytes() const {
  std::size_t bytes = sizeof *this + destinations_.bucket_count() * sizeof(void*) +
                      bound_.size() * 4 * sizeof(void*);
  for (const auto& [key, taken] : destinations_) {
    bytes += sizeof key + sizeof taken + 2 * sizeof(void*) + taken.bytes();
  }
  return bytes;
}

}  // namespace lastack
