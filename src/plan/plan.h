// The answer to a Load: what it needs, where it breaks, what helps and what that costs (claims B1 to B4, C1 to C4, D6).
// A pure function of the load; closed_form.h has the arithmetic.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/doctor.h"
#include "plan/closed_form.h"
#include "plan/load.h"

namespace lastack {

enum class LimitKind : std::uint8_t {
  Ports,        // connect(): EADDRNOTAVAIL
  FirstParity,  // connect() gets dear
  Records,      // tcp_max_tw_buckets: connections skip TIME_WAIT
  Descriptors,  // socket(): EMFILE
  Conntrack,    // packets are dropped
};
// "ports", "first_parity", "time_wait_records", "descriptors", "conntrack"
std::string_view to_string(LimitKind kind);

struct Limit {
  LimitKind kind{};
  double needed = 0;  // at Load::rate: ports of a pool, records, descriptors, entries
  double there_is = 0;
  bool assumed = false;  // there_is was not told: the usual
  double carries = 0;    // connections a second; infinity: no limit by rate
  bool fails = false;  // connections fail beyond it; else they cost more, or lose their protection
};

// One way out, with its price.
struct WayOut {
  std::string
      id;  // "keep-alive", "bind-late", "peer-closes", "range", "sources", "destinations", "reuse", "explicit-ports"
  Layer layer = Layer::Program;
  std::string text;   // what to do
  std::string price;  // what it costs, in numbers
  std::vector<std::string> commands;
  std::string caution;  // what it may break, what it needs
  // The load as it would then be, and how many of Load::rate a connection of it carries (1, or the requests of a
  // connection that is kept).
  Load with;
  double each = 1;
  double carries = 0;  // in the units of Load::rate, by ports
  double cheap = 0;    // the same before connect() gets dear
  bool enough = false;
};

struct Plan {
  Load load;
  RangeRoom room;
  Demand demand;              // at load.rate, were there enough of everything
  std::vector<Limit> limits;  // the tightest first
  double carries = 0;         // connections a second, before the first of them fails
  double failing = 0;         // share of connect() calls that fail at load.rate, in the long run
  double first_failure_s = 0;
  std::vector<WayOut> ways;  // in the order in which to try them
  std::vector<std::string> will_not_help;

  // Limits at which connections fail; the tightest, or null.
  const Limit* breaks_first() const;
  const Limit* limit(LimitKind kind) const;
};

struct PlanOptions {
  // Requests that a kept connection is to carry; 0: as many as it takes.
  double requests = 0;
};
Plan plan(const Load& load, const PlanOptions& options = {});

}  // namespace lastack
