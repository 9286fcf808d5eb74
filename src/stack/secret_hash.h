// A keyed hash nobody outside can compute (SipHash-1-3): initial sequence numbers (RFC 6528), timestamp
// offsets, the choice of ports (RFC 6056) and hash tables that cannot be aimed at.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "lastack/four_tuple.h"

namespace lastack {

struct SecretKey {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

class SecretHash {
 public:
  explicit SecretHash(const SecretKey& key)
      : v0_(0x736f6d6570736575ULL ^ key.first),
        v1_(0x646f72616e646f6dULL ^ key.second),
        v2_(0x6c7967656e657261ULL ^ key.first),
        v3_(0x7465646279746573ULL ^ key.second) {}

  void add(std::uint64_t word) {
    v3_ ^= word;
    round();
    v0_ ^= word;
  }
  void add(const IpAddress& address) {
    const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
    if (!address.is_v4()) add(words[0]);
    add(words[1]);
  }
  std::uint64_t finish() {
    v2_ ^= 0xff;
    round();
    round();
    round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  void round() {
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
