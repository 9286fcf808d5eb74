// Loads as an observed host carries them: what `lastack plan --from-host` and --from take in place of numbers that
// somebody types. A pure function of the observation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/host_snapshot.h"
#include "plan/load.h"

namespace lastack {

struct SeenLoad {
  Load load;  // rate 0: nothing was seen to be opened
  std::string net_namespace;
  IpAddress source;
  Endpoint remote;
  std::uint32_t ports_taken = 0;
  std::uint32_t ports = 0;  // that it can have
  double carries = 0;       // by ports
  std::vector<std::string>
      assumed;  // sentences: what could not be seen, and what was taken in its place
};

// Range, reserved and held ports, settings and conntrack of a namespace, and no load.
Load load_of(const NamespaceSnapshot& ns);

// One for each destination to which connections are opened, those first that use most of what they can. A lifetime is
// what is open divided by the rate (Little's law).
std::vector<SeenLoad> seen_loads(const Observation& observation);

}  // namespace lastack
