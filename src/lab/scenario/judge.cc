// What a run comes to: its conditions, what they decide, and the texts in which measures stand.
#include <fmt/format.h>

#include <algorithm>

#include "lab/scenario/measure_names.h"
#include "lab/scenario/run.h"

namespace lastack::lab {

std::size_t RunReport::failures() const {
  std::size_t n = 0;
  for (const CheckOutcome& c : checks) n += c.verdict != Check::Verdict::Holds ? 1 : 0;
  for (const VariantRun& v : variants) n += v.result || v.skipped ? 0 : 1;
  return n;
}

const Measure* RunReport::find(std::string_view variant, std::string_view name) const {
  for (const VariantRun& v : variants) {
    if (!v.result || (!variant.empty() && v.variant != variant)) continue;
    const auto found = v.result->measures.find(name);
    if (found != v.result->measures.end()) return &found->second;
    if (variant.empty() && variants.size() > 1) continue;
    return nullptr;
  }
  return nullptr;
}

const VariantRun* RunReport::run_of(std::string_view variant) const {
  for (const VariantRun& v : variants) {
    if (v.variant == variant && v.result) return &v;
  }
  return nullptr;
}

std::vector<std::pair<std::string, bool>> filled_pieces(const std::string& text,
                                                        const RunReport& report) {
  std::vector<std::pair<std::string, bool>> all;
  std::size_t copied = 0;
  for (const Placeholder& p : placeholders(text)) {
    if (p.begin > copied) all.emplace_back(text.substr(copied, p.begin - copied), false);
    copied = p.end;
    const Measure* found = report.find(p.variant, p.name);
    const auto skipped = [&](const VariantRun& v) { return v.variant == p.variant && v.skipped; };
    if (found != nullptr) {
      all.emplace_back(show_measure(p.name, *found), true);
    } else if (std::any_of(report.variants.begin(), report.variants.end(), skipped)) {
      all.emplace_back("(not here)", false);
    } else if (!p.variant.empty() &&
               std::none_of(report.variants.begin(), report.variants.end(),
                            [&](const VariantRun& v) { return v.variant == p.variant; })) {
      all.emplace_back("(not run)", false);
    } else {
      const bool none = p.name.find(".failed.") != std::string::npos;
      all.emplace_back(none ? "0" : "(" + absent_measure(p.name) + ")", none);
    }
  }
  if (copied < text.size()) all.emplace_back(text.substr(copied), false);
  return all;
}

namespace {

std::string filled(const std::string& text, const RunReport& report) {
  std::string all;
  for (const auto& [piece, measured] : filled_pieces(text, report)) all += piece;
  return all;
}

// "requests failed: EADDRNOTAVAIL 30, gave_up 2"
std::string failures_of(const Measures& measures, const std::string& program,
                        std::string_view kind) {
  const std::string prefix = fmt::format("{}.{}.", program, kind);
  std::string all;
  for (auto at = measures.lower_bound(prefix);
       at != measures.end() && at->first.starts_with(prefix); ++at) {
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", at->first.substr(prefix.size()),
                       show_measure(at->first, at->second));
  }
  const std::string_view what = kind == "failed" ? "failed" : "accept() failed";
  return all.empty() ? fmt::format("{}: nothing {}", program, what)
                     : fmt::format("{}: what {}: {}", program, what, all);
}

// What is said beside a condition that does not hold: which failures there were in place of one that there was not, and
// whose fault it is that a step failed.
void explain(const RunReport& report, const std::string& variant,
             const std::vector<std::pair<std::string, std::string>>& names,
             std::vector<std::string>& wrong) {
  for (const auto& [of, name] : names) {
    const std::string& where = of.empty() ? variant : of;
    const VariantRun* run = report.run_of(where);
    if (run == nullptr) continue;
    const std::string before = of.empty() ? "" : of + ": ";
    std::string more;
    for (const std::string_view kind : {"failed", "accept_failed"}) {
      const std::size_t at = name.find(fmt::format(".{}.", kind));
      if (at != std::string::npos && !run->result->measures.contains(name))
        more = failures_of(run->result->measures, name.substr(0, at), kind);
    }
    if (const auto note = run->result->notes.find(name); note != run->result->notes.end())
      more = fmt::format("{}: {}", name, note->second);
    if (!more.empty() && std::find(wrong.begin(), wrong.end(), before + more) == wrong.end())
      wrong.push_back(before + more);
  }
}

}  // namespace

void judge(const ScenarioFile& file, RunReport& report) {
  for (const CheckSpec& spec : file.checks()) {
    if (spec.only_on && *spec.only_on != report.where) continue;
    const auto names = spec.check.names();
    const bool across =
        std::any_of(names.begin(), names.end(), [](const auto& n) { return !n.first.empty(); });
    const auto once = [&](const std::string& variant) {
      auto answer = spec.check.ask([&](std::string_view v, std::string_view name) {
        return report.find(v.empty() ? std::string_view(variant) : v, name);
      });
      if (answer.verdict != Check::Verdict::Holds) explain(report, variant, names, answer.wrong);
      report.checks.push_back({across ? "" : variant, spec.check.text(), spec.why, answer.verdict,
                               std::move(answer.seen), std::move(answer.wrong)});
    };
    if (across) {
      // With a variant left out there is nothing to compare.
      const bool all_there = std::all_of(names.begin(), names.end(), [&](const auto& n) {
        return std::any_of(report.variants.begin(), report.variants.end(),
                           [&](const VariantRun& v) { return v.variant == n.first && v.result; });
      });
      if (all_there) once("");
      continue;
    }
    for (const VariantRun& v : report.variants) {
      const bool meant = spec.only_in.empty() || std::find(spec.only_in.begin(), spec.only_in.end(),
                                                           v.variant) != spec.only_in.end();
      if (meant && v.result) once(v.variant);
    }
  }
  for (const VariantRun& v : report.variants) {
    if (!v.result) continue;
    for (const ProgramOutcome& p : v.result->programs) {
      report.checks.push_back({v.variant,
                               p.meant,
                               "",
                               p.as_meant ? Check::Verdict::Holds : Check::Verdict::Fails,
                               p.seen,
                               {}});
    }
  }
  const bool all_hold = report.failures() == 0;
  const bool in_part = std::any_of(report.variants.begin(), report.variants.end(),
                                   [](const VariantRun& v) { return v.skipped; });
  for (const VerdictSpec& spec : file.verdicts()) {
    report.verdicts.push_back({spec.claim, spec.verdict, filled(spec.because, report),
                               all_hold && !report.checks.empty(), in_part});
  }
}

}  // namespace lastack::lab
