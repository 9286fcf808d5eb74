// lastack lab: incidents and claims, made to happen on the endpoint in virtual time, on the running kernel in
// namespaces, or on one facing the other.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/lab_choice.h"
#include "cli/lab_runs.h"
#include "cli/output.h"
#include "kernel/file.h"
#include "lab/scenario/claims.h"
#include "lab/scenario/library.h"
#include "lab/scenario/scenario_text.h"
#include "model/printable.h"

namespace lastack {
namespace {

// Does what a line says that a run has printed. Nothing but lab run is taken from it.
int run_replay(const std::vector<std::string>& words) {
  std::vector<std::string> line = words;
  if (words.size() == 1) {  // all of it in quotes
    line.clear();
    std::istringstream parts(words.front());
    for (std::string part; parts >> std::quoted(part, '\'');) line.push_back(part);
  }
  if (!line.empty() && line.front() == "replay") line.erase(line.begin());
  if (line.size() < 4 || line[0] != "lastack" || line[1] != "lab" || line[2] != "run") {
    complain(kLab, "replay takes the line that a run has printed: lastack lab run ...");
    return exit_code::kUsage;
  }
  CLI::App app;
  Run run;
  app.require_subcommand(1);
  add_lab_command(app, run);
  line.erase(line.begin());
  std::reverse(line.begin(), line.end());
  try {
    app.parse(line);
  } catch (const CLI::ParseError& e) {
    complain(kLab, fmt::format("replay: {}", e.what()));
    return exit_code::kUsage;
  }
  return run();
}

}  // namespace

int run_lab_list() {
  const auto files = whole_library();
  if (!files) return exit_code::kInternal;
  std::string out;
  for (const lab::ScenarioFile& file : *files) {
    out +=
        fmt::format("{:<26} {:<20} {}\n", file.name(), fmt::join(file.claims(), " "), file.title());
  }
  return print(kLab, out) ? 0 : exit_code::kCannotWrite;
}

int run_lab_show(const LabArguments& arguments) {
  const lab::LibraryScenario* const known = lab::find_in_library(arguments.scenario);
  if (arguments.toml && known != nullptr)
    return print(kLab, known->text) ? 0 : exit_code::kCannotWrite;
  int code = 0;
  const auto file = find_scenario(arguments.scenario, code);
  if (!file) return code;
  const auto text = arguments.toml ? read_file(arguments.scenario.c_str(), lab::kLargestScenario)
                                   : lab::scenario_text(*file, arguments.scenario);
  if (!text) {
    complain(kLab, text.error().message);
    return arguments.toml ? exit_code::kNoInput : exit_code::kBadData;
  }
  return print(kLab, *text) ? 0 : exit_code::kCannotWrite;
}

int run_lab_claims(const LabArguments& arguments) {
  Progress progress;
  const auto rows =
      lab::settle_claims({.full = arguments.full,
                          .only = arguments.variants,
                          .tool_version = LASTACK_VERSION,
                          .progress = [&](double share) { progress("claims", share); }});
  if (!rows) {
    complain(kLab, rows.error().message);
    return exit_code::kUsage;
  }
  const std::string out = arguments.format == "json"       ? lab::claims_json(*rows)
                          : arguments.format == "markdown" ? lab::claims_markdown(*rows)
                                                           : lab::claims_text(*rows);
  if (!print(kLab, out)) return exit_code::kCannotWrite;
  return lab::all_settled(*rows) ? 0 : exit_code::kProblem;
}

void add_lab_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "lab",
      "Make incidents and claims happen, on the endpoint and on the running kernel, and see what is true");
  command->require_subcommand(1);

  command->add_subcommand("list", "The scenarios that are here, with the claims they settle")
      ->callback([&run] { run = run_lab_list; });

  const auto arguments = std::make_shared<LabArguments>();
  LabArguments& a = *arguments;
  auto* show = command->add_subcommand(
      "show",
      "All that a scenario is, in words: hosts, wire, faults, steps, variants, what has to hold");
  show->add_option("SCENARIO", a.scenario, "a name of 'lastack lab list', or a file")->required();
  show->add_flag("--toml", a.toml, "the file as it is written");
  show->callback([arguments, &run] { run = [arguments] { return run_lab_show(*arguments); }; });

  auto* play = command->add_subcommand("run", "Run a scenario, and see whether what it says holds");
  play->add_option("SCENARIO", a.scenario, "a name of 'lastack lab list', or a file")->required();
  play->add_option(
          "--on", a.on,
          "endpoint: in virtual time; kernel: in namespaces; mixed: the first host is the kernel (default: endpoint)")
      ->check(CLI::IsMember({"endpoint", "kernel", "mixed"}));
  play->add_option("--seed", a.seed,
                   "of everything that is left to chance (default: the scenario's)")
      ->type_name("NUMBER")
      ->transform(whole_number(0, INT64_MAX));
  play->add_option("--set", a.settings, "another value for something in the file; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  play->add_option("--variant", a.variants, "only this one; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  play->add_option("--log", a.log, "write the lifecycle log: one JSON object a line")
      ->type_name("FILE")
      ->check(not_empty());
  auto* pcap = play->add_option("--pcap", a.pcap,
                                "write the packets for Wireshark, with what happened as comments")
                   ->type_name("FILE")
                   ->check(not_empty());
  play->add_option("--pcap-at", a.pcap_at,
                   "only as seen at this host or NAT (default: all); may be repeated")
      ->type_name("HOST")
      ->allow_extra_args(false)
      ->needs(pcap);
  play->add_flag("--diagram", a.diagram, "draw what was sent and what states there were");
  play->add_option(
          "--html", a.html,
          "write a page: verdict, evidence, sequence diagram, what there was over time; of several variants, "
          "FILE leads to FILE-VARIANT of each")
      ->type_name("FILE")
      ->check(not_empty());
  play->add_flag("--full", a.full, "also what takes minutes on a real kernel");
  play->add_flag("--measures", a.measures, "all that was measured");
  play->add_flag("--json", a.json, "the result as JSON");
  play->callback([arguments, &run] { run = [arguments] { return run_lab_run(*arguments); }; });

  auto* compare = command->add_subcommand(
      "compare", "A scenario, or all, in both worlds: where do they differ?");
  compare->add_option("SCENARIO", a.scenario,
                      "a name of 'lastack lab list', or a file (default: all)");
  compare->add_option("--seeds", a.seeds, "such as 1-20 (default: 1)")->type_name("LIST");
  compare->add_option("--set", a.settings, "another value for something in the file")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  compare->add_option("--variant", a.variants, "only this one; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  compare->add_flag("--full", a.full, "also what takes minutes on a real kernel");
  compare->callback(
      [arguments, &run] { run = [arguments] { return run_lab_compare(*arguments); }; });

  auto* sweep = command->add_subcommand(
      "sweep", "A scenario over a grid of values and seeds: a line of JSON for each point");
  sweep->add_option("SCENARIO", a.scenario, "a name of 'lastack lab list', or a file")->required();
  sweep->add_option("--set", a.settings, "an axis: the values of a key; may be repeated")
      ->type_name("KEY=A,B,C")
      ->allow_extra_args(false);
  sweep->add_option("--seeds", a.seeds, "such as 1-20 (default: 1)")->type_name("LIST");
  sweep->add_option("--on", a.on, "endpoint, kernel or mixed (default: endpoint)")
      ->check(CLI::IsMember({"endpoint", "kernel", "mixed"}));
  sweep->add_option("--variant", a.variants, "only this one; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  sweep
      ->add_option("--shard", a.shard, "only every N-th point, from the I-th: for several machines")
      ->type_name("I/N");
  sweep
      ->add_option(
          "--output,-o", a.output,
          "added to; points that are there already are left out (default: standard output)")
      ->type_name("FILE")
      ->check(not_empty());
  sweep->add_flag("--full", a.full, "also what takes minutes on a real kernel");
  sweep->callback([arguments, &run] { run = [arguments] { return run_lab_sweep(*arguments); }; });

  auto* replay =
      command->add_subcommand("replay", "Run again what a line says that a run has printed");
  replay->prefix_command();
  replay->callback([replay, &run] {
    const std::vector<std::string> words = replay->remaining();
    run = [words] { return run_replay(words); };
  });

  auto* claims =
      command->add_subcommand("claims", "Every claim, with a verdict from a run in both worlds");
  claims->add_option("CLAIM", a.variants, "only these: A5, B6 ...")->type_name("ROW");
  claims->add_option("--format", a.format, "text, json or markdown (default: text)")
      ->check(CLI::IsMember({"text", "json", "markdown"}));
  claims->add_flag("--full", a.full, "also what takes minutes on a real kernel");
  claims->callback([arguments, &run] { run = [arguments] { return run_lab_claims(*arguments); }; });
}

}  // namespace lastack
