#include <fmt/format.h>

#include <algorithm>

#include "lab/proof/proof.h"

namespace lastack::lab {
namespace {

std::string_view layer_of(const Remedy& remedy) {
  return to_string(remedy.layer);
}

// "sysctl -w 'net.ipv4.ip_local_port_range=1024 65535'" sets ip_local_port_range of the host. Other commands change no
// setting, and are left to the scenario.
std::optional<Override> setting_of(std::string_view command, const std::string& host) {
  constexpr std::string_view kSet = "sysctl -w ";
  const std::size_t at = command.find(kSet);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = command.substr(at + kSet.size());
  if (rest.size() >= 2 && rest.front() == '\'' && rest.back() == '\'')
    rest = rest.substr(1, rest.size() - 2);
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view path = rest.substr(0, equals);
  return Override{fmt::format("host.{}.settings.{}", host, path.substr(path.rfind('.') + 1)),
                  std::string(rest.substr(equals + 1))};
}

class Proving {
 public:
  Proving(const ScenarioFile& file, const ProofRequest& request) : file_(file), request_(request) {
    proof_.spec = *file.proof();
    proof_.title = file.title();
  }

  Result<Proof> run() {
    for (const ProofSpec::Part& part : proof_.spec.parts) {
      ProofRow& row = proof_.rows.emplace_back();
      row.part = part;
      const std::string why = file_.long_on_kernel(part.variant);
      row.full_only = !why.empty() && !request_.full;
      if (row.full_only) row.why_not = why;
    }
    const ProofRow& first = proof_.rows.front();
    if (first.full_only) {
      proof_.why_not = fmt::format("it takes long: {}; --full plays it", first.why_not);
      return proof_;
    }
    // As it comes about; what the doctor says of that is then done.
    if (auto played = play_rows({0}, 0); !played) return tl::unexpected(played.error());
    if (!proof_.why_not.empty() || !proof_.rows.front().finding) return finish();
    std::vector<std::size_t> rest;
    for (std::size_t i = 1; i < proof_.rows.size(); ++i) {
      if (proof_.rows[i].why_not.empty() && take_advice(proof_.rows[i])) rest.push_back(i);
    }
    if (auto played = play_rows(rest, 0.5); !played) return tl::unexpected(played.error());
    return finish();
  }

 private:
  // What the row does is what the finding says. False: it does not say so.
  bool take_advice(ProofRow& row) {
    const Finding& raised = *proof_.rows.front().finding;
    if (!row.part.no_help.empty()) {
      for (const std::string& one : raised.will_not_help) {
        if (one.find(row.part.no_help) == std::string::npos) continue;
        row.no_help = one;
        return true;
      }
      row.why_not = fmt::format("the doctor does not say that {} will not help", row.part.no_help);
      return false;
    }
    for (std::size_t i = 0; i < raised.remedies.size(); ++i) {
      const Remedy& remedy = raised.remedies[i];
      if (layer_of(remedy) != row.part.remedy ||
          remedy.text.find(row.part.told) == std::string::npos) {
        continue;
      }
      row.remedy = remedy;
      row.remedy_number = i + 1;
      for (const std::string& command : remedy.commands) {
        if (auto setting = setting_of(command, proof_.spec.host))
          row.applied.push_back(*std::move(setting));
      }
      return true;
    }
    row.why_not =
        fmt::format("the doctor recommends no remedy of the kind \"{}\"{}{}", row.part.remedy,
                    row.part.told.empty() ? "" : " with ", row.part.told);
    return false;
  }

  Result<void> play_rows(const std::vector<std::size_t>& which, double from) {
    std::vector<std::pair<const ScenarioFile*, RunRequest>> requests;
    for (const std::size_t i : which) {
      RunRequest one;
      one.where = Where::Kernel;
      one.variants = {proof_.rows[i].part.variant};
      one.overrides = proof_.rows[i].applied;
      one.full = request_.full;
      one.keep_looks = true;
      one.tool_version = request_.tool_version;
      requests.emplace_back(&file_, std::move(one));
    }
    const auto progress = [&](double share) {
      if (request_.progress) request_.progress(from + share / 2);
    };
    auto reports = run_all(requests, progress);
    if (!reports) return tl::unexpected(reports.error());
    for (std::size_t k = 0; k < which.size(); ++k) {
      RunReport& report = (*reports)[k];
      ProofRow& row = proof_.rows[which[k]];
      VariantRun& variant = report.variants.front();
      proof_.denied = proof_.denied || report.denied || variant.forbidden;
      if (!variant.result) {
        row.why_not = variant.why_not;
        if (which[k] == 0) proof_.why_not = variant.why_not;
        continue;
      }
      take(row, *variant.result);
      all_.variants.push_back(std::move(variant));
    }
    return {};
  }

  void take(ProofRow& row, const PlayResult& result) {
    for (const ProofSpec::Column& column : proof_.spec.shows) {
      const auto found = result.measures.find(column.measure);
      row.shows.push_back(found == result.measures.end() ? std::optional<Measure>()
                                                         : found->second);
    }
    const auto look = result.looks.find(proof_.spec.host);
    if (look == result.looks.end()) {
      row.why_not = "the doctor could not look at the host";
      return;
    }
    row.diagnosis = diagnose({.earlier = std::nullopt, .now = look->second});
    proof_.kernel = row.diagnosis.kernel;
    for (const Finding& finding : row.diagnosis.findings) {
      if (finding.id == proof_.spec.finding && !row.finding) row.finding = finding;
    }
    row.as_told = row.finding.has_value() == row.part.remedy.empty();
  }

  Proof finish() {
    all_.where = Where::Kernel;
    judge(file_, all_);
    proof_.checks = std::move(all_.checks);
    return std::move(proof_);
  }

  const ScenarioFile& file_;
  const ProofRequest& request_;
  Proof proof_;
  RunReport all_;
};

}  // namespace

bool Proof::holds() const {
  const auto fits = [](const ProofRow& row) { return row.as_told || row.full_only; };
  const auto good = [](const CheckOutcome& c) { return c.verdict == Check::Verdict::Holds; };
  return why_not.empty() && !rows.empty() && rows.front().as_told &&
         std::all_of(rows.begin(), rows.end(), fits) &&
         std::all_of(checks.begin(), checks.end(), good);
}

Result<Proof> prove(const ScenarioFile& file, const ProofRequest& request) {
  if (!file.proof()) return failure(file.name() + " proves nothing: it has no [proof]");
  return Proving(file, request).run();
}

}  // namespace lastack::lab
