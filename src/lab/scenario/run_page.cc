#include "lab/scenario/run_page.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <set>

#include "doctor/text.h"  // grouped()
#include "lab/scenario/claims.h"
#include "lab/scenario/measure_names.h"
#include "lab/scenario/measure_words.h"
#include "lab/scenario/remedy_words.h"
#include "lastack/doctor.h"

namespace lastack::lab {
namespace {

constexpr std::size_t kMostRows = 16;  // of the proof
constexpr std::size_t kMostMoments = 12;

std::string name_of_file(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

const Measure* measure_of(const VariantRun& run, const std::string& name) {
  static const Measure kNone = 0.0;
  const auto found = run.result->measures.find(name);
  if (found != run.result->measures.end()) return &found->second;
  // An error that never came about is not measured: there was none of it.
  for (const auto& [what, beside] : {std::pair<std::string, std::string>{".failed.", ".failed"},
                                     {".accept_failed.", ".accepted"}}) {
    const std::size_t at = name.find(what);
    if (at != std::string::npos && run.result->measures.contains(name.substr(0, at) + beside))
      return &kNone;
  }
  return nullptr;
}

std::string shown_or_none(const VariantRun& run, const std::string& name) {
  const Measure* found = measure_of(run, name);
  if (found == nullptr && name.find(".findings.") != std::string::npos) return "not found";
  return found == nullptr ? "-" : show_measure(name, *found);
}

std::string kernel() {
  utsname name{};
  return ::uname(&name) == 0 ? fmt::format("{} {}", name.sysname, name.release) : "unknown";
}

std::string where_words(Where where) {
  switch (where) {
    case Where::Endpoint:
      return "on LastAck's own endpoint, in virtual time";
    case Where::Kernel:
      return fmt::format("on the running kernel ({}), in namespaces", kernel());
    case Where::Mixed:
      return fmt::format("on the running kernel ({}) facing LastAck's endpoint", kernel());
  }
  return "";
}

class Words {
 public:
  explicit Words(const PageOf& page)
      : file_(page.file), report_(page.report), variant_(page.variant), page_(page) {}

  // Of all variants: where each has its page.
  ReportText overview() {
    overview_ = true;
    return all();
  }

  ReportText all() {
    text_.title = file_.title();
    if (!overview_) text_.part = variant_.variant;
    text_.cause = file_.about();
    text_.advice = file_.advice();
    text_.looked_for_change = true;
    run();
    claims();
    conditions();
    find_trouble();
    change();
    doctors_advice();
    proof();
    moments();
    if (!page_.overview.empty())
      text_.pages.push_back({"all variants", name_of_file(page_.overview), overview_});
    for (const VariantRun& v : report_.variants) {
      if (!v.page.empty())
        text_.pages.push_back({v.variant, name_of_file(v.page), !overview_ && &v == &variant_});
    }
    for (const auto& [what, line] : page_.replay) text_.replay.push_back({what, line});
    return std::move(text_);
  }

 private:
  void run() {
    text_.run = fmt::format("Seen {}, seed {}", where_words(report_.where), variant_.seed);
    if (overview_) {
      text_.run += fmt::format(", {} variants", report_.variants.size());
      return;
    }
    text_.run += fmt::format(", {:.6g} s", seconds(variant_.result->took));
    for (const HostSpec& host : page_.scenario.hosts) {
      for (const auto& [name, value] : host.settings)
        text_.run += fmt::format(" · {} {}={}", host.name, name, value);
    }
    if (const std::string why = file_.not_on_kernel(variant_.variant);
        !why.empty() && report_.where == Where::Endpoint) {
      text_.run += fmt::format(" · not on a kernel: {}", why);
    }
  }

  void claims() {
    for (std::size_t i = 0; i < report_.verdicts.size(); ++i) {
      const VerdictOutcome& v = report_.verdicts[i];
      ReportText::Claim claim{v.claim, v.verdict, "", {}, v.stands};
      for (const ClaimInfo& info : lab::claims()) {
        if (info.row == v.claim) claim.text = info.text;
      }
      if (claim.text.empty()) claim.text = file_.title();
      for (const auto& [part, measured] : filled_pieces(file_.verdicts()[i].because, report_))
        claim.because.push_back({part, measured});
      if (v.in_part) claim.because.push_back({" (seen in part: not every variant was run)", false});
      text_.claims.push_back(std::move(claim));
    }
    if (!text_.claims.empty()) return;
    const bool only_commands =
        std::all_of(report_.checks.begin(), report_.checks.end(), [&](const CheckOutcome& c) {
          return c.verdict == Check::Verdict::Holds || waits_for_commands(c.variant);
        });
    text_.verdict =
        report_.failures() == 0 ? "Every condition holds."
        : only_commands && file_.proof()
            ? fmt::format(
                  "Shown is the trouble, and what programs do about it; what is set about "
                  "it is shown by lastack doctor --prove {}.",
                  file_.proof()->finding)
            : "What was to be shown was not shown.";
  }

  // "requests: connections that failed 701"
  std::string measured_of(const Check& check, const std::string& variant) const {
    std::string out;
    std::set<std::pair<std::string, std::string>> told;
    for (const auto& [of, name] : check.names()) {
      if (!told.insert({of, name}).second) continue;
      const Measure* found = report_.find(of.empty() ? variant : of, name);
      out += fmt::format("{}{}{}: {}", out.empty() ? "" : "; ", of.empty() ? "" : of + " - ",
                         measure_words(page_.scenario, name),
                         found == nullptr ? "not measured" : show_measure(name, *found));
    }
    return out;
  }

  // A variant of a proof whose remedy is commands of the doctor.
  bool waits_for_commands(const std::string& variant) const {
    if (!file_.proof()) return false;
    const auto& parts = file_.proof()->parts;
    return std::any_of(parts.begin(), parts.end(), [&](const ProofSpec::Part& part) {
      return part.variant == variant && !part.remedy.empty() &&
             file_.differences(parts.front().variant, variant, report_.where, page_.overrides)
                 .empty();
    });
  }

  void conditions() {
    const bool several = report_.variants.size() > 1;
    for (const CheckOutcome& c : report_.checks) {
      const bool holds = c.verdict == Check::Verdict::Holds;
      const std::string of = c.variant.empty() || !several ? "" : fmt::format("{}: ", c.variant);
      if (!holds) {
        std::string how;
        for (const std::string& one : c.wrong) {
          const std::size_t colon = one.rfind(": ");
          how += fmt::format("{}`{}`: {}", how.empty() ? "" : "; ", one.substr(0, colon),
                             colon == std::string::npos ? "" : one.substr(colon + 2));
        }
        if (waits_for_commands(c.variant))
          how +=
              fmt::format(" (what the doctor would set is set only by lastack doctor --prove {})",
                          file_.proof()->finding);
        text_.failed.push_back(
            fmt::format("{}{}{}{}", of, c.why, c.why.empty() ? "" : " - but ", how));
      }
      if (!overview_ && !c.variant.empty() && c.variant != variant_.variant) continue;
      const auto check = Check::parse(c.text);
      text_.conditions.push_back({overview_ ? (c.why.empty() ? c.variant : of + c.why) : c.why,
                                  check ? measured_of(*check, c.variant) : c.seen, c.text, holds});
    }
    for (const VariantRun& v : report_.variants) {
      if (!v.result && !v.skipped)
        text_.failed.push_back(fmt::format("{} was not run: {}", v.variant, v.why_not));
    }
  }

  // Which run shows the trouble: this one, where it is what a remedy is for; else what this one is a remedy for.
  void find_trouble() {
    const auto shows = [&](const std::string& variant) {
      return std::any_of(file_.remedies().begin(), file_.remedies().end(),
                         [&](const AdviceSpec& a) {
                           return std::find(a.instead_of.begin(), a.instead_of.end(), variant) !=
                                  a.instead_of.end();
                         });
    };
    if (shows(variant_.variant)) {
      before_ = variant_.variant;
      return;
    }
    for (const AdviceSpec& a : file_.remedies()) {
      if (a.variant == variant_.variant) before_ = a.instead_of.front();
    }
    if (!before_.empty()) return;
    for (const std::string& v : file_.variants()) {
      if (shows(v)) {
        before_ = v;
        return;
      }
    }
    before_ = file_.variants().front();
  }

  bool is_for_this(const AdviceSpec& a) const {
    return std::find(a.instead_of.begin(), a.instead_of.end(), before_) != a.instead_of.end();
  }

  ReportText::Mark mark(const std::string& name, const Measure& before, const Measure& after,
                        const std::string& remedy) const {
    using Mark = ReportText::Mark;
    // What a program or a step comes to: what fails is no better for being other.
    if (name.ends_with(".result")) {
      const auto good = [](const Measure& m) { return m == Measure("ok") || m == Measure("end"); };
      if (good(before) == good(after)) return Mark::None;
      return good(after) ? Mark::Better : Mark::Worse;
    }
    const double* x = std::get_if<double>(&before);
    const double* y = std::get_if<double>(&after);
    if (x == nullptr || y == nullptr || *x == *y) return Mark::None;
    const Better known = better(page_.scenario, name);
    // A step that failed did nothing harmful, nor quickly: it did nothing.
    if (failed_where_it_had_not(name, remedy)) return Mark::None;
    if (known == Better::Less) return *y < *x ? Mark::Better : Mark::Worse;
    if (known == Better::More) return *y > *x ? Mark::Better : Mark::Worse;
    // What the remedy is asked to keep below, and what was above without it.
    for (const CheckSpec& spec : file_.checks()) {
      if (std::find(spec.only_in.begin(), spec.only_in.end(), remedy) == spec.only_in.end())
        continue;
      for (const Check::Bound& bound : spec.check.bounds()) {
        if (bound.name == name && bound.variant.empty() && *y <= bound.most && *x > bound.most)
          return Mark::Better;
      }
    }
    return Mark::None;
  }

  // The measure is a step's, which came to something in the run with the trouble, and to an error in this.
  bool failed_where_it_had_not(const std::string& name, const std::string& variant) const {
    const VariantRun* before = report_.run_of(before_);
    const VariantRun* after = report_.run_of(variant);
    if (before == nullptr || after == nullptr) return false;
    const std::string result = name.substr(0, name.find('.')) + ".result";
    const Measure* x = measure_of(*before, result);
    const Measure* y = measure_of(*after, result);
    // What was waited for too long was done in part.
    const auto error = [](const Measure& m) {
      return m != Measure("ok") && m != Measure("end") && m != Measure("timeout");
    };
    return x != nullptr && y != nullptr && !error(*x) && error(*y);
  }

  // What is not over when a run ends has neither done its part nor failed.
  std::string still_open(const VariantRun& run, const std::string& name) const {
    const std::string program = name.substr(0, name.find('.'));
    const auto is = [&](const ClientsSpec& c) { return c.name == program; };
    if (!name.ends_with(".done") ||
        std::none_of(page_.scenario.clients.begin(), page_.scenario.clients.end(), is))
      return "";
    const Measure* open = measure_of(run, program + ".open");
    if (open == nullptr || *open == Measure(0.0)) return "";
    return fmt::format("and {} still open at the end", show_measure(name, *open));
  }

  // Of what conditions and verdicts look at, what is better or worse first.
  std::vector<std::string> rows() const {
    const VariantRun* before = report_.run_of(before_);
    if (before == nullptr) return {};
    std::vector<std::string> names;
    const auto add = [&](const std::string& name) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    };
    for (const ClientsSpec& c : page_.scenario.clients) {
      for (const char* what : {"failed", "done", "answered"})
        add(fmt::format("{}.{}", c.name, what));
    }
    for (const PoolSpec& p : page_.scenario.pools) {
      for (const char* what : {"failed", "done"}) add(fmt::format("{}.{}", p.name, what));
    }
    for (const CheckSpec& spec : file_.checks()) {
      for (const auto& [of, name] : spec.check.names()) add(name);
    }
    for (const VerdictSpec& v : file_.verdicts()) {
      for (const Placeholder& p : placeholders(v.because)) add(p.name);
    }
    const auto changes = [&](const std::string& name) {
      const Measure* x = measure_of(*before, name);
      return std::any_of(columns_.begin(), columns_.end(), [&](const VariantRun* v) {
        const Measure* y = measure_of(*v, name);
        return (x == nullptr) != (y == nullptr) || (x != nullptr && *x != *y);
      });
    };
    // What changes for one of several clients is said of all of them.
    const auto changes_for_another = [&](const std::string& name) {
      const std::size_t dot = name.find('.');
      return std::any_of(
          page_.scenario.clients.begin(), page_.scenario.clients.end(), [&](const ClientsSpec& c) {
            const auto mine = [&](const ClientsSpec& d) { return d.name == name.substr(0, dot); };
            return std::any_of(page_.scenario.clients.begin(), page_.scenario.clients.end(),
                               mine) &&
                   changes(c.name + name.substr(dot));
          });
    };
    std::erase_if(names, [&](const std::string& name) {
      return !changes(name) && !changes_for_another(name);
    });
    std::stable_partition(names.begin(), names.end(), [&](const std::string& name) {
      return better(page_.scenario, name) != Better::Unknown;
    });
    if (names.size() > kMostRows) names.resize(kMostRows);
    return names;
  }

  // The first number that it is known to better.
  std::string gain(const VariantRun& before, const VariantRun& after) const {
    for (const std::string& name : rows()) {
      const Measure* x = measure_of(before, name);
      const Measure* y = measure_of(after, name);
      if (x == nullptr || y == nullptr) continue;
      if (mark(name, *x, *y, after.variant) == ReportText::Mark::Better) {
        return fmt::format("{}: {} in place of {}", measure_words(page_.scenario, name),
                           show_measure(name, *y), show_measure(name, *x));
      }
    }
    return "";
  }

  // All that is known to be worse by it.
  std::string price(const VariantRun& before, const VariantRun& after) const {
    std::string all;
    for (const std::string& name : rows()) {
      const Measure* x = measure_of(before, name);
      const Measure* y = measure_of(after, name);
      if (x == nullptr || y == nullptr) continue;
      if (mark(name, *x, *y, after.variant) != ReportText::Mark::Worse) continue;
      const std::string open = still_open(after, name);
      all += fmt::format("{}{}: {} in place of {}{}", all.empty() ? "" : "; ",
                         measure_words(page_.scenario, name), show_measure(name, *y),
                         show_measure(name, *x), open.empty() ? "" : ", " + open);
    }
    return all;
  }

  // The same on several hosts is said once.
  static void add_step(ReportText::Remedy& r, Change c) {
    for (ReportText::Step& known : r.steps) {
      if (c.command.empty() || known.command != c.command || known.undo != c.undo) continue;
      known.place += ", " + c.place;
      return;
    }
    r.steps.push_back({std::move(c.place), std::move(c.words), std::move(c.command),
                       std::move(c.undo), std::move(c.call), std::move(c.check),
                       std::move(c.keep)});
  }

  void change() {
    const VariantRun* before = report_.run_of(before_);
    for (const AdviceSpec& a : file_.remedies()) {
      if (!is_for_this(a)) continue;
      if (const VariantRun* after = report_.run_of(a.variant)) columns_.push_back(after);
    }
    for (const AdviceSpec& a : file_.remedies()) {
      if (!is_for_this(a)) continue;
      ReportText::Remedy r;
      r.name = a.variant;
      r.text = a.text;
      r.caution = a.caution;
      r.helps = a.helps;
      r.here = !overview_ && a.variant == variant_.variant;
      const auto differences =
          file_.differences(before_, a.variant, report_.where, page_.overrides);
      const bool alike = differences.empty();
      if (const auto played = file_.scenario(a.variant, report_.where, page_.overrides)) {
        for (Change& c : changes(differences, *played)) add_step(r, std::move(c));
      }
      const VariantRun* after = report_.run_of(a.variant);
      if (after == nullptr) {
        const auto asked = [&](const VariantRun& v) { return v.variant == a.variant; };
        const auto there = std::find_if(report_.variants.begin(), report_.variants.end(), asked);
        r.note =
            fmt::format("Not run here: {}",
                        there == report_.variants.end() ? "it was not asked for" : there->why_not);
      } else {
        r.file = name_of_file(after->page);
        if (before != nullptr && a.helps) {
          r.gain = gain(*before, *after);
          r.price = price(*before, *after);
        }
        if (alike) r.note = "Played alike in this run: it shows nothing of it.";
      }
      text_.change.push_back(std::move(r));
    }
  }

  // What the doctor advises where the trouble is, word for word, and the variant that plays it.
  void doctors_advice() {
    if (!file_.proof() || !text_.change.empty()) return;
    const ProofSpec& proof = *file_.proof();
    before_ = proof.parts.front().variant;
    const VariantRun* const first = report_.run_of(before_);
    if (first == nullptr) return;
    const auto look = first->result->looks.find(proof.host);
    if (look == first->result->looks.end()) return;
    // Whoever reads it has a Linux host, on whichever the run was.
    HostSnapshot host = look->second;
    host.is_endpoint = false;
    const Diagnosis diagnosis = diagnose({std::nullopt, host});
    const auto found = std::find_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                    [&](const Finding& f) { return f.id == proof.finding; });
    if (found == diagnosis.findings.end()) return;
    if (text_.advice.empty()) text_.advice = fmt::format("{}. {}.", found->sentence, found->why);
    for (const lastack::Remedy& remedy : found->remedies) {
      ReportText::Remedy r;
      r.text = remedy.text;
      r.caution = remedy.caution;
      r.check = remedy.check;
      for (const std::string& command : remedy.commands) {
        r.steps.emplace_back();
        r.steps.back().command = command;
      }
      if (!remedy.undo.empty() && !r.steps.empty()) r.steps.back().undo = remedy.undo;
      for (const ProofSpec::Part& part : proof.parts) {
        if (part.remedy == to_string(remedy.layer) &&
            remedy.text.find(part.told) != std::string::npos)
          play_of(r, part.variant, !remedy.commands.empty());
      }
      text_.change.push_back(std::move(r));
    }
    for (const std::string& words : found->will_not_help) {
      ReportText::Remedy r;
      r.text = words;
      r.helps = false;
      for (const ProofSpec::Part& part : proof.parts) {
        if (!part.no_help.empty() && words.find(part.no_help) != std::string::npos)
          play_of(r, part.variant, false);
      }
      text_.change.push_back(std::move(r));
    }
  }
  void play_of(ReportText::Remedy& r, const std::string& variant, bool commands) {
    if (!r.name.empty()) return;
    r.name = variant;
    r.here = !overview_ && variant == variant_.variant;
    const VariantRun* before = report_.run_of(before_);
    const VariantRun* after = report_.run_of(variant);
    if (after == nullptr || before == nullptr) return;
    r.file = name_of_file(after->page);
    // The first variant plays the commands only where the proof is asked for.
    if (commands && file_.differences(before_, variant, report_.where, page_.overrides).empty()) {
      r.note = fmt::format(
          "Its commands are not given in this run: lastack doctor --prove {} does, on this kernel",
          file_.proof()->finding);
      return;
    }
    columns_.push_back(after);
    if (!r.helps) return;
    r.gain = gain(*before, *after);
    r.price = price(*before, *after);
  }

  void proof() {
    const VariantRun* before = report_.run_of(before_);
    if (before == nullptr) return;
    // Without remedies: what else there was, to compare.
    if (columns_.empty()) {
      for (const VariantRun& v : report_.variants) {
        if (v.result && v.variant != before_) columns_.push_back(&v);
      }
    }
    if (columns_.empty()) return;
    text_.proof_heads.push_back(before_);
    for (const VariantRun* v : columns_) text_.proof_heads.push_back(v->variant);
    for (const std::string& name : rows()) {
      ReportText::ProofRow row{measure_words(page_.scenario, name), {}};
      const Measure* x = measure_of(*before, name);
      row.cells.push_back(
          {shown_or_none(*before, name), ReportText::Mark::None, still_open(*before, name)});
      for (const VariantRun* v : columns_) {
        const Measure* y = measure_of(*v, name);
        auto mark_here = ReportText::Mark::None;
        if (!text_.change.empty() && x != nullptr) {
          // What the doctor no longer finds.
          const bool gone = y == nullptr && name.find(".findings.") != std::string::npos;
          if (y != nullptr) mark_here = mark(name, *x, *y, v->variant);
          if (gone) mark_here = ReportText::Mark::Better;
        }
        row.cells.push_back({shown_or_none(*v, name), mark_here, still_open(*v, name)});
      }
      text_.proof.push_back(std::move(row));
    }
    if (text_.proof.empty()) text_.proof_heads.clear();
  }

  void moments() {
    const std::int64_t zero = Duration(1s).count();
    for (const StepSpec& step : page_.scenario.steps) {
      const Measure* at = measure_of(variant_, step.name + ".at");
      const bool named =
          !step.name.starts_with("step") && step.deed != StepSpec::Deed::Crash;  // that is marked
      if (at == nullptr || !named || !std::holds_alternative<double>(*at)) continue;
      if (text_.moments.size() == kMostMoments) break;
      const Measure* took = measure_of(variant_, step.name + ".took");
      const double begun =
          std::get<double>(*at) -
          (took != nullptr && std::holds_alternative<double>(*took) ? std::get<double>(*took) : 0);
      text_.moments.push_back({fmt::format("{}: {}", step.name, step_words(step)),
                               zero + static_cast<std::int64_t>(begun * 1e9)});
    }
    for (const ClientsSpec& c : page_.scenario.clients) {
      const Measure* at = measure_of(variant_, c.name + ".first_failure.at");
      if (at == nullptr || !std::holds_alternative<double>(*at)) continue;
      if (text_.moments.size() == kMostMoments) break;
      text_.moments.push_back({fmt::format("{}: first failure", c.name),
                               zero + static_cast<std::int64_t>(std::get<double>(*at) * 1e9)});
    }
  }

  const ScenarioFile& file_;
  const RunReport& report_;
  const VariantRun& variant_;
  const PageOf& page_;
  ReportText text_;
  bool overview_ = false;                   // of all variants
  std::string before_;                      // the variant that shows the trouble
  std::vector<const VariantRun*> columns_;  // beside it
};

}  // namespace

ReportText page_text(const PageOf& page) {
  return Words(page).all();
}

ReportText overview_text(const PageOf& page) {
  return Words(page).overview();
}

}  // namespace lastack::lab
