// Two nodes on a wire in memory.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lastack/literals.h"
#include "lastack/virtual_network.h"

namespace lastack::test {

struct NodePair {
  explicit NodePair(const LinkOptions& link = {}, const HostOptions& options = {})
      : net(7, link),
        client(net.add_node(options, {"10.0.0.1"_ip})),
        server(net.add_node(options, {"10.0.0.2"_ip})) {}

  VirtualNetwork net;
  Node& client;
  Node& server;
  Endpoint at{"10.0.0.2"_ip, 80};
};

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Task<> echo(TcpStream c) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const auto n = co_await c.read(buffer);
    if (!n || *n == 0) co_return;
    if (!co_await c.write(std::span(buffer).first(*n))) co_return;
  }
}

}  // namespace lastack::test
