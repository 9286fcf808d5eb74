// What a run of a scenario came to, for a terminal and for machines.
#pragma once

#include <string>

#include "lab/scenario/run.h"

namespace lastack::lab {

struct RunTextOptions {
  bool measures = false;  // all that was measured, not only what conditions looked at
  std::string replay;     // the line that runs it again
};

std::string run_text(const ScenarioFile& file, const RunReport& report,
                     const RunTextOptions& options);
std::string run_json(const ScenarioFile& file, const RunReport& report, const std::string& replay);

}  // namespace lastack::lab
