#include "lab/scenario/measure_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lab/scenario/scenario_reader.h"

namespace lastack::lab {
namespace {

struct Words {
  std::string_view measure, words;
  Better better = Better::Unknown;
};

constexpr std::array kOfClients{
    Words{"begun", "connections begun"},
    Words{"connected", "connections that came about"},
    Words{"answered", "requests answered", Better::More},
    Words{"done", "connections that did all of their part"},
    Words{"open", "connections open at the end"},
    Words{"served", "share that was served", Better::More},
    Words{"failed", "connections that failed", Better::Less},
    Words{"failed.gave_up", "connections given up: no answer in time", Better::Less},
    Words{"failed.no_answer", "connections closed by the other side before an answer",
          Better::Less},
    Words{"first_failure.at", "first failure, after the start"},
};
constexpr std::array kOfPool{
    Words{"asked", "requests asked"},
    Words{"done", "requests answered", Better::More},
    Words{"opened", "connections opened"},
    Words{"heartbeats", "heartbeats sent"},
    Words{"served", "share that was served", Better::More},
    Words{"failed", "requests that failed", Better::Less},
    Words{"failed.waited", "requests that got no free connection in time", Better::Less},
    Words{"failed.read", "requests that got no answer in time", Better::Less},
};
constexpr std::array kOfServer{
    Words{"accepted", "connections accepted"},
    Words{"answered", "requests answered", Better::More},
    Words{"open", "connections open at the end"},
    Words{"failed", "connections that failed", Better::Less},
};
constexpr std::array kOfHost{
    Words{"most.descriptors", "most descriptors in use at a time"},
    Words{"descriptors", "descriptors in use at the end"},
    Words{"ports_exhausted", "connect() without a free port", Better::Less},
    Words{"problems", "problems that the doctor finds", Better::Less},
    Words{"warnings", "warnings of the doctor", Better::Less},
};
constexpr std::array kOfStep{
    Words{"result", "what it came to"},
    Words{"took", "how long it took"},
    Words{"at", "when it was over"},
    Words{"bytes", "bytes"},
    Words{"foreign", "bytes of another connection", Better::Less},
    Words{"processor", "processor time meanwhile"},
    Words{"memory", "memory that came to it meanwhile"},
};
constexpr std::array kOfNat{
    Words{"mapped", "mappings made"},
    Words{"mappings", "mappings at the end"},
    Words{"expired", "mappings forgotten"},
    Words{"no_port", "packets dropped for want of a port", Better::Less},
    Words{"unknown", "packets dropped that had no mapping"},
};
constexpr std::array kOfWire{
    Words{"sent", "packets sent"},
    Words{"delivered", "packets delivered"},
    Words{"lost", "packets lost"},
};

template <std::size_t N>
const Words* find(const std::array<Words, N>& all, std::string_view measure) {
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const Words& w) { return w.measure == measure; });
  return at == all.end() ? nullptr : &*at;
}

template <class List>
const auto* named(const List& list, std::string_view name) {
  const auto at =
      std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.name == name; });
  return at == list.end() ? nullptr : &*at;
}

// "connect.p90": what, and which of them.
std::string latency_words(std::string_view measure) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kWhat{
      {{"connect.", "time to connect"},
       {"answer.", "time to an answer"},
       {"call.", "time in connect() itself"}}};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kWhich{
      {{"p50", "half of them within"},
       {"p90", "90 % within"},
       {"p99", "99 % within"},
       {"longest", "the longest"}}};
  for (const auto& [prefix, what] : kWhat) {
    if (!measure.starts_with(prefix)) continue;
    for (const auto& [which, words] : kWhich) {
      if (measure.substr(prefix.size()) == which) return fmt::format("{}, {}", what, words);
    }
  }
  return "";
}

struct Found {
  std::string words;
  Better better = Better::Unknown;
};

Found look_up(const Scenario& scenario, std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view thing = name.substr(0, dot), what = name.substr(dot + 1);
  const auto of = [&](std::string_view who, const Words* known) -> Found {
    if (known != nullptr) return {fmt::format("{}: {}", who, known->words), known->better};
    if (what.starts_with("failed."))
      return {fmt::format("{}: failed, {}", who, failure_words(what.substr(7))), Better::Less};
    if (what.starts_with("accept_failed."))
      return {fmt::format("{}: accept() failed with {}", who, what.substr(14)), Better::Less};
    if (const std::string words = latency_words(what); !words.empty())
      return {fmt::format("{}: {}", who, words), Better::Less};
    return {};
  };
  if (named(scenario.clients, thing) != nullptr) return of(thing, find(kOfClients, what));
  if (named(scenario.pools, thing) != nullptr) return of(thing, find(kOfPool, what));
  if (named(scenario.servers, thing) != nullptr) return of(thing, find(kOfServer, what));
  if (named(scenario.nats, thing) != nullptr) return of(thing, find(kOfNat, what));
  if (const StepSpec* step = named(scenario.steps, thing)) {
    return of(fmt::format("step {} ({})", thing, step_words(*step)), find(kOfStep, what));
  }
  if (named(scenario.faults, thing) != nullptr && what == "struck")
    return {fmt::format("segments that fault {} struck", thing)};
  if (named(scenario.changes, thing) != nullptr && what == "at")
    return {fmt::format("when {} is made", thing)};
  if (named(scenario.hosts, thing) != nullptr) {
    if (what.starts_with("states."))
      return {fmt::format("{}: in {} at the end", thing, what.substr(7))};
    if (what.starts_with("left."))
      return {fmt::format("{}: longest time left in {}", thing, what.substr(5))};
    if (what == "most.TIME_WAIT")
      return {fmt::format("{}: most records in TIME_WAIT at a time", thing)};
    if (what.starts_with("most.") && parse_tcp_state(what.substr(5)))
      return {fmt::format("{}: most in {} at a time", thing, what.substr(5))};
    if (what.starts_with("counters."))
      return {fmt::format("{}: counter {}", thing, what.substr(9))};
    if (what.starts_with("findings."))
      return {fmt::format("{}: the doctor on {}", thing, what.substr(9))};
    return of(thing, find(kOfHost, what));
  }
  if (thing == "wire") return of("wire", find(kOfWire, what));
  if (name == "run.took") return {"how long the run took"};
  return {};
}

}  // namespace

std::string failure_words(std::string_view why) {
  if (why == "gave_up") return "no answer in time";
  if (why == "no_answer") return "closed by the other side before an answer";
  if (why == "waited") return "no free connection in time";
  if (why == "read") return "no answer in time";
  constexpr std::string_view kConnect = "connect_";
  if (why.starts_with(kConnect)) return fmt::format("connect(): {}", why.substr(kConnect.size()));
  return std::string(why);
}

std::string step_words(const StepSpec& step) {
  if (step.deed == StepSpec::Deed::Until) return "wait for a condition";
  if (step.deed == StepSpec::Deed::Set) return "set a setting";
  return std::string(to_string(step.deed));
}

std::string measure_words(const Scenario& scenario, std::string_view name) {
  const Found found = look_up(scenario, name);
  return found.words.empty() ? std::string(name) : found.words;
}

Better better(const Scenario& scenario, std::string_view name) {
  return look_up(scenario, name).better;
}

}  // namespace lastack::lab
