// Room for connections, per source and destination, and how long it lasts.
#pragma once

#include <cstdint>
#include <optional>

#include "doctor/bind_pool.h"
#include "lastack/doctor.h"

namespace lastack {

// What the forecast knows of a destination beyond what people are shown.
struct PortUse {
  Headroom head;
  std::size_t destination = 0;        // index in the census
  std::uint32_t time_wait = 0;        // of `taken`, TIME_WAIT records
  std::uint32_t live = 0;             // of `taken`, everything else
  Duration hold{};                    // how long a closed connection keeps its port from connect()
  double closes_per_second = 0;       // recent, by the TIME_WAIT records
  double busiest_per_second = 0;      // over the busiest two seconds of the last minute
  double live_growth_per_second = 0;  // between two looks; 0 from one
  Duration activity{};                // how far back the closes go without a gap
  bool pooled = false;              // bound before connecting: competes with all other destinations
  bool timestamps_seen = false;     // on a live connection to it
  bool timestamps_refused = false;  // live connections to it that have none
};

// Whether tcp_tw_reuse lets connect() have a port that is in TIME_WAIT, on loopback or elsewhere, given that the other
// end agrees on timestamps (linux-facts 15, 16).
bool reuse_covers(const Settings& settings, bool loopback);

// `before` is the same namespace at an earlier look, or null.
PortUse port_use(const NamespaceSnapshot& ns, const NamespaceSnapshot* before,
                 std::size_t destination, const RangeRoom& room, const BindPool& pool);

// Exposed for tests: the first moment from now at which `use.head.free` ports are gone when connections
// go on at `opens` a second and each holds its port for `use.hold`; nothing if that never happens.
std::optional<double> time_to_exhaustion(const PortUse& use, const CloseHistogram& closes,
                                         double opens);

}  // namespace lastack
