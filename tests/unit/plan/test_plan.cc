// Capacity by hand-calculated cases (claims B4, C2, C4), and the closed form against the endpoint.
#include <gtest/gtest.h>

#include "plan/check.h"
#include "plan/plan.h"
#include "plan/told.h"
#include "watched.h"

namespace lastack {
namespace {

Load short_connections(double rate) {
  Load load;
  load.rate = rate;
  load.lifetime = Duration(1);
  return load;
}

TEST(ClosedForm, PortsOverAMinute) {
  Load load = short_connections(1000);
  EXPECT_NEAR(carried_by_ports(load), 470.53, 0.01);  // 28,232 / 60 s
  load.settings.ip_local_port_range = PortRange{1024, 65535};
  EXPECT_NEAR(carried_by_ports(load), 1075.2, 0.01);  // 64,512 / 60 s
  load.sources = 2;
  load.destinations = 3;
  load.settings.tcp_max_tw_buckets =
      1'000'000;  // else connections skip TIME_WAIT before ports run out
  EXPECT_NEAR(carried_by_ports(load), 6451.2, 0.1);
}

TEST(ClosedForm, ReuseHalfTheRangeAndRecords) {
  Load load = short_connections(1000);
  EXPECT_NEAR(carried_by_first_parity(load), 235.27, 0.01);  // 14,116 / 60 s
  EXPECT_NEAR(demand_at(load, 1000).time_waits_here, 60000, 1);
  load.settings.tcp_tw_reuse = 1;
  EXPECT_NEAR(carried_by_ports(load), 28232, 1);  // a second each
}

TEST(ClosedForm, TheOtherEndClosesFirst) {
  Load load = short_connections(1000);
  load.lifetime = 50ms;
  load.peer_closes_first = true;
  EXPECT_NEAR(carried_by_ports(load), 564640, 1);  // 28,232 / 50 ms
  EXPECT_EQ(demand_at(load, 1000).time_waits_here, 0);
}

TEST(PlanTold, SettingsAndLengths) {
  Load load;
  EXPECT_TRUE(set(load, "ip_local_port_range=1024 65535"));
  EXPECT_FALSE(set(load, "ip_local_port_range=65535 1024"));
  EXPECT_FALSE(set(load, "tcp_fin_timeout=10"));
  EXPECT_FALSE(set(load, "tcp_tw_reuse=3"));
  EXPECT_FALSE(set(load, "nothing=1"));
  EXPECT_EQ(parse_length("50ms"), Duration(50ms));
  EXPECT_FALSE(parse_length("50"));
}

TEST(PlanCheck, EndpointAgrees) {
  // A fifth of the rate with a fifth of the ports comes to the same limits.
  Load load = short_connections(static_cast<double>(rounds(1000)));
  load.settings.ip_local_port_range = PortRange{32768, static_cast<Port>(32767 + rounds(28230))};
  load.lifetime = 50ms;
  const CheckReport report = check(plan(load));
  for (const Comparison& c : report.comparisons) {
    EXPECT_TRUE(c.agrees) << c.subject << " " << c.what << ": " << c.predicted << " against "
                          << c.measured;
  }
  EXPECT_GE(report.comparisons.size(), 10U);
}

}  // namespace
}  // namespace lastack
