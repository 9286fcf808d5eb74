// lastack lab run: a scenario played, judged, and drawn if asked for.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bundle/whole_file.h"
#include "cli/exit_codes.h"
#include "cli/lab_choice.h"
#include "cli/output.h"
#include "lab/scenario/log_trace_file.h"
#include "lab/scenario/run.h"
#include "lab/scenario/run_page.h"
#include "lab/scenario/run_text.h"
#include "model/shell_word.h"
#include "report/log_text.h"

namespace lastack {
namespace {

using lab::ScenarioFile;

// A run begins at this time of its log's clock.
constexpr Duration kLogBegins = 1s;

// `variants`: those that are named, none: all.
std::string replay_line(const LabArguments& arguments, std::uint64_t seed,
                        const std::vector<std::string>& variants) {
  std::string line = fmt::format("lastack lab run {} --on {} --seed {}",
                                 shell_word(arguments.scenario), arguments.on, seed);
  for (const std::string& set : arguments.settings)
    line += fmt::format(" --set {}", shell_word(set));
  for (const std::string& variant : variants)
    line += fmt::format(" --variant {}", shell_word(variant));
  if (arguments.full) line += " --full";
  return line;
}

int write_page(const LabArguments& arguments, const ScenarioFile& file,
               const std::vector<lab::Override>& overrides, const lab::RunReport& report,
               const lab::VariantRun& v, const LogTrace& trace, bool overview) {
  const auto scenario = file.scenario(v.variant, report.where, overrides);
  if (!scenario) {
    complain(kLab, scenario.error().message);
    return exit_code::kInternal;
  }
  lab::PageOf page{file, report, v, *scenario, overrides, report.overview, {}};
  const std::string all =
      replay_line(arguments, v.seed, arguments.variants) + " --html " + shell_word(arguments.html);
  if (overview) {
    page.replay.emplace_back("These pages:", all);
    const std::string text = overview_html(lab::overview_text(page));
    if (const auto written = write_whole_file(report.overview, text, 0666); !written) {
      complain(kLab, written.error().message);
      return exit_code::kCannotWrite;
    }
    return 0;
  }
  // Of one variant alone there is nothing to compare.
  if (report.variants.size() > 1) {
    page.replay.emplace_back("What this page shows, and its numbers before and after:", all);
    page.replay.emplace_back("This run alone:", replay_line(arguments, v.seed, {v.variant}));
  } else {
    page.replay.emplace_back("This run:", replay_line(arguments, v.seed, arguments.variants) +
                                              " --html " + shell_word(arguments.html));
  }
  LogHtmlOptions options;
  options.zero = Duration(kLogBegins).count();
  const Instant zero{kLogBegins};
  const std::string text =
      log_html(trace, lab::page_text(page), lab::page_charts(page, trace, zero), options);
  if (const auto written = write_whole_file(v.page, text, 0666); !written) {
    complain(kLab, written.error().message);
    return exit_code::kCannotWrite;
  }
  return 0;
}

// Diagrams and pages, out of the logs.
int draw(const LabArguments& arguments, const ScenarioFile& file,
         const std::vector<lab::Override>& overrides, lab::RunReport& report) {
  for (lab::VariantRun& v : report.variants) {
    if (v.result && !v.log.empty() && !arguments.html.empty())
      v.page = lab::file_of_variant(arguments.html, v.variant, report.variants.size() > 1);
  }
  // With several variants the file that was named leads to that of each.
  bool told = report.variants.size() < 2;
  if (!told && !arguments.html.empty()) report.overview = arguments.html;
  for (const lab::VariantRun& v : report.variants) {
    if (!v.result || v.log.empty()) continue;
    const auto trace = lab::read_trace(v.log);
    if (!trace) {
      complain(kLab, trace.error().message);
      return exit_code::kInternal;
    }
    if (arguments.diagram) {
      LogTextOptions options;
      options.rows = 200;
      const std::string text = fmt::format("{}{}{}\n", v.variant, v.variant.empty() ? "" : ":\n",
                                           sequence_diagram(*trace, options));
      if (!print(kLab, text)) return exit_code::kCannotWrite;
    }
    if (v.page.empty()) continue;
    for (const bool overview : {false, true}) {
      if (overview && std::exchange(told, true)) continue;
      if (const int code = write_page(arguments, file, overrides, report, v, *trace, overview);
          code != 0)
        return code;
    }
  }
  return 0;
}

}  // namespace

int run_lab_run(const LabArguments& arguments) {
  for (const auto& [option, path] : {std::pair("--log", &arguments.log),
                                     {"--pcap", &arguments.pcap},
                                     {"--html", &arguments.html}}) {
    if (*path != "-") continue;
    complain(kLab,
             fmt::format("{} -: standard output is taken by what the run comes to; name a file",
                         option));
    return exit_code::kUsage;
  }
  int code = 0;
  const auto file = find_scenario(arguments.scenario, code);
  if (!file) return code;
  lab::RunRequest request;
  request.where = *lab::where_from(arguments.on);
  request.seed = arguments.seed;
  request.full = arguments.full;
  request.log = arguments.log;
  request.capture = arguments.pcap;
  request.for_page = !arguments.html.empty();
  request.keep_looks =
      request.for_page && file->proof().has_value();  // for what the doctor advises
  request.capture_at = arguments.pcap_at;
  if (!known_places(*file, arguments)) return exit_code::kUsage;
  std::optional<TemporaryFolder> folder;
  if (request.log.empty() && (arguments.diagram || !arguments.html.empty())) {
    folder.emplace();
    if (folder->path().empty()) return exit_code::kCannotWrite;
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
    complain(kLab, report.error().message);
    return exit_code::kUsage;
  }
  const std::string replay =
      report->variants.empty()
          ? ""
          : replay_line(arguments, report->variants.front().seed, arguments.variants);
  if (const int drawn = draw(arguments, *file, request.overrides, *report); drawn != 0)
    return drawn;
  if (folder) {
    for (lab::VariantRun& v : report->variants) v.log.clear();
  }
  const std::string out = arguments.json
                              ? lab::run_json(*file, *report, replay)
                              : lab::run_text(*file, *report, {arguments.measures, replay});
  if (!print(kLab, out)) return exit_code::kCannotWrite;
  if (!report->why_not.empty()) return exit_code::kNoLook;
  if (std::any_of(report->variants.begin(), report->variants.end(),
                  [](const lab::VariantRun& v) { return v.unwritten; })) {
    return exit_code::kCannotWrite;
  }
  return report->failures() == 0 ? 0 : exit_code::kProblem;
}

}  // namespace lastack
