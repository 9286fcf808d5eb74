#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "lab/demo.h"

namespace lastack {

void add_demo_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "demo",
      "A service that is up for a while and down for a while: shown, diagnosed and cured in a private namespace");
  const auto options = std::make_shared<DemoOptions>();
  command->add_flag("--full", options->full,
                    "with the kernel's own 60 s of TIME_WAIT (about two minutes)");
  command->callback([options, &run] { run = [options] { return run_demo(*options, stdout); }; });
}

}  // namespace lastack
