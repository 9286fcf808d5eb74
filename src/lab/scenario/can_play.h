// Which of a scenario's hosts are kernels in a world, and whether the scenario can be played there.
#pragma once

#include <string>

#include "lab/scenario/scenario.h"
#include "lab/scenario/scenario_file.h"

namespace lastack::lab {

// `first`: it is the scenario's first host, which is the kernel where both worlds meet.
HostKind kind_in(const HostSpec& spec, Where where, bool first);

// What stands in the way of playing it here; empty: nothing.
std::string cannot_play(const Scenario& scenario, Where where);

}  // namespace lastack::lab
