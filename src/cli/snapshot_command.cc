#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "cli/selection.h"
#include "lastack/bundle.h"

namespace lastack {

namespace {

struct SnapshotArguments {
  Selection selection;
  std::string file;
  bool redact = false;
};

// "lastack-web-3-20261121T031500Z.json.gz"; a host's name may hold anything.
std::string usual_name(const Observation& observation) {
  std::string host;
  for (char c : observation.now.hostname) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    host += plain ? c : '_';
  }
  const auto when = static_cast<std::time_t>(observation.now.wall_time_ns / 1'000'000'000);
  return fmt::format("lastack-{}-{:%Y%m%dT%H%M%SZ}.json.gz",
                     host.empty() ? "host" : host.substr(0, 64), fmt::gmtime(when));
}

int run_snapshot(const SnapshotArguments& arguments) {
  auto observation = observe(arguments.selection);
  if (!observation) {
    complain("snapshot", observation.error().message);
    return exit_code_for(observation.error());
  }
  if (arguments.redact) *observation = redact(*observation);
  const std::string file = arguments.file.empty() ? usual_name(*observation) : arguments.file;
  if (const auto written = write_bundle(*observation, file); !written) {
    complain("snapshot", written.error().message);
    return exit_code::kCannotWrite;
  }
  if (file != "-" && !print("snapshot", file + "\n")) return exit_code::kCannotWrite;
  for (const NamespaceSnapshot& ns : observation->now.namespaces) {
    if (!ns.sockets_read && !arguments.selection.look.counters_only) {
      complain("snapshot",
               "no socket of namespace " + ns.name + " could be read; the bundle says why");
      return exit_code::kNoLook;
    }
  }
  return 0;
}

}  // namespace

void add_snapshot_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "snapshot", "Write everything the doctor needs to one file, for someone far away");
  const auto arguments = std::make_shared<SnapshotArguments>();
  add_selection(*command, arguments->selection);
  command
      ->add_option("--output,-o", arguments->file,
                   "where to; - is standard output (default: a name with host and time)")
      ->type_name("FILE")
      ->check(not_empty());
  command->add_flag("--redact", arguments->redact,
                    "replace addresses, host names and command lines, consistently");
  command->callback([arguments, &run] { run = [arguments] { return run_snapshot(*arguments); }; });
}

}  // namespace lastack
