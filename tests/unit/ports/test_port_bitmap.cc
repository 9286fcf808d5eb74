// Ranks and selections, against counting.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "ports/port_bitmap.h"
#include "unit/seeds.h"

namespace lastack {
namespace {

TEST(PortBitmap, BitsOfAWord) {
  EXPECT_EQ(ones(0), 0u);
  EXPECT_EQ(ones(~std::uint64_t{0}), 64u);
  const std::uint64_t word = 0x8000'0100'0001'0002;
  EXPECT_EQ(ones(word), 4u);
  EXPECT_EQ(nth_one(word, 0), 1u);
  EXPECT_EQ(nth_one(word, 1), 16u);
  EXPECT_EQ(nth_one(word, 2), 40u);
  EXPECT_EQ(nth_one(word, 3), 63u);
  for (std::uint32_t k = 0; k < 64; ++k) EXPECT_EQ(nth_one(~std::uint64_t{0}, k), k);
}

TEST(PortBitmap, EmptyAndFull) {
  PortBitmap b;
  const PortRange all{0, 65535};
  EXPECT_EQ(b.absent_within(all), 65536u);
  EXPECT_EQ(b.absent(all, 0), 0);
  EXPECT_EQ(b.absent(all, 65535), 65535);
  for (std::uint32_t p = 0; p <= 65535; ++p) ASSERT_TRUE(b.insert(static_cast<Port>(p)));
  EXPECT_FALSE(b.insert(80));
  EXPECT_EQ(b.size(), 65536u);
  EXPECT_EQ(b.size_within(all), 65536u);
  EXPECT_EQ(b.absent_within(all), 0u);
  for (std::uint32_t p = 0; p <= 65535; ++p) ASSERT_EQ(b.present(all, p), p);
  EXPECT_TRUE(b.erase(65535));
  EXPECT_FALSE(b.erase(65535));
  EXPECT_EQ(b.absent(all, 0), 65535);
}

TEST(PortBitmap, AgreesWithASet) {
  for (const std::uint64_t seed : seeds(10)) {
    SCOPED_TRACE(replay(seed, "ports/test_ports", "PortBitmap.AgreesWithASet"));
    Dice dice(seed);
    PortBitmap b;
    std::set<Port> naive;
    const auto port = [&] { return static_cast<Port>(dice.bits()); };
    for (int round = 0; round < 20; ++round) {
      const std::uint64_t share = dice.below(3);
      for (int i = 0; i < 6000; ++i) {
        const Port p = port();
        if (dice.below(3) <= share) {
          ASSERT_EQ(b.insert(p), naive.insert(p).second);
        } else {
          ASSERT_EQ(b.erase(p), naive.erase(p) == 1);
        }
      }
      ASSERT_EQ(b.size(), naive.size());
      PortRange range{port(), port()};
      if (range.low > range.high) std::swap(range.low, range.high);
      std::vector<Port> present;
      std::vector<Port> absent;
      for (std::uint32_t p = range.low; p <= range.high; ++p) {
        (naive.count(static_cast<Port>(p)) ? present : absent).push_back(static_cast<Port>(p));
      }
      ASSERT_EQ(b.size_within(range), present.size());
      ASSERT_EQ(b.absent_within(range), absent.size());
      for (std::uint32_t k = 0; k < present.size(); ++k) ASSERT_EQ(b.present(range, k), present[k]);
      for (std::uint32_t k = 0; k < absent.size(); ++k) ASSERT_EQ(b.absent(range, k), absent[k]);
    }
  }
}

}  // namespace
}  // namespace lastack
