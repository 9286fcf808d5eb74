// A proof for people, a row for each way it was played, and for programs (schema/proof-1.schema.json).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "doctor/text.h"
#include "lab/proof/proof.h"
#include "lastack/report.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

// Words are kept whole; lines after the first start at `hanging`. Indents of the first line stay.
std::string wrapped(const std::string& first, std::string_view text, std::size_t hanging,
                    std::size_t width) {
  std::string out = first;
  std::size_t at = first.size();
  bool fresh = true;
  const std::string clean = printable(text);
  for (std::size_t start = 0; start < clean.size();) {
    const std::size_t end = std::min(clean.find(' ', start), clean.size());
    const std::size_t size = end - start;
    if (!fresh && at + 1 + size > width) {
      out += '\n' + std::string(hanging, ' ');
      at = hanging;
      fresh = true;
    }
    if (!fresh) {
      out += ' ';
      ++at;
    }
    out += clean.substr(start, size);
    at += size;
    fresh = false;
    start = end + 1;
  }
  return out + '\n';
}

// An error that never came about, and whose count there is none of, is a count of 0.
std::string shown(const std::string& name, const std::optional<Measure>& measure) {
  if (!measure) {
    const bool count = name.find("failed.") != std::string::npos;
    return count ? "0" : "-";
  }
  if (name.ends_with(".served")) {
    if (const double* share = std::get_if<double>(&*measure))
      return fmt::format("{:.4g} %", std::floor(*share * 1000) / 10);
  }
  const std::string text = show_measure(name, *measure);
  // Three digits of a time are enough beside others.
  if (const std::size_t blank = text.find(' ');
      blank != std::string::npos && std::holds_alternative<double>(*measure))
    return fmt::format("{:.3g}{}", std::strtod(text.c_str(), nullptr), text.substr(blank));
  return text;
}

std::string head_of(const ProofRow& row) {
  return fmt::format("{:<3}{}",
                     row.remedy             ? std::to_string(row.remedy_number)
                     : !row.no_help.empty() ? "no"
                                            : "",
                     row.part.variant);
}

std::string said_of(const ProofRow& row) {
  if (!row.why_not.empty()) return "not played";
  return row.finding ? std::string(loud(row.finding->severity)) : "gone";
}

std::string marked(const ProofRow& row, const std::string& text, const ProofStyle& style) {
  if (!style.color || !row.finding || row.finding->severity == Severity::Notice) return text;
  return (row.finding->severity == Severity::Problem ? "\x1b[1;31m" : "\x1b[33m") + text +
         "\x1b[0m";
}

std::string table(const Proof& proof, const ProofStyle& style) {
  std::vector<std::vector<std::string>> cells;
  cells.push_back({"", "the doctor"});
  for (const ProofSpec::Column& column : proof.spec.shows) cells[0].push_back(column.head);
  for (const ProofRow& row : proof.rows) {
    std::vector<std::string>& line = cells.emplace_back();
    line = {head_of(row), said_of(row)};
    for (std::size_t i = 0; i < row.shows.size(); ++i)
      line.push_back(shown(proof.spec.shows[i].measure, row.shows[i]));
  }
  std::vector<std::size_t> widths(cells[0].size());
  for (const auto& line : cells) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string out;
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const auto& line = cells[k];
    std::string text = fmt::format("{:<{}}  ", line[0], widths[0]);
    const std::string doctor = fmt::format("{:<{}}", line[1], widths[1]);
    text += k == 0 ? doctor : marked(proof.rows[k - 1], doctor, style);
    for (std::size_t i = 2; i < line.size(); ++i)
      text += fmt::format("  {:>{}}", line[i], widths[i]);
    while (text.ends_with(' ')) text.pop_back();
    out += text + '\n';
  }
  return out;
}

std::string said(const ProofRow& row, const std::string& id, const ProofStyle& style) {
  constexpr std::size_t kHanging = 5;
  if (!row.why_not.empty())
    return wrapped(head_of(row) + ": not played: ", row.why_not, kHanging, style.width);
  if (!row.no_help.empty())
    return wrapped("no " + row.part.variant + ": will not help: ", row.no_help, kHanging,
                   style.width);
  std::string out;
  if (row.remedy) {
    const std::string indent(kHanging, ' ');
    out = wrapped(fmt::format("{}. {}: ", row.remedy_number, row.part.variant), row.remedy->text,
                  kHanging, style.width);
    for (const std::string& command : row.remedy->commands)
      out += fmt::format("{}{}\n", indent, printable(command));
    for (const Finding& other : row.diagnosis.findings) {
      if (other.id == id || other.severity == Severity::Notice) continue;
      out += wrapped(fmt::format("{}then {}  {}  ", indent, loud(other.severity), other.id),
                     other.sentence, kHanging + 5, style.width);
    }
    return out;
  }
  if (row.finding)
    return wrapped(fmt::format("{}: ", row.part.variant), row.finding->sentence, kHanging,
                   style.width);
  return wrapped(fmt::format("{}: ", row.part.variant),
                 "the doctor does not find it, though it ought to", kHanging, style.width);
}

}  // namespace

std::string proof_text(const Proof& proof, const ProofStyle& style) {
  std::string out = fmt::format("{}: {}\n", proof.spec.finding, printable(proof.title));
  if (!proof.why_not.empty()) {
    return out + wrapped("not proved here: ", proof.why_not, 3, style.width);
  }
  out += wrapped("",
                 fmt::format("played in private namespaces of this kernel, {}; nothing else is "
                             "touched",
                             proof.kernel),
                 0, style.width) +
         '\n';
  out += table(proof, style) + '\n';
  for (const ProofRow& row : proof.rows) out += said(row, proof.spec.finding, style);
  out += '\n';
  bool failed = false;
  for (const CheckOutcome& c : proof.checks) {
    if (c.verdict == Check::Verdict::Holds) continue;
    failed = true;
    out += wrapped("   ",
                   fmt::format("{}{}does not hold: {}; {}", c.variant,
                               c.variant.empty() ? "" : ": ", c.text, c.seen),
                   5, style.width);
  }
  std::set<std::size_t> done;  // remedies, one of which may be several rows
  std::size_t useless = 0, left = 0;
  for (const ProofRow& row : proof.rows) {
    if (row.remedy && row.why_not.empty()) done.insert(row.remedy_number);
    useless += !row.no_help.empty() && row.why_not.empty() ? 1 : 0;
    left += row.full_only ? 1 : 0;
  }
  if (!proof.holds()) {
    return out + (failed ? "NOT PROVED\n"
                         : "NOT PROVED: what the doctor finds is not what it ought to be\n");
  }
  std::string verdict = "proved: it is found as it comes about";
  const std::size_t remedies = done.size();
  if (remedies == 1) verdict += ", and gone with the remedy";
  if (remedies > 1) verdict += fmt::format(", and gone with each of {} remedies", remedies);
  if (useless == 1) verdict += "; it is still there with what will not help";
  if (useless > 1)
    verdict += fmt::format("; it is still there with each of {} that will not help", useless);
  out += wrapped("", verdict, 0, style.width);
  if (left > 0) out += fmt::format("{} more with --full\n", left);
  return out;
}

std::string proof_json(const Proof& proof) {
  using Json = nlohmann::ordered_json;
  const auto value = [](const Measure& measure) {
    const double* number = std::get_if<double>(&measure);
    if (number == nullptr) return Json(std::get<std::string>(measure));
    const bool whole = *number == std::floor(*number) && std::abs(*number) < 1e15;
    return whole ? Json(static_cast<std::int64_t>(*number)) : Json(*number);
  };
  Json json = {{"format", "lastack-proof"},
               {"version", 1},
               {"finding", proof.spec.finding},
               {"title", proof.title},
               {"kernel", proof.kernel},
               {"host", proof.spec.host},
               {"proved", proof.holds()},
               {"not_played", proof.why_not.empty() ? Json() : Json(proof.why_not)}};
  json["rows"] = Json::array();
  for (const ProofRow& row : proof.rows) {
    if (!proof.why_not.empty()) break;
    Json one = {{"variant", row.part.variant},
                {"role", row.part.remedy.empty() && row.part.no_help.empty() ? "raised"
                         : row.part.no_help.empty()                          ? "remedy"
                                                                             : "no-help"},
                {"not_played", row.why_not.empty() ? Json() : Json(row.why_not)},
                {"as_told", row.as_told}};
    // As `lastack doctor --json` has it.
    Json finding, others = Json::array();
    const Json diagnosis = Json::parse(to_json(row.diagnosis));
    for (const Json& f : diagnosis["findings"]) {
      if (f["id"] == proof.spec.finding && finding.is_null()) {
        finding = f;
      } else {
        others.push_back({{"id", f["id"]}, {"severity", f["severity"]}});
      }
    }
    one["finding"] = std::move(finding);
    one["other_findings"] = std::move(others);
    one["remedy"] = row.remedy ? Json(row.remedy_number) : Json();
    one["no_help"] = row.no_help.empty() ? Json() : Json(row.no_help);
    Json& applied = one["settings_applied"] = Json::object();
    for (const Override& o : row.applied) applied[o.key.substr(o.key.rfind('.') + 1)] = o.value;
    Json& shows = one["measures"] = Json::object();
    for (std::size_t i = 0; i < row.shows.size(); ++i) {
      const ProofSpec::Column& column = proof.spec.shows[i];
      shows[column.measure] = row.shows[i] ? value(*row.shows[i]) : Json();
    }
    json["rows"].push_back(std::move(one));
  }
  json["checks"] = Json::array();
  for (const CheckOutcome& c : proof.checks) {
    json["checks"].push_back({{"variant", c.variant},
                              {"condition", c.text},
                              {"holds", c.verdict == Check::Verdict::Holds},
                              {"seen", c.seen}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lastack::lab
