#include "ports/port_bitmap.h"

namespace lastack {

namespace {

// Where a port is cannot be foretold, and a branch that depends on it costs more than all the rest: so there is
// none.
constexpr std::uint32_t all_ones_if(bool condition) {
  return 0U - static_cast<std::uint32_t>(condition);
}

}  // namespace

namespace {

// Sums the bits of neighbours, then of pairs, and so on.
std::uint64_t ones_of_bytes(std::uint64_t x) {
  x -= x >> 1 & 0x5555555555555555;
  x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
  return (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
}

// How many ones a number of four bits has, four bits for each.
constexpr std::uint64_t kOnesOfFour = 0x4332322132212110;

}  // namespace

std::uint32_t ones(std::uint64_t x) {
  return static_cast<std::uint32_t>(ones_of_bytes(x) * 0x0101010101010101 >> 56);
}

// In every byte the ones up to its end, all at once; then the bits of the byte that it is in.
std::uint32_t nth_one(std::uint64_t word, std::uint32_t k) {
  constexpr std::uint64_t kEach = 0x0101010101010101, kTop = 0x8080808080808080;
  const std::uint64_t up_to = ones_of_bytes(word) * kEach;
  // The top bit of each byte whose ones, with those of the bytes below it, do not suffice.
  const std::uint64_t short_of = ((k * kEach | kTop) - up_to) & kTop;
  auto at = static_cast<std::uint32_t>((short_of >> 7) * kEach >> 56) * 8;
  k -= static_cast<std::uint32_t>(up_to << 8 >> at) & 0xff;
  for (std::uint32_t width = 4; width > 0; width /= 2) {
    const std::uint64_t low = word >> at & ((std::uint64_t{1} << width) - 1);
    const std::uint32_t n = kOnesOfFour >> (4 * low) & 7;
    const std::uint32_t above = all_ones_if(k >= n);
    k -= n & above;
    at += width & above;
  }
  return at;
}

void PortBitmap::count(Port port, int by) {
  for (std::uint32_t i = port / kGroupPorts + 1; i <= kGroups; i += i & -i) {
    tree_[i] = static_cast<std::uint16_t>(tree_[i] + by);
  }
  size_ += static_cast<std::uint32_t>(by);
}

bool PortBitmap::insert(Port port) {
  if (contains(port)) return false;
  words_[port / 64] |= std::uint64_t{1} << (port % 64);
  count(port, 1);
  return true;
}

bool PortBitmap::erase(Port port) {
  if (!contains(port)) return false;
  words_[port / 64] &= ~(std::uint64_t{1} << (port % 64));
  count(port, -1);
  return true;
}

std::uint32_t PortBitmap::rank(std::uint32_t end) const {
  std::uint32_t n = 0;
  for (std::uint32_t i = end / kGroupPorts; i > 0; i &= i - 1) {
    // The whole of 65,536 does not fit into 16 bits; it is in one place only.
    n += i == kGroups ? size_ : tree_[i];
  }
  if (end % kGroupPorts == 0) return n;
  for (std::uint32_t w = end / kGroupPorts * kGroupWords; w < end / 64; ++w) n += ones(words_[w]);
  const std::uint32_t bits = end % 64;
  if (bits != 0) n += ones(words_[end / 64] & ((std::uint64_t{1} << bits) - 1));
  return n;
}

template <bool kPresent>
Port PortBitmap::select(std::uint32_t k) const {
  std::uint32_t group = 0;
  for (std::uint32_t step = kGroups / 2; step > 0; step /= 2) {
    const std::uint32_t there = tree_[group + step];
    const std::uint32_t n = kPresent ? there : step * kGroupPorts - there;
    const std::uint32_t beyond = all_ones_if(k >= n);
    k -= n & beyond;
    group += step & beyond;
  }
  std::uint32_t before = 0;
  std::uint32_t sum = 0;
  std::uint32_t w = group * kGroupWords;
  const std::uint32_t first = w;
  for (std::uint32_t i = first; i < first + kGroupWords; ++i) {
    sum += ones(kPresent ? words_[i] : ~words_[i]);
    const std::uint32_t beyond = all_ones_if(k >= sum);
    before += (sum - before) & beyond;
    w += 1 & beyond;
  }
  const std::uint64_t word = kPresent ? words_[w] : ~words_[w];
  return static_cast<Port>(w * 64 + nth_one(word, k - before));
}

template Port PortBitmap::select<true>(std::uint32_t k) const;
template Port PortBitmap::select<false>(std::uint32_t k) const;

}  // namespace lastack
