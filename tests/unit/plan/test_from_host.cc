// Loads as observed hosts carry them: by hand, the odd ones, and numbers that no kernel would give.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "../doctor/synthetic.h"
#include "../seeds.h"
#include "plan/from_host.h"
#include "plan/page.h"

namespace lastack {
namespace {

using synthetic::host;
using synthetic::usual_settings;

// Some connections a second to each of two back ends, and sockets that are open to the first of them.
Observation balancer(const Settings& settings) {
  return host(settings, [](Census& census) {
    synthetic::short_connections(census, "10.0.0.1", "10.0.9.1", 80, 100, 60s);
    synthetic::short_connections(census, "10.0.0.1", "10.0.9.2", 80, 10, 60s);
    for (Port i = 0; i < 20; ++i) {
      census.add(synthetic::socket("10.0.0.1", static_cast<Port>(60000 + i), "10.0.9.1", 80,
                                   TcpState::Established, 1U + i));
    }
  });
}

TEST(FromHost, TheBusiestFirstWithWhatWasSeen) {
  const auto loads = seen_loads(balancer(usual_settings()));
  ASSERT_EQ(loads.size(), 2U);
  EXPECT_EQ(loads[0].remote.to_string(), "10.0.9.1:80");
  EXPECT_NEAR(loads[0].load.rate, 100, 5);
  EXPECT_NEAR(seconds(loads[0].load.lifetime), 0.2, 0.02);  // 20 open, 100 a second
  EXPECT_EQ(loads[0].load.descriptors, 1024U);
  EXPECT_FALSE(loads[0].load.descriptors_assumed);
  EXPECT_FALSE(loads[0].load.peer_closes_first);
  EXPECT_NEAR(loads[0].carries, 28232 / 60.2, 2);
  // Of the second none was open, nor any looked at: what is taken in their place is said.
  EXPECT_EQ(loads[1].load.lifetime, Duration(1ms));
  EXPECT_EQ(loads[1].assumed.size(), 2U);
}

TEST(FromHost, NothingIsOpened) {
  EXPECT_TRUE(seen_loads({}).empty());
  EXPECT_TRUE(seen_loads(host(usual_settings(), [](Census&) {})).empty());
  Observation unread = balancer(usual_settings());
  synthetic::ns(unread).sockets_read = false;
  EXPECT_TRUE(seen_loads(unread).empty());
}

TEST(FromHost, SettingsThatWereNotReadAreTheUsualOnes) {
  Observation o = balancer(usual_settings());
  synthetic::ns(o).settings = Settings{};
  synthetic::ns(o).counters_read = false;
  const auto loads = seen_loads(o);
  ASSERT_FALSE(loads.empty());
  EXPECT_EQ(port_room(loads[0].load).open, 28232U);
  EXPECT_EQ(most_records(loads[0].load), 262144);
  const Plan p = plan(loads[0].load);
  EXPECT_TRUE(p.limit(LimitKind::Ports)->assumed);
}

TEST(FromHost, ReservedAndHeldPortsAreTakenAway) {
  Settings s = usual_settings();
  s.ip_local_reserved_ports.insert(PortRange{32768, 42767});
  Observation o = balancer(s);
  synthetic::ns(o).sockets.held_by_bind.insert(PortRange{42768, 42777});
  const auto loads = seen_loads(o);
  ASSERT_FALSE(loads.empty());
  EXPECT_EQ(port_room(loads[0].load).open, 28232U - 10010);
  EXPECT_EQ(loads[0].ports, 28232U - 10010);
}

TEST(FromHost, NoPortIsLeft) {
  Settings s = usual_settings();
  s.ip_local_reserved_ports.insert(synthetic::kRange);
  for (const SeenLoad& seen : seen_loads(balancer(s))) {
    EXPECT_EQ(port_room(seen.load).open, 0U);
    EXPECT_EQ(seen.carries, 0);
    EXPECT_EQ(plan(seen.load).carries, 0);
  }
}

TEST(FromHost, SixOnly) {
  const auto loads = seen_loads(host(usual_settings(), [](Census& census) {
    synthetic::short_connections(census, "2001:db8::1", "2001:db8::9", 443, 50, 60s);
  }));
  ASSERT_EQ(loads.size(), 1U);
  EXPECT_EQ(loads[0].remote.to_string(), "[2001:db8::9]:443");
  EXPECT_FALSE(loads[0].load.loopback);
  const auto own = seen_loads(host(usual_settings(), [](Census& census) {
    synthetic::short_connections(census, "::1", "::1", 443, 50, 60s);
  }));
  ASSERT_EQ(own.size(), 1U);
  EXPECT_TRUE(own[0].load.loopback);
  EXPECT_TRUE(reuse_applies(own[0].load));  // tcp_tw_reuse 2, as it is
}

TEST(FromHost, BoundBeforeConnecting) {
  const auto loads = seen_loads(host(usual_settings(), [](Census& census) {
    for (Port i = 0; i < 1000; ++i) {
      census.add(synthetic::time_wait("10.0.0.1", static_cast<Port>(32769 + 2 * i), "10.0.9.1", 80,
                                      std::chrono::milliseconds(50 * i)));
    }
  }));
  ASSERT_EQ(loads.size(), 1U);
  EXPECT_EQ(loads[0].load.source_port, PortSource::BindZero);
  EXPECT_FALSE(reuse_applies(loads[0].load));
}

TEST(FromHost, TheOtherEndClosesFirstAsTheTracepointSaw) {
  Observation o = host(usual_settings(), [](Census& census) {
    for (Port i = 0; i < 10; ++i) {
      census.add(synthetic::socket("10.0.0.1", static_cast<Port>(40000 + i), "10.0.9.1", 80,
                                   TcpState::Established, 1U + i));
    }
  });
  SocketCensus& sockets = synthetic::ns(o).sockets;
  sockets.watched = 500ms;
  sockets.openers.push_back({.process = 0, .destination = 0, .opened = 100});
  const auto loads = seen_loads(o);
  ASSERT_EQ(loads.size(), 1U);
  EXPECT_TRUE(loads[0].load.peer_closes_first);
  EXPECT_EQ(loads[0].load.rate, 200);
  EXPECT_EQ(loads[0].load.lifetime, Duration(50ms));
  sockets.openers[0].opened = 9;  // proves no rate
  EXPECT_TRUE(seen_loads(o).empty());
}

TEST(FromHost, ConntrackOnlyWhereItCounts) {
  Observation o = balancer(usual_settings());
  synthetic::ns(o).settings.nf_conntrack_max = 1000;
  EXPECT_EQ(plan(seen_loads(o).at(0).load).limit(LimitKind::Conntrack), nullptr);
  synthetic::ns(o).conntrack =
      Conntrack{.count = 5, .max = std::numeric_limits<std::uint64_t>::max(), .time_wait = {}};
  const Plan p = plan(seen_loads(o).at(0).load);
  ASSERT_NE(p.limit(LimitKind::Conntrack), nullptr);
  EXPECT_GT(p.limit(LimitKind::Conntrack)->there_is, 1000);
}

std::uint64_t any_number(Dice& dice) {
  switch (dice.below(4)) {
    case 0:
      return 0;
    case 1:
      return dice.below(100);
    case 2:
      return std::numeric_limits<std::uint64_t>::max() - dice.below(2);
    default:
      return dice.bits() >> dice.below(64);
  }
}

// What a bundle may say that no kernel does: indices of nothing, counts beyond all sockets, ranges upside down.
TEST(FromHost, HostileNumbers) {
  for (const std::uint64_t seed : seeds(60)) {
    Dice dice(seed);
    Observation o = balancer(usual_settings());
    NamespaceSnapshot& ns = synthetic::ns(o);
    for (const SettingInfo& info : setting_table()) {
      if (dice.one_in(2)) continue;
      ns.settings.*info.member = static_cast<std::int64_t>(any_number(dice));
    }
    if (dice.one_in(2)) {
      const auto low = static_cast<Port>(dice.bits());
      ns.settings.ip_local_port_range =
          PortRange{low, static_cast<Port>(low + dice.below(65536U - low))};
    }
    for (Destination& d : ns.sockets.destinations) {
      d.ports_first_parity = static_cast<std::uint32_t>(any_number(dice));
      d.ports_second_parity = static_cast<std::uint32_t>(any_number(dice));
      d.ports_held = static_cast<std::uint32_t>(any_number(dice));
      d.details.looked_at = any_number(dice);
      d.details.with_timestamps = any_number(dice);
      d.closes.add(Duration(static_cast<std::int64_t>(any_number(dice) >> 1)),
                   static_cast<std::uint32_t>(any_number(dice)));
    }
    ns.sockets.watched = Duration(static_cast<std::int64_t>(any_number(dice)));
    for (int i = 0; i < 4; ++i) {
      ns.sockets.openers.push_back({.process = static_cast<std::uint32_t>(any_number(dice)),
                                    .destination = static_cast<std::uint32_t>(dice.below(3)),
                                    .opened = any_number(dice)});
      OwnedSockets owned;
      owned.process = static_cast<std::uint32_t>(any_number(dice));
      owned.destination = static_cast<std::uint32_t>(dice.below(3));
      ns.sockets.owned.push_back(owned);
    }
    o.now.processes[0].descriptor_limit = any_number(dice);
    ns.conntrack = Conntrack{.count = any_number(dice), .max = any_number(dice), .time_wait = {}};
    if (dice.one_in(2)) {
      o.earlier = o.now;
      o.earlier->namespaces[0].at = ns.at - Duration(static_cast<std::int64_t>(dice.bits() >> 12));
    }
    PlanOrigin origin;
    origin.seen = seen_loads(o);
    const std::string again = replay(seed, "plan/test_from_host", "FromHost.HostileNumbers");
    for (std::size_t i = 0; i < origin.seen.size(); ++i) {
      origin.chosen = i;
      const Load& load = origin.seen[i].load;
      EXPECT_TRUE(std::isfinite(load.rate) && load.rate > 0) << load.rate << "\n" << again;
      EXPECT_GE(load.lifetime, Duration(20us)) << again;
      const Plan p = plan(load);
      EXPECT_GE(p.carries, 0) << again;
      EXPECT_GE(p.failing, 0) << again;
      EXPECT_LE(p.failing, 1) << again;
      const PlanPage page{p, &origin, nullptr};
      EXPECT_FALSE(to_text(page).empty());
      const auto json = nlohmann::json::parse(to_json(page), nullptr, false);
      ASSERT_FALSE(json.is_discarded()) << again;
      for (const auto& [name, value] : json["demand"].items()) {
        EXPECT_TRUE(value.is_number() && value.get<double>() >= 0) << name << ": " << value << "\n"
                                                                   << again;
      }
    }
  }
}

}  // namespace
}  // namespace lastack
