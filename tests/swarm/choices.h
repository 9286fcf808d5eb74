// Where a run's decisions come from: a seed, and then they never end, or the bytes of a fuzzer's input, and then
// every decision is 0 once they are used up. 0 is the choice that does no harm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "stack/secret_hash.h"

namespace lastack::test {

class Choices {
 public:
  explicit Choices(std::uint64_t seed) : random_(seed) {}
  explicit Choices(std::span<const std::uint8_t> bytes)
      : random_(0), bytes_(bytes), from_bytes_(true) {}

  std::uint32_t below(std::uint32_t n) {
    if (n <= 1) return 0;
    if (!from_bytes_) return static_cast<std::uint32_t>((random_.next() >> 32) * n >> 32);
    std::uint32_t value = take();
    if (n > 256) value = value << 8 | take();
    if (n > 65536) value = value << 16 | take() << 8 | take();
    return value % n;
  }
  std::uint32_t between(std::uint32_t least, std::uint32_t most) {
    return least + below(most - least + 1);
  }
  // True in `percent` of all cases; never when the input is used up.
  bool chance(std::uint32_t percent) {
    if (percent == 0) return false;
    return below(100) >= 100 - percent;
  }
  bool over() const { return from_bytes_ && bytes_.empty(); }

 private:
  std::uint32_t take() {
    if (bytes_.empty()) return 0;
    const std::uint32_t b = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return b;
  }

  SeededRandom random_;
  std::span<const std::uint8_t> bytes_;
  bool from_bytes_ = false;
};

}  // namespace lastack::test
