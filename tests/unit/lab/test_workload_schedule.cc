// The schedule is open loop and does not drift; counts add up.
#include <gtest/gtest.h>

#include <cerrno>

#include "lab/workload.h"

namespace lastack {
namespace {

TEST(Schedule, TheKthIsDueAfterKIntervals) {
  Schedule schedule(320);
  const Instant start{1000s};
  schedule.start(start);
  EXPECT_EQ(schedule.next_due(), start);
  for (int i = 0; i < 320 * 3600; ++i) schedule.advance();
  // An hour later not a nanosecond has crept in, although 1/320 s is no whole number of them.
  EXPECT_EQ(schedule.next_due(), start + 1h);
}

TEST(Schedule, StartingAgainStartsOver) {
  Schedule schedule(10);
  schedule.start(Instant{1s});
  schedule.advance();
  schedule.start(Instant{50s});
  EXPECT_EQ(schedule.next_due(), Instant{50s});
}

TEST(LoadCounts, AddUp) {
  LoadCounts a;
  a.offered = 3;
  a.ok = 1;
  a.failed = 2;
  a.errors = {{EADDRNOTAVAIL, 2}};
  LoadCounts b;
  b.offered = 2;
  b.failed = 2;
  b.errors = {{EADDRNOTAVAIL, 1}, {ETIMEDOUT, 1}};
  b.connected.add(5ns);
  a += b;
  EXPECT_EQ(a.offered, 5u);
  EXPECT_EQ(a.failed, 4u);
  EXPECT_EQ(a.failed_with(EADDRNOTAVAIL), 3u);
  EXPECT_EQ(a.failed_with(ETIMEDOUT), 1u);
  EXPECT_EQ(a.failed_with(EMFILE), 0u);
  EXPECT_EQ(a.connected.count(), 1u);
}

TEST(Workload, RefusesLoadsThatMeanNothing) {
  for (const double rate : {0.0, -1.0}) {
    LoadOptions load;
    load.rate = rate;
    EXPECT_FALSE(ShortConnections::start(load));
    PoolOptions pool;
    pool.rate = rate;
    EXPECT_FALSE(RequestPool::start(pool));
  }
  PoolOptions empty;
  empty.size = 0;
  EXPECT_FALSE(RequestPool::start(empty));
}

}  // namespace
}  // namespace lastack
