// Which namespaces to look at, and whether twice: the options that `doctor` and `snapshot` share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "lastack/kernel.h"

namespace lastack {

struct Selection {
  LookOptions look;
  double sample_seconds = 0;
};

// Without `listeners`, no --expect-listener.
void add_selection(CLI::App& command, Selection& selection, bool listeners = true);
bool selects_anything(const CLI::App& command);

// Looks once, or twice with the asked-for time between, watching in the meantime who opens connections.
Result<Observation> observe(const Selection& selection);

// A failed look: EPERM and EACCES are not the user's mistake.
int exit_code_for(const Error& error);

}  // namespace lastack
