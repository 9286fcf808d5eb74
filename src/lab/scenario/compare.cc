#include "lab/scenario/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "lab/scenario/log_trace_file.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

// A kernel's timers tick, and its process has to be given a processor: what is told in milliseconds here.
constexpr std::int64_t kBand = 25'000'000;
constexpr double kShare = 0.1;
// How often a seed is played where worlds differ and the lab was late.
constexpr int kRounds = 3;

// What programs have been told, and how many bytes they got. Empty: the same.
std::string other_results(const Scenario& scenario, const Measures& endpoint,
                          const Measures& kernel) {
  for (const StepSpec& step : scenario.steps) {
    const auto result = endpoint.find(step.name + ".result");
    // How much of a stream had come when it broke off depends on the moment.
    const bool whole = result != endpoint.end() &&
                       (result->second == Measure("ok") || result->second == Measure("end"));
    for (const char* of : {".result", ".bytes", ".foreign"}) {
      if (of != std::string_view(".result") && !whole) continue;
      const auto e = endpoint.find(step.name + of);
      const auto k = kernel.find(step.name + of);
      if (e == endpoint.end() || k == kernel.end() || e->second == k->second) continue;
      return fmt::format("{}{}: {} on the endpoint, {} on the kernel", step.name, of,
                         show_measure(e->first, e->second), show_measure(k->first, k->second));
    }
  }
  return "";
}

// Of this variant; what looks at several of them goes with the first.
bool is_of(const CheckOutcome& check, const RunReport& report, const std::string& variant) {
  return check.variant == variant ||
         (check.variant.empty() && variant == report.variants.front().variant);
}

// A condition that holds in one world and not in the other.
std::string other_verdict(const RunReport& endpoint, const RunReport& kernel,
                          const std::string& variant) {
  for (const CheckOutcome& e : endpoint.checks) {
    if (!is_of(e, endpoint, variant)) continue;
    for (const CheckOutcome& k : kernel.checks) {
      if (k.variant != e.variant || k.text != e.text || k.verdict == e.verdict) continue;
      return fmt::format("{}: {} on the endpoint, {} on the kernel", e.text, e.seen, k.seen);
    }
  }
  return "";
}

// "client -> server:80, at server: another segment: sent FIN 1 on the endpoint, sent ACK 1 on the kernel"
std::string divergence_words(const LogDiff::First& first) {
  std::string kind(to_string(first.kind));
  // The logs are A and B there.
  for (const auto& [letter, world] : {std::pair{'A', "the endpoint"}, {'B', "the kernel"}}) {
    if (const std::size_t at = kind.find(letter); at != std::string::npos)
      kind.replace(at, 1, world);
  }
  std::string words = fmt::format("{}, at {}: {}", first.connection, first.host, kind);
  const auto at = std::find_if(first.rows.begin(), first.rows.end(),
                               [](const auto& row) { return row.diverges; });
  if (at == first.rows.end()) return words;
  const bool times = first.kind == LogDivergence::Time;
  const auto side = [&](const auto& row, std::string_view world) {
    if (!row) return fmt::format("nothing {}", world);
    // It stands in columns there.
    std::string what;
    for (const char c : row->what) {
      if (c != ' ' || !what.ends_with(' ')) what += c;
    }
    return times ? fmt::format("{} after {:.6g} ms {}", what, static_cast<double>(row->at) / 1e6,
                               world)
                 : fmt::format("{} {}", what, world);
  };
  return fmt::format("{}: {}, {}", words, side(at->a, "on the endpoint"),
                     side(at->b, "on the kernel"));
}

// What every host has sent on every connection, to the number and the flag, but for PSH, which tells how the program wrote.
// Connections are in no order: many at a time overtake each other.
std::vector<std::vector<std::string>> segments_sent(const LogTrace& trace) {
  std::map<std::pair<std::uint16_t, std::uint32_t>, std::vector<std::string>> by_connection;
  for (const TraceEvent& e : trace.events()) {
    if (e.what != Happening::SegmentSent || e.connection == kNoConnection || e.host == kWireHost)
      continue;
    constexpr std::uint16_t kPsh = 8;
    auto& all = by_connection[{e.host, e.connection}];
    if (all.empty()) all.push_back(trace.hosts()[e.host]);
    all.push_back(fmt::format("{} {}+{} {} {}", e.flags & ~kPsh, e.seq, e.length,
                              e.ack_flag() ? e.ack : 0, trace.text(e.sack)));
  }
  std::vector<std::vector<std::string>> sorted;
  for (auto& [connection, all] : by_connection) sorted.push_back(std::move(all));
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// Both worlds with this seed. `why_not`: they were not.
Result<std::vector<VariantComparison>> compare_one(const ScenarioFile& file,
                                                   const CompareRequest& request,
                                                   std::uint64_t seed,
                                                   const std::function<void(double)>& progress,
                                                   std::string& why_not) {
  std::vector<VariantComparison> variants;
  std::vector<std::pair<const ScenarioFile*, RunRequest>> runs;
  for (const Where where : {Where::Endpoint, Where::Kernel}) {
    RunRequest one;
    one.where = where;
    one.seed = seed;
    one.overrides = request.overrides;
    one.variants = request.variants;
    one.full = request.full;
    one.tool_version = request.tool_version;
    one.once = true;  // compare() decides
    one.log = fmt::format("{}/{}-{}-{}.jsonl", request.folder, file.name(), seed, to_string(where));
    runs.emplace_back(&file, std::move(one));
  }
  const auto reports = run_all(runs, progress);
  if (!reports) return tl::unexpected(reports.error());
  const RunReport& endpoint = (*reports)[0];
  const RunReport& kernel = (*reports)[1];
  for (const RunReport* report : {&endpoint, &kernel}) {
    if (report->why_not.empty()) continue;
    why_not = fmt::format("not run on {}: {}", to_string(report->where), report->why_not);
    return variants;
  }
  for (const VariantRun& e : endpoint.variants) {
    const auto k = std::find_if(kernel.variants.begin(), kernel.variants.end(),
                                [&](const VariantRun& v) { return v.variant == e.variant; });
    if (k == kernel.variants.end() || !e.result || !k->result)
      continue;  // one world cannot play it
    VariantComparison one;
    one.variant = e.variant;
    one.seed = e.seed;
    one.late = k->result->late;
    auto scenario = file.scenario(e.variant, Where::Kernel, request.overrides);
    if (!scenario) return tl::unexpected(scenario.error());
    one.reason = other_results(*scenario, e.result->measures, k->result->measures);
    if (one.reason.empty()) one.reason = other_verdict(endpoint, kernel, e.variant);
    if (!one.reason.empty()) {
      const std::string known = file.differs(e.variant);
      one.likeness = known.empty() ? Likeness::Bug : Likeness::Documented;
      if (!known.empty()) one.reason += fmt::format(" ({})", known);
    }
    const auto a = read_trace(e.log);
    const auto b = read_trace(k->log);
    if (!a) return tl::unexpected(a.error());
    if (!b) return tl::unexpected(b.error());
    LogDiffOptions options;
    options.absolute = kBand;
    options.share = kShare;
    const LogDiff apart = diff(*a, *b, options);
    one.same_segments = segments_sent(*a) == segments_sent(*b);
    if (!apart.equal) {
      one.detail = diff_text(apart, "endpoint", "kernel", 120);
      if (one.likeness == Likeness::Match) {
        one.likeness = Likeness::Permitted;
        if (apart.first) one.reason = divergence_words(*apart.first);
        if (one.same_segments)
          one.reason = "every host sends the same segments" +
                       (one.reason.empty() ? "" : "; apart is " + one.reason);
        // A program that is still at work is cut off in the middle of something, here or there.
        const std::string ends =
            end_states_apart(*scenario, e.result->measures, k->result->measures);
        if (!ends.empty()) one.reason += (one.reason.empty() ? "" : "; ") + ends;
      }
    }
    if (one.likeness == Likeness::Match || one.likeness == Likeness::Permitted) {
      if (const std::string alike = fails_in_both(endpoint, kernel, e.variant); !alike.empty())
        one.reason += (one.reason.empty() ? "" : "; ") + alike;
    }
    variants.push_back(std::move(one));
  }
  return variants;
}

}  // namespace

std::string_view to_string(Likeness likeness) {
  switch (likeness) {
    case Likeness::Match:
      return "match";
    case Likeness::Permitted:
      return "permitted variation";
    case Likeness::Documented:
      return "documented difference";
    case Likeness::Bug:
      return "DIFFERENT";
  }
  return "";
}

std::string end_states_apart(const Scenario& scenario, const Measures& endpoint,
                             const Measures& kernel) {
  std::string apart;
  for (const HostSpec& host : scenario.hosts) {
    for (const TcpState state : kAllTcpStates) {
      const std::string name = fmt::format("{}.states.{}", host.name, to_string(state));
      const auto e = endpoint.find(name), k = kernel.find(name);
      if (e == endpoint.end() || k == kernel.end() || e->second == k->second) continue;
      apart += fmt::format("{}{} ends with {} in {} on the endpoint, {} on the kernel",
                           apart.empty() ? "" : "; ", host.name, show_measure(name, e->second),
                           to_string(state), show_measure(name, k->second));
    }
  }
  return apart;
}

std::string fails_in_both(const RunReport& endpoint, const RunReport& kernel,
                          const std::string& variant) {
  for (const CheckOutcome& e : endpoint.checks) {
    if (!is_of(e, endpoint, variant) || e.verdict == Check::Verdict::Holds) continue;
    for (const CheckOutcome& k : kernel.checks) {
      if (k.variant != e.variant || k.text != e.text || k.verdict == Check::Verdict::Holds)
        continue;
      return fmt::format("in both worlds this does not hold: {} ({})", e.text,
                         e.seen == k.seen
                             ? e.seen
                             : fmt::format("{} on the endpoint, {} on the kernel", e.seen, k.seen));
    }
  }
  return "";
}

bool Comparison::agrees() const {
  return std::none_of(variants.begin(), variants.end(),
                      [](const auto& v) { return v.likeness == Likeness::Bug; });
}

Result<Comparison> compare(const ScenarioFile& file, const CompareRequest& request) {
  Comparison all;
  if (const std::string why = file.not_on_kernel(); !why.empty()) {
    all.why_not = fmt::format("not run on kernel: {}", why);
    return all;
  }
  for (std::size_t i = 0; i < request.seeds.size(); ++i) {
    const auto tell = [&](double of) {
      if (!request.progress) return;
      const auto n = static_cast<double>(request.seeds.size());
      request.progress((static_cast<double>(i) + of) / n);
    };
    std::vector<VariantComparison> variants;
    for (int round = 0; round < kRounds; ++round) {
      auto compared = compare_one(file, request, request.seeds[i], tell, all.why_not);
      if (!compared) return tl::unexpected(compared.error());
      if (!all.why_not.empty()) return all;
      variants = *std::move(compared);
      // Not another kernel, but another wire.
      if (std::none_of(variants.begin(), variants.end(), [](const VariantComparison& v) {
            return v.likeness == Likeness::Bug && v.late >= kLate;
          }))
        break;
    }
    if (request.compared) {
      for (const VariantComparison& one : variants) request.compared(one);
    }
    std::move(variants.begin(), variants.end(), std::back_inserter(all.variants));
  }
  return all;
}

std::string comparison_text(const ScenarioFile& file, const Comparison& comparison) {
  if (!comparison.why_not.empty())
    return fmt::format("{:<26} {}\n", file.name(), printable(comparison.why_not));
  std::string out;
  for (const VariantComparison& v : comparison.variants) out += comparison_text(file, v);
  return out;
}

std::string comparison_text(const ScenarioFile& file, const VariantComparison& v) {
  const std::string name =
      v.variant.empty() ? file.name() : fmt::format("{} {}", file.name(), v.variant);
  std::string out = fmt::format("{:<40} seed {:<4} {:<22} {}\n", name, v.seed,
                                to_string(v.likeness), printable(v.reason));
  if (v.likeness == Likeness::Bug && v.late >= kLate) {
    out += fmt::format(
        "  on the kernel the lab was {:.3g} s late each time: the machine is busy, and the wire was not what the "
        "scenario asks for\n",
        seconds(v.late));
  }
  if (v.likeness == Likeness::Bug && !v.detail.empty()) out += v.detail;
  return out;
}

}  // namespace lastack::lab
