// lastack lab: incidents and claims, made to happen on the endpoint in virtual time, on the running kernel in
// namespaces, or on one facing the other.
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bundle/whole_file.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "lab/scenario/claims.h"
#include "lab/scenario/library.h"
#include "lab/scenario/run.h"
#include "lab/scenario/run_page.h"
#include "lab/scenario/run_text.h"
#include "model/nearest_word.h"
#include "model/printable.h"
#include "model/shell_word.h"
#include "report/log_text.h"

namespace lastack {
namespace {

using lab::ScenarioFile;
using lab::Where;

constexpr const char* kName = "lab";

struct LabArguments {
  std::string scenario;
  std::string on = "endpoint";
  std::optional<std::uint64_t> seed;
  std::vector<std::string> settings;
  std::vector<std::string> variants;
  std::string log;
  std::string html;
  bool diagram = false;
  std::string format = "text";
  bool full = false;
  bool json = false;
  bool measures = false;
};

bool is_file(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".toml");
}

// Of the library by its name, or a file by its path.
std::optional<ScenarioFile> find_scenario(const std::string& name, int& code) {
  Result<ScenarioFile> file = failure("");
  if (is_file(name)) {
    file = ScenarioFile::read(name);
    code = file ? 0 : file.error().number == EINVAL ? exit_code::kBadData : exit_code::kNoInput;
  } else if (const lab::LibraryScenario* known = lab::find_in_library(name)) {
    file = ScenarioFile::parse(known->text, std::string(known->name));
    code = file ? 0 : exit_code::kInternal;
  } else {
    std::vector<std::string_view> names;
    for (const auto& one : lab::library()) names.push_back(one.name);
    const std::string_view near = nearest_word(name, names);
    file = failure(fmt::format("there is no scenario '{}'{}; a file's name ends in .toml",
                               printable(name),
                               near.empty() ? "; 'lastack lab list' lists them"
                                            : fmt::format("; did you mean {}?", near)));
    code = exit_code::kUsage;
  }
  if (file) return *std::move(file);
  complain(kName, file.error().message);
  return std::nullopt;
}

int run_list() {
  std::string out;
  for (const auto& one : lab::library()) {
    const auto file = ScenarioFile::parse(one.text, std::string(one.name));
    if (!file) {
      complain(kName, file.error().message);
      return exit_code::kInternal;
    }
    out +=
        fmt::format("{:<26} {:<20} {}\n", one.name, fmt::join(file->claims(), " "), file->title());
  }
  return print(kName, out) ? 0 : exit_code::kCannotWrite;
}

int run_show(const LabArguments& arguments) {
  if (const lab::LibraryScenario* known = lab::find_in_library(arguments.scenario)) {
    return print(kName, known->text) ? 0 : exit_code::kCannotWrite;
  }
  int code = 0;
  const auto file = find_scenario(arguments.scenario, code);
  if (!file) return code;
  std::string out = fmt::format("{}: {}\n", file->name(), printable(file->title()));
  if (!file->about().empty()) out += fmt::format("\n{}\n", printable(file->about()));
  for (const std::string& variant : file->variants()) {
    if (!variant.empty()) out += fmt::format("variant {}\n", variant);
  }
  for (const lab::CheckSpec& check : file->checks())
    out += fmt::format("check   {}\n", check.check.text());
  return print(kName, out) ? 0 : exit_code::kCannotWrite;
}

// On a terminal, once a second, from the second second on.
class Progress {
 public:
  void operator()(std::string_view what, double share) {
    if (!terminal_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - begun_ < std::chrono::seconds(2) || now - last_ < std::chrono::milliseconds(500))
      return;
    last_ = now;
    shown_ = true;
    fmt::print(stderr, "\r\x1b[K{} {:3.0f} %", printable(what), share * 100);
    std::fflush(stderr);
  }
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  bool terminal_ = ::isatty(2) == 1;
  bool shown_ = false;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now(), last_{};
};

std::string replay_line(const LabArguments& arguments, std::uint64_t seed) {
  std::string line = fmt::format("lastack lab run {} --on {} --seed {}",
                                 shell_word(arguments.scenario), arguments.on, seed);
  for (const std::string& set : arguments.settings)
    line += fmt::format(" --set {}", shell_word(set));
  for (const std::string& variant : arguments.variants)
    line += fmt::format(" --variant {}", shell_word(variant));
  if (arguments.full) line += " --full";
  return line;
}

// Where a variant's file goes: with several, "-VARIANT" is put before the ending.
std::string file_of(const std::string& path, const std::string& variant, bool several) {
  if (!several || variant.empty()) return path;
  const std::size_t slash = path.rfind('/');
  const std::size_t dot = path.rfind('.');
  const bool ending =
      dot != std::string::npos && dot != 0 && (slash == std::string::npos || dot > slash + 1);
  return ending ? fmt::format("{}-{}{}", path.substr(0, dot), variant, path.substr(dot))
                : fmt::format("{}-{}", path, variant);
}

std::optional<LogTrace> read_trace(const std::string& path) {
  std::ifstream in(path);
  LogTrace trace;
  LifecycleReader reader;
  bool begun = false;
  for (std::string line; std::getline(in, line);) {
    const auto event = reader.read(line);
    if (!event) {
      complain(kName, fmt::format("{}: {}", path, event.error().message));
      return std::nullopt;
    }
    if (!begun && reader.header()) {
      trace.begin(*reader.header());
      begun = true;
    }
    if (*event) trace.add(**event, reader.lines());
  }
  return trace;
}

// Diagrams and pages, out of the logs.
int draw(const LabArguments& arguments, const ScenarioFile& file, const lab::RunReport& report,
         const std::string& replay) {
  for (const lab::VariantRun& v : report.variants) {
    if (!v.result || v.log.empty()) continue;
    const auto trace = read_trace(v.log);
    if (!trace) return exit_code::kInternal;
    if (arguments.diagram) {
      LogTextOptions options;
      options.rows = 200;
      const std::string text = fmt::format("{}{}{}\n", v.variant, v.variant.empty() ? "" : ":\n",
                                           sequence_diagram(*trace, options));
      if (!print(kName, text)) return exit_code::kCannotWrite;
    }
    if (!arguments.html.empty()) {
      const std::string path = file_of(arguments.html, v.variant, report.variants.size() > 1);
      const std::string page = log_html(*trace, lab::page_text(file, report, v, replay),
                                        lab::page_series(v, Instant(1s)));
      if (const auto written = write_whole_file(path, page); !written) {
        complain(kName, written.error().message);
        return exit_code::kCannotWrite;
      }
    }
  }
  return 0;
}

// A folder that goes when this does: for logs that nobody asked for.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lastack-lab-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

int run_run(const LabArguments& arguments) {
  int code = 0;
  const auto file = find_scenario(arguments.scenario, code);
  if (!file) return code;
  lab::RunRequest request;
  request.where = *lab::where_from(arguments.on);
  request.seed = arguments.seed;
  request.full = arguments.full;
  request.log = arguments.log;
  std::optional<TemporaryFolder> folder;
  if (request.log.empty() && (arguments.diagram || !arguments.html.empty())) {
    folder.emplace();
    request.log = folder->path() + "/log";
  }
  request.tool_version = LASTACK_VERSION;
  for (const std::string& set : arguments.settings) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      complain(kName,
               fmt::format("--set {}: it is KEY=VALUE, such as host.client.settings.tcp_tw_reuse=1",
                           printable(set)));
      return exit_code::kUsage;
    }
    request.overrides.push_back({set.substr(0, equals), set.substr(equals + 1)});
  }
  for (const std::string& variant : arguments.variants) {
    const std::vector<std::string_view> known(file->variants().begin(), file->variants().end());
    if (std::find(known.begin(), known.end(), variant) == known.end()) {
      complain(kName, fmt::format("--variant {}: {} has {}", printable(variant), file->name(),
                                  known.size() == 1 && known[0].empty()
                                      ? "no variants"
                                      : fmt::format("{}", fmt::join(known, ", "))));
      return exit_code::kUsage;
    }
  }
  request.variants = arguments.variants;
  Progress progress;
  request.progress = [&](double share) { progress(file->name(), share); };
  auto report = lab::run(*file, request);
  if (!report) {
    complain(kName, report.error().message);
    return exit_code::kUsage;
  }
  const std::string replay =
      report->variants.empty() ? "" : replay_line(arguments, report->variants.front().seed);
  if (const int drawn = draw(arguments, *file, *report, replay); drawn != 0) return drawn;
  if (folder) {
    for (lab::VariantRun& v : report->variants) v.log.clear();
  }
  const std::string out = arguments.json
                              ? lab::run_json(*file, *report, replay)
                              : lab::run_text(*file, *report, {arguments.measures, replay});
  if (!print(kName, out)) return exit_code::kCannotWrite;
  if (!report->why_not.empty()) return exit_code::kNoLook;
  return report->failures() == 0 ? 0 : exit_code::kProblem;
}

int run_claims(const LabArguments& arguments) {
  Progress progress;
  const auto rows =
      lab::settle_claims({.full = arguments.full,
                          .only = arguments.variants,
                          .tool_version = LASTACK_VERSION,
                          .progress = [&](double share) { progress("claims", share); }});
  if (!rows) {
    complain(kName, rows.error().message);
    return exit_code::kUsage;
  }
  const std::string out = arguments.format == "json"       ? lab::claims_json(*rows)
                          : arguments.format == "markdown" ? lab::claims_markdown(*rows)
                                                           : lab::claims_text(*rows);
  if (!print(kName, out)) return exit_code::kCannotWrite;
  return lab::all_settled(*rows) ? 0 : exit_code::kProblem;
}

}  // namespace

void add_lab_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "lab",
      "Make incidents and claims happen, on the endpoint and on the running kernel, and see what is true");
  command->require_subcommand(1);

  command->add_subcommand("list", "The scenarios that are here, with the claims they settle")
      ->callback([&run] { run = run_list; });

  const auto arguments = std::make_shared<LabArguments>();
  LabArguments& a = *arguments;
  auto* show = command->add_subcommand("show", "A scenario: what it does, and what has to hold");
  show->add_option("SCENARIO", a.scenario, "a name of 'lastack lab list', or a file")->required();
  show->callback([arguments, &run] { run = [arguments] { return run_show(*arguments); }; });

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
  play->add_flag("--diagram", a.diagram, "draw what was sent and what states there were");
  play->add_option("--html", a.html,
                   "write a page: verdict, evidence, sequence diagram, what there was over time")
      ->type_name("FILE")
      ->check(not_empty());
  play->add_flag("--full", a.full, "also what takes minutes on a real kernel");
  play->add_flag("--measures", a.measures, "all that was measured");
  play->add_flag("--json", a.json, "the result as JSON");
  play->callback([arguments, &run] { run = [arguments] { return run_run(*arguments); }; });

  auto* claims =
      command->add_subcommand("claims", "Every claim, with a verdict from a run in both worlds");
  claims->add_option("CLAIM", a.variants, "only these: A5, B6 ...")->type_name("ROW");
  claims->add_option("--format", a.format, "text, json or markdown (default: text)")
      ->check(CLI::IsMember({"text", "json", "markdown"}));
  claims->add_flag("--full", a.full, "also what takes minutes on a real kernel");
  claims->callback([arguments, &run] { run = [arguments] { return run_claims(*arguments); }; });
}

}  // namespace lastack
