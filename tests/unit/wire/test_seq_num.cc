#include <gtest/gtest.h>

#include "wire/seq_num.h"

namespace lastack::test {
namespace {

TEST(SeqNum, OrderHoldsAcrossTheWrap) {
  for (const std::uint32_t base : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xffffffffU, 0xfffffff0U}) {
    const SeqNum a(base);
    for (const std::uint32_t ahead : {1U, 16U, 65536U, 0x7fffffffU}) {
      const SeqNum b = a + ahead;
      EXPECT_TRUE(a < b) << base << " " << ahead;
      EXPECT_FALSE(b < a);
      EXPECT_TRUE(a <= b);
      EXPECT_TRUE(b > a);
      EXPECT_EQ(b - a, static_cast<std::int32_t>(ahead));
      EXPECT_EQ(a - b, -static_cast<std::int32_t>(ahead));
      EXPECT_EQ(max(a, b), b);
      EXPECT_EQ(min(a, b), a);
      EXPECT_EQ(b - ahead, a);
    }
    EXPECT_TRUE(a <= a);
    EXPECT_FALSE(a < a);
  }
}

}  // namespace
}  // namespace lastack::test
