// The histogram keeps its promise: a quantile off by at most 1/32 of itself, from nanoseconds to hours.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "lab/latency_histogram.h"

namespace lastack {
namespace {

TEST(LatencyHistogram, EmptyIsZero) {
  const LatencyHistogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.median(), Duration{});
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  for (int ns = 0; ns < 64; ++ns) {
    LatencyHistogram h;
    h.add(Duration(ns));
    EXPECT_EQ(h.median(), Duration(ns));
  }
}

TEST(LatencyHistogram, NeverBelowAndAtMostOne32ndAbove) {
  for (Duration::rep ns = 1; ns < Duration::max().count() / 8; ns = ns / 5 * 7 + ns % 5 + 1) {
    LatencyHistogram h;
    h.add(Duration(ns));
    const auto got = h.quantile(0.99).count();
    EXPECT_GE(got, ns);
    EXPECT_LE(got - ns, ns / 32 + 1) << ns;
  }
}

TEST(LatencyHistogram, TheLongestDurationFits) {
  LatencyHistogram h;
  h.add(Duration::max());
  EXPECT_EQ(h.median(), Duration::max());
  h.add(Duration(-5));  // a clock that went backwards counts as no time at all
  EXPECT_EQ(h.quantile(0), Duration{});
}

TEST(LatencyHistogram, QuantilesAgreeWithSorting) {
  constexpr unsigned kSeed = 20;
  std::mt19937_64 random(kSeed);
  std::lognormal_distribution<double> shape(10, 2);
  LatencyHistogram whole;
  LatencyHistogram odd;
  std::vector<Duration::rep> values;
  for (int i = 0; i < 20'000; ++i) {
    const auto ns = static_cast<Duration::rep>(shape(random));
    values.push_back(ns);
    (i % 2 == 0 ? whole : odd).add(Duration(ns));
  }
  whole += odd;
  ASSERT_EQ(whole.count(), values.size());
  std::sort(values.begin(), values.end());
  for (const double q : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * 20'000)) - 1;
    const auto want = static_cast<double>(values[rank]);
    EXPECT_NEAR(static_cast<double>(whole.quantile(q).count()), want, want / 32 + 1)
        << "quantile " << q << ", seed " << kSeed;
  }
}

}  // namespace
}  // namespace lastack
