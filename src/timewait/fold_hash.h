// The keyed hash of the tables that every packet asks: two multiplications of 64 by 64 bits, each folded to 64
// (the step of wyhash and its kin). A tenth of SipHash's work. It is no pseudo-random function; for a table it need not
// be, since nobody outside sees what it gives: whoever does not know the key can no more aim at a bucket than at
// Linux's, which has a keyed jhash in its place. What does leave the host (initial sequence numbers, offsets of
// timestamps, ports) comes from SipHash.
#pragma once

#include <cstdint>

#include "timewait/siphash.h"

namespace lastack {

class FoldHash {
 public:
  constexpr explicit FoldHash(const SipKey& key)
      : state_(key.k0 ^ 0xa0761d6478bd642f), other_(key.k1 ^ 0xe7037ed1a0b428db) {}

  constexpr FoldHash& add(std::uint64_t a, std::uint64_t b = 0) {
    state_ = fold(state_ ^ a, other_ ^ b);
    return *this;
  }
  constexpr std::uint64_t finish() const { return fold(state_, 0x9e3779b97f4a7c15); }

 private:
  __extension__ using Wide = unsigned __int128;

  static constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::uint64_t state_, other_;
};

}  // namespace lastack
