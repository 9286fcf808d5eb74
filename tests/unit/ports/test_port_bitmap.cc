// The next that is there, and the next that is not, against looking at each.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>

#include "ports/port_bitmap.h"
#include "unit/seeds.h"

namespace lastack {
namespace {

TEST(PortBitmap, EmptyAndFull) {
  PortBitmap b;
  EXPECT_EQ(b.next_absent(0, 65535), 0);
  EXPECT_EQ(b.next_absent(65535, 65535), 65535);
  EXPECT_EQ(b.next_present(0, 65535), std::nullopt);
  for (std::uint32_t p = 0; p <= 65535; ++p) ASSERT_TRUE(b.insert(static_cast<Port>(p)));
  EXPECT_FALSE(b.insert(80));
  EXPECT_EQ(b.size(), 65536u);
  EXPECT_EQ(b.next_absent(0, 65535), std::nullopt);
  EXPECT_EQ(b.next_present(0, 65535), 0);
  EXPECT_EQ(b.next_present(65535, 65535), 65535);
  EXPECT_TRUE(b.erase(65535));
  EXPECT_FALSE(b.erase(65535));
  EXPECT_EQ(b.next_absent(0, 65535), 65535);
  EXPECT_EQ(b.next_absent(0, 65534), std::nullopt);
}

TEST(PortBitmap, AgreesWithASet) {
  for (const std::uint64_t seed : seeds(10)) {
    SCOPED_TRACE(replay(seed, "ports/test_ports", "PortBitmap.AgreesWithASet"));
    Dice dice(seed);
    PortBitmap b;
    std::set<Port> naive;
    const auto port = [&] { return static_cast<Port>(dice.bits()); };
    for (int round = 0; round < 20; ++round) {
      // From nearly none to nearly all, and in blocks, so that whole words are empty and full.
      const bool in = dice.one_in(2);
      for (int i = 0; i < 12; ++i) {
        const Port first = port();
        const std::uint32_t length = 1 + static_cast<std::uint32_t>(dice.below(3000));
        for (std::uint32_t p = first; p < std::min(65536U, first + length); ++p) {
          const Port at = static_cast<Port>(p);
          if (in != dice.one_in(50)) {
            ASSERT_EQ(b.insert(at), naive.insert(at).second);
          } else {
            ASSERT_EQ(b.erase(at), naive.erase(at) == 1);
          }
        }
      }
      ASSERT_EQ(b.size(), naive.size());
      for (int i = 0; i < 300; ++i) {
        PortRange range{port(), port()};
        if (range.low > range.high) std::swap(range.low, range.high);
        std::optional<Port> present;
        std::optional<Port> absent;
        for (std::uint32_t p = range.low; p <= range.high && !(present && absent); ++p) {
          auto& first = naive.count(static_cast<Port>(p)) ? present : absent;
          if (!first) first = static_cast<Port>(p);
        }
        ASSERT_EQ(b.next_present(range.low, range.high), present);
        ASSERT_EQ(b.next_absent(range.low, range.high), absent);
      }
    }
  }
}

}  // namespace
}  // namespace lastack
