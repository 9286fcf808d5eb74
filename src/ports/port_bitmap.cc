#include "ports/port_bitmap.h"

#include <bit>

namespace lastack {
namespace {

constexpr std::uint64_t kOnes = ~std::uint64_t{0};
constexpr std::uint64_t bit(std::uint32_t i) {
  return std::uint64_t{1} << (i % 64);
}

}  // namespace

bool PortBitmap::insert(Port port) {
  const std::uint32_t w = port / 64U;
  if ((words_[w] & bit(port)) != 0) return false;
  words_[w] |= bit(port);
  some_[w / 64] |= bit(w);
  some_of_some_ |= 1U << (w / 64);
  if (words_[w] == kOnes) {
    all_[w / 64] |= bit(w);
    if (all_[w / 64] == kOnes) all_of_all_ |= 1U << (w / 64);
  }
  ++size_;
  return true;
}

bool PortBitmap::erase(Port port) {
  const std::uint32_t w = port / 64U;
  if ((words_[w] & bit(port)) == 0) return false;
  words_[w] &= ~bit(port);
  all_[w / 64] &= ~bit(w);
  all_of_all_ &= ~(1U << (w / 64));
  if (words_[w] == 0) {
    some_[w / 64] &= ~bit(w);
    if (some_[w / 64] == 0) some_of_some_ &= ~(1U << (w / 64));
  }
  --size_;
  return true;
}

template <bool kPresent>
std::optional<Port> PortBitmap::next(Port from, Port last) const {
  const auto wanted = [](auto there, auto not_there) { return kPresent ? there : ~not_there; };
  std::uint32_t w = from / 64U;
  std::uint64_t word = wanted(words_[w], words_[w]) & kOnes << (from % 64);
  if (word == 0) {
    if (++w == kWords) return std::nullopt;
    std::uint32_t s = w / 64;
    std::uint64_t has_one = wanted(some_[s], all_[s]) & kOnes << (w % 64);
    if (has_one == 0) {
      constexpr std::uint32_t kTop = (1U << (kWords / 64)) - 1;
      const std::uint32_t beyond = wanted(some_of_some_, all_of_all_) & kTop & ~1U << s;
      if (beyond == 0) return std::nullopt;
      s = static_cast<std::uint32_t>(std::countr_zero(beyond));
      has_one = wanted(some_[s], all_[s]);
    }
    w = s * 64 + static_cast<std::uint32_t>(std::countr_zero(has_one));
    word = wanted(words_[w], words_[w]);
  }
  const std::uint32_t found = w * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
  if (found > last) return std::nullopt;
  return static_cast<Port>(found);
}

template std::optional<Port> PortBitmap::next<true>(Port from, Port last) const;
template std::optional<Port> PortBitmap::next<false>(Port from, Port last) const;

}  // namespace lastack
