// How Linux walks its local ports (linux-facts 19 to 22), to foretell what it does: __inet_hash_connect() and
// inet_csk_find_open_port() of 6.18. The order is in port_order.h; the way to the same port without the walk in
// ephemeral_ports.h. bind() to port 0 begins anywhere, with the parity that connect() has second.
#pragma once

#include <cstdint>
#include <functional>
#include <tl/expected.hpp>

#include "lastack/four_tuple.h"
#include "lastack/port_set.h"
#include "ports/local_port_rules.h"
#include "ports/port_error.h"
#include "ports/port_order.h"
#include "timewait/siphash.h"

namespace lastack {

class LinuxPortWalk {
 public:
  explicit LinuxPortWalk(const SipKey& key) : order_(key) {}

  // May the connection have this port? The caller takes it when it says so.
  using Test = std::function<bool(Port)>;

  // Reserved ports are not tried.
  tl::expected<Port, PortError> connect(const IpAddress& source, const Endpoint& destination,
                                        const RangeToChooseFrom& range, const PortSet& reserved,
                                        std::uint64_t random, const Test& test);

  // With SO_REUSEADDR the lower half of the range is tried first. Nothing is remembered.
  static tl::expected<Port, PortError> bind_zero(const RangeToChooseFrom& range,
                                                 const PortSet& reserved, bool reuse_address,
                                                 std::uint64_t random, const Test& test);

  // How many ports the last connect() looked at, reserved ones included: what it cost (claim C2).
  std::uint32_t looked_at() const { return looked_at_; }

 private:
  PortOrder order_;
  std::uint32_t looked_at_ = 0;
};

}  // namespace lastack
