// SipHash (Aumasson and Bernstein) over whole 64-bit words, with one round for each and three at the end or, where others
// compute the same, two and four: the keyed hash of what a stranger sees and must not foresee. The key is an argument; whoever starts a
// host draws it once.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace lastack {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

template <int kForEach, int kAtEnd>
class SipHashOf {
 public:
  constexpr explicit SipHashOf(const SipKey& key)
      : v0_(key.k0 ^ 0x736f6d6570736575),
        v1_(key.k1 ^ 0x646f72616e646f6d),
        v2_(key.k0 ^ 0x6c7967656e657261),
        v3_(key.k1 ^ 0x7465646279746573) {}

  // Eight bytes of the message, the first of them lowest.
  constexpr SipHashOf& add(std::uint64_t word) {
    v3_ ^= word;
    for (int i = 0; i < kForEach; ++i) round();
    v0_ ^= word;
    length_ += 8;
    return *this;
  }
  // The last `bytes` < 8 of the message.
  constexpr std::uint64_t finish(std::uint64_t rest = 0, unsigned bytes = 0) {
    add(rest | (length_ + bytes) << 56);
    v2_ ^= 0xff;
    for (int i = 0; i < kAtEnd; ++i) round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  constexpr void round() {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t length_ = 0;
};

using SipHash = SipHashOf<1, 3>;

}  // namespace lastack
