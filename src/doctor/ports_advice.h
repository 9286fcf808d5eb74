// What helps a destination that runs out of local ports, best first, with this host's numbers.
#pragma once

#include <string>
#include <vector>

#include "doctor/finding.h"

namespace lastack {

std::vector<Remedy> remedies_for_ports(const Case& c, const PortUse& use);
// Against the cost of connect() beyond half the range.
std::vector<Remedy> remedies_for_cost(const Case& c);
std::vector<std::string> what_will_not_help(const Case& c, const PortUse& use);

}  // namespace lastack
