// FIN_WAIT_2 records: found by four-tuple, ended in the order of their own deadlines.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "timewait/fin_wait_2_records.h"
#include "unit/seeds.h"

namespace lastack::timewait {
namespace {

FourTuple tuple_of(std::uint64_t n) {
  return {{IpAddress::v4(0x0a000001), static_cast<Port>(n % 5000 + 1)},
          {IpAddress::v4(0x0a000002), static_cast<Port>(n / 5000 + 1)}};
}

FinWait2Record record_of(std::uint64_t n, Duration deadline) {
  FinWait2Record r;
  r.tuple = tuple_of(n);
  r.rcv_nxt = SeqNum(static_cast<std::uint32_t>(n));
  r.deadline = Instant(deadline);
  return r;
}

TEST(FinWait2Records, GiveTheEarliestDeadlineFirst) {
  FinWait2Records records({1, 2});
  EXPECT_FALSE(records.first());
  records.insert(record_of(1, 30s));
  records.insert(record_of(2, 10s));
  records.insert(record_of(3, 20s));
  for (const std::uint32_t expected : {2U, 3U, 1U}) {
    const auto first = records.first();
    ASSERT_TRUE(first);
    EXPECT_EQ(records[*first].rcv_nxt, SeqNum(expected));
    records.erase(*first);
  }
  EXPECT_EQ(records.size(), 0u);
}

TEST(FinWait2Records, AgreeWithAMap) {
  for (const std::uint64_t seed : seeds(8)) {
    SCOPED_TRACE(replay(seed, "timewait/test_timewait", "FinWait2Records.AgreeWithAMap"));
    Dice dice(seed);
    FinWait2Records records({seed, 2});
    std::map<std::uint64_t, Duration> naive;
    std::set<std::pair<Duration, std::uint64_t>> by_deadline;
    const auto forget = [&](std::uint64_t n) {
      by_deadline.erase({naive[n], n});
      naive.erase(n);
    };
    for (int i = 0; i < 100'000; ++i) {
      const std::uint64_t n = dice.below(3000);
      const auto slot = records.find(tuple_of(n));
      ASSERT_EQ(slot.has_value(), naive.count(n) == 1);
      if (slot) {
        ASSERT_EQ(records[*slot].rcv_nxt, SeqNum(static_cast<std::uint32_t>(n)));
        if (dice.one_in(2)) {
          records.erase(*slot);
          forget(n);
        }
      } else {
        const Duration deadline = std::chrono::nanoseconds(dice.bits() >> 1);
        records.insert(record_of(n, deadline));
        naive[n] = deadline;
        by_deadline.insert({deadline, n});
      }
      const auto first = records.first();
      ASSERT_EQ(first.has_value(), !naive.empty());
      if (first) {
        ASSERT_EQ(records[*first].deadline, Instant(by_deadline.begin()->first));
        if (dice.one_in(8)) {
          forget(by_deadline.begin()->second);
          records.erase(*first);
        }
      }
      ASSERT_EQ(records.size(), naive.size());
    }
  }
}

}  // namespace
}  // namespace lastack::timewait
