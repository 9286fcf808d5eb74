// Two hosts on a wire in memory, and the steps that tests of the wire take with them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lastack/virtual_network.h"

namespace lastack::test {

using Bytes = std::vector<std::byte>;

inline const IpAddress kClientAddress = IpAddress::v4(0x0a000001);
inline const IpAddress kServerAddress = IpAddress::v4(0x0a000002);

struct WirePair {
  explicit WirePair(std::uint64_t seed = 1, const LinkOptions& link = {},
                    const HostOptions& options = {})
      : net(seed, link),
        client(net.add_host(options, {kClientAddress})),
        server(net.add_host(options, {kServerAddress})) {
    listener = *server.open();
    EXPECT_TRUE(server.bind(listener, {kServerAddress, 80}));
    EXPECT_TRUE(server.listen(listener, 128));
  }

  SocketId dial() {
    const SocketId socket = *client.open();
    const auto begun = client.connect(socket, {kServerAddress, 80}, net.now());
    EXPECT_TRUE(!begun && begun.error() == Err::in_progress);
    return socket;
  }
  // Sends `size` bytes, closes, and reads them at the other end. What arrived.
  Bytes transfer(std::size_t size) {
    const SocketId c = dial();
    net.run_for(10s);
    const auto s = server.accept(listener);
    EXPECT_TRUE(s);
    if (!s) return {};
    Bytes all(size), got, buffer(65536);
    for (std::size_t i = 0; i < size; ++i) all[i] = static_cast<std::byte>(i * 40503 >> 5);
    std::size_t written = 0;
    for (int round = 0; round < 100'000; ++round) {
      if (written < size) {
        const auto n = client.write(c, std::span(all).subspan(written), net.now());
        if (n) written += *n;
        if (written == size) {
          EXPECT_TRUE(client.shutdown(c, ShutdownHow::Write, net.now()));
        }
      }
      const auto n = server.read(*s, buffer, net.now());
      if (n && *n == 0) break;
      if (n) got.insert(got.end(), buffer.begin(), buffer.begin() + static_cast<long>(*n));
      if (!n && n.error() != Err::would_block) {
        ADD_FAILURE() << "read: " << static_cast<int>(n.error());
        break;
      }
      net.run_for(1ms);
    }
    EXPECT_TRUE(server.close(*s, net.now()));
    EXPECT_TRUE(client.close(c, net.now()));
    EXPECT_TRUE(got == all);
    return got;
  }

  VirtualNetwork net;
  Host& client;
  Host& server;
  SocketId listener{};
};

}  // namespace lastack::test
