// lastack lab: incidents and claims, made to happen on the endpoint in virtual time, on the running kernel in
// namespaces, or on one facing the other.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "bundle/whole_file.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "kernel/text.h"
#include "kernel/unique_fd.h"
#include "lab/child_process.h"
#include "lab/scenario/claims.h"
#include "lab/scenario/compare.h"
#include "lab/scenario/library.h"
#include "lab/scenario/log_trace_file.h"
#include "lab/scenario/run.h"
#include "lab/scenario/run_page.h"
#include "lab/scenario/run_text.h"
#include "lab/scenario/sweep.h"
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
  std::string seeds = "1";
  std::string shard;
  std::string output = "-";
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

// Diagrams and pages, out of the logs.
int draw(const LabArguments& arguments, const ScenarioFile& file, const lab::RunReport& report,
         const std::string& replay) {
  for (const lab::VariantRun& v : report.variants) {
    if (!v.result || v.log.empty()) continue;
    const auto trace = lab::read_trace(v.log);
    if (!trace) {
      complain(kName, trace.error().message);
      return exit_code::kInternal;
    }
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
      if (const auto written = write_whole_file(path, page, 0666); !written) {
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

std::optional<std::vector<lab::Override>> overrides_of(const LabArguments& arguments) {
  std::vector<lab::Override> all;
  for (const std::string& set : arguments.settings) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      complain(kName,
               fmt::format("--set {}: it is KEY=VALUE, such as host.client.settings.tcp_tw_reuse=1",
                           printable(set)));
      return std::nullopt;
    }
    all.push_back({set.substr(0, equals), set.substr(equals + 1)});
  }
  return all;
}

bool known_variants(const ScenarioFile& file, const LabArguments& arguments) {
  for (const std::string& variant : arguments.variants) {
    const std::vector<std::string_view> known(file.variants().begin(), file.variants().end());
    if (std::find(known.begin(), known.end(), variant) != known.end()) continue;
    const bool none = known.size() == 1 && known[0].empty();
    complain(kName, fmt::format("--variant {}: {} has {}", printable(variant), file.name(),
                                none ? "no variants" : fmt::format("{}", fmt::join(known, ", "))));
    return false;
  }
  return true;
}

// "1-20", "7", "1-3,9"
std::optional<std::vector<std::uint64_t>> seeds_of(const std::string& text) {
  constexpr std::uint64_t kMost = 1'000'000;
  std::vector<std::uint64_t> all;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t dash = part.find('-');
    const auto first = parse_number<std::uint64_t>(part.substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : parse_number<std::uint64_t>(part.substr(dash + 1));
    if (!first || !last || *last < *first || *last - *first >= kMost - all.size()) {
      complain(
          kName,
          fmt::format(
              "--seeds {}: it is one number or more, with commas, or from-to: 1-20; at most a million",
              printable(text)));
      return std::nullopt;
    }
    for (std::uint64_t seed = *first; seed <= *last; ++seed) all.push_back(seed);
    begin = end + 1;
  }
  return all;
}

int run_compare(const LabArguments& arguments) {
  std::vector<ScenarioFile> files;
  if (arguments.scenario.empty()) {
    for (const auto& one : lab::library()) {
      auto file = ScenarioFile::parse(one.text, std::string(one.name));
      if (!file) {
        complain(kName, file.error().message);
        return exit_code::kInternal;
      }
      files.push_back(*std::move(file));
    }
  } else {
    int code = 0;
    auto file = find_scenario(arguments.scenario, code);
    if (!file) return code;
    files.push_back(*std::move(file));
  }
  const auto seeds = seeds_of(arguments.seeds);
  auto overrides = overrides_of(arguments);
  if (!seeds || !overrides) return exit_code::kUsage;
  const TemporaryFolder folder;
  if (folder.path().empty()) {
    complain(kName, "cannot make a folder for logs");
    return exit_code::kCannotWrite;
  }
  bool agrees = true;
  Progress progress;
  for (const ScenarioFile& file : files) {
    if (!known_variants(file, arguments)) return exit_code::kUsage;
    lab::CompareRequest request{*seeds,
                                *overrides,
                                arguments.variants,
                                arguments.full,
                                LASTACK_VERSION,
                                folder.path(),
                                [&](double share) { progress(file.name(), share); }};
    const auto comparison = lab::compare(file, request);
    if (!comparison) {
      complain(kName, comparison.error().message);
      return exit_code::kUsage;
    }
    agrees = agrees && comparison->agrees();
    if (!print(kName, lab::comparison_text(file, *comparison))) return exit_code::kCannotWrite;
  }
  return agrees ? 0 : exit_code::kProblem;
}

// "--set key=a,b,c" is an axis of the grid.
std::optional<std::vector<lab::Axis>> axes_of(const LabArguments& arguments) {
  const auto overrides = overrides_of(arguments);
  if (!overrides) return std::nullopt;
  std::vector<lab::Axis> axes;
  for (const lab::Override& o : *overrides) {
    lab::Axis axis{o.key, {}};
    for (std::size_t begin = 0; begin <= o.value.size();) {
      const std::size_t end = std::min(o.value.find(',', begin), o.value.size());
      axis.values.push_back(o.value.substr(begin, end - begin));
      begin = end + 1;
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

int run_sweep(const LabArguments& arguments) {
  int code = 0;
  const auto file = find_scenario(arguments.scenario, code);
  if (!file) return code;
  const auto axes = axes_of(arguments);
  const auto seeds = seeds_of(arguments.seeds);
  if (!axes || !seeds || !known_variants(*file, arguments)) return exit_code::kUsage;
  std::uint64_t shard = 1, shards = 1;
  if (!arguments.shard.empty()) {
    const std::size_t slash = arguments.shard.find('/');
    const auto i = parse_number<std::uint64_t>(arguments.shard.substr(0, slash));
    const auto n = slash == std::string::npos
                       ? std::nullopt
                       : parse_number<std::uint64_t>(arguments.shard.substr(slash + 1));
    if (!i || !n || *i == 0 || *i > *n) {
      complain(kName,
               fmt::format("--shard {}: it is I/N, from 1/N to N/N", printable(arguments.shard)));
      return exit_code::kUsage;
    }
    shard = *i, shards = *n;
  }
  std::vector<lab::SweepPoint> points = lab::sweep_points(*axes, *seeds);
  // What is there already, whole lines only, is not done again.
  std::set<std::uint64_t> done;
  if (arguments.output != "-") {
    std::ifstream before(arguments.output);
    for (std::string line; std::getline(before, line);) {
      if (const auto number = lab::sweep_number(line)) done.insert(*number);
    }
  }
  std::erase_if(points, [&](const lab::SweepPoint& p) {
    return p.number % shards != shard - 1 || done.contains(p.number);
  });
  const UniqueFd out(
      arguments.output == "-"
          ? ::dup(1)
          : ::open(arguments.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!out) {
    complain(kName, system_error(errno, "cannot write " + arguments.output).message);
    return exit_code::kCannotWrite;
  }
  const auto work = [&](std::size_t worker, std::size_t workers) {
    for (std::size_t i = worker; i < points.size(); i += workers) {
      lab::RunRequest request;
      request.where = *lab::where_from(arguments.on);
      request.seed = points[i].seed;
      request.overrides = points[i].overrides;
      request.variants = arguments.variants;
      request.full = arguments.full;
      const auto report = lab::run(*file, request);
      if (!report) {
        complain(kName, report.error().message);
        return exit_code::kUsage;
      }
      // One write: lines of several workers do not mix.
      const std::string line = lab::sweep_line(*file, points[i], *report) + "\n";
      if (::write(out.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        complain(kName, system_error(errno, "cannot write " + arguments.output).message);
        return exit_code::kCannotWrite;
      }
    }
    return 0;
  };
  const auto workers = std::min<std::size_t>(
      points.size(), static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))));
  std::vector<ChildProcess> children;
  for (std::size_t w = 0; w < workers; ++w) {
    auto child = ChildProcess::start([&] { return work(w, workers); });
    if (!child) {
      complain(kName, child.error().message);
      return exit_code::kInternal;
    }
    children.push_back(*std::move(child));
  }
  int worst = 0;
  for (ChildProcess& child : children) worst = std::max(worst, child.wait());
  return worst;
}

// Does what a line says that a run has printed. Nothing but lab run is taken from it.
int run_replay(const std::vector<std::string>& words) {
  std::vector<std::string> line;
  for (const std::string& word : words) {
    std::istringstream parts(word);
    for (std::string part; parts >> std::quoted(part, '\'');) line.push_back(part);
  }
  if (!line.empty() && line.front() == "replay") line.erase(line.begin());
  if (line.size() < 4 || line[0] != "lastack" || line[1] != "lab" || line[2] != "run") {
    complain(kName, "replay takes the line that a run has printed: lastack lab run ...");
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
    complain(kName, fmt::format("replay: {}", e.what()));
    return exit_code::kUsage;
  }
  return run();
}

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
  auto overrides = overrides_of(arguments);
  if (!overrides || !known_variants(*file, arguments)) return exit_code::kUsage;
  request.overrides = *std::move(overrides);
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
  compare->callback([arguments, &run] { run = [arguments] { return run_compare(*arguments); }; });

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
  sweep->callback([arguments, &run] { run = [arguments] { return run_sweep(*arguments); }; });

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
  claims->callback([arguments, &run] { run = [arguments] { return run_claims(*arguments); }; });
}

}  // namespace lastack
