// A scenario as a page: everything that its file says, for those who read no TOML.
#pragma once

#include <string>

#include "lab/scenario/scenario_file.h"
#include "lastack/result.h"

namespace lastack::lab {

// `called`: how commands call it, a name of the library or a path. An error: the file cannot be played as it is.
Result<std::string> scenario_text(const ScenarioFile& file, const std::string& called);

}  // namespace lastack::lab
