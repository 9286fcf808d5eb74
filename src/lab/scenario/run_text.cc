#include "lab/scenario/run_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernel/text.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

std::string_view mark(Check::Verdict verdict) {
  switch (verdict) {
    case Check::Verdict::Holds:
      return "holds";
    case Check::Verdict::Fails:
      return "FAILS";
    case Check::Verdict::Unknown:
      return "NOT MEASURED";
  }
  return "";
}

// What a program said: the last of its lines.
std::string output_of(const ProgramOutcome& program) {
  constexpr std::size_t kMostLines = 20;
  std::vector<std::string_view> lines;
  for (std::string_view rest = program.output; !rest.empty();) lines.push_back(take_line(rest));
  const std::size_t from = lines.size() > kMostLines ? lines.size() - kMostLines : 0;
  std::string out = fmt::format("  {} ({}) said{}{}\n", program.name, printable(program.command),
                                program.bytes == 0 ? " nothing" : "",
                                from > 0 || program.bytes > program.output.size()
                                    ? fmt::format(" {} bytes, and in the end", program.bytes)
                                    : "");
  for (std::size_t i = from; i < lines.size(); ++i)
    out += fmt::format("    | {}\n", printable(lines[i]));
  return out;
}

}  // namespace

namespace {

std::string check_text(const CheckOutcome& c) {
  std::string out = fmt::format("  {:<6} {}\n         {}{}{}\n", mark(c.verdict), printable(c.text),
                                c.seen, c.why.empty() ? "" : "; ", printable(c.why));
  for (const std::string& wrong : c.wrong) out += fmt::format("         {}\n", printable(wrong));
  return out;
}

}  // namespace

std::string run_text(const ScenarioFile& file, const RunReport& report,
                     const RunTextOptions& options) {
  std::string out = fmt::format("{}: {}\n", file.name(), printable(file.title()));
  if (!report.why_not.empty()) {
    out += fmt::format("not run on {}: {}\n", to_string(report.where), printable(report.why_not));
    return out;
  }
  for (const VariantRun& v : report.variants) {
    out += fmt::format("\n{}{}on {}, seed {}", v.variant, v.variant.empty() ? "" : ": ",
                       to_string(report.where), v.seed);
    if (!v.result) {
      out += fmt::format(": not run: {}\n", printable(v.why_not));
      continue;
    }
    out += fmt::format(", {:.6g} s, played in {:.3g} s\n", seconds(v.result->took),
                       seconds(v.result->cost));
    if (v.in_vain > 0) {
      out += fmt::format(
          "  played again ({} in vain): a condition did not hold, and the lab was {:.3g} s late, since the machine "
          "was busy\n",
          v.in_vain, seconds(v.late));
    }
    if (!v.log.empty()) out += fmt::format("  lifecycle log in {}\n", printable(v.log));
    if (!v.capture.empty()) out += fmt::format("  packets in {}\n", printable(v.capture));
    if (!v.page.empty()) out += fmt::format("  page in {}\n", printable(v.page));
    for (const CheckOutcome& c : report.checks) {
      if (c.variant != v.variant) continue;
      out += check_text(c);
    }
    const bool failed =
        std::any_of(report.checks.begin(), report.checks.end(), [&](const CheckOutcome& c) {
          return (c.variant.empty() || c.variant == v.variant) &&
                 c.verdict != Check::Verdict::Holds;
        });
    for (const ProgramOutcome& p : v.result->programs) {
      if (failed || options.measures) out += output_of(p);
    }
    if (options.measures) {
      for (const auto& [name, value] : v.result->measures) {
        const auto note = v.result->notes.find(name);
        out += fmt::format("  {:<44} {}{}\n", name, show_measure(name, value),
                           note == v.result->notes.end() ? "" : "   " + printable(note->second));
      }
    }
  }
  bool head = false;
  for (const CheckOutcome& c : report.checks) {
    if (!c.variant.empty() || (report.variants.size() == 1 && report.variants[0].variant.empty()))
      continue;
    if (!head) out += "\nvariants compared\n";
    head = true;
    out += check_text(c);
  }
  if (!report.overview.empty())
    out += fmt::format("\npage of all variants: {}\n", printable(report.overview));
  if (!report.verdicts.empty()) out += "\n";
  for (const VerdictOutcome& v : report.verdicts) {
    out += fmt::format("{:<4} {}: {}\n", v.claim,
                       v.stands ? printable(v.verdict) : "NOT CONFIRMED, a condition does not hold",
                       printable(v.because));
  }
  if (!options.replay.empty()) out += fmt::format("\nreplay  {}\n", options.replay);
  return out;
}

std::string run_json(const ScenarioFile& file, const RunReport& report, const std::string& replay) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["scenario"] = file.name();
  json["on"] = to_string(report.where);
  json["not_run"] = report.why_not.empty() ? Json() : Json(report.why_not);
  json["holds"] = report.why_not.empty() && report.failures() == 0;
  json["variants"] = Json::array();
  for (const VariantRun& v : report.variants) {
    Json one;
    one["variant"] = v.variant;
    one["seed"] = v.seed;
    if (v.result) {
      one["took_ns"] = v.result->took.count();
      Json& measures = one["measures"] = Json::object();
      for (const auto& [name, value] : v.result->measures) {
        if (const double* number = std::get_if<double>(&value)) {
          measures[name] = *number;
        } else {
          measures[name] = std::get<std::string>(value);
        }
      }
      Json& programs = one["programs"] = Json::array();
      for (const ProgramOutcome& p : v.result->programs) {
        programs.push_back({{"program", p.name},
                            {"command", p.command},
                            {"as_meant", p.as_meant},
                            {"seen", p.seen},
                            {"bytes", p.bytes},
                            {"output", p.output}});
      }
    } else {
      one["not_run"] = v.why_not;
    }
    for (const auto& [name, path] :
         {std::pair{"log", &v.log}, {"capture", &v.capture}, {"page", &v.page}}) {
      if (!path->empty()) one[name] = *path;
    }
    json["variants"].push_back(std::move(one));
  }
  if (!report.overview.empty()) json["page"] = report.overview;
  json["checks"] = Json::array();
  for (const CheckOutcome& c : report.checks) {
    json["checks"].push_back({{"variant", c.variant},
                              {"holds", c.text},
                              {"result", mark(c.verdict)},
                              {"seen", c.seen},
                              {"wrong", c.wrong}});
  }
  json["verdicts"] = Json::array();
  for (const VerdictOutcome& v : report.verdicts) {
    json["verdicts"].push_back(
        {{"claim", v.claim}, {"stands", v.stands}, {"verdict", v.verdict}, {"because", v.because}});
  }
  json["replay"] = replay;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lastack::lab
