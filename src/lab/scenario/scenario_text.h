// A scenario as a page: everything that its file says, for those who read no TOML.
#pragma once

#include <string>

#include "lab/scenario/scenario_file.h"
#include "lastack/result.h"

namespace lastack::lab {

// `called`: how commands call it, a name of the library or a path. An error: the file cannot be played as it is.
Result<std::string> scenario_text(const ScenarioFile& file, const std::string& called);

// One step in words: "connect to server:80 from port 40000: c". Which host it is on is not said.
std::string step_text(const StepSpec& step);

}  // namespace lastack::lab
