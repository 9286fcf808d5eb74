// The forecast, against histories whose future can be worked out by hand.
#include <gtest/gtest.h>

#include "synthetic.h"

namespace lastack {
namespace {

using namespace synthetic;

Headroom tightest(const Settings& settings, const std::function<void(Census&)>& fill) {
  const Diagnosis d = diagnose(host(settings, fill));
  EXPECT_FALSE(d.headroom.empty());
  return d.headroom.empty() ? Headroom{} : d.headroom.front();
}

// N ports, r a second since t: they are gone N / r after the start.
TEST(Forecast, a_steady_rate_runs_out_when_the_range_is_used_up) {
  struct {
    std::uint32_t ports;
    double rate;
    double since;
  } const cases[] = {{28232, 668, 20}, {28232, 1000, 10}, {4000, 150, 10}, {4000, 100, 5},
                     {3000, 200, 3},   {2000, 60, 12},    {5000, 90, 50}};
  for (const auto& c : cases) {
    const PortRange range{32768, static_cast<Port>(32768 + c.ports - 1)};
    const Headroom h = tightest(usual_settings(range), [&](Census& census) {
      short_connections(
          census, "10.0.0.1", "10.0.0.2", 80, c.rate,
          std::chrono::duration_cast<Duration>(std::chrono::duration<double>(c.since)), range);
    });
    ASSERT_TRUE(h.exhausted_in_s) << c.ports << " ports at " << c.rate;
    const double expected = c.ports / c.rate - c.since;
    EXPECT_NEAR(*h.exhausted_in_s, expected, 0.05 * (c.ports / c.rate) + 0.2)
        << c.ports << " ports at " << c.rate;
    EXPECT_NEAR(h.opens_per_second, c.rate, 0.05 * c.rate);
  }
}

TEST(Forecast, a_rate_that_the_range_sustains_never_runs_out) {
  const Headroom h = tightest(usual_settings(), [](Census& c) {
    short_connections(c, "10.0.0.1", "10.0.0.2", 80, 400, 60s);
  });
  EXPECT_FALSE(h.exhausted_in_s);
  EXPECT_NEAR(h.sustains_per_second, 470, 1);
}

TEST(Forecast, what_stopped_does_not_go_on) {
  const Headroom h = tightest(usual_settings(), [](Census& c) {
    for (Port i = 0; i < 10000; ++i) {
      c.add(time_wait("10.0.0.1", static_cast<Port>(32768 + 2 * i), "10.0.0.2", 80, 20s + i * 1ms));
    }
  });
  EXPECT_FALSE(h.exhausted_in_s);
  EXPECT_EQ(h.opens_per_second, 0);
}

TEST(Forecast, reuse_bounds_how_long_a_port_is_held) {
  Settings settings = usual_settings();
  settings.tcp_tw_reuse = 1;
  const Headroom h = tightest(
      settings, [](Census& c) { short_connections(c, "10.0.0.1", "10.0.0.2", 80, 668, 20s); });
  EXPECT_TRUE(h.reuse_possible);
  EXPECT_FALSE(h.exhausted_in_s);
  EXPECT_NEAR(h.within_delay, 668, 40);
  EXPECT_NEAR(h.reusable_now, 19 * 668, 60);
  EXPECT_NEAR(h.sustains_per_second, 28232, 1);
}

TEST(Forecast, mode_2_reuses_on_loopback_only) {
  for (const bool loopback : {true, false}) {
    const char* address = loopback ? "127.0.0.1" : "10.0.0.1";
    const Headroom h = tightest(
        usual_settings(), [&](Census& c) { short_connections(c, address, address, 80, 668, 20s); });
    EXPECT_EQ(h.reuse_possible, loopback);
    EXPECT_EQ(h.exhausted_in_s.has_value(), !loopback);
  }
}

TEST(Forecast, without_timestamps_nothing_is_reused) {
  Settings settings = usual_settings();
  settings.tcp_tw_reuse = 1;
  settings.tcp_timestamps = 0;
  const Headroom h = tightest(
      settings, [](Census& c) { short_connections(c, "10.0.0.1", "10.0.0.2", 80, 668, 20s); });
  EXPECT_FALSE(h.reuse_possible);
  EXPECT_TRUE(h.exhausted_in_s);
}

TEST(Forecast, reserved_and_bound_ports_are_no_room) {
  Settings settings = usual_settings(PortRange{40000, 40999});
  settings.ip_local_reserved_ports.insert(PortRange{40000, 40099});
  const Headroom h = tightest(settings, [](Census& c) {
    for (Port p = 40100; p < 40150; ++p) c.add_bound(p);
    c.add(socket("10.0.0.1", 40500, "10.0.0.2", 80, TcpState::Established));
  });
  EXPECT_EQ(h.range, 1000U);
  EXPECT_EQ(h.reserved, 100U);
  EXPECT_EQ(h.held, 50U);
  EXPECT_EQ(h.capacity, 850U);
  EXPECT_EQ(h.free, 849U);
}

TEST(Forecast, two_looks_show_how_open_connections_grow) {
  const auto with_open = [](std::uint32_t n) {
    return host(usual_settings(PortRange{40000, 43999}), [&](Census& c) {
      for (std::uint32_t i = 0; i < n; ++i) {
        c.add(socket("10.0.0.1", static_cast<Port>(40000 + 2 * i), "10.0.0.2", 80,
                     TcpState::Established));
      }
    });
  };
  Observation o = with_open(1500);
  o.earlier = with_open(1000).now;
  o.earlier->namespaces[0].at = Instant(100s);
  ns(o).at = Instant(110s);
  const Diagnosis d = diagnose(o);
  ASSERT_TRUE(d.headroom.front().exhausted_in_s);
  EXPECT_NEAR(*d.headroom.front().exhausted_in_s, 2500 / 50.0, 2);
  const Finding* f = find(d, "ports-exhausting-established");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->severity, Severity::Problem);
}

}  // namespace
}  // namespace lastack
