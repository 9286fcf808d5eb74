// What the settings and a socket's own options say about local ports, apart from who holds them.
#pragma once

#include <cstdint>
#include <optional>
#include <tl/expected.hpp>

#include "lastack/settings.h"
#include "ports/port_error.h"

namespace lastack {

struct LocalPortRules {
  PortRange range{32768, 60999};  // ip_local_port_range
  PortSet reserved{};             // ip_local_reserved_ports: not chosen, but may be asked for
  std::uint32_t unprivileged_start = 1024;  // ip_unprivileged_port_start: 0 to 65536

  static LocalPortRules from(const Settings& settings);
};

// A socket's IP_LOCAL_PORT_RANGE (6.3): an end that is not set is the host's.
struct OwnPortRange {
  std::optional<Port> low{};
  std::optional<Port> high{};

  bool set() const { return low || high; }
};

// The range a socket's port is chosen from, and whether it is the socket's own: then Linux walks it in steps
// of one (linux-facts 22).
struct RangeToChooseFrom {
  PortRange range;
  bool own = false;
};
RangeToChooseFrom range_to_choose_from(const LocalPortRules& rules, const OwnPortRange& own);

// Whether bind() to this port is permitted at all. Port 0 always is.
tl::expected<void, PortError> may_bind(const LocalPortRules& rules, Port port,
                                       bool may_bind_any_port);

}  // namespace lastack
