// What nobody outside can compute: initial sequence numbers (RFC 6528), timestamp offsets, the choice of ports
// (RFC 6056), all by SipHash with keys of the host's own. The tables have a cheaper hash (timewait/fold_hash.h).
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

// In as few words as there are: an IPv4 tuple is 12 bytes, an IPv6 one 36. Their lengths differ, so that neither is
// ever the other.
inline std::uint64_t hash_tuple(const SecretKey& key, const FourTuple& tuple) {
  const std::uint32_t ports = std::uint32_t{tuple.local.port} << 16 | tuple.remote.port;
  SipHash hash(key);
  const IpAddress& local = tuple.local.address;
  const IpAddress& remote = tuple.remote.address;
  if (local.is_v4() && remote.is_v4()) {
    hash.add(std::uint64_t{local.v4_value()} << 32 | remote.v4_value());
  } else {
    using Words = std::array<std::uint64_t, 2>;
    const auto from = std::bit_cast<Words>(local.bytes());
    const auto to = std::bit_cast<Words>(remote.bytes());
    hash.add(from[0]).add(from[1]).add(to[0]).add(to[1]);
  }
  return hash.finish(ports, sizeof ports);
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
