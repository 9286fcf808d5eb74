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

// Below n, all but equally likely: the excess of any is less than n / 2^32.
std::uint32_t below(std::uint64_t& random, std::uint32_t n) {
  // The next of a sequence (splitmix64), where one draw needs several.
  random += 0x9e3779b97f4a7c15;
  std::uint64_t x = random;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  x ^= x >> 31;
  return static_cast<std::uint32_t>((x >> 32) * n >> 32);
}

}  // namespace

// --- The ports of one destination ----------------------------------------------------------------------------

bool EphemeralPorts::Taken::contains(Port port) const {
  if (many_) return many_->contains(port);
  const auto at = first_from(few_, port);
  return at != few_.end() && port_of(*at) == port;
}

bool EphemeralPorts::Taken::is_reusable(Port port) const {
  if (many_) return reusable_ && reusable_->contains(port);
  const auto at = first_from(few_, port);
  return at != few_.end() && *at == (port | kReusable);
}

void EphemeralPorts::Taken::insert(Port port) {
  if (many_) {
    many_->insert(port);
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
    many_->insert(port_of(entry));
    if ((entry & kReusable) != 0) set_reusable(port_of(entry), true);
  }
}

// A bitmap stays one until the last port has gone.
void EphemeralPorts::Taken::erase(Port port) {
  if (many_) {
    many_->erase(port);
    if (reusable_) reusable_->erase(port);
    return;
  }
  const auto at = first_from(few_, port);
  if (at != few_.end() && port_of(*at) == port) few_.erase(at);
}

void EphemeralPorts::Taken::set_reusable(Port port, bool reusable) {
  if (many_) {
    if (!many_->contains(port) || (!reusable && !reusable_)) return;
    if (!reusable_) reusable_ = std::make_unique<PortBitmap>();
    reusable ? reusable_->insert(port) : reusable_->erase(port);
    return;
  }
  const auto at = first_from(few_, port);
  if (at == few_.end() || port_of(*at) != port) return;
  few_[static_cast<std::size_t>(at - few_.begin())] = reusable ? port | kReusable : port;
}

std::uint32_t EphemeralPorts::Taken::absent_within(PortRange range) const {
  if (many_) return many_->absent_within(range);
  const auto there = first_from(few_, range.high + 1U) - first_from(few_, range.low);
  return range.size() - static_cast<std::uint32_t>(there);
}

Port EphemeralPorts::Taken::absent(PortRange range, std::uint32_t k) const {
  if (many_) return many_->absent(range, k);
  std::uint32_t port = range.low + k;
  for (auto at = first_from(few_, range.low); at != few_.end() && port_of(*at) <= port; ++at) {
    ++port;
  }
  return static_cast<Port>(port);
}

std::uint32_t EphemeralPorts::Taken::reusable_within(PortRange range) const {
  if (many_) return reusable_ ? reusable_->size_within(range) : 0;
  const auto count = std::count_if(first_from(few_, range.low), first_from(few_, range.high + 1U),
                                   [](std::uint32_t entry) { return (entry & kReusable) != 0; });
  return static_cast<std::uint32_t>(count);
}

Port EphemeralPorts::Taken::reusable(PortRange range, std::uint32_t k) const {
  if (many_) return reusable_->present(range, k);
  auto at = first_from(few_, range.low);
  for (;; ++at) {
    if ((*at & kReusable) == 0) continue;
    if (k-- == 0) return port_of(*at);
  }
}

PortBitmap::Words EphemeralPorts::Taken::absent_words() const {
  PortBitmap::Words words{};
  if (many_) words = many_->words();
  for (const std::uint32_t entry : few_) {
    words[port_of(entry) / 64] |= std::uint64_t{1} << (entry % 64);
  }
  for (std::uint64_t& word : words) word = ~word;
  return words;
}

PortBitmap::Words EphemeralPorts::Taken::reusable_words() const {
  PortBitmap::Words words{};
  if (reusable_) words = reusable_->words();
  for (const std::uint32_t entry : few_) {
    if ((entry & kReusable) != 0) words[port_of(entry) / 64] |= std::uint64_t{1} << (entry % 64);
  }
  return words;
}

std::size_t EphemeralPorts::Taken::bytes() const {
  return few_.capacity() * sizeof(std::uint32_t) + (many_ ? sizeof(PortBitmap) : 0) +
         (reusable_ ? sizeof(PortBitmap) : 0);
}

// --- All destinations ------------------------------------------------------------------------------------------

EphemeralPorts::EphemeralPorts(const SipKey& key) : hash_{key}, destinations_(16, hash_) {}

std::size_t EphemeralPorts::Hash::operator()(const Key& k) const {
  using Words = std::array<std::uint64_t, 2>;
  const auto from = std::bit_cast<Words>(k.source.bytes());
  const auto to = std::bit_cast<Words>(k.destination.address.bytes());
  FoldHash hash(key);
  return static_cast<std::size_t>(
      hash.add(from[0], from[1]).add(to[0], to[1]).add(k.destination.port).finish());
}

auto EphemeralPorts::find(const IpAddress& source, const Endpoint& destination) -> Taken* {
  const Key key{source, destination};
  Lately& known = lately(key);
  if (known.taken != nullptr && known.key == key) return known.taken;
  const auto at = destinations_.find(key);
  if (at == destinations_.end()) return nullptr;
  known = {key, &at->second};
  return known.taken;
}

void EphemeralPorts::forget(const Key& key) {
  Lately& known = lately(key);
  if (known.key == key) known.taken = nullptr;
  destinations_.erase(key);
}

void EphemeralPorts::take(const FourTuple& tuple) {
  Taken* taken = find(tuple.local.address, tuple.remote);
  if (taken == nullptr) taken = &destinations_[{tuple.local.address, tuple.remote}];
  if (taken == idle_) idle_ = nullptr;
  taken->insert(tuple.local.port);
}

void EphemeralPorts::release(const FourTuple& tuple) {
  Taken* const taken = find(tuple.local.address, tuple.remote);
  if (taken == nullptr || taken == idle_) return;
  taken->erase(tuple.local.port);
  if (!taken->empty()) return;
  const Key key{tuple.local.address, tuple.remote};
  if (taken->has_bitmap()) {
    forget(key);
    return;
  }
  if (idle_ != nullptr) forget(idle_key_);
  idle_ = taken;
  idle_key_ = key;
}

void EphemeralPorts::set_reusable(const FourTuple& tuple, bool reusable) {
  Taken* const taken = find(tuple.local.address, tuple.remote);
  if (taken != nullptr) taken->set_reusable(tuple.local.port, reusable);
}

void EphemeralPorts::set_reserved(const PortSet& reserved) {
  reserved_ = reserved;
  for (std::uint32_t i = 0; i <= 65535; ++i) {
    const Port port = static_cast<Port>(i);
    reserved.contains(port) || bound_.count(port) != 0 ? excluded_.insert(port)
                                                       : excluded_.erase(port);
  }
}

void EphemeralPorts::exclude(Port port) {
  if (++bound_[port] == 1) excluded_.insert(port);
}

void EphemeralPorts::include(Port port) {
  const auto at = bound_.find(port);
  if (at == bound_.end() || --at->second > 0) return;
  bound_.erase(at);
  if (!reserved_.contains(port)) excluded_.erase(port);
}

// One of n candidates, of which some may be excluded. Those are few as a rule, and so a handful of draws
// finds another.
template <class Nth>
std::optional<Port> EphemeralPorts::draw(PortRange range, std::uint32_t n, std::uint64_t& random,
                                         Nth&& nth) const {
  const bool some_excluded = excluded_.size() != 0 && excluded_.size_within(range) != 0;
  constexpr int kDraws = 8;
  for (int i = 0; i < (n == 0 ? 0 : kDraws); ++i) {
    const Port port = nth(below(random, n));
    if (!some_excluded || !is_excluded(port)) return port;
  }
  return std::nullopt;
}

// When they are many, what is excluded is taken away from all the candidates first.
std::optional<Port> EphemeralPorts::draw(PortRange range, PortBitmap::Words words,
                                         std::uint64_t& random) const {
  const std::uint32_t first = range.low / 64U;
  const std::uint32_t last = range.high / 64U;
  words[first] &= ~std::uint64_t{0} << (range.low % 64);
  words[last] &= ~std::uint64_t{0} >> (63 - range.high % 64);
  std::uint32_t n = 0;
  for (std::uint32_t w = first; w <= last; ++w) {
    words[w] &= ~excluded_.words()[w];
    n += ones(words[w]);
  }
  if (n == 0) return std::nullopt;
  std::uint32_t k = below(random, n);
  for (std::uint32_t w = first;; ++w) {
    const std::uint32_t here = ones(words[w]);
    if (k < here) return static_cast<Port>(w * 64 + nth_one(words[w], k));
    k -= here;
  }
}

std::optional<Port> EphemeralPorts::draw_free(const Taken& taken, PortRange range,
                                              std::uint64_t& random) const {
  const std::uint32_t n = taken.absent_within(range);
  const auto port = draw(range, n, random, [&](std::uint32_t k) { return taken.absent(range, k); });
  return port || n == 0 ? port : draw(range, taken.absent_words(), random);
}

std::optional<Port> EphemeralPorts::draw_reusable(const Taken& taken, PortRange range,
                                                  std::uint64_t& random) const {
  const std::uint32_t n = taken.reusable_within(range);
  const auto port =
      draw(range, n, random, [&](std::uint32_t k) { return taken.reusable(range, k); });
  return port || n == 0 ? port : draw(range, taken.reusable_words(), random);
}

auto EphemeralPorts::choose(const IpAddress& source, const Endpoint& destination, PortRange range,
                            bool reuse_allowed, std::uint64_t random)
    -> tl::expected<Choice, PortError> {
  if (range.low > range.high) return tl::unexpected(PortError::InvalidRange);
  const Taken* const found = find(source, destination);
  const Taken& taken = found == nullptr ? none_ : *found;
  if (const auto free = draw_free(taken, range, random)) return Choice{*free, false};
  if (reuse_allowed) {
    if (const auto rested = draw_reusable(taken, range, random)) return Choice{*rested, true};
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
    if (is_excluded(port)) continue;
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
