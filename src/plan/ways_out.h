// What a host can do that runs out of local ports, each priced: the remedies of claim D6 and of the doctor, in the
// same order.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace lastack {

std::vector<WayOut> ways_out(const Load& load, const PlanOptions& options);
std::vector<std::string> what_will_not_help(const Load& load);

}  // namespace lastack
