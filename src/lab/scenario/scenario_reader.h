// What a scenario file says of hosts, the wire, faults, programs and steps, with its overrides in place, as a Scenario.
#pragma once

#include <string>

#include "lab/scenario/scenario.h"
#include "lab/scenario/toml_table.h"

namespace lastack::lab {

// Throws Misread. `file`: how errors call it.
Scenario read_scenario(const toml::table& root, const TomlSource& source);

// As a file writes it: "connect".
std::string_view to_string(StepSpec::Deed deed);

}  // namespace lastack::lab
