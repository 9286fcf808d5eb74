#include "lab/scenario/measure_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "lab/scenario/toml_table.h"
#include "lastack/counters.h"
#include "lastack/doctor.h"
#include "lastack/settings.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

using Words = std::vector<std::string_view>;

// What there is of it. "failed.*" is any word after "failed.": which errors come about only a run can tell.
const Words& of_host() {
  static const std::vector<std::string> made = [] {
    std::vector<std::string> all;
    for (const TcpState state : kAllTcpStates) {
      all.push_back(fmt::format("states.{}", to_string(state)));
      all.push_back(fmt::format("left.{}", to_string(state)));
      if (state != TcpState::Closed) all.push_back(fmt::format("most.{}", to_string(state)));
    }
    for (const auto& counter : counter_table())
      all.push_back(fmt::format("counters.{}", counter.name));
    for (const SettingInfo& setting : setting_table())
      all.push_back(fmt::format("settings.{}", setting.name));
    for (const char* of : {"first", "last"})
      all.push_back(fmt::format("settings.ip_local_port_range.{}", of));
    for (const FindingInfo& finding : finding_catalogue())
      all.push_back(fmt::format("findings.{}", finding.id));
    return all;
  }();
  static const Words words = [] {
    Words all{"most.descriptors", "ports_exhausted", "descriptors", "problems", "warnings"};
    all.insert(all.end(), made.begin(), made.end());
    return all;
  }();
  return words;
}
const Words kOfStep{"result", "took", "at", "bytes", "foreign", "processor", "memory"};
const Words kOfServer{"accepted", "answered", "open", "failed", "failed.*", "accept_failed.*"};
const Words kOfClients{
    "begun",           "connected",       "answered",   "done",        "open",
    "served",          "failed",          "failed.*",   "connect.p50", "connect.p90",
    "connect.p99",     "connect.longest", "answer.p50", "answer.p90",  "answer.p99",
    "call.p50",        "answer.longest",  "call.p90",   "call.p99",    "call.longest",
    "first_failure.at"};
const Words kOfPool{"asked",    "done",       "opened",     "heartbeats", "served",        "failed",
                    "failed.*", "answer.p50", "answer.p90", "answer.p99", "answer.longest"};
const Words kOfProgram{"status", "running", "ready", "took", "at", "lines", "bytes", "says.*"};
const Words kOfChange{"at"};
const Words kOfFault{"struck"};
const Words kOfNat{"mapped", "mappings", "expired", "no_port", "unknown"};
const Words kOfWire{"sent", "delivered", "lost"};
const Words kOfRun{"took"};

bool is_among(std::string_view word, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view known) {
    if (!known.ends_with('*')) return word == known;
    known.remove_suffix(1);
    return word.size() > known.size() && word.starts_with(known);
  });
}

}  // namespace

std::vector<Placeholder> placeholders(std::string_view text) {
  std::vector<Placeholder> all;
  for (std::size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at)) {
    const std::size_t close = text.find('}', at);
    if (close == std::string_view::npos) break;
    const std::string_view inside = text.substr(at + 1, close - at - 1);
    const std::size_t colon = inside.find(':');
    const bool of_variant = colon != std::string_view::npos && inside.find('.') > colon;
    all.push_back({at, close + 1, std::string(of_variant ? inside.substr(0, colon) : ""),
                   std::string(of_variant ? inside.substr(colon + 1) : inside)});
    at = close + 1;
  }
  return all;
}

bool is_most_of_state(std::string_view of_host) {
  if (!of_host.starts_with("most.")) return false;
  const auto state = parse_tcp_state(of_host.substr(5));
  return state && *state != TcpState::TimeWait && *state != TcpState::Closed;
}

std::string wrong_word(std::string_view name, std::string_view word) {
  static const std::vector<std::string> errors = [] {
    std::vector<std::string> all;
    for (int i = 1; i < 200; ++i) {
      if (const char* known = ::strerrorname_np(i)) all.emplace_back(known);
    }
    return all;
  }();
  if (name.empty()) {
    return fmt::format("has a word that is compared with no measure: \"{}\"", printable(word));
  }
  Words known;
  if (name.ends_with(".result")) {
    known = {"ok", "end", "timeout", "refused", "cannot"};
  } else if (name.find(".findings.") != std::string_view::npos) {
    known = {"problem", "warning", "notice"};
  }
  if (word.empty()) {
    if (known.empty()) return "";
    return fmt::format("has {}, which is a word, and only == or != another one: {} ...",
                       printable(name), fmt::join(known, ", "));
  }
  if (known.empty())
    return fmt::format("compares {}, a number, with a word: \"{}\"", printable(name),
                       printable(word));
  if (name.ends_with(".result") && std::find(errors.begin(), errors.end(), word) != errors.end())
    return "";
  if (std::find(known.begin(), known.end(), word) != known.end()) return "";
  const std::string few = hint("", known);
  if (name.ends_with(".result")) known.insert(known.end(), errors.begin(), errors.end());
  const std::string near = hint(word, known);
  return fmt::format("compares {} with \"{}\", which it never is{}", printable(name),
                     printable(word), near.empty() ? few + ", and errors by their names" : near);
}

std::string wrong_measure(const Scenario& scenario, std::string_view name) {
  std::vector<std::pair<std::string_view, const Words*>> things{{"wire", &kOfWire},
                                                                {"run", &kOfRun}};
  for (const auto& one : scenario.hosts) things.emplace_back(one.name, &of_host());
  for (const auto& one : scenario.nats) things.emplace_back(one.name, &kOfNat);
  for (const auto& one : scenario.steps) things.emplace_back(one.name, &kOfStep);
  for (const auto& one : scenario.servers) things.emplace_back(one.name, &kOfServer);
  for (const auto& one : scenario.clients) things.emplace_back(one.name, &kOfClients);
  for (const auto& one : scenario.pools) things.emplace_back(one.name, &kOfPool);
  for (const auto& one : scenario.changes) things.emplace_back(one.name, &kOfChange);
  for (const auto& one : scenario.programs) things.emplace_back(one.name, &kOfProgram);
  for (const auto& one : scenario.faults) things.emplace_back(one.name, &kOfFault);

  const std::size_t dot = name.find('.');
  const std::string_view thing = name.substr(0, dot);
  const auto found = std::find_if(things.begin(), things.end(),
                                  [&](const auto& one) { return one.first == thing; });
  if (found == things.end()) {
    Words known;
    for (const auto& one : things) known.push_back(one.first);
    return fmt::format("names nothing of this scenario: \"{}\"{}", printable(thing),
                       hint(thing, known));
  }
  const std::string_view what = dot == std::string_view::npos ? "" : name.substr(dot + 1);
  if (is_among(what, *found->second)) return "";
  if (what == "most.CLOSED" && found->second == &of_host())
    return fmt::format(
        "{} has no measure \"most.CLOSED\": what is closed is no socket that could be counted, in no "
        "world; ask for the state before, such as most.LAST_ACK, or for descriptors",
        thing);
  return fmt::format("{} has no measure \"{}\"{}", thing, printable(what),
                     hint(what, *found->second));
}

}  // namespace lastack::lab
