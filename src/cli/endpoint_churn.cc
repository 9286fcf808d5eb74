#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/endpoint_live.h"
#include "cli/endpoint_runs.h"
#include "cli/endpoint_stage.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "services/churn.h"

namespace lastack {
namespace {

constexpr const char* kName = "endpoint churn";

LiveSample sample(Stage& stage, const Churn& churn, Instant begun) {
  const Host& host = stage.host();
  const Instant now = EventLoop::now();
  LiveSample s;
  s.at = now - begun;
  s.states_known = host.connections() + host.time_waits() <= kMostCounted;
  if (s.states_known) s.states = count_states(host, now);
  s.time_waits = host.time_waits();
  s.opened = churn.counts().opened;
  s.failed = churn.counts().failed;
  s.recycled = host.counters().TWRecycled;
  s.exhausted = host.ports_exhausted();
  s.in = stage.tun().counts().bytes_in;
  s.out = stage.tun().counts().bytes_out;
  return s;
}

std::string error_name(Err error) {
  const std::string text = describe(error);
  const std::size_t open = text.rfind('(');
  return text.substr(open + 1, text.size() - open - 2);
}

// Of those that failed most; none: nothing failed.
Err usual_failure(const ChurnCounts& counts) {
  Err usual = Err::none;
  std::uint64_t most = 0;
  for (const auto& [error, n] : counts.failures) {
    if (n > most) {
      most = n;
      usual = error;
    }
  }
  return usual;
}

std::string summary(const ChurnCounts& counts, const LiveSample& last) {
  const double length = std::max(seconds(last.at), 1e-9);
  std::string text =
      fmt::format("\n{} attempts in {:.1f} s: {} opened ({:.0f}/s), {} finished, {} failed\n",
                  counts.attempts, length, counts.opened,
                  static_cast<double>(counts.opened) / length, counts.finished, counts.failed);
  for (const auto& [error, n] : counts.failures) {
    text += fmt::format("  {:>10}  {}\n", n, describe(error));
  }
  if (counts.opened > 0) {
    text += fmt::format(
        "connect() took {:.0f} us on average; at most {} at once\n",
        static_cast<double>(counts.opening.count()) / 1e3 / static_cast<double>(counts.opened),
        counts.most_at_once);
  }
  text += fmt::format("left: {} TIME_WAIT; ports reused out of TIME_WAIT {}; found none {} times\n",
                      last.time_waits, last.recycled, last.exhausted);
  std::string states;
  for (const TcpState state : kAllTcpStates) {
    if (state == TcpState::TimeWait || last.states[state] == 0) continue;
    states +=
        fmt::format("{}{} {}", states.empty() ? "" : ", ", last.states[state], to_string(state));
  }
  if (!states.empty()) text += "      " + states + "\n";
  return text;
}

std::string summary_json(const ChurnCounts& counts, const LiveSample& last) {
  nlohmann::ordered_json json;
  json["seconds"] = seconds(last.at);
  json["attempts"] = counts.attempts;
  json["opened"] = counts.opened;
  json["opened_per_second"] = static_cast<double>(counts.opened) / std::max(seconds(last.at), 1e-9);
  json["finished"] = counts.finished;
  json["failed"] = counts.failed;
  json["failures"] = nlohmann::ordered_json::object();
  for (const auto& [error, n] : counts.failures) json["failures"][error_name(error)] = n;
  json["connect_us"] = counts.opened == 0 ? 0.0
                                          : static_cast<double>(counts.opening.count()) / 1e3 /
                                                static_cast<double>(counts.opened);
  json["most_at_once"] = counts.most_at_once;
  json["time_wait"] = last.time_waits;
  json["reused"] = last.recycled;
  json["ports_exhausted"] = last.exhausted;
  json["bytes_in"] = counts.bytes_in;
  json["states"] = nlohmann::ordered_json::object();
  for (const TcpState state : kAllTcpStates) {
    if (last.states[state] != 0) json["states"][std::string(to_string(state))] = last.states[state];
  }
  return json.dump(2) + "\n";
}

}  // namespace

int run_endpoint_churn(const ChurnArguments& arguments) {
  const auto refuse = [](const std::string& message, int code) {
    complain(kName, message);
    return code;
  };
  auto stage = Stage::set(kName, arguments.stage);
  if (!stage) return report(kName, stage.error());
  Stage& s = **stage;
  ChurnOptions options;
  for (const std::string& text : arguments.destinations) {
    const auto to = resolve(text, 0, s.has_address(true), s.has_address(false));
    if (!to) return refuse(to.error().message, exit_code::kUsage);
    options.destinations.push_back(*to);
  }
  const Endpoint first = options.destinations.front();
  options.concurrency = arguments.concurrency;
  options.rate = arguments.rate;
  options.count = arguments.count;
  const std::map<std::string, ChurnExchange> exchanges{
      {"none", ChurnExchange::None}, {"echo", ChurnExchange::Echo}, {"http", ChurnExchange::Http}};
  const std::map<std::string, ChurnEnd> ends{{"close", ChurnEnd::Close},
                                             {"shutdown", ChurnEnd::Shutdown},
                                             {"reset", ChurnEnd::Reset},
                                             {"vanish", ChurnEnd::Vanish}};
  options.exchange = exchanges.at(arguments.exchange);
  options.end = ends.at(arguments.end);
  options.path = arguments.path;
  options.peer_first = arguments.first == "peer";
  options.patience = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(arguments.patience, 1e6)));
  Churn churn(s.host(), s.events(), std::move(options));
  s.set_filter([&](EventLoop::PacketWay way, std::span<const std::byte> packet) {
    return !churn.swallows(packet, way == EventLoop::PacketWay::In);
  });

  // Without a count it ends after a while, if nobody says how long.
  const double length = arguments.duration > 0 ? arguments.duration : arguments.count > 0 ? 0 : 10;
  if (!arguments.json && !print(kName, s.description())) return exit_code::kCannotWrite;
  const Instant begun = EventLoop::now();
  Instant last_moment = begun;  // of churning
  LiveSample last = sample(s, churn, begun);
  std::uint64_t lines = 0;
  if (!arguments.json) {
    s.every(1s, [&] {
      const LiveSample next = sample(s, churn, begun);
      if (!print_if_read(kName, (lines++ % 20 == 0 ? live_head() : "") + live_line(last, next)))
        s.end();
      last = next;
    });
  }
  s.on_signal([&] { churn.stop(); });
  s.every(churn.tick(), [&] {
    const Instant now = EventLoop::now();
    if (length > 0 && seconds(now - begun) >= length) churn.stop();
    churn.advance(now);
    if (churn.done()) {
      last_moment = now;
      s.end();
    }
  });
  churn.advance(begun);
  const auto ended = s.run();
  if (!ended) return report(kName, ended.error());
  // FINs that are on their way.
  for (int i = 0; i < 100 && s.host().connections() > 0 && *ended == 0; ++i) {
    if (!s.loop().run_for(10ms)) break;
  }
  LiveSample end = sample(s, churn, begun);
  end.states = count_states(s.host(), EventLoop::now());
  if (last_moment > begun) end.at = last_moment - begun;
  const bool written = s.write_files();
  s.release_signals();
  const std::string page =
      arguments.json ? summary_json(churn.counts(), end) : summary(churn.counts(), end);
  if (!print(kName, page)) return exit_code::kCannotWrite;
  if (churn.counts().opened == 0 && churn.counts().attempts > 0) {
    const std::string hint = s.reach_hint(first, usual_failure(churn.counts()));
    if (!hint.empty()) complain(kName, hint);
  }
  if (!written) return exit_code::kCannotWrite;
  if (*ended != 0) return 128 + *ended;
  return churn.counts().failed == 0 ? 0 : 1;
}

}  // namespace lastack
