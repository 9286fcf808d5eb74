// What nobody outside can compute: initial sequence numbers (RFC 6528), timestamp offsets, the choice of ports
// (RFC 6056) and hash tables that cannot be aimed at, all by SipHash with keys of the host's own.
#pragma once

#include <bit>
#include <cstdint>

#include "lastack/four_tuple.h"
#include "timewait/siphash.h"

namespace lastack {

using SecretKey = SipKey;

class SecretHash {
 public:
  explicit SecretHash(const SecretKey& key) : hash_(key) {}

  void add(std::uint64_t word) { hash_.add(word); }
  void add(const IpAddress& address) {
    const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
    if (!address.is_v4()) hash_.add(words[0]);
    hash_.add(words[1]);
  }
  std::uint64_t finish() { return hash_.finish(); }

 private:
  SipHash hash_;
};

inline std::uint64_t hash_tuple(const SecretKey& key, const FourTuple& tuple) {
  SecretHash hash(key);
  hash.add(tuple.local.address);
  hash.add(tuple.remote.address);
  hash.add(std::uint64_t{tuple.local.port} << 16 | tuple.remote.port);
  return hash.finish();
}

// Numbers that look random to whoever does not know the seed (splitmix64).
class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  SecretKey key() {
    const std::uint64_t first = next();
    return {first, next()};
  }

 private:
  std::uint64_t state_;
};

}  // namespace lastack
