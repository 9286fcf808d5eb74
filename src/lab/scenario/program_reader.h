// [[program]] of a scenario file.
#pragma once

#include <string>
#include <vector>

#include "lab/scenario/scenario.h"
#include "lab/scenario/scenario_names.h"

namespace lastack::lab {

// How they are called, before they are read: others may name them.
std::vector<std::string> program_names(TomlTable& root);
// `names.programs`: those before it.
ProgramSpec read_program(TomlTable& table, const Names& names, const Scenario& scenario,
                         const std::string& name);

}  // namespace lastack::lab
