#include "lastack/port_set.h"

#include <charconv>

namespace lastack {

namespace {
// The bits of word `index` that belong to `range`.
std::uint64_t mask(std::size_t index, PortRange range) {
  const std::uint32_t first = static_cast<std::uint32_t>(index) * 64;
  std::uint64_t m = ~std::uint64_t{0};
  if (range.low > first) m &= ~std::uint64_t{0} << (range.low - first);
  if (range.high < first + 63) m &= ~std::uint64_t{0} >> (first + 63 - range.high);
  return m;
}
constexpr std::uint64_t kEvenPorts = 0x5555555555555555;
}  // namespace

void PortSet::insert(PortRange range) {
  for (std::size_t i = range.low / 64; i <= range.high / 64; ++i) words_[i] |= mask(i, range);
}

PortSet& PortSet::operator|=(const PortSet& other) {
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  return *this;
}

bool PortSet::empty() const {
  for (std::uint64_t w : words_) {
    if (w != 0) return false;
  }
  return true;
}

std::uint32_t PortSet::size() const {
  return size_within({0, 65535});
}

std::uint32_t PortSet::size_within(PortRange range) const {
  return size_within(range, 0) + size_within(range, 1);
}

std::uint32_t PortSet::size_within(PortRange range, unsigned parity) const {
  const std::uint64_t wanted = parity == 0 ? kEvenPorts : ~kEvenPorts;
  std::uint32_t n = 0;
  for (std::size_t i = range.low / 64; i <= range.high / 64; ++i) {
    n += static_cast<std::uint32_t>(std::popcount(words_[i] & wanted & mask(i, range)));
  }
  return n;
}

std::string PortSet::to_string() const {
  std::string text;
  for (std::uint32_t p = 0; p <= 65535; ++p) {
    if (!contains(static_cast<Port>(p))) continue;
    std::uint32_t last = p;
    while (last < 65535 && contains(static_cast<Port>(last + 1))) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(p);
    if (last > p) text += '-' + std::to_string(last);
    p = last;
  }
  return text;
}

std::optional<PortSet> PortSet::parse(std::string_view text) {
  PortSet set;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  const auto skip_blanks = [&] {
    while (at != end && (*at == ' ' || *at == '\t' || *at == '\n')) ++at;
  };
  const auto number = [&]() -> std::optional<Port> {
    Port port = 0;
    const auto [next, error] = std::from_chars(at, end, port);
    if (error != std::errc{}) return std::nullopt;
    at = next;
    return port;
  };
  skip_blanks();
  while (at != end) {
    const auto low = number();
    if (!low) return std::nullopt;
    auto high = low;
    if (at != end && *at == '-') {
      ++at;
      high = number();
      if (!high || *high < *low) return std::nullopt;
    }
    set.insert(PortRange{*low, *high});
    skip_blanks();
    if (at == end) break;
    if (*at != ',') return std::nullopt;
    ++at;
    skip_blanks();
    if (at == end) return std::nullopt;
  }
  return set;
}

}  // namespace lastack
