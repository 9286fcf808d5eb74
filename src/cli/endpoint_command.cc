// lastack endpoint: our own TCP on a TUN device, for real peers.
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/endpoint_stage.h"

namespace lastack {

void add_endpoint_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "endpoint", "Run a TCP endpoint of our own on a TUN device: serve, fetch, churn");
  command->require_subcommand(1);
  add_endpoint_serve(*command, run);
  add_endpoint_fetch(*command, run);
  add_endpoint_churn(*command, run);
}

}  // namespace lastack
