// check(HostOptions): what cannot be is refused in a sentence, wherever a host is made.
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "lastack/host.h"
#include "lastack/literals.h"
#include "lastack/node.h"
#include "lastack/virtual_network.h"

namespace lastack::test {
namespace {

template <class Change>
HostOptions with(Change change) {
  HostOptions options;
  change(options);
  return options;
}

TEST(OptionsCheck, WhatCannotBeIsToldInASentence) {
  struct Case {
    HostOptions options;
    const char* says;
  };
  const Case cases[] = {
      {with([](HostOptions& o) { o.msl = -1s; }),
       "HostOptions::msl is from 0 to 2097 s, and not -1 s"},
      {with([](HostOptions& o) { o.msl = Duration::max(); }),
       "HostOptions::msl is from 0 to 2097 s, and not 9.22337e+09 s"},
      {with([](HostOptions& o) { o.time_wait_length = -1ns; }),
       "HostOptions::time_wait_length is from 0 to 4194 s, and not -1e-09 s"},
      {with([](HostOptions& o) { o.time_wait_length = 4195s; }),
       "HostOptions::time_wait_length is from 0 to 4194 s, and not 4195 s"},
      {with([](HostOptions& o) { o.most_sockets = 0; }),
       "HostOptions::most_sockets is from 1 to 1048576, and not 0"},
      {with([](HostOptions& o) { o.most_sockets = (1U << 20) + 1; }),
       "HostOptions::most_sockets is from 1 to 1048576, and not 1048577"},
      {with([](HostOptions& o) { o.gso_max_size = 65537; }),
       "HostOptions::gso_max_size is at most 65536 bytes, and not 65537"},
      {with([](HostOptions& o) { o.mtu = 0; }),
       "HostOptions::mtu is 0 bytes, and IPv4 needs 68 (RFC 791)"},
      {with([](HostOptions& o) { o.mtu = 67; }),
       "HostOptions::mtu is 67 bytes, and IPv4 needs 68 (RFC 791)"},
      {with([](HostOptions& o) { o.profile = static_cast<Profile>(3); }),
       "HostOptions::profile is none of the profiles"},
      {with([](HostOptions& o) { o.port_choice = static_cast<PortChoice>(2); }),
       "HostOptions::port_choice is none of the ways to choose"},
      {with([](HostOptions& o) { o.syn_answer = static_cast<SynAnswer>(4); }),
       "HostOptions::syn_answer is none of the answers"},
      {with([](HostOptions& o) { o.settings.tcp_tw_reuse = 7; }),
       "HostOptions::settings: tcp_tw_reuse takes a number from 0 to 2, and not 7"},
      {with([](HostOptions& o) {
         o.settings.ip_local_port_range = PortRange{2000, 1000};
       }),
       "HostOptions::settings: ip_local_port_range takes two ports, the lower one first, and not 2000 "
       "to 1000"},
  };
  for (const Case& c : cases) {
    const auto fine = check(c.options);
    ASSERT_FALSE(fine) << c.says;
    EXPECT_EQ(fine.error().message, c.says);
    EXPECT_EQ(fine.error().number, EINVAL);
    EXPECT_THROW(Host{c.options}, std::invalid_argument);
    EXPECT_THROW(Node(c.options, {"10.0.0.1"_ip}), std::invalid_argument);
    VirtualNetwork net;
    EXPECT_THROW(net.add_host(c.options, {"10.0.0.1"_ip}), std::invalid_argument);
    EXPECT_THROW(net.add_node(c.options, {"10.0.0.1"_ip}), std::invalid_argument);
    net.run_for(1s);  // it is as if nobody had asked
  }
  EXPECT_TRUE(check(HostOptions{}));
}

TEST(OptionsCheck, TheLimitsThemselvesAreTaken) {
  for (
      const HostOptions& options :
      {with([](HostOptions& o) { o.msl = Duration::zero(); }),
       with([](HostOptions& o) { o.msl = 2097s; }),
       with([](HostOptions& o) { o.time_wait_length = Duration::zero(); }),
       with([](HostOptions& o) { o.time_wait_length = 4194s; }),
       with([](HostOptions& o) { o.most_sockets = 1; }),
       with([](HostOptions& o) { o.most_sockets = 1U << 20; }),
       with([](HostOptions& o) { o.gso_max_size = 65536; }),
       with([](HostOptions& o) { o.mtu = 68; }), with([](HostOptions& o) { o.mtu = 65535; }),
       // What the endpoint does not use may come along: a snapshot's settings can be given as they are.
       with([](HostOptions& o) { o.settings.nf_conntrack_max = -5; })}) {
    EXPECT_TRUE(check(options)) << check(options).error().message;
    EXPECT_NO_THROW(Host{options});
  }
}

TEST(OptionsCheck, IPv6NeedsAnMtuOf1280) {
  const HostOptions small{.mtu = 1279};
  const IpAddress v4 = "10.0.0.1"_ip, v6 = "fd00::1"_ip;
  EXPECT_TRUE(check(small));
  EXPECT_TRUE(check(small, {&v4, 1}));
  const auto fine = check(small, {&v6, 1});
  ASSERT_FALSE(fine);
  EXPECT_EQ(fine.error().message, "HostOptions::mtu is 1279 bytes, and IPv6 needs 1280 (RFC 8200)");
  Host host(small);
  host.add_address(v4);
  EXPECT_THROW(host.add_address(v6), std::invalid_argument);
  EXPECT_FALSE(host.has_address(v6));
  EXPECT_THROW(Node(small, {v4, v6}), std::invalid_argument);
  VirtualNetwork net;
  EXPECT_THROW(net.add_host(small, {v4, v6}), std::invalid_argument);
  Host enough({.mtu = 1280});
  EXPECT_NO_THROW(enough.add_address(v6));
}

TEST(OptionsCheck, LinksThatCannotBe) {
  struct Case {
    LinkOptions options;
    const char* says;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Case cases[] = {
      {{.delay = -1ms}, "LinkOptions::delay is from 0 to a day, and not -0.001 s"},
      {{.jitter = -1ns}, "LinkOptions::jitter is from 0 to a day, and not -1e-09 s"},
      {{.delay = Duration::max()}, "LinkOptions::delay is from 0 to a day, and not 9.22337e+09 s"},
      {{.replay_delay = 25h}, "LinkOptions::replay_delay is from 0 to a day, and not 90000 s"},
      {{.loss = -0.1}, "LinkOptions::loss is a probability, from 0 to 1, and not -0.1"},
      {{.loss = 5}, "LinkOptions::loss is a probability, from 0 to 1, and not 5"},
      {{.corrupt = nan}, "LinkOptions::corrupt is a probability, from 0 to 1, and not nan"},
      {{.queue = (std::size_t{1} << 30) + 1},
       "LinkOptions::queue is at most 1073741824 bytes, and not 1073741825"},
      {{.mtu = 67}, "LinkOptions::mtu is 67 bytes, and IPv4 needs 68 (RFC 791); 0: no limit"},
  };
  VirtualNetwork net;
  Host& a = net.add_host({}, {"10.0.0.1"_ip});
  Host& b = net.add_host({}, {"10.0.0.2"_ip});
  for (const Case& c : cases) {
    const auto fine = check(c.options);
    ASSERT_FALSE(fine) << c.says;
    EXPECT_EQ(fine.error().message, c.says);
    EXPECT_THROW(net.link(a, b, c.options), std::invalid_argument);
    EXPECT_THROW(net.link_one_way(a, b, c.options), std::invalid_argument);
    EXPECT_THROW(net.set_loopback(c.options), std::invalid_argument);
    EXPECT_THROW(VirtualNetwork(1, c.options), std::invalid_argument);
  }
  for (const LinkOptions& options :
       {LinkOptions{.delay = 0s, .jitter = 24h, .loss = 1, .duplicate = 1, .queue = 0, .mtu = 68},
        LinkOptions{.delay = 24h, .queue = std::size_t{1} << 30, .mtu = 65535}}) {
    EXPECT_TRUE(check(options));
    EXPECT_NO_THROW(net.link(a, b, options));
  }
}

}  // namespace
}  // namespace lastack::test
