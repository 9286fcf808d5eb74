// A box that lets hosts share an address: network address and port translation as RFC 5382 wants it, endpoint-
// independent, with a port pool and time-outs. Packets of the hosts inside come to it by VirtualNetwork::set_gateway().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/scenario/scenario.h"
#include "lastack/four_tuple.h"
#include "lastack/packet_node.h"

namespace lastack::lab {

class Nat final : public PacketNode {
 public:
  explicit Nat(const NatSpec& spec) : spec_(spec), next_(spec.first_port) {}

  void receive(std::span<const std::byte> packet, Instant now) override;
  std::span<const std::byte> next_packet() override;
  Instant next_deadline() const override {
    return Instant::max();
  }  // mappings are looked at when ports are short
  void advance(Instant) override {}
  bool has_address(const IpAddress& address) const override { return address == spec_.address; }

  struct Counts {
    std::uint64_t mapped = 0;   // mappings made
    std::uint64_t expired = 0;  // mappings found forgotten, by a packet or for want of a port
    std::uint64_t no_port = 0;  // packets dropped: every port is taken
    std::uint64_t unknown = 0;  // from outside to no mapping
  };
  const Counts& counts() const { return counts_; }
  // Told of each segment that is dropped, and why.
  using Loss =
      std::function<void(std::span<const std::byte> packet, Instant, std::string_view why)>;
  void on_loss(Loss told) { lost_ = std::move(told); }
  // From now on.
  void set_times(std::optional<Duration> closed_after, std::optional<Duration> forget_after);
  // All of them, as if it had begun anew.
  void forget_all();
  // Those that are not forgotten by then.
  std::size_t mappings(Instant now) const;

 private:
  struct Mapping {
    Endpoint inside;
    Instant last{};
    std::uint8_t fins = 0;  // 1: from inside, 2: from outside
    bool reset = false;
  };
  bool expired(const Mapping& mapping, Instant now) const;
  void forget(std::map<Port, Mapping>::iterator mapping);
  Mapping* map(const Endpoint& inside, Instant now, Port& port);

  NatSpec spec_;
  std::uint32_t next_;  // port to try next
  std::map<Endpoint, Port> by_inside_;
  std::map<Port, Mapping> by_port_;
  std::deque<std::vector<std::byte>> out_;
  std::vector<std::byte> sending_;
  Counts counts_;
  Loss lost_;
};

}  // namespace lastack::lab
