// The closed form against the endpoint, over loads made by chance: every limit, every source of ports, few ports and many.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "../seeds.h"
#include "plan/check.h"
#include "plan/plan.h"

namespace lastack {
namespace {

class LoadDice : public Dice {
 public:
  using Dice::Dice;
  double unit() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  // As often between 1 and 10 as between 1,000 and 10,000.
  double spread(double low, double high) { return low * std::pow(high / low, unit()); }
  std::uint32_t few(std::uint32_t most) {
    return static_cast<std::uint32_t>(spread(1, most + 0.999));
  }
  Duration length(double low_s, double high_s) {
    return std::chrono::round<Duration>(std::chrono::duration<double>(spread(low_s, high_s)));
  }
};

PortSet some_ports(LoadDice& dice, PortRange range) {
  PortSet set;
  for (std::uint64_t i = dice.below(6); i > 0; --i) {
    const auto low = static_cast<Port>(range.low + dice.below(range.size()));
    const auto high =
        static_cast<Port>(std::min<std::uint64_t>(65535, low + dice.below(range.size() / 4 + 1)));
    set.insert(PortRange{low, high});
  }
  return set;
}

Load some_load(std::uint64_t seed) {
  LoadDice dice(seed);
  Load load;
  Settings& s = load.settings;
  if (!dice.one_in(4)) {
    const auto size = static_cast<std::uint32_t>(dice.spread(1, 64000));
    const auto low = static_cast<Port>(1024 + dice.below(65536 - 1024 - size));
    s.ip_local_port_range = PortRange{low, static_cast<Port>(low + size - 1)};
    if (dice.one_in(3)) s.ip_local_reserved_ports = some_ports(dice, *s.ip_local_port_range);
    if (dice.one_in(3)) load.held = some_ports(dice, *s.ip_local_port_range);
  }
  load.lifetime = dice.length(20e-6, 100);
  if (dice.one_in(2)) load.round_trip = std::min(load.lifetime / 2, dice.length(1e-6, 1));
  if (dice.one_in(3)) load.sources = dice.few(40);
  if (dice.one_in(3)) load.destinations = dice.few(40);
  load.peer_closes_first = dice.one_in(3);
  load.source_port = static_cast<PortSource>(dice.one_in(2) ? 0 : dice.below(4));
  s.tcp_tw_reuse = static_cast<std::int64_t>(dice.below(3));
  if (dice.one_in(4)) s.tcp_tw_reuse_delay = static_cast<std::int64_t>(dice.spread(50, 60000));
  if (dice.one_in(8)) s.tcp_timestamps = 0;
  if (dice.one_in(8)) load.peer_timestamps = false;
  load.loopback = dice.one_in(4);
  if (dice.one_in(3)) {
    s.tcp_max_tw_buckets = dice.one_in(8) ? 0 : static_cast<std::int64_t>(dice.spread(1, 2e5));
  }
  load.rate = 1;
  if (port_room(load).open == 0) load.held = s.ip_local_reserved_ports = PortSet{};
  load.rate = std::clamp(carried_by_ports(load) * dice.spread(0.02, 5), 1e-3, 1e7);
  load.descriptors = 1'000'000'000;
  if (dice.one_in(4)) {
    load.descriptors = static_cast<std::uint64_t>(
        std::max(1.0, load.rate * seconds(load.lifetime) * dice.spread(0.2, 5)));
  }
  return load;
}

std::string told(const Load& load) {
  const RangeRoom room = port_room(load);
  const Settings& s = load.settings;
  return fmt::format(
      "{} a second for {} s, round trip {} s, {} sources, {} destinations, {} first, ports by {}: range {}-{}, {} open, {} of "
      "the first parity; reuse {} after {} s, {} records, {} descriptors",
      load.rate, seconds(load.lifetime), seconds(load.round_trip), load.sources, load.destinations,
      load.peer_closes_first ? "peer" : "us", static_cast<int>(load.source_port), room.range.low,
      room.range.high, room.open, room.open_first_parity, reuse_applies(load),
      seconds(s.reuse_delay()), most_records(load), load.descriptors);
}

TEST(PlanCheck, AgreesOverRandomLoads) {
  const char* many = std::getenv("LASTACK_PLAN_LOADS");
  for (const std::uint64_t seed : seeds(many != nullptr ? std::strtoull(many, nullptr, 10) : 12)) {
    const Load load = some_load(seed);
    const CheckReport report =
        check(plan(load), {.full_size = false, .seed = seed, .progress = {}});
    for (const Comparison& c : report.comparisons) {
      EXPECT_TRUE(c.agrees) << c.subject << " " << c.what << ": " << c.predicted << " against "
                            << c.measured << ", at " << report.fraction << " of the size\n"
                            << told(load) << "\n"
                            << replay(seed, "plan/test_check", "PlanCheck.AgreesOverRandomLoads");
    }
    EXPECT_GE(report.comparisons.size(), 5U);
  }
}

// Until there are as many records as there may be every connection has one, and then none, for the rest of a minute: a
// minute and a third has another mean than one has.
TEST(PlanCheck, RecordsThatAreRefusedAreCountedOverWholeTurns) {
  Load load;
  load.rate = 7965;
  load.lifetime = 1013ms;
  load.round_trip = 263ms;
  load.destinations = 23;
  load.descriptors = 1'000'000'000;
  load.settings.tcp_tw_reuse = 0;
  load.settings.tcp_max_tw_buckets = 262144;
  const CheckReport report = check(plan(load));
  EXPECT_TRUE(report.not_compared.empty());
  const auto skip =
      std::find_if(report.comparisons.begin(), report.comparisons.end(),
                   [](const Comparison& c) { return c.what == "overflow_per_second"; });
  ASSERT_NE(skip, report.comparisons.end());
  EXPECT_GT(skip->predicted, 3500);
  for (const Comparison& c : report.comparisons) {
    EXPECT_TRUE(c.agrees) << c.subject << " " << c.what << ": " << c.predicted << " against "
                          << c.measured;
  }
}

// What is open for ten seconds comes in bursts of ten seconds when descriptors run out: records have no mean then, which the
// report says. Those that last 50 ms are as good as even.
TEST(PlanCheck, BurstsAreNotCompared) {
  Load load;
  load.rate = 231.2;
  load.round_trip = 1ms;
  load.sources = 10;
  load.destinations = 2;
  load.descriptors = 1010;
  load.peer_timestamps = false;
  load.settings.ip_local_port_range = PortRange{32768, 33768};
  load.settings.tcp_max_tw_buckets = 5000;
  const auto compares_records = [&](Duration lifetime, std::uint64_t descriptors) {
    load.lifetime = lifetime;
    load.descriptors = descriptors;
    const CheckReport report = check(plan(load), {.full_size = false, .seed = 791, .progress = {}});
    EXPECT_TRUE(report.agrees());
    EXPECT_EQ(report.not_compared.empty() ? 0u : 3u, report.not_compared.size());
    return std::any_of(report.comparisons.begin(), report.comparisons.end(),
                       [](const Comparison& c) { return c.what == "time_wait_here"; });
  };
  EXPECT_FALSE(compares_records(10s, 1010));
  EXPECT_TRUE(compares_records(50ms, 5));
}

}  // namespace
}  // namespace lastack
