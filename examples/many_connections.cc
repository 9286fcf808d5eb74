// 100,000 short connections to one destination, as a client without a pool makes them. The side that closes first keeps
// each port for a minute (TIME_WAIT), there are 28,232 of them, and so 470 connections a second are the end of it: beyond
// that connect() fails with EADDRNOTAVAIL, here a value like any other.
//
//   many_connections                       in memory: who closes first, and with which settings, in turn
//   many_connections la0 10.77.0.1 8080    on the TUN device la0, which it makes (needs root), to a server that closes
//                                          after an answer, or when asked to
#include <lastack/lastack.h>

#include <cstdio>
#include <cstdlib>

using namespace lastack;

constexpr int kConnections = 100'000;
constexpr int kAtOnce = 20;

struct Tally {
  int begun = 0;
  int done = 0;
  int no_port = 0;  // attempts, again after a second each
  int failed = 0;
};

// One of those that share the work.
Task<> work(Node& node, Endpoint to, bool we_close_first, Tally& tally) {
  while (tally.begun < kConnections) {
    ++tally.begun;
    auto c = co_await node.connect(to);
    while (!c && c.error() == Err::address_not_available) {
      ++tally.no_port;
      co_await node.sleep_for(1s);
      c = co_await node.connect(to);
    }
    std::array<std::byte, 1> answer;
    const bool asked = c && co_await c->write("?") && co_await c->read(answer);
    ++(asked ? tally.done : tally.failed);
    if (asked && !we_close_first) co_await c->read(answer);  // the end
  }
}

void in_memory(const char* what, bool client_closes, const char* tw_reuse) {
  VirtualNetwork net(1, {.delay = 1ms});
  Node& client = net.add_node({.name = "client"}, {"10.0.0.1"_ip});
  Node& server = net.add_node({.name = "server"}, {"10.0.0.2"_ip});
  if (!client.host().set("tcp_tw_reuse", tw_reuse)) return;
  const Endpoint at{"10.0.0.2"_ip, 80};
  const auto answer = [client_closes](TcpStream c) -> Task<> {
    std::array<std::byte, 1> buffer;
    if (!co_await c.read(buffer) || !co_await c.write("!")) co_return;
    if (client_closes) co_await c.read(buffer);  // the end
  };
  if (!server.serve(at, answer)) return;
  Tally tally;
  Instant ended{};
  for (int i = 0; i < kAtOnce; ++i) {
    client.spawn([&]() -> Task<> {
      co_await work(client, at, client_closes, tally);
      ended = client.now();
    });
  }
  while (tally.done + tally.failed < kConnections) net.run_for(1s);
  std::printf(
      "%-30s %6.1f s  %6d done  %4d failed  %5d times no port  %6lu ports reused  TIME_WAIT %zu here, %zu there\n",
      what, seconds(ended - Instant(1s)), tally.done, tally.failed, tally.no_port,
      client.host().counters().TWRecycled, client.host().time_waits(), server.host().time_waits());
}

int on_tun(const char* name, const Endpoint& to) {
  auto tun = TunDevice::open(name, {.create = true});
  if (!tun) return std::fprintf(stderr, "%s\n", tun.error().message.c_str()), 1;
  if (const auto up = tun->configure({{"10.77.0.1"_ip, 24}}); !up) {
    return std::fprintf(stderr, "%s\n", up.error().message.c_str()), 1;
  }
  Node client(tun->fitting({}), {"10.77.0.2"_ip});
  EventLoop loop;
  LoopDriver driver(loop);
  if (!driver.attach(client, *tun)) return 1;
  Tally tally;
  int working = kAtOnce;
  for (int i = 0; i < kAtOnce; ++i) {
    client.spawn([&]() -> Task<> {
      co_await work(client, to, true, tally);
      if (--working == 0) loop.stop();
    });
  }
  if (!loop.run()) return 1;
  std::printf("%d done, %d failed, %d times no port, TIME_WAIT %zu\n", tally.done, tally.failed,
              tally.no_port, client.host().time_waits());
  return tally.failed == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc == 4) {
    const auto address = IpAddress::parse(argv[2]);
    return address ? on_tun(argv[1], {*address, static_cast<Port>(std::atoi(argv[3]))}) : 2;
  }
  in_memory("the client closes first", true, "0");
  in_memory("the same, tcp_tw_reuse = 1", true, "1");
  in_memory("the server closes first", false, "0");
  return 0;
}
