// A host on a wire, without tasks: whoever owns it asks it, or has given a handler.
#pragma once

#include <functional>
#include <span>
#include <utility>

#include "lastack/host.h"
#include "lastack/packet_node.h"

namespace lastack {

class HostNode final : public PacketNode {
 public:
  explicit HostNode(HostOptions options) : host(std::move(options)) {}

  void receive(std::span<const std::byte> packet, Instant now) override {
    host.receive(packet, now);
  }
  std::span<const std::byte> next_packet() override { return host.next_packet(); }
  std::uint16_t segment_size() const override { return host.segment_size(); }
  Instant next_deadline() const override { return host.next_deadline(); }
  void advance(Instant now) override { host.advance(now); }
  void pump(Instant) override {
    while (handler) {  // which may take another's place
      const auto socket = host.next_event();
      if (!socket) return;
      handler(*socket);
    }
  }
  bool has_address(const IpAddress& address) const override { return host.has_address(address); }

  Host host;
  std::function<void(SocketId)> handler;
};

}  // namespace lastack
