#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/doctor_prove.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "cli/selection.h"
#include "cli/terminal.h"
#include "lastack/bundle.h"
#include "lastack/doctor.h"
#include "lastack/report.h"

namespace lastack {

namespace {

struct DoctorArguments {
  Selection selection;
  std::string from;
  std::string earlier;
  std::string prove;
  bool full = false;
  bool json = false;
  bool verbose = false;
  std::string color = "auto";
  std::size_t width = 0;
};

TextStyle style_for(const DoctorArguments& arguments) {
  TextStyle style;
  style.verbose = arguments.verbose;
  style.color = wants_color(arguments.color);
  style.width = page_width(arguments.width, style.width, 120);
  return style;
}

int verdict(const Diagnosis& diagnosis, bool counters_only) {
  if (!diagnosis.looked && !counters_only) return exit_code::kNoLook;
  switch (diagnosis.worst()) {
    case Severity::Notice:
      return exit_code::kHealthy;
    case Severity::Warning:
      return exit_code::kWarning;
    case Severity::Problem:
      return exit_code::kProblem;
  }
  return exit_code::kInternal;
}

int run_doctor(const DoctorArguments& arguments) {
  if (!arguments.prove.empty()) {
    const TextStyle style = style_for(arguments);
    return run_prove({arguments.prove, arguments.full, arguments.json, style.color, style.width});
  }
  Result<Observation> observation;
  if (!arguments.from.empty()) {
    observation = read_bundle(arguments.from);
    if (!observation) {
      complain("doctor", observation.error().message);
      return observation.error().number != 0 ? exit_code::kNoInput : exit_code::kBadData;
    }
  } else {
    observation = observe(arguments.selection);
    if (!observation) {
      complain("doctor", observation.error().message);
      return exit_code_for(observation.error());
    }
  }
  if (!arguments.earlier.empty()) {
    auto earlier = read_bundle(arguments.earlier);
    if (!earlier) {
      complain("doctor", earlier.error().message);
      return earlier.error().number != 0 ? exit_code::kNoInput : exit_code::kBadData;
    }
    if (earlier->now.hostname != observation->now.hostname) {
      complain("doctor", "--earlier " + arguments.earlier + " is of the host " +
                             earlier->now.hostname + ", and this look is of " +
                             observation->now.hostname +
                             ": only looks at one host can be compared (a redacted bundle has "
                             "another name)");
      return exit_code::kBadData;
    }
    observation->earlier = std::move(earlier->now);
  }
  const Diagnosis diagnosis = diagnose(*observation);
  const std::string page =
      arguments.json ? to_json(diagnosis) : to_text(diagnosis, style_for(arguments));
  if (!print("doctor", page)) return exit_code::kCannotWrite;
  return verdict(diagnosis, arguments.selection.look.counters_only);
}

}  // namespace

void add_doctor_command(CLI::App& app, Run& run) {
  auto* command =
      app.add_subcommand("doctor", "How do this host's TCP connections end, and does it hurt?");
  const auto arguments = std::make_shared<DoctorArguments>();
  add_selection(*command, arguments->selection);
  command
      ->add_option("--from", arguments->from,
                   "read a bundle of 'lastack snapshot' in place of this host; - is standard input")
      ->type_name("FILE")
      ->check(not_empty());
  command
      ->add_option("--earlier", arguments->earlier,
                   "compare with this earlier bundle of the same host")
      ->type_name("FILE")
      ->check(not_empty());
  command->add_flag("--counters", arguments->selection.look.counters_only,
                    "read settings and counters only, walk no socket");
  auto* prove =
      command
          ->add_option("--prove", arguments->prove,
                       "make this finding happen in small, in private namespaces, and go with what "
                       "helps; list: which can be")
          ->type_name("FINDING")
          ->check(not_empty());
  command->add_flag("--full", arguments->full, "of a proof, also what takes minutes")->needs(prove);
  command->add_flag("--json", arguments->json, "print the diagnosis as JSON");
  command->add_flag("--verbose,-v", arguments->verbose,
                    "every finding in full, the evidence by name, all destinations");
  command->add_option("--color", arguments->color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->add_option("--width", arguments->width, "columns of the page")
      ->transform(whole_number(60, 1000));
  command->footer(
      "Exit codes: 0 healthy, 1 warnings, 2 problems, 3 no socket could be looked at; 64 wrong usage, 65 bad bundle,\n"
      "66 no such file or namespace, 77 not permitted.");
  command->callback([command, arguments, &run] {
    if (!arguments->prove.empty() &&
        (selects_anything(*command) || arguments->selection.look.counters_only ||
         !arguments->from.empty() || !arguments->earlier.empty() || arguments->verbose)) {
      throw CLI::ValidationError(
          "--prove plays in namespaces of its own; it cannot be combined with options that choose "
          "what to look at, nor with --verbose");
    }
    if (!arguments->from.empty() &&
        (selects_anything(*command) || arguments->selection.look.counters_only)) {
      throw CLI::ValidationError(
          "--from reads a bundle; it cannot be combined with options that choose what to look at");
    }
    run = [arguments] { return run_doctor(*arguments); };
  });
}

}  // namespace lastack
