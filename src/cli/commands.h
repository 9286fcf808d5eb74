// The commands: each adds itself to the program and is run if it was named.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace lastack {

// Set by the command that was parsed; returns the exit code.
using Run = std::function<int()>;

void add_doctor_command(CLI::App& app, Run& run);
void add_snapshot_command(CLI::App& app, Run& run);
void add_demo_command(CLI::App& app, Run& run);
void add_endpoint_command(CLI::App& app, Run& run);
void add_explain_command(CLI::App& app, Run& run);
void add_lab_command(CLI::App& app, Run& run);
void add_log_command(CLI::App& app, Run& run);
void add_plan_command(CLI::App& app, Run& run);

}  // namespace lastack
