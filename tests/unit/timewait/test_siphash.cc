// SipHash-1-3 against the values of an independent implementation, which gives the published ones of 2-4.
#include <gtest/gtest.h>

#include "timewait/siphash.h"

namespace lastack {
namespace {

// The key and the messages of the published vectors: 00 01 02 ...
constexpr SipKey kKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};

TEST(SipHash, GivesTheValuesOfTheReference) {
  EXPECT_EQ(SipHash(kKey).finish(), 0xabac0158050fc4dc);
  EXPECT_EQ(SipHash(kKey).add(0x0706050403020100).finish(), 0x369095118d299a8e);
  EXPECT_EQ(SipHash(kKey).add(0x0706050403020100).add(0x0f0e0d0c0b0a0908).finish(),
            0xcc4fdd1a7d908b66);
  EXPECT_EQ(SipHash(kKey).add(0x0706050403020100).add(0x0f0e0d0c0b0a0908).finish(0x13121110, 4),
            0xc0dc2f46a6cce040);
}

TEST(SipHash, DependsOnEitherHalfOfTheKey) {
  const auto hash = [](const SipKey& key) { return SipHash(key).add(1).finish(); };
  EXPECT_NE(hash({1, 2}), hash({1, 3}));
  EXPECT_NE(hash({1, 2}), hash({2, 2}));
}

}  // namespace
}  // namespace lastack
