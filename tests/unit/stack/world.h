// Hosts on a wire in memory, in virtual time: what the tests of the endpoint share. Packets arrive after
// `delay`, and a `Fault` may drop, hold back, double or change any of them.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lastack/host.h"
#include "wire/tcp_segment.h"

namespace lastack::test {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(const std::string& text) {
  const auto span = std::as_bytes(std::span(text));
  return {span.begin(), span.end()};
}

inline const IpAddress kClientAddress = IpAddress::v4(0x0a000001);
inline const IpAddress kServerAddress = IpAddress::v4(0x0a000002);

class World {
 public:
  // When a packet arrives, counted from now; several for copies, none for a loss.
  using Fault = std::function<std::vector<Duration>(Bytes& packet, std::size_t from)>;

  explicit World(HostOptions of_client = {.name = "client", .seed = 1},
                 HostOptions of_server = {.name = "server", .seed = 2})
      : hosts{Host(std::move(of_client)), Host(std::move(of_server))} {
    hosts[0].add_address(kClientAddress);
    hosts[1].add_address(kServerAddress);
  }

  std::array<Host, 2> hosts;
  Host& client = hosts[0];
  Host& server = hosts[1];
  Instant now = Instant(1s);
  Duration delay = 1ms;
  Fault fault;
  std::vector<std::pair<std::size_t, Bytes>> sent;  // all packets, when `capture`
  bool capture = false;

  // Takes what the hosts have to send onto the wire.
  void collect() {
    for (std::size_t from = 0; from < 2; ++from) {
      for (auto p = hosts[from].next_packet(); !p.empty(); p = hosts[from].next_packet()) {
        Bytes packet(p.begin(), p.end());
        if (capture) sent.emplace_back(from, packet);
        for (const Duration after : fault ? fault(packet, from) : std::vector<Duration>{delay}) {
          on_wire_.emplace(now + after, std::pair(1 - from, packet));
        }
      }
    }
  }
  // Runs for as long, or until nothing is left to happen.
  void run_for(Duration duration) { run_until(now + duration); }
  void run_until(Instant stop) {
    for (;;) {
      collect();
      Instant next = std::min(hosts[0].next_deadline(), hosts[1].next_deadline());
      if (!on_wire_.empty()) next = std::min(next, on_wire_.begin()->first);
      if (next > stop) break;
      now = std::max(now, next);
      while (!on_wire_.empty() && on_wire_.begin()->first <= now) {
        const auto [to, packet] = std::move(on_wire_.begin()->second);
        on_wire_.erase(on_wire_.begin());
        hosts[to].receive(packet, now);
        collect();
      }
      for (Host& host : hosts) host.advance(now);
    }
    now = std::max(now, stop);
  }
  bool idle() const { return on_wire_.empty(); }

  SocketId listen(Port port, int backlog = 128) {
    const SocketId socket = *server.open();
    EXPECT_TRUE(server.set_option(socket, Option::reuse_address, 1, now));
    EXPECT_TRUE(server.bind(socket, {kServerAddress, port}));
    EXPECT_TRUE(server.listen(socket, backlog));
    return socket;
  }
  SocketId dial(Port port, std::optional<Port> from = std::nullopt) {
    const SocketId socket = *client.open();
    if (from) {
      EXPECT_TRUE(client.set_option(socket, Option::reuse_address, 1, now));
      EXPECT_TRUE(client.bind(socket, {kClientAddress, *from}));
    }
    const auto begun = client.connect(socket, {kServerAddress, port}, now);
    EXPECT_TRUE(!begun && begun.error() == Err::in_progress);
    return socket;
  }
  struct Pair {
    SocketId client;
    SocketId server;
  };
  // Both ends of a connection.
  Pair connect(SocketId listener, Port port, std::optional<Port> from = std::nullopt) {
    const SocketId c = dial(port, from);
    run_for(10ms);
    const auto s = server.accept(listener);
    EXPECT_TRUE(s);
    return {c, s.value_or(SocketId{})};
  }

 private:
  std::multimap<Instant, std::pair<std::size_t, Bytes>> on_wire_;
};

inline TcpSegment segment_of(const Bytes& packet) {
  const auto ip = parse_ip(packet);
  EXPECT_TRUE(ip);
  const auto segment = parse_tcp(ip->payload, ip->header);
  EXPECT_TRUE(segment);
  return segment.value_or(TcpSegment{});
}

}  // namespace lastack::test
