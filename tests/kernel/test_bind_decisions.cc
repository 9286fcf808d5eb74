// ports/bindings.h decides about bind() and listen() as the running kernel does: both are asked, in a private
// namespace, for every pair of a holder and one who asks.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/fsuid.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "kernel/linux_facts.h"
#include "ports/bindings.h"

namespace lastack::facts {
namespace {

constexpr Port kPort = 41000;

std::string text(const PortHolder& h) {
  std::string t = h.address.to_string();
  if (h.v6_only) t += " v6only";
  if (h.reuse_address) t += " reuseaddr";
  if (h.reuse_port) t += " reuseport";
  if (h.listening) t += " listening";
  if (h.time_wait) t += " time-wait";
  if (h.by_connect) t += " by connect";
  if (h.uid != 0) t += " uid " + std::to_string(h.uid);
  return t;
}

// Every address with every pair of flags.
std::vector<PortHolder> everybody() {
  std::vector<PortHolder> all;
  for (const char* address : {"0.0.0.0", "127.0.0.1", "10.77.0.1", "::", "::1"}) {
    for (const bool v6_only : {false, true}) {
      if (v6_only && std::string(address) != "::") continue;
      for (const bool reuse_address : {false, true}) {
        for (const bool reuse_port : {false, true}) {
          PortHolder h;
          h.address = *IpAddress::parse(address);
          h.v6_only = v6_only;
          h.reuse_address = reuse_address;
          h.reuse_port = reuse_port;
          all.push_back(h);
        }
      }
    }
  }
  return all;
}

UniqueFd open_socket(const PortHolder& terms) {
  const int family = terms.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto set_option = [&](int level, int option, bool on) {
    const int value = on ? 1 : 0;
    EXPECT_EQ(setsockopt(fd.get(), level, option, &value, sizeof value), 0);
  };
  if (terms.reuse_address) set_option(SOL_SOCKET, SO_REUSEADDR, true);
  if (terms.reuse_port) set_option(SOL_SOCKET, SO_REUSEPORT, true);
  if (family == AF_INET6) set_option(IPPROTO_IPV6, IPV6_V6ONLY, terms.v6_only);
  return fd;
}
bool kernel_binds(const UniqueFd& fd, const PortHolder& terms, Port port = kPort) {
  const SocketAddress address = socket_address({terms.address, port});
  if (bind(fd.get(), address.get(), address.length) == 0) return true;
  EXPECT_EQ(errno, EADDRINUSE) << text(terms) << ": " << std::strerror(errno);
  return false;
}
bool kernel_listens(const UniqueFd& fd) {
  if (listen(fd.get(), 1) == 0) return true;
  EXPECT_EQ(errno, EADDRINUSE) << std::strerror(errno);
  return false;
}

// IPv6 may be switched off.
bool can_bind(const PortHolder& terms) {
  const UniqueFd fd = open_socket(terms);
  const SocketAddress address = socket_address({terms.address, kPort});
  return bind(fd.get(), address.get(), address.length) == 0;
}

TEST(BindDecisions, B8_of_every_pair) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    std::vector<PortHolder> all = everybody();
    std::erase_if(all, [](const PortHolder& h) { return !can_bind(h); });
    int granted = 0;
    int refused = 0;
    for (PortHolder holder : all) {
      for (const bool listening : {false, true}) {
        for (const PortHolder& asker : all) {
          const UniqueFd first = open_socket(holder);
          ASSERT_TRUE(kernel_binds(first, holder));
          holder.listening = listening;
          if (listening) {
            ASSERT_TRUE(kernel_listens(first));
          }
          Bindings bindings;
          bindings.add(kPort, holder);
          const UniqueFd second = open_socket(asker);
          const bool bound = kernel_binds(second, asker);
          EXPECT_EQ(bindings.may_bind(kPort, asker).has_value(), bound)
              << text(holder) << " <- " << text(asker);
          ++(bound ? granted : refused);
          if (bound) {
            bindings.add(kPort, asker);
            EXPECT_EQ(bindings.may_listen(kPort, asker).has_value(), kernel_listens(second))
                << text(holder) << " <- listen() by " << text(asker);
          }
          holder.listening = false;
        }
      }
    }
    EXPECT_GT(granted, 300);
    EXPECT_GT(refused, 300);
  });
}

TEST(BindDecisions, B8_of_two_users) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    setfsuid(1000);
    const bool permitted = setfsuid(static_cast<uid_t>(-1)) == 1000;
    setfsuid(0);
    if (!permitted) GTEST_SKIP() << "there is no second user in this namespace";
    for (const bool reuse_address : {false, true}) {
      PortHolder holder;
      holder.reuse_port = true;
      holder.reuse_address = reuse_address;
      PortHolder asker = holder;
      asker.uid = 1000;
      const UniqueFd first = open_socket(holder);
      ASSERT_TRUE(kernel_binds(first, holder));
      setfsuid(asker.uid);
      const UniqueFd second = open_socket(asker);
      setfsuid(0);
      Bindings bindings;
      bindings.add(kPort, holder);
      EXPECT_EQ(bindings.may_bind(kPort, asker).has_value(), kernel_binds(second, asker))
          << text(holder) << " <- " << text(asker);
    }
  });
}

TEST(BindDecisions, F21_bind_zero_wants_a_port_that_nobody_holds) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    set_range(kPort, kPort);
    std::vector<PortHolder> all = everybody();
    std::erase_if(all, [](const PortHolder& h) { return !can_bind(h); });
    for (const PortHolder& holder : all) {
      for (const PortHolder& asker : all) {
        const UniqueFd first = open_socket(holder);
        ASSERT_TRUE(kernel_binds(first, holder));
        Bindings bindings;
        bindings.add(kPort, holder);
        const UniqueFd second = open_socket(asker);
        EXPECT_EQ(bindings.free_for_bind_zero(kPort, asker), kernel_binds(second, asker, 0))
            << text(holder) << " <- port 0 by " << text(asker);
      }
    }
  });
}

// What a server's TIME_WAIT records hold when it starts again, whatever address it asks for.
TEST(BindDecisions, F17_beside_a_servers_time_wait) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    Port port = kPort;
    for (const bool reuse_address : {false, true}) {
      for (const bool reuse_port : {false, true}) {
        ++port;  // an earlier record would have a say
        PortHolder holder;
        holder.address = kB;
        holder.reuse_address = reuse_address;
        holder.reuse_port = reuse_port;
        {
          const UniqueFd at = open_socket(holder);
          ASSERT_TRUE(kernel_binds(at, holder, port));
          ASSERT_TRUE(kernel_listens(at));
          Pair pair = connect_pair(at, {.to = {kB, port}});
          server_closes_first(pair);
        }
        holder.time_wait = true;
        Bindings bindings;
        bindings.add(port, holder);
        for (const PortHolder& asker : everybody()) {
          if (!can_bind(asker)) continue;
          const UniqueFd fd = open_socket(asker);
          const bool bound = kernel_binds(fd, asker, port);
          EXPECT_EQ(bindings.may_bind(port, asker).has_value(), bound)
              << text(holder) << " <- " << text(asker);
          if (!bound) continue;
          bindings.add(port, asker);
          EXPECT_EQ(bindings.may_listen(port, asker).has_value(), kernel_listens(fd))
              << text(holder) << " <- listen() by " << text(asker);
          bindings.remove(port, asker);
        }
      }
    }
  });
}

// A port that connect() chose is held against bind() too.
TEST(BindDecisions, F17_beside_a_port_that_connect_chose) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_tw_reuse", "0"}}), [] {
    for (const bool closed : {false, true}) {
      const Port port = static_cast<Port>(kPort + (closed ? 1 : 0));
      set_range(port, port);
      const UniqueFd at = listener();
      Pair pair = connect_pair(at);
      ASSERT_EQ(pair.from_client.local.port, port);
      if (closed) client_closes_first(pair);
      PortHolder holder;
      holder.address = kA;
      holder.by_connect = true;
      holder.time_wait = closed;
      Bindings bindings;
      bindings.add(port, holder);
      for (const PortHolder& asker : everybody()) {
        if (!can_bind(asker)) continue;
        const UniqueFd fd = open_socket(asker);
        EXPECT_EQ(bindings.may_bind(port, asker).has_value(), kernel_binds(fd, asker, port))
            << text(holder) << " <- " << text(asker);
      }
    }
  });
}

}  // namespace
}  // namespace lastack::facts
