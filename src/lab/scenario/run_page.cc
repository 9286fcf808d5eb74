#include "lab/scenario/run_page.h"

#include <fmt/format.h>

namespace lastack::lab {

ReportText page_text(const ScenarioFile& file, const RunReport& report, const VariantRun& variant,
                     const std::string& replay) {
  ReportText text;
  text.title = variant.variant.empty() ? file.title()
                                       : fmt::format("{} ({})", file.title(), variant.variant);
  text.cause = file.about();
  for (const VerdictOutcome& v : report.verdicts) {
    if (!text.verdict.empty()) text.verdict += "; ";
    text.verdict += fmt::format("{}: {}", v.claim, v.stands ? v.verdict : "not confirmed");
    text.evidence.push_back({v.claim, v.because});
  }
  if (text.verdict.empty()) {
    text.verdict = report.failures() == 0 ? "every condition holds" : "a condition does not hold";
  }
  for (const CheckOutcome& c : report.checks) {
    if (!c.variant.empty() && c.variant != variant.variant) continue;
    const bool holds = c.verdict == Check::Verdict::Holds;
    text.evidence.push_back({fmt::format("{}{}", holds ? "" : "does not hold: ", c.text),
                             c.why.empty() ? c.seen : fmt::format("{}; {}", c.seen, c.why)});
  }
  // The other variants are what else could be done, and what came of it: of each measure that conditions look at.
  for (const VariantRun& other : report.variants) {
    if (other.variant == variant.variant || !other.result || !variant.result) continue;
    for (const CheckOutcome& c : report.checks) {
      const auto check = Check::parse(c.text);
      if (!check) continue;
      for (const auto& [of, name] : check->names()) {
        const auto before = variant.result->measures.find(name);
        const auto after = other.result->measures.find(name);
        if (before == variant.result->measures.end() || after == other.result->measures.end())
          continue;
        if (before->second == after->second) continue;
        const std::string row = fmt::format("{}: {}", other.variant, name);
        bool known = false;
        for (const auto& proof : text.proof) known = known || proof.name == row;
        if (!known)
          text.proof.push_back(
              {row, show_measure(name, before->second), show_measure(name, after->second)});
      }
    }
  }
  text.replay = replay;
  return text;
}

std::vector<ReportSeries> page_series(const VariantRun& variant, Instant zero) {
  std::vector<ReportSeries> all;
  if (!variant.result) return all;
  for (const HostSeries& host : variant.result->series) {
    ReportSeries records{fmt::format("TIME_WAIT, {}", host.host), "records", {}};
    ReportSeries open{fmt::format("descriptors, {}", host.host), "sockets", {}};
    for (const Sample& s : host.samples) {
      const std::int64_t at = (zero + s.at.time_since_epoch()).time_since_epoch().count();
      records.points.emplace_back(at, static_cast<double>(s.time_waits));
      open.points.emplace_back(at, static_cast<double>(s.descriptors));
    }
    all.push_back(std::move(records));
    all.push_back(std::move(open));
  }
  return all;
}

}  // namespace lastack::lab
