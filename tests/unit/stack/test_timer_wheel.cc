#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "stack/timer_wheel.h"

namespace lastack::test {
namespace {

// Against an ordinary map: nothing is late, nothing fires early, nothing is lost.
TEST(TimerWheel, AgreesWithAMap) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    TimerWheel wheel;
    std::map<TimerWheel::Id, Instant> model;
    Instant now{};
    for (int step = 0; step < 3000; ++step) {
      const auto id = static_cast<TimerWheel::Id>(random() % 200);
      const auto op = random() % 10;
      if (op < 5) {
        constexpr std::uint64_t kSpans[] = {300'000, 2'000'000, 1'000'000'000, 300'000'000'000,
                                            100'000'000'000'000};
        // Every other run within a few slots of the lowest wheel.
        const std::uint64_t span = kSpans[random() % (seed % 2 == 0 ? 2 : 5)];
        const Instant at = now + Duration(static_cast<Duration::rep>(random() % span));
        wheel.set(id, at);
        model[id] = at;
      } else if (op < 6) {
        wheel.clear(id);
        model.erase(id);
      } else {
        Instant least = Instant::max();
        for (const auto& [i, at] : model) least = std::min(least, at);
        const Instant next = wheel.next();
        ASSERT_LE(next, least);
        ASSERT_EQ(next == Instant::max(), least == Instant::max());
        if (next == Instant::max()) continue;
        const std::uint64_t longest = seed % 2 == 0 ? 50'000 : 5'000'000'000;
        now = std::max(
            now, op < 8 ? next : now + Duration(static_cast<Duration::rep>(random() % longest)));
        for (auto due = wheel.take_due(now); due != TimerWheel::kNone; due = wheel.take_due(now)) {
          const auto found = model.find(due);
          ASSERT_NE(found, model.end());
          ASSERT_LE(found->second, now);
          model.erase(found);
        }
        for (const auto& [i, at] : model) ASSERT_GT(at, now) << i;
        // Else whoever waits until next() would never sleep; also where a timer comes after that.
        ASSERT_GT(wheel.next(), now);
        wheel.set(id, now + 3ms);
        model[id] = now + 3ms;
        ASSERT_GT(wheel.next(), now);
      }
    }
  }
}

// As many as there may be connections, within one slot, each at a nanosecond of its own and taken at it: whoever is
// passed over is not looked at again, else this takes minutes.
TEST(TimerWheel, ManyWithinOneMillisecondAreTakenInOrder) {
  constexpr TimerWheel::Id kTimers = 300'000;
  TimerWheel wheel;
  const Instant begin(Duration(std::int64_t{1000} << 20));
  const auto due = [&](TimerWheel::Id id) {
    return begin + Duration((std::int64_t{id} * 7919) % kTimers);
  };
  for (TimerWheel::Id id = 0; id < kTimers; ++id) wheel.set(id, due(id));
  std::vector<TimerWheel::Id> put_off;
  Instant now{};
  TimerWheel::Id taken = 0;
  while (wheel.next() < begin + 1ms) {
    now = std::max(now, wheel.next());
    for (auto id = wheel.take_due(now); id != TimerWheel::kNone; id = wheel.take_due(now)) {
      ASSERT_EQ(due(id), now);
      ++taken;
    }
    // Some of those that are near are put off, some called off.
    if (taken % 1000 != 500) continue;
    const auto other = static_cast<TimerWheel::Id>((std::uint64_t{taken} * 104729) % kTimers);
    if (due(other) <= now || due(other) >= begin + 1ms) continue;
    wheel.set(other, Instant::max());
    if (taken % 2000 == 500) wheel.set(other, begin + 1s + Duration(taken));
    put_off.push_back(other);
  }
  EXPECT_GT(put_off.size(), 100u);
  std::sort(put_off.begin(), put_off.end());
  put_off.erase(std::unique(put_off.begin(), put_off.end()), put_off.end());
  EXPECT_EQ(taken + put_off.size(), kTimers);
}

// The outermost wheel turns in 2^52 ns, 52 days. What is set before such a turn ends and is due after it is as
// punctual as anything, and so is the first timer of a clock that began long ago.
TEST(TimerWheel, TurnsOfTheOutermostWheelAreNotNoticed) {
  for (const std::int64_t turn : {std::int64_t{1}, std::int64_t{2}, std::int64_t{1000}}) {
    for (const Duration before : {Duration(1), Duration(1ms), Duration(1s), Duration(1h)}) {
      for (const Duration after :
           {Duration(1ms), Duration(300ms), Duration(2min), Duration(240h), Duration(1300h)}) {
        for (const bool fresh : {true, false}) {
          TimerWheel wheel;
          Instant now = Instant(Duration(turn << 52) - before);
          if (!fresh) {
            EXPECT_EQ(wheel.take_due(now), TimerWheel::kNone);
          }
          const Instant due = now + after;
          wheel.set(1, due);
          int calls = 0;
          for (; now < due && calls < 1000; ++calls) {
            ASSERT_LE(wheel.next(), due);
            now = std::max(now, wheel.next());
            const TimerWheel::Id id = wheel.take_due(now);
            ASSERT_EQ(id, now == due ? 1U : TimerWheel::kNone);
          }
          EXPECT_LT(calls, 20);
        }
      }
    }
  }
}

}  // namespace
}  // namespace lastack::test
