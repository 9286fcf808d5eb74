// One table: the order of age, what begins again, what rests, and time that wraps.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "timewait/time_wait_table.h"

namespace lastack::timewait {
namespace {

constexpr Millis kStay = 60'000;
constexpr Millis kDelay = 1'000;
constexpr Millis kStart = kTimeRange + 1'000;

struct Ended {
  std::uint32_t name;
  Millis armed;
  friend bool operator==(const Ended&, const Ended&) = default;
};

template <class Address>
struct Listener final : TableListener<Address> {
  void rested(const Packed<Address>& r) override { rested_names.push_back(r.snd_nxt); }
  void stirred(const Packed<Address>& r) override { stirred_names.push_back(r.snd_nxt); }
  void ended(const Packed<Address>& r, Millis armed) override { all.push_back({r.snd_nxt, armed}); }

  std::vector<std::uint32_t> take_rested() { return std::exchange(rested_names, {}); }
  std::vector<std::uint32_t> take_stirred() { return std::exchange(stirred_names, {}); }
  std::vector<Ended> take_ended() { return std::exchange(all, {}); }

  std::vector<std::uint32_t> rested_names;
  std::vector<std::uint32_t> stirred_names;
  std::vector<Ended> all;
};

template <class Address>
Address address_of(std::uint32_t n);
template <>
V4 address_of<V4>(std::uint32_t n) {
  return 0x0a000000 | n >> 12;
}
template <>
V6 address_of<V6>(std::uint32_t n) {
  return {0x20010db8, 0, 0, n >> 12};
}

template <class Address>
class TimeWaitTableTest : public ::testing::Test {
 protected:
  using Table = TimeWaitTable<Address>;

  static Key<Address> key(std::uint32_t name) {
    return {address_of<Address>(name), static_cast<Port>(1024 + name % 4096), 443};
  }
  void insert(std::uint32_t name, Millis armed, Millis now, bool timestamps = true) {
    Packed<Address> r;
    r.key = key(name);
    r.rcv_nxt = name + 1;
    r.snd_nxt = name;
    if (timestamps) r.set(kTimestamps);
    table.insert(r, armed, now);
  }
  void insert(std::uint32_t name, Millis now) { insert(name, now, now); }
  void rearm(std::uint32_t name, Millis now) {
    const auto found = table.find(key(name));
    ASSERT_TRUE(found);
    table.rearm(*found, now);
  }
  void erase(std::uint32_t name) {
    const auto found = table.find(key(name));
    ASSERT_TRUE(found);
    table.erase(*found);
  }
  std::vector<Ended> end_due(Millis now, Millis stay = kStay) {
    table.end_due(now, stay);
    return listener.take_ended();
  }
  std::vector<std::uint32_t> rest_due(Millis now, Millis delay = kDelay) {
    table.rest_due(now, delay);
    return listener.take_rested();
  }

  Listener<Address> listener;
  Table table{SipKey{1, 2}, listener};
};

using Addresses = ::testing::Types<V4, V6>;
TYPED_TEST_SUITE(TimeWaitTableTest, Addresses);

using Names = std::vector<std::uint32_t>;
using Ends = std::vector<Ended>;

TYPED_TEST(TimeWaitTableTest, FindsWhatWasInserted) {
  this->insert(7, kStart);
  const auto found = this->table.find(this->key(7));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->record.snd_nxt, 7u);
  EXPECT_EQ(found->record.rcv_nxt, 8u);
  EXPECT_EQ(found->armed, kStart);
  EXPECT_TRUE(found->record.has(kTimestamps));
  EXPECT_FALSE(this->table.find(this->key(8)));
  EXPECT_EQ(this->table.size(), 1u);
}

TYPED_TEST(TimeWaitTableTest, ABurstFindsWhatEachLookUpFinds) {
  for (std::uint32_t i = 0; i < 1000; i += 2) this->insert(i, kStart);
  std::vector<Key<TypeParam>> keys;
  for (std::uint32_t i = 0; i < 1000; ++i) keys.push_back(this->key(i));
  std::vector<std::optional<typename TimeWaitTable<TypeParam>::Found>> found(keys.size());
  this->table.expect(keys);
  this->table.find_burst(keys, found);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(found[i].has_value(), i % 2 == 0) << i;
    if (i % 2 == 0) {
      EXPECT_EQ(found[i]->record.snd_nxt, i);
    }
  }
}

TYPED_TEST(TimeWaitTableTest, EndsToTheMillisecondAndInOrder) {
  this->insert(1, kStart);
  this->insert(2, kStart);
  this->insert(3, kStart + 5);
  EXPECT_EQ(this->table.oldest(), kStart);
  EXPECT_EQ(this->end_due(kStart + kStay - 1), Ends{});
  EXPECT_EQ(this->end_due(kStart + kStay), (Ends{{1, kStart}, {2, kStart}}));
  EXPECT_EQ(this->end_due(kStart + kStay + 4), Ends{});
  EXPECT_EQ(this->end_due(kStart + kStay + 5), (Ends{{3, kStart + 5}}));
  EXPECT_EQ(this->table.size(), 0u);
  EXPECT_EQ(this->table.oldest(), std::nullopt);
}

TYPED_TEST(TimeWaitTableTest, TheLengthMayChangeAtAnyTime) {
  this->insert(1, kStart);
  this->insert(2, kStart + 10'000);
  EXPECT_EQ(this->end_due(kStart + 70'000, 240'000), Ends{});
  EXPECT_EQ(this->end_due(kStart + 70'000, 65'000), (Ends{{1, kStart}}));
  EXPECT_EQ(this->end_due(kStart + 70'000, 0), (Ends{{2, kStart + 10'000}}));
}

TYPED_TEST(TimeWaitTableTest, U1_one_that_begins_again_ends_a_whole_stay_later) {
  this->insert(1, kStart);
  this->insert(2, kStart);
  this->insert(3, kStart + 20'000);
  this->rearm(1, kStart + 30'000);
  EXPECT_EQ(this->end_due(kStart + kStay), (Ends{{2, kStart}}));
  EXPECT_EQ(this->end_due(kStart + 89'999), (Ends{{3, kStart + 20'000}}));
  EXPECT_EQ(this->end_due(kStart + 90'000), (Ends{{1, kStart + 30'000}}));
}

TYPED_TEST(TimeWaitTableTest, U1_again_and_again) {
  this->insert(1, kStart);
  Millis now = kStart;
  for (int i = 0; i < 1000; ++i) {
    now += 25'000;
    // Others come and go meanwhile; the one that stays must not keep the ring from being given back.
    for (std::uint32_t j = 0; j < 100; ++j) {
      this->insert(1000 + static_cast<std::uint32_t>(i) * 100 + j, now);
    }
    this->rearm(1, now);
    for (const Ended& e : this->end_due(now)) ASSERT_NE(e.name, 1u) << "at round " << i;
    ASSERT_TRUE(this->table.find(this->key(1))) << i;
  }
  EXPECT_LT(this->table.bytes(), std::size_t{1} << 20);
  EXPECT_EQ(this->end_due(now + kStay - 1).size(), 200u);
  EXPECT_EQ(this->end_due(now + kStay).size(), 101u);
}

TYPED_TEST(TimeWaitTableTest, MergesBothOrdersByAge) {
  for (std::uint32_t i = 0; i < 100; ++i) this->insert(i, kStart + i);
  for (std::uint32_t i = 0; i < 100; i += 3) this->rearm(i, kStart + 1000 + i);
  for (std::uint32_t i = 100; i < 200; ++i) this->insert(i, kStart + 2000 + i);
  const Ends all = this->end_due(kStart + 10 * kStay);
  ASSERT_EQ(all.size(), 200u);
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LE(all[i - 1].armed, all[i].armed) << i;
}

TYPED_TEST(TimeWaitTableTest, OneThatComesBackHasWhatWasLeftOfItsStay) {
  this->insert(1, kStart);
  this->insert(2, kStart + 1);
  this->erase(1);
  this->insert(3, kStart + 30'000);
  this->insert(1, kStart, kStart + 30'000);
  EXPECT_EQ(this->end_due(kStart + kStay), (Ends{{1, kStart}}));
  EXPECT_EQ(this->end_due(kStart + 2 * kStay).size(), 2u);
}

TYPED_TEST(TimeWaitTableTest, TellsOfEachThatHasRestedOnce) {
  this->insert(1, kStart);
  this->insert(2, kStart + 10, kStart + 10, false);
  this->insert(3, kStart + 20);
  EXPECT_EQ(this->rest_due(kStart + kDelay - 1), Names{});
  EXPECT_EQ(this->rest_due(kStart + kDelay), (Names{1}));
  EXPECT_EQ(this->rest_due(kStart + kDelay + 19), Names{}) << "F15: without timestamps, never";
  EXPECT_EQ(this->rest_due(kStart + kDelay + 20), (Names{3}));
  EXPECT_EQ(this->rest_due(kStart + kStay), Names{});
}

TYPED_TEST(TimeWaitTableTest, OneThatBeginsAgainRestsAgain) {
  this->insert(1, kStart);
  this->insert(2, kStart);
  this->rearm(1, kStart + 500);  // before it has rested
  EXPECT_EQ(this->listener.take_stirred(), Names{});
  EXPECT_EQ(this->rest_due(kStart + kDelay), (Names{2})) << "one does not hold up the other";
  this->rearm(2, kStart + 1200);  // and after
  EXPECT_EQ(this->listener.take_stirred(), (Names{2}));
  EXPECT_EQ(this->rest_due(kStart + 1499), Names{});
  EXPECT_EQ(this->rest_due(kStart + 1500), (Names{1}));
  EXPECT_EQ(this->rest_due(kStart + 2199), Names{});
  EXPECT_EQ(this->rest_due(kStart + 2200), (Names{2}));
}

TYPED_TEST(TimeWaitTableTest, WhatHasGoneDoesNotRest) {
  this->insert(1, kStart);
  this->insert(2, kStart);
  this->insert(3, kStart);
  this->rearm(2, kStart + 1);
  this->rest_due(kStart + 2);
  this->erase(1);
  this->erase(2);
  EXPECT_EQ(this->rest_due(kStart + 2 * kDelay), (Names{3}));
}

TYPED_TEST(TimeWaitTableTest, TheDelayMayChange) {
  this->insert(1, kStart);
  this->insert(2, kStart + 5'000);
  EXPECT_EQ(this->rest_due(kStart + 6'000), (Names{1, 2}));
  this->table.rest_anew(kStart + 6'000, 3'000);
  EXPECT_EQ(this->listener.take_stirred(), (Names{2}));
  EXPECT_EQ(this->rest_due(kStart + 6'000, 3'000), Names{});
  EXPECT_EQ(this->rest_due(kStart + 7'999, 3'000), Names{});
  EXPECT_EQ(this->rest_due(kStart + 7'999, 2'000), (Names{2}));
}

TYPED_TEST(TimeWaitTableTest, ADelayLongerThanTheStay) {
  for (std::uint32_t i = 0; i < 10; ++i) this->insert(i, kStart + i);
  this->rearm(0, kStart + 5'000);
  EXPECT_EQ(this->end_due(kStart + 10'000, 10'000).size(), 0u);  // 0 is kept, 1 to 9 not due yet
  EXPECT_EQ(this->end_due(kStart + 10'009, 10'000).size(), 9u);
  this->rearm(0, kStart + 14'000);
  this->end_due(kStart + 16'000, 10'000);  // queued again behind the cursor
  for (std::uint32_t i = 20; i < 30; ++i) this->insert(i, kStart + 20'000);
  EXPECT_EQ(this->rest_due(kStart + 33'999, 20'000), Names{});
  EXPECT_EQ(this->rest_due(kStart + 34'000, 20'000), (Names{0})) << "whatever its place";
  EXPECT_EQ(this->rest_due(kStart + 40'000, 20'000).size(), 10u);
}

TYPED_TEST(TimeWaitTableTest, FindsTheOldest) {
  EXPECT_FALSE(this->table.find_oldest());
  this->insert(1, kStart);
  this->insert(2, kStart + 1);
  this->insert(3, kStart + 2);
  const auto oldest = [&] { return this->table.find_oldest()->record.snd_nxt; };
  EXPECT_EQ(oldest(), 1u);
  this->rearm(1, kStart + 10);
  EXPECT_EQ(oldest(), 2u);
  this->erase(2);
  EXPECT_EQ(oldest(), 3u);
  this->rearm(3, kStart + 20);
  EXPECT_EQ(oldest(), 1u);
  this->erase(1);
  EXPECT_EQ(oldest(), 3u);
}

// --- 25 bits of milliseconds ---------------------------------------------------------------------------------

TYPED_TEST(TimeWaitTableTest, KeepsTimeForYears) {
  Millis now = kStart;
  const Millis three_years = Millis{3} * 365 * 86'400'000;
  std::uint32_t name = 0;
  // Steps that hit every part of the range, and some that are idle for longer than it is.
  for (std::uint64_t step = 1; now < kStart + three_years; ++step) {
    now += step % 7 == 0 ? kTimeRange + step * 1'000 : step * 3'601;
    ASSERT_EQ(this->end_due(now).size(), step == 1 ? 0u : 1u) << "step " << step;
    this->insert(++name, now);
    ASSERT_EQ(this->end_due(now + kStay - 1).size(), 0u) << "step " << step;
    ASSERT_EQ(this->table.oldest(), now);
    ASSERT_EQ(this->rest_due(now + kStay - 1), (Names{name}));
    now += kStay - 1;
  }
}

TYPED_TEST(TimeWaitTableTest, WhatIsOverStaysOverAcrossTheWrap) {
  Millis start = kStart;
  for (const Millis idle : {kTimeRange / 2, kTimeRange - 1, kTimeRange, kTimeRange + 1,
                            kTimeRange + kStay / 2, 10 * kTimeRange + 5}) {
    start += 3 * idle;
    this->insert(1, start);
    this->insert(2, start + 10);
    this->rearm(2, start + 20);
    this->insert(3, start + 20);
    // Nobody asked for so long; then a new one comes first, and it alone stays.
    const Millis now = start + idle;
    this->insert(4, now);
    this->insert(5, now + 1);
    Names names;
    for (const Ended& e : this->end_due(now + 1)) names.push_back(e.name);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (Names{1, 2, 3})) << "after " << idle << " ms";
    EXPECT_EQ(this->end_due(now + kStay + 1).size(), 2u);
    this->listener.take_rested();
  }
}

TYPED_TEST(TimeWaitTableTest, TimeThatGoesBackHarmsNothing) {
  this->insert(1, kStart + 100);
  EXPECT_EQ(this->end_due(kStart), Ends{});
  this->insert(2, kStart + 50);  // counts as kStart + 100, or as of its own time
  EXPECT_EQ(this->end_due(kStart + kStay + 100).size(), 2u);
}

}  // namespace
}  // namespace lastack::timewait
