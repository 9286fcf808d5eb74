// What the tests of docs/linux-facts.md share: pairs of connected sockets, the kernel's rows and counters,
// and segments made by hand. All of it for use inside a private namespace.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "kernel/file.h"
#include "kernel/private_test.h"
#include "kernel/sock_diag.h"
#include "lab/clock.h"
#include "lab/sysctl.h"
#include "lab/tcp_socket.h"
#include "lastack/four_tuple.h"

namespace lastack::facts {

inline const IpAddress kA = IpAddress::v4(0x0a4d0001);  // 10.77.0.1, clients
inline const IpAddress kB = IpAddress::v4(0x0a4d0002);  // 10.77.0.2, servers
inline const Endpoint kServer{kB, 3306};
inline const IpAddress kLoopback = IpAddress::v4(0x7f000001);

inline NamespaceOptions place(std::vector<SysctlValue> sysctls = {}) {
  NamespaceOptions options;
  options.addresses = {kA, kB};
  options.sysctls = std::move(sysctls);
  return options;
}

// A minute of waiting is asked for by name.
inline bool long_tests() {
  const char* wanted = std::getenv("LASTACK_LONG_TESTS");
  return wanted != nullptr && std::string(wanted) == "1";
}

// Polls until it holds. The bound only ends a test that has failed; it asserts nothing.
inline bool await(const std::function<bool()>& holds, Duration longest = 10s) {
  const Instant stop = monotonic_now() + longest;
  while (!holds()) {
    if (monotonic_now() > stop) return false;
    usleep(5'000);
  }
  return true;
}

inline std::vector<DiagRow> rows(std::uint32_t states = diag_states::kConnected) {
  std::vector<DiagRow> all;
  auto diag = SockDiag::open();
  EXPECT_TRUE(diag);
  if (!diag) return all;
  DiagRequest request;
  request.states = states;
  request.details = true;
  const auto done = diag->dump(request, [&](const DiagRow& row) {
    all.push_back(row);
    return true;
  });
  EXPECT_TRUE(done) << done.error().message;
  return all;
}

inline std::optional<DiagRow> row_of(const FourTuple& tuple) {
  for (const DiagRow& row : rows()) {
    if (row.socket.tuple == tuple) return row;
  }
  return std::nullopt;
}

inline std::optional<TcpState> state_of(const FourTuple& tuple) {
  const auto row = row_of(tuple);
  if (!row) return std::nullopt;
  return row->socket.state;
}

inline bool in_time_wait(const FourTuple& tuple) {
  return state_of(tuple) == TcpState::TimeWait;
}
inline bool is_small_fin_wait_2(const FourTuple& tuple) {
  const auto row = row_of(tuple);
  return row && row->socket.state == TcpState::FinWait2 && row->socket.compact;
}

// Every counter of the namespace, by name. Read whole, not by LastAck's list.
inline std::map<std::string, std::uint64_t> counters() {
  std::map<std::string, std::uint64_t> all;
  for (const char* path : {"/proc/self/net/snmp", "/proc/self/net/netstat"}) {
    const auto text = read_file(path, 1 << 20);
    EXPECT_TRUE(text);
    if (!text) continue;
    std::istringstream lines(*text);
    for (std::string names, values; std::getline(lines, names) && std::getline(lines, values);) {
      std::istringstream name_words(names);
      std::istringstream value_words(values);
      std::string kind, name, value;
      name_words >> kind;
      value_words >> value;
      while (name_words >> name && value_words >> value) {
        all[kind + name] = std::strtoull(value.c_str(), nullptr, 10);
      }
    }
  }
  return all;
}
inline std::uint64_t counter(const std::string& name) {
  return counters()["TcpExt:" + name];
}

inline void set(const std::string& name, const std::string& value) {
  const auto written = write_sysctl({name, value});
  ASSERT_TRUE(written) << written.error().message;
}
inline void set_range(int low, int high) {
  set("net.ipv4.ip_local_port_range", std::to_string(low) + " " + std::to_string(high));
}

inline UniqueFd listener(const Endpoint& at = kServer) {
  const int family = at.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const SocketAddress address = socket_address(at);
  EXPECT_EQ(bind(fd.get(), address.get(), address.length), 0) << std::strerror(errno);
  EXPECT_EQ(listen(fd.get(), 1024), 0);
  return fd;
}

struct Client {
  UniqueFd fd;
  int error = 0;  // errno of bind() or connect()
};

struct How {
  IpAddress from = kA;
  Endpoint to = kServer;
  Port port = 0;  // explicit source port
  bool reuse_address = false;
  bool bind_first = false;  // bind(from, 0)
  bool no_port = false;     // with IP_BIND_ADDRESS_NO_PORT
};

inline Client dial(const How& how = {}) {
  Client client;
  client.fd = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (how.reuse_address) {
    setsockopt(client.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  constexpr int kBindAddressNoPort = 24;
  const bool bound = how.port != 0 || how.bind_first;
  if (!bound || how.no_port) {
    setsockopt(client.fd.get(), IPPROTO_IP, kBindAddressNoPort, &on, sizeof on);
  }
  const SocketAddress from = socket_address({how.from, how.port});
  const SocketAddress to = socket_address(how.to);
  if (bind(client.fd.get(), from.get(), from.length) != 0 ||
      connect(client.fd.get(), to.get(), to.length) != 0) {
    client.error = errno;
    client.fd.reset();
  }
  return client;
}

struct Pair {
  UniqueFd client;
  UniqueFd server;
  FourTuple from_client;
  FourTuple from_server;
};

inline Pair connect_pair(const UniqueFd& at, const How& how = {}) {
  Client client = dial(how);
  EXPECT_EQ(client.error, 0) << std::strerror(client.error);
  Pair pair;
  if (client.error != 0) return pair;
  pair.server = UniqueFd(accept4(at.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(pair.server);
  pair.from_client = {local_endpoint(client.fd.get()), how.to};
  pair.from_server = {pair.from_client.remote, pair.from_client.local};
  pair.client = std::move(client.fd);
  return pair;
}

// The first closes, the other sees the end and closes too. The first is left in TIME_WAIT.
inline void close_in_order(UniqueFd& first, UniqueFd& second, const FourTuple& of_first) {
  first.reset();
  char byte;
  EXPECT_EQ(recv(second.get(), &byte, 1, 0), 0);
  second.reset();
  EXPECT_TRUE(await([&] { return in_time_wait(of_first); })) << of_first.to_string();
}
inline void client_closes_first(Pair& pair) {
  close_in_order(pair.client, pair.server, pair.from_client);
}
inline void server_closes_first(Pair& pair) {
  close_in_order(pair.server, pair.client, pair.from_server);
}

// The next sequence numbers of an open connection, as TCP_REPAIR shows them.
struct Sequence {
  std::uint32_t send = 0;     // of the next byte to write
  std::uint32_t receive = 0;  // of the next byte expected
};
inline Sequence sequence_of(const UniqueFd& fd) {
  const auto set_option = [&](int option, int value) {
    EXPECT_EQ(setsockopt(fd.get(), IPPROTO_TCP, option, &value, sizeof value), 0)
        << "option " << option << ": " << std::strerror(errno);
  };
  const auto queue = [&](int which) {
    set_option(TCP_REPAIR_QUEUE, which);
    std::uint32_t number = 0;
    socklen_t length = sizeof number;
    EXPECT_EQ(getsockopt(fd.get(), IPPROTO_TCP, TCP_QUEUE_SEQ, &number, &length), 0);
    return number;
  };
  set_option(TCP_REPAIR, 1);
  Sequence sequence;
  sequence.receive = queue(1);
  sequence.send = queue(2);
  set_option(TCP_REPAIR, -1);  // off, without the window probe that 0 would send
  return sequence;
}
// The value that this end's timestamps have now.
inline std::uint32_t timestamp_of(const UniqueFd& fd) {
  std::uint32_t value = 0;
  socklen_t length = sizeof value;
  EXPECT_EQ(getsockopt(fd.get(), IPPROTO_TCP, TCP_TIMESTAMP, &value, &length), 0);
  return value;
}

struct Segment {
  FourTuple from;  // whom it pretends to come from
  std::uint32_t sequence = 0;
  std::uint32_t acknowledges = 0;
  std::uint8_t flags = 0;
  std::optional<std::uint32_t> timestamp{};
};
inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;
// Sends it, IPv4, as if the peer had.
void inject(const Segment& segment);

}  // namespace lastack::facts
