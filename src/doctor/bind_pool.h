// Who binds before connecting? bind(address, 0) takes a port from one pool for all destinations
// (linux-facts 21), and neither a sock_diag row nor a TIME_WAIT record says that it did. The ports do:
// bind(0) and connect() start at opposite parities (linux-facts 19 and 22).
#pragma once

#include <cstdint>
#include <vector>

#include "lastack/host_snapshot.h"

namespace lastack {

struct BindPool {
  // For each destination of the census, whether its ports came from bind(address, 0).
  std::vector<bool> pooled;
  std::uint32_t destinations = 0;
  std::uint32_t ports = 0;  // that they hold, for all destinations together
};

BindPool find_bind_pool(const NamespaceSnapshot& ns);

// Ports of the range that neither a reservation nor an explicit bind() takes away.
struct RangeRoom {
  PortRange range;
  std::uint32_t reserved = 0;
  std::uint32_t held = 0;
  std::uint32_t open = 0;
  std::uint32_t open_first_parity = 0;  // of the parity that connect() walks first
  std::uint32_t open_second_parity = 0;
};
// `held`: by a bind() anywhere in the namespace.
RangeRoom room_of(const Settings& settings, const PortSet& held);
inline RangeRoom room_of(const NamespaceSnapshot& ns) {
  return room_of(ns.settings, ns.sockets.held_by_bind);
}

}  // namespace lastack
