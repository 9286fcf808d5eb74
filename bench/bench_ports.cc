// The choice of a local port, as more and more of them are taken: ours beside connect() of the running kernel
// (claim C2), which walks the ports of one parity to their end before it tries the others.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>

#include "lab/private_namespace.h"
#include "lab/tcp_socket.h"
#include "measure.h"
#include "ports/ephemeral_ports.h"
#include "ports/linux_walk.h"

namespace lastack::bench {
namespace {

constexpr PortRange kRange{32768, 60999};
constexpr std::array<double, 6> kShares{0.10, 0.48, 0.52, 0.90, 0.99, 0.9999};
const IpAddress kHere = IpAddress::v4(0x0a4d0001);
const Endpoint kThere{IpAddress::v4(0x0a4d0002), 3306};
#ifndef IP_LOCAL_PORT_RANGE
constexpr int IP_LOCAL_PORT_RANGE = 51;
#endif

// In the order in which Linux takes them: those of one parity first, without other order.
std::vector<Port> order_of_taking() {
  std::vector<Port> ports(kRange.size());
  std::iota(ports.begin(), ports.end(), kRange.low);
  std::sort(ports.begin(), ports.end(), [](Port a, Port b) {
    const auto rank = [](Port p) { return std::pair(p % 2 != kRange.low % 2, scatter(p)); };
    return rank(a) < rank(b);
  });
  return ports;
}
std::size_t count_at(double share) {
  return static_cast<std::size_t>(share * kRange.size() + 0.5);
}
void header(const char* title) {
  fmt::print("\n{:<38}", title);
  for (const double share : kShares) fmt::print("{:>10}", fmt::format("{:g} %", share * 100));
  fmt::print("{:>12}\n", "most/least");
}
void row(const char* name, const std::vector<double>& values) {
  fmt::print("  {:<36}", name);
  for (const double v : values) fmt::print("{:>10.2f}", v);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  fmt::print("{:>12.2f}\n", *most / *least);
}

void ours() {
  constexpr int kRounds = 31;
  constexpr int kCalls = 20'000;
  const std::vector<Port> order = order_of_taking();
  // A set for each share, so that all of them take turns.
  std::vector<EphemeralPorts> all;
  for (const double share : kShares) {
    EphemeralPorts& ports = all.emplace_back(SipKey{1, 2});
    for (std::size_t i = 0; i < count_at(share); ++i) ports.take({{kHere, order[i]}, kThere});
  }
  std::vector<std::vector<double>> chosen(kShares.size());
  std::vector<std::vector<double>> used(kShares.size());
  std::uint64_t random = 0;
  std::uint64_t sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t s = 0; s < kShares.size(); ++s) {
      chosen[s].push_back(ns_each(kCalls, [&] {
        for (int i = 0; i < kCalls; ++i) {
          sum += all[s].choose(kHere, kThere, {kRange}, false, scatter(++random))->port;
        }
      }));
      used[s].push_back(ns_each(kCalls, [&] {
        for (int i = 0; i < kCalls; ++i) {
          const Port port = all[s].choose(kHere, kThere, {kRange}, false, scatter(++random))->port;
          all[s].take({{kHere, port}, kThere});
          all[s].release({{kHere, port}, kThere});
        }
      }));
    }
  }
  if (sum == 0) std::abort();
  header("a port of 28,232, ns, share taken:");
  const auto medians = [](const std::vector<std::vector<double>>& all_rounds) {
    std::vector<double> m;
    for (const auto& rounds : all_rounds) m.push_back(median(rounds));
    return m;
  };
  row("choose", medians(chosen));
  row("choose, take and release", medians(used));
}

void walk() {
  const std::vector<Port> order = order_of_taking();
  std::vector<double> looked_at;
  for (const double share : kShares) {
    PortSet taken;
    for (std::size_t i = 0; i < count_at(share); ++i) taken.insert(order[i]);
    LinuxPortWalk linux_walk(SipKey{1, 2});
    std::vector<double> each;
    for (std::uint64_t i = 0; i < 501; ++i) {
      const auto port = linux_walk.connect(kHere, kThere, {kRange}, {}, scatter(i),
                                           [&](Port p) { return !taken.contains(p); });
      if (!port) std::abort();
      each.push_back(linux_walk.looked_at());
    }
    looked_at.push_back(median(each));
  }
  header("ports that Linux looks at, by our walk");
  row("connect()", looked_at);
}

// Takes one port, and leaves it in TIME_WAIT: this side closes first.
bool burn(int listener, Port port) {
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const std::uint32_t only = std::uint32_t{port} << 16 | port;
  const SocketAddress to = socket_address(kThere);
  const SocketAddress from = socket_address({kHere, 0});
  const int on = 1;
  constexpr int kBindAddressNoPort = 24;
  ::setsockopt(client, IPPROTO_IP, kBindAddressNoPort, &on, sizeof on);
  const bool connected =
      ::setsockopt(client, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &only, sizeof only) == 0 &&
      ::bind(client, from.get(), from.length) == 0 && ::connect(client, to.get(), to.length) == 0;
  ::close(client);
  if (!connected) return false;
  const int server = ::accept(listener, nullptr, nullptr);
  ::close(server);
  return true;
}

// connect() that is taken back at once by a RST, so that it leaves nothing behind. Microseconds.
double connect_once(int listener) {
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  constexpr int kBindAddressNoPort = 24;
  ::setsockopt(client, IPPROTO_IP, kBindAddressNoPort, &on, sizeof on);
  const SocketAddress from = socket_address({kHere, 0});
  const SocketAddress to = socket_address(kThere);
  if (::bind(client, from.get(), from.length) != 0) return -1;
  const double start = cpu_now();
  const int result = ::connect(client, to.get(), to.length);
  const double took = (cpu_now() - start) * 1e6;
  const linger reset{1, 0};
  ::setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(client);
  if (result != 0) return -1;
  ::close(::accept(listener, nullptr, nullptr));
  return took;
}

void kernel() {
  NamespaceOptions options;
  options.addresses = {kHere, kThere.address};
  options.sysctls = {
      {"net.ipv4.ip_local_port_range", fmt::format("{} {}", kRange.low, kRange.high)},
      {"net.ipv4.tcp_tw_reuse", "0"},
      {"net.ipv4.tcp_max_tw_buckets", "100000"}};
  if (const auto entered = enter_private_namespace(options); !entered) {
    fmt::print("\nThe kernel's connect() was not measured: {}\n", entered.error().message);
    return;
  }
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const SocketAddress at = socket_address(kThere);
  if (::bind(listener, at.get(), at.length) != 0 || ::listen(listener, 128) != 0) std::abort();
  const std::vector<Port> order = order_of_taking();
  std::vector<double> medians;
  std::size_t taken = 0;
  for (const double share : kShares) {
    for (; taken < count_at(share); ++taken) {
      if (!burn(listener, order[taken])) {
        fmt::print(
            "\nThe kernel's connect() was not measured: no IP_LOCAL_PORT_RANGE (Linux 6.3): {}\n",
            std::strerror(errno));
        return;
      }
    }
    std::vector<double> each;
    for (int i = 0; i < 301; ++i) {
      const double took = connect_once(listener);
      if (took >= 0) each.push_back(took);
    }
    medians.push_back(each.empty() ? 0 : median(each));
  }
  ::close(listener);
  header("connect() of this kernel, us");
  row("handshake over loopback included", medians);
}

}  // namespace
}  // namespace lastack::bench

int main() {
  fmt::print("Local ports to one destination\n");
  lastack::bench::ours();
  lastack::bench::walk();
  lastack::bench::kernel();
}
