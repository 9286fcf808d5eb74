#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "lastack/host_snapshot.h"
#include "watched.h"

namespace lastack {
namespace {

TEST(CloseHistogram, HalfSecondBinsForSixtySeconds) {
  const CloseHistogram closes;
  EXPECT_EQ(closes.width(), 500ms);
  EXPECT_EQ(closes.total(), 0u);
  EXPECT_EQ(closes.closed_within(60s), 0);
  // 120 bins are the 60 s; the rest takes what is a little older, for timers are not exact.
  EXPECT_EQ(closes.width() * static_cast<int>(CloseHistogram::kBins), 64s);
}

TEST(CloseHistogram, BinsFollowTheLengthOfTimeWait) {
  EXPECT_EQ(CloseHistogram(120s).width(), 1s);
  EXPECT_EQ(CloseHistogram(1s).width() * 120, 999'999'960ns);
  EXPECT_EQ(CloseHistogram(86400s).width(), 720s);
}

TEST(CloseHistogram, EachAgeInItsOwnBin) {
  CloseHistogram closes;
  closes.add(0ns);
  closes.add(499ms);
  closes.add(500ms);
  closes.add(59'999ms);
  EXPECT_EQ(closes.bin(0), 2u);
  EXPECT_EQ(closes.bin(1), 1u);
  EXPECT_EQ(closes.bin(119), 1u);
  EXPECT_EQ(closes.total(), 4u);
}

TEST(CloseHistogram, AgesOutsideCountAtTheEnds) {
  CloseHistogram closes;
  closes.add(-5s);
  closes.add(1h);
  closes.add(Duration::max());
  closes.add(Duration::min());
  EXPECT_EQ(closes.bin(0), 2u);
  EXPECT_EQ(closes.bin(CloseHistogram::kBins - 1), 2u);
  EXPECT_EQ(closes.total(), 4u);
}

TEST(CloseHistogram, ClosedWithinSharesABinEvenly) {
  CloseHistogram closes;
  closes.add(100ms, 10);
  closes.add(700ms, 4);
  EXPECT_DOUBLE_EQ(closes.closed_within(0s), 0);
  EXPECT_DOUBLE_EQ(closes.closed_within(-1s), 0);
  EXPECT_DOUBLE_EQ(closes.closed_within(250ms), 5);
  EXPECT_DOUBLE_EQ(closes.closed_within(500ms), 10);
  EXPECT_DOUBLE_EQ(closes.closed_within(750ms), 12);
  EXPECT_DOUBLE_EQ(closes.closed_within(1s), 14);
  EXPECT_DOUBLE_EQ(closes.closed_within(10h), 14);
  EXPECT_DOUBLE_EQ(closes.closed_within(Duration::max()), 14);
}

TEST(CloseHistogram, NeverDecreasesAndStaysWithinABinOfTheTruth) {
  for (unsigned seed = 1; seed <= rounds(20); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    CloseHistogram closes;
    std::vector<Duration> ages;
    for (int i = 0; i < 3000; ++i) {
      ages.push_back(std::chrono::milliseconds(random() % 60'000));
      closes.add(ages.back());
    }
    double before = 0;
    for (Duration ago = 0s; ago <= 60s; ago += 130ms) {
      const double now = closes.closed_within(ago);
      ASSERT_GE(now, before);
      before = now;
      const auto count = [&](Duration within) {
        return static_cast<double>(
            std::ranges::count_if(ages, [&](Duration age) { return age < within; }));
      };
      ASSERT_GE(now, count(ago - closes.width()));
      ASSERT_LE(now, count(ago + closes.width()));
    }
    ASSERT_EQ(closes.total(), 3000u);
  }
}

TEST(CloseHistogram, NoLengthNoBins) {
  for (const Duration length : {Duration(0), Duration(-1s), Duration(1), Duration::min()}) {
    CloseHistogram closes(length);
    closes.add(1s);
    EXPECT_EQ(closes.total(), 0u);
    EXPECT_EQ(closes.closed_within(1s), 0);
  }
}

TEST(CloseHistogram, AnAbsurdLengthIsSurvived) {
  CloseHistogram closes(Duration::max());
  closes.add(1s);
  EXPECT_EQ(closes.total(), 1u);
  EXPECT_GE(closes.closed_within(Duration::max()), 0);
}

TEST(CloseHistogram, CountsDoNotWrap) {
  CloseHistogram closes;
  closes.add(1s, UINT32_MAX);
  closes.add(1s, 5);
  EXPECT_GE(closes.total(), UINT32_MAX);
}

}  // namespace
}  // namespace lastack
