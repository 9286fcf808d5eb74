// Facts 15 to 22 of docs/linux-facts.md, each a test with its number, on the running kernel: reuse by the
// connecting side, and the choice of a local port.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <string>

#include "kernel/linux_facts.h"

namespace lastack::facts {
namespace {

constexpr int kOnlyPort = 40000;
const char* const kDelay = "net.ipv4.tcp_tw_reuse_delay";
#ifndef IP_LOCAL_PORT_RANGE
constexpr int IP_LOCAL_PORT_RANGE = 51;
#endif

bool has_delay() {
  return access("/proc/sys/net/ipv4/tcp_tw_reuse_delay", F_OK) == 0;
}

// How long a record has to rest before it may be reused, by default: 1 s, on older kernels until the
// second after the next has begun.
void rest() {
  usleep(has_delay() ? 1'200'000 : 2'200'000);
}

// With one port to choose from: uses it, leaves it in TIME_WAIT, rests, and tries again. Gives the errno.
int use_the_only_port_twice(const How& how, const std::function<void()>& between = rest) {
  const UniqueFd at = listener(how.to);
  Pair pair = connect_pair(at, how);
  client_closes_first(pair);
  between();
  return dial(how).error;
}

NamespaceOptions one_port(std::vector<SysctlValue> more = {}) {
  more.push_back({"net.ipv4.ip_local_port_range",
                  std::to_string(kOnlyPort) + " " + std::to_string(kOnlyPort)});
  return place(std::move(more));
}

Port port_of(const Client& client) {
  return local_endpoint(client.fd.get()).port;
}

TEST(LinuxFacts, F15_without_timestamps_there_is_no_reuse) {
  for (const bool timestamps : {false, true}) {
    RUN_IN_PRIVATE_NAMESPACE(
        one_port(
            {{"net.ipv4.tcp_tw_reuse", "1"}, {"net.ipv4.tcp_timestamps", timestamps ? "1" : "0"}}),
        [&] { EXPECT_EQ(use_the_only_port_twice({}), timestamps ? 0 : EADDRNOTAVAIL); });
  }
}

struct Mode {
  const char* value;
  bool loopback;
  bool reuses;
};
class F16ReuseModes : public ::testing::TestWithParam<Mode> {};
INSTANTIATE_TEST_SUITE_P(LinuxFacts, F16ReuseModes,
                         ::testing::Values(Mode{"0", false, false}, Mode{"0", true, false},
                                           Mode{"1", false, true}, Mode{"1", true, true},
                                           Mode{"2", false, false}, Mode{"2", true, true}),
                         [](const auto& mode) {
                           return std::string("mode") + mode.param.value +
                                  (mode.param.loopback ? "_loopback" : "_own_address");
                         });

// Mode 2 covers 127.0.0.0/8, and not a host's own address elsewhere, even if it sits on lo.
TEST_P(F16ReuseModes, As) {
  RUN_IN_PRIVATE_NAMESPACE(one_port(), [&] {
    if (!write_sysctl({"net.ipv4.tcp_tw_reuse", GetParam().value})) {
      GTEST_SKIP() << "no mode " << GetParam().value << " before Linux 4.19";
    }
    How how;
    if (GetParam().loopback) how = {.from = kLoopback, .to = {kLoopback, 3306}};
    EXPECT_EQ(use_the_only_port_twice(how), GetParam().reuses ? 0 : EADDRNOTAVAIL);
  });
}

TEST(LinuxFacts, F16_reuse_delay) {
  if (!has_delay()) GTEST_SKIP() << "no tcp_tw_reuse_delay before Linux 6.14";
  RUN_IN_PRIVATE_NAMESPACE(one_port({{"net.ipv4.tcp_tw_reuse", "1"}}), [] {
    EXPECT_EQ(read_sysctl(kDelay).value_or(""), "1000");
    for (const char* wrong : {"0", "60001", "-1"}) EXPECT_FALSE(write_sysctl({kDelay, wrong}));
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    client_closes_first(pair);
    set(kDelay, "60000");
    rest();
    EXPECT_EQ(dial().error, EADDRNOTAVAIL);
    // The setting is looked at when a port is chosen, not when it was closed.
    set(kDelay, "1");
    EXPECT_EQ(dial().error, 0);
  });
}

TEST(LinuxFacts, F16_fin_wait_2_is_not_reused) {
  RUN_IN_PRIVATE_NAMESPACE(one_port({{"net.ipv4.tcp_tw_reuse", "1"}}), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    pair.client.reset();
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(pair.from_client); }));
    rest();
    EXPECT_EQ(dial().error, EADDRNOTAVAIL);
    pair.server.reset();
    ASSERT_TRUE(await([&] { return in_time_wait(pair.from_client); }));
    rest();
    EXPECT_EQ(dial().error, 0);
  });
}

TEST(LinuxFacts, F17_an_explicit_port_is_reused_whatever_tcp_tw_reuse) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_tw_reuse", "0"}}), [] {
    if (has_delay()) set(kDelay, "60000");
    const UniqueFd at = listener();
    const How chosen{.port = 41000, .reuse_address = true};
    for (int round = 0; round < 20; ++round) {
      Pair pair = connect_pair(at, chosen);
      ASSERT_TRUE(pair.client) << "round " << round;
      client_closes_first(pair);
    }
    // The substate does not matter either.
    Pair pair = connect_pair(at, chosen);
    pair.client.reset();
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(pair.from_client); }));
    EXPECT_EQ(dial(chosen).error, 0);
  });
}

TEST(LinuxFacts, F17_but_bind_has_to_pass) {
  for (const bool before : {false, true}) {
    for (const bool after : {false, true}) {
      RUN_IN_PRIVATE_NAMESPACE(place(), [&] {
        const UniqueFd at = listener();
        Pair pair = connect_pair(at, {.port = 41000, .reuse_address = before});
        client_closes_first(pair);
        EXPECT_EQ(dial({.port = 41000, .reuse_address = after}).error,
                  before && after ? 0 : EADDRINUSE)
            << "SO_REUSEADDR on the old " << before << ", on the new " << after;
      });
    }
  }
}

TEST(LinuxFacts, F18_reuse_is_counted_and_continues_the_sequence_numbers) {
  RUN_IN_PRIVATE_NAMESPACE(one_port({{"net.ipv4.tcp_tw_reuse", "1"}}), [] {
    const UniqueFd at = listener();
    Pair old = connect_pair(at);
    const std::uint32_t last = sequence_of(old.client).send;
    client_closes_first(old);
    rest();
    const auto recycled = counter("TWRecycled");
    const Pair fresh = connect_pair(at);
    ASSERT_TRUE(fresh.client);
    EXPECT_EQ(counter("TWRecycled"), recycled + 1);
    // One for the old FIN, one for the new SYN.
    EXPECT_EQ(sequence_of(fresh.client).send, last + 1 + 65537 + 1);
    EXPECT_EQ(state_of(old.from_client), TcpState::Established) << "the record made room";
  });
}

TEST(LinuxFacts, F19_connect_takes_one_parity_first) {
  for (const int low : {40000, 40001}) {
    RUN_IN_PRIVATE_NAMESPACE(place(), [&] {
      set_range(low, low + 39);
      const UniqueFd at = listener();
      std::vector<Client> clients;
      for (int i = 0; i < 40; ++i) {
        clients.push_back(dial());
        ASSERT_EQ(clients.back().error, 0);
        const bool of_the_low_end = port_of(clients.back()) % 2 == low % 2;
        EXPECT_EQ(of_the_low_end, i < 20) << "connection " << i << " of a range from " << low;
      }
    });
  }
}

TEST(LinuxFacts, F19_connect_skips_reserved_and_bound_ports) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.ip_local_reserved_ports", "40003,40010-40011"}}), [] {
    set_range(40000, 40019);
    const UniqueFd at = listener();
    // Bound elsewhere: at another address, and by a listener.
    const UniqueFd other = listener({kB, 40006});
    UniqueFd bound(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress address = socket_address({kLoopback, 40007});
    ASSERT_EQ(bind(bound.get(), address.get(), address.length), 0);
    std::set<Port> taken;
    std::vector<Client> clients;
    for (int i = 0; i < 15; ++i) {
      clients.push_back(dial());
      ASSERT_EQ(clients.back().error, 0) << i;
      taken.insert(port_of(clients.back()));
    }
    for (const Port skipped : std::initializer_list<Port>{40003, 40010, 40011, 40006, 40007}) {
      EXPECT_FALSE(taken.contains(skipped)) << skipped;
    }
    EXPECT_EQ(dial().error, EADDRNOTAVAIL) << "these were all";
  });
}

TEST(LinuxFacts, F19_the_four_tuple_decides) {
  RUN_IN_PRIVATE_NAMESPACE(one_port(), [] {
    const UniqueFd at = listener();
    const UniqueFd elsewhere = listener({kB, 3307});
    const Pair pair = connect_pair(at);
    EXPECT_EQ(dial().error, EADDRNOTAVAIL);
    EXPECT_EQ(dial({.to = {kB, 3307}}).error, 0) << "another port of the destination";
    EXPECT_EQ(dial({.from = kB}).error, 0) << "another source address";
  });
}

TEST(LinuxFacts, F20_exhaustion_has_two_names_and_no_counter) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    set_range(40000, 40009);
    const UniqueFd at = listener();
    std::vector<Client> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(dial());
    const auto before = counters();
    EXPECT_EQ(dial().error, EADDRNOTAVAIL);
    EXPECT_EQ(dial({.bind_first = true}).error, EADDRINUSE);
    for (const auto& [name, value] : counters()) {
      EXPECT_EQ(value, before.at(name)) << name << " noticed";
    }
  });
}

TEST(LinuxFacts, F20_a_socket_with_a_range_of_its_own_does_not_look_at_parity) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    set_range(40000, 40039);
    const UniqueFd at = listener();
    std::vector<UniqueFd> sockets;
    int odd = 0;
    for (int i = 0; i < 20; ++i) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const std::uint32_t range = 40039U << 16 | 40000U;
      if (setsockopt(fd.get(), IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range) != 0) {
        GTEST_SKIP() << "no IP_LOCAL_PORT_RANGE before Linux 6.3";
      }
      const SocketAddress to = socket_address(kServer);
      ASSERT_EQ(connect(fd.get(), to.get(), to.length), 0);
      odd += local_endpoint(fd.get()).port % 2;
      sockets.push_back(std::move(fd));
    }
    EXPECT_GT(odd, 0);
    EXPECT_LT(odd, 20);
  });
}

TEST(LinuxFacts, F21_bind_before_connect_takes_one_pool_for_all_destinations) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    set_range(40000, 40009);
    std::vector<UniqueFd> listeners;
    for (Port port = 3306; port < 3316; ++port) listeners.push_back(listener({kB, port}));
    std::vector<Client> clients;
    const auto to = [](int i) { return Endpoint{kB, static_cast<Port>(3306 + i % 10)}; };
    for (int i = 0; i < 10; ++i) {
      clients.push_back(dial({.to = to(i), .bind_first = true}));
      ASSERT_EQ(clients.back().error, 0) << i;
    }
    EXPECT_EQ(dial({.to = to(0), .bind_first = true}).error, EADDRINUSE)
        << "a destination with a single connection";
    EXPECT_EQ(dial({.to = to(0)}).error, EADDRNOTAVAIL)
        << "nor does connect() get a port of theirs";
  });
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    set_range(40000, 40009);
    std::vector<UniqueFd> listeners;
    for (Port port = 3306; port < 3316; ++port) listeners.push_back(listener({kB, port}));
    std::vector<Client> clients;
    for (int i = 0; i < 100; ++i) {
      const Endpoint to{kB, static_cast<Port>(3306 + i % 10)};
      clients.push_back(dial({.to = to, .bind_first = true, .no_port = true}));
      ASSERT_EQ(clients.back().error, 0) << "IP_BIND_ADDRESS_NO_PORT, connection " << i;
    }
  });
}

TEST(LinuxFacts, F22_bind_to_port_zero_takes_the_other_parity_first) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    set_range(40000, 40039);
    std::vector<UniqueFd> sockets;
    for (int i = 0; i < 40; ++i) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const SocketAddress any = socket_address({kA, 0});
      ASSERT_EQ(bind(fd.get(), any.get(), any.length), 0);
      EXPECT_EQ(local_endpoint(fd.get()).port % 2 == 1, i < 20) << "socket " << i;
      sockets.push_back(std::move(fd));
    }
  });
}

TEST(LinuxFacts, F22_a_socket_may_have_a_range_of_its_own) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    set_range(40000, 40019);
    const UniqueFd at = listener();
    for (const bool bind_first : {false, true}) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const std::uint32_t range = 40013U << 16 | 40013U;
      if (setsockopt(fd.get(), IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range) != 0) {
        GTEST_SKIP() << "no IP_LOCAL_PORT_RANGE before Linux 6.3";
      }
      const SocketAddress from = socket_address({kA, 0});
      const SocketAddress to = socket_address(kServer);
      ASSERT_EQ(bind_first ? bind(fd.get(), from.get(), from.length)
                           : connect(fd.get(), to.get(), to.length),
                0);
      EXPECT_EQ(local_endpoint(fd.get()).port, 40013);
    }
  });
}

}  // namespace
}  // namespace lastack::facts
