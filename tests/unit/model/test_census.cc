// The census: which side a socket is on, what it counts, and that its memory is bounded.
#include <gtest/gtest.h>

#include "lastack/census.h"

namespace lastack {
namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

SocketRecord row(const char* local, Port local_port, const char* remote, Port remote_port,
                 TcpState state) {
  SocketRecord s;
  s.tuple = {{ip(local), local_port}, {ip(remote), remote_port}};
  s.state = state;
  return s;
}

SocketRecord time_wait(const char* local, Port local_port, const char* remote, Port remote_port,
                       Duration remaining) {
  SocketRecord s = row(local, local_port, remote, remote_port, TcpState::TimeWait);
  s.compact = true;
  s.timer = TimerKind::TimeWait;
  s.timer_remaining = remaining;
  return s;
}

SocketRecord listener(const char* local, Port port, std::uint32_t queue = 0,
                      std::uint32_t backlog = 128) {
  SocketRecord s = row(local, port, "0.0.0.0", 0, TcpState::Listen);
  s.receive_queue = queue;
  s.send_queue = backlog;
  return s;
}

Settings usual() {
  Settings s;
  s.ip_local_port_range = PortRange{32768, 60999};
  return s;
}

SocketCensus finish(Census& c) {
  return c.finish([](std::int32_t) { return kNone; });
}

TEST(Census, an_outgoing_connection_counts_for_its_destination) {
  Census c(usual());
  c.add(row("10.0.0.1", 40000, "10.0.0.2", 80, TcpState::Established));
  c.add(time_wait("10.0.0.1", 40001, "10.0.0.2", 80, 30s));
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.destinations.size(), 1U);
  EXPECT_TRUE(out.services.empty());
  const Destination& d = out.destinations[0];
  EXPECT_EQ(d.source, ip("10.0.0.1"));
  EXPECT_EQ(d.remote, (Endpoint{ip("10.0.0.2"), 80}));
  EXPECT_EQ(d.states[TcpState::Established], 1U);
  EXPECT_EQ(d.states[TcpState::TimeWait], 1U);
  EXPECT_EQ(d.ports_first_parity, 1U);
  EXPECT_EQ(d.ports_second_parity, 1U);
  EXPECT_EQ(d.mean_age_second_parity, 30s);
  EXPECT_TRUE(out.used_outgoing.contains(40000));
}

TEST(Census, an_accepted_connection_counts_for_its_listener) {
  Census c(usual());
  c.add_listener(listener("0.0.0.0", 443));
  c.add(row("10.0.0.1", 443, "10.0.0.9", 50000, TcpState::Established));
  c.add(time_wait("10.0.0.7", 443, "10.0.0.9", 1025, 10s));
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.services.size(), 1U);
  EXPECT_TRUE(out.destinations.empty());
  EXPECT_EQ(out.services[0].local, (Endpoint{ip("0.0.0.0"), 443}));
  EXPECT_EQ(out.services[0].listeners, 1U);
  EXPECT_EQ(out.services[0].states.total(), 3U);  // and the listener itself
  EXPECT_TRUE(out.held_by_bind.contains(443));
}

TEST(Census, a_listener_of_the_address_goes_before_the_wildcard) {
  Census c(usual());
  c.add_listener(listener("0.0.0.0", 80));
  c.add_listener(listener("10.0.0.1", 80));
  c.add(row("10.0.0.1", 80, "10.0.0.9", 50000, TcpState::Established));
  c.add(row("10.0.0.2", 80, "10.0.0.9", 50000, TcpState::CloseWait));
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.services.size(), 2U);
  for (const Service& s : out.services) {
    const bool own = s.local.address == ip("10.0.0.1");
    EXPECT_EQ(s.states[TcpState::Established], own ? 1U : 0U);
    EXPECT_EQ(s.states[TcpState::CloseWait], own ? 0U : 1U);
  }
}

TEST(Census, a_v6_wildcard_takes_v4_unless_it_is_v6_only) {
  for (const bool v6_only : {false, true}) {
    Census c(usual());
    SocketRecord l = listener("::", 8080);
    l.v6_only = v6_only;
    c.add_listener(l);
    c.add(row("10.0.0.1", 8080, "10.0.0.9", 50000, TcpState::Established));
    const SocketCensus out = finish(c);
    std::uint64_t with_listener = 0;
    for (const Service& s : out.services) {
      if (s.listeners > 0) with_listener += s.states[TcpState::Established];
    }
    EXPECT_EQ(with_listener, v6_only ? 0U : 1U);
  }
}

TEST(Census, connections_of_a_listener_that_is_gone_are_still_accepted_ones) {
  Census c(usual());
  for (Port p = 50000; p < 50010; ++p) c.add(time_wait("10.0.0.1", 443, "10.0.0.9", p, 10s));
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.services.size(), 1U);
  EXPECT_EQ(out.services[0].listeners, 0U);
  EXPECT_EQ(out.services[0].states[TcpState::TimeWait], 10U);
}

TEST(Census, v4_through_a_dual_stack_socket_is_the_same_destination) {
  Census c(usual());
  c.add(row("10.0.0.1", 40000, "10.0.0.2", 80, TcpState::Established));
  c.add(row("::ffff:10.0.0.1", 40002, "::ffff:10.0.0.2", 80, TcpState::Established));
  EXPECT_EQ(finish(c).destinations.size(), 1U);
}

TEST(Census, ports_that_bind_holds_and_ports_outside_are_counted_apart) {
  Settings settings = usual();
  settings.ip_local_reserved_ports.insert(Port{40004});
  Census c(settings);
  const SocketRecord bound = row("10.0.0.1", 40000, "10.0.0.2", 80, TcpState::Established);
  c.add(bound);
  c.add(row("10.0.0.1", 40002, "10.0.0.2", 80, TcpState::Established));
  c.add(row("10.0.0.1", 40004, "10.0.0.2", 80, TcpState::Established));
  c.add(row("10.0.0.1", 1025, "10.0.0.2", 80, TcpState::Established));
  c.mark_bound(bound);
  c.mark_bound(bound);  // changes nothing
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.destinations.size(), 1U);
  EXPECT_EQ(out.destinations[0].ports_held, 1U);
  EXPECT_EQ(out.destinations[0].ports_outside, 2U);
  EXPECT_EQ(out.destinations[0].ports_taken(), 1U);
  EXPECT_TRUE(out.held_by_bind.contains(40000));
}

TEST(Census, a_port_held_without_a_connection_is_held_for_all) {
  Census c(usual());
  c.add_bound(40000);
  c.add(row("10.0.0.1", 40000, "10.0.0.2", 80, TcpState::Established));
  const SocketCensus out = finish(c);
  EXPECT_EQ(out.destinations[0].ports_held, 1U);
  EXPECT_EQ(out.destinations[0].ports_taken(), 0U);
}

TEST(Census, the_time_of_each_close_follows_from_what_remains) {
  Census c(usual());
  for (int i = 0; i < 60; ++i) {
    for (int n = 0; n < 10; ++n) {
      c.add(time_wait("10.0.0.1", static_cast<Port>(33000 + i * 10 + n), "10.0.0.2", 80,
                      std::chrono::seconds(i) + 500ms));
    }
  }
  const SocketCensus out = finish(c);
  const CloseHistogram& closes = out.destinations[0].closes;
  EXPECT_EQ(closes.total(), 600U);  // also those from before there was a histogram
  EXPECT_NEAR(closes.closed_within(10s), 100, 6);
  EXPECT_NEAR(closes.closed_within(30s), 300, 8);
}

TEST(Census, orphans_have_no_inode_and_are_no_small_records) {
  Census c(usual());
  SocketRecord small = row("10.0.0.1", 40000, "10.0.0.2", 80, TcpState::FinWait2);
  small.compact = true;
  SocketRecord open = row("10.0.0.1", 40002, "10.0.0.2", 80, TcpState::FinWait2);
  open.inode = 7;
  c.add(small);
  c.add(open);
  c.add(row("10.0.0.1", 40004, "10.0.0.2", 80, TcpState::FinWait2));
  const SocketCensus out = finish(c);
  EXPECT_EQ(out.states[TcpState::FinWait2], 3U);
  EXPECT_EQ(out.compact_fin_wait_2, 1U);
  EXPECT_EQ(out.orphans, 1U);
}

TEST(Census, the_end_of_file_is_no_unread_data) {
  Census c(usual());
  c.add_listener(listener("0.0.0.0", 80));
  for (const std::uint32_t queue : {0U, 1U, 11U}) {
    SocketRecord s =
        row("10.0.0.1", 80, "10.0.0.2", static_cast<Port>(50000 + queue), TcpState::CloseWait);
    s.receive_queue = queue;
    s.inode = 100 + queue;
    c.add(s);
  }
  const SocketCensus out = finish(c);
  EXPECT_EQ(out.services[0].close_wait_end_unread, 2U);
  EXPECT_EQ(out.services[0].close_wait_unread_bytes, 10U);
}

TEST(Census, owners_are_found_by_inode_and_the_first_claim_counts) {
  Census c(usual());
  SocketRecord s = row("10.0.0.1", 40000, "10.0.0.2", 80, TcpState::Established);
  s.inode = 77;
  c.add(s);
  EXPECT_FALSE(c.own(78, 1));
  EXPECT_TRUE(c.own(77, 3));
  EXPECT_TRUE(c.own(77, 4));  // the same socket in a child
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.owned.size(), 1U);
  EXPECT_EQ(out.owned[0].process, 3U);
  EXPECT_EQ(out.owned[0].destination, 0U);
  EXPECT_EQ(out.owned[0].states[TcpState::Established], 1U);
}

TEST(Census, a_cookie_from_an_earlier_look_gives_time_wait_an_owner) {
  std::unordered_map<std::uint64_t, std::int32_t> owners;
  {
    Census first(usual(), nullptr, true);
    SocketRecord s = row("10.0.0.1", 40000, "10.0.0.2", 80, TcpState::Established);
    s.inode = 5;
    s.cookie = 99;
    first.add(s);
    first.own(5, 0);
    first.remember_into(owners, [](std::uint32_t) { return 1234; });
  }
  ASSERT_EQ(owners.at(99), 1234);
  Census second(usual(), &owners);
  SocketRecord s = time_wait("10.0.0.1", 40000, "10.0.0.2", 80, 59s);
  s.cookie = 99;
  second.add(s);
  const SocketCensus out = second.finish([](std::int32_t pid) { return pid == 1234 ? 2U : kNone; });
  ASSERT_EQ(out.owned.size(), 1U);
  EXPECT_EQ(out.owned[0].process, 2U);
  EXPECT_EQ(out.owned[0].states[TcpState::TimeWait], 1U);
}

TEST(Census, of_several_listeners_on_one_endpoint_the_fullest_shows) {
  Census c(usual());
  c.add_listener(listener("0.0.0.0", 80, 1, 100));
  c.add_listener(listener("0.0.0.0", 80, 90, 100));
  c.add_listener(listener("0.0.0.0", 80, 3, 100));
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.services.size(), 1U);
  EXPECT_EQ(out.services[0].listeners, 3U);
  EXPECT_EQ(out.services[0].accept_queue, 90U);
}

// A million destinations, one of them large: the large one survives and nothing is lost from the totals.
TEST(Census, many_small_destinations_do_not_drown_a_large_one) {
  Census c(usual());
  std::uint32_t next = 0x0a000001;
  for (int i = 0; i < 200'000; ++i) {
    SocketRecord s;
    s.tuple.local = {ip("192.168.0.1"), static_cast<Port>(33000 + i % 20000)};
    s.tuple.remote = {IpAddress::v4(next++), 80};
    s.state = TcpState::Established;
    c.add(s);
    if (i % 20 == 0) {
      c.add(row("192.168.0.1", static_cast<Port>(33000 + i / 20), "198.51.100.1", 443,
                TcpState::Established));
    }
  }
  const SocketCensus out = finish(c);
  EXPECT_EQ(out.states.total(), 210'000U);
  EXPECT_LE(out.destinations.size(), Census::kMostKept);
  ASSERT_FALSE(out.destinations.empty());
  EXPECT_EQ(out.destinations[0].remote.address, ip("198.51.100.1"));
  EXPECT_GE(out.destinations[0].states.total(), 9'900U);
  std::uint64_t kept = 0;
  for (const Destination& d : out.destinations) kept += d.states.total();
  EXPECT_EQ(kept + out.sockets_dropped, 210'000U);
}

TEST(Census, a_connection_to_its_own_port_is_seen) {
  Census c(usual());
  c.add(row("127.0.0.1", 40000, "127.0.0.1", 40000, TcpState::Established));
  EXPECT_EQ(finish(c).self_connected.size(), 1U);
}

// What has no answer yet has refused nothing: one such connection beside records of TIME_WAIT is no word on timestamps.
TEST(Census, before_the_handshake_is_over_no_timestamps_are_agreed_on) {
  Census c(usual());
  for (const TcpState state : {TcpState::SynSent, TcpState::Established}) {
    const SocketRecord s = row("10.0.0.1", 40000, "10.0.0.2", 80, state);
    c.add(s);
    c.add_details(s, {});
  }
  const SocketCensus out = finish(c);
  ASSERT_EQ(out.destinations.size(), 1U);
  EXPECT_EQ(out.destinations[0].details.looked_at, 1U);
  EXPECT_EQ(out.destinations[0].details.with_timestamps, 0U);
}

}  // namespace
}  // namespace lastack
