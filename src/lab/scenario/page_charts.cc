// What there was over time, as the page of a run draws it.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/text.h"  // grouped()
#include "lab/scenario/measure_words.h"
#include "lab/scenario/run_page.h"

namespace lastack::lab {
namespace {

ReportBand::Kind kind_of(const std::string& label) {
  if (label.starts_with("fault ")) return ReportBand::Kind::Fault;
  if (label.starts_with("lost")) return ReportBand::Kind::Loss;
  if (label.ends_with(" crashes")) return ReportBand::Kind::Crash;
  if (label.find(" drops: ") != std::string::npos) return ReportBand::Kind::Nat;
  return ReportBand::Kind::Setting;
}

class Charts {
 public:
  Charts(const PageOf& page, const LogTrace& trace, Instant zero)
      : result_(*page.variant.result), scenario_(page.scenario), trace_(trace), zero_(zero) {}

  ReportCharts all() {
    for (const TallySeries& one : result_.tallies) tries(one);
    states_and_ports();
    for (const HostSeries& host : result_.series) counts(host);
    for (const Mark& m : result_.marks) {
      const ReportBand::Kind kind = kind_of(m.label);
      const bool counted = kind != ReportBand::Kind::Crash && kind != ReportBand::Kind::Setting;
      charts_.bands.push_back({at(m.from), at(m.to), m.label, kind, counted ? m.count : 0});
    }
    return std::move(charts_);
  }

 private:
  std::int64_t at(Instant since) const {
    return (zero_ + since.time_since_epoch()).time_since_epoch().count();
  }
  const HostSpec* spec_of(const std::string& host) const {
    for (const HostSpec& spec : scenario_.hosts) {
      if (spec.name == host) return &spec;
    }
    return nullptr;
  }

  // What came of connects, or requests of a pool, between one look and the next; in a second.
  void tries(const TallySeries& one) {
    if (one.samples.size() < 2 || result_.took <= Duration::zero()) return;
    const Tally& last = one.samples.back().second;
    if (last.succeeded + last.failed < 4) return;
    const bool pool = std::any_of(scenario_.pools.begin(), scenario_.pools.end(),
                                  [&](const PoolSpec& p) { return p.name == one.program; });
    ReportStack stack;
    stack.name =
        fmt::format("{}: {} over time ({})", one.program, pool ? "requests" : "connects", one.host);
    // Few are counted by the minute: "0.3 a second" is no number of connections.
    const bool few = static_cast<double>(last.succeeded + last.failed) < seconds(result_.took);
    stack.unit = fmt::format("{} a {}", pool ? "requests" : "connects", few ? "minute" : "second");
    const double unit = few ? 60 : 1;
    stack.key = true;
    const auto part = [&](std::string_view words, std::uint64_t count, const char* color) {
      stack.parts.push_back({fmt::format("{}: {} in all", words, grouped(count)), color});
    };
    part(pool ? "answered" : "connected", last.succeeded, "good");
    const std::string why = reasons(one.program);
    part((pool ? "failed" : "failed to connect") + (last.failed > 0 ? why : ""), last.failed,
         "bad");
    if (last.broken > 0)
      part("connected, and failed later" + (last.failed > 0 ? "" : why), last.broken, "warn");
    // At most a hundred parts of the time, with some ten tries in each: fewer are a comb, and not how fast it went.
    const std::uint64_t parts =
        std::clamp<std::uint64_t>((last.succeeded + last.failed) / 10, 6, 100);
    const Duration least = result_.took / static_cast<Duration::rep>(parts);
    Instant from = one.samples.front().first;
    Tally before = one.samples.front().second;
    for (const auto& [to, now] : one.samples) {
      if (to - from < least && to != one.samples.back().first) continue;
      const double span = seconds(to - from);
      if (span <= 0 || span < seconds(least) / 2) continue;
      const auto rate = [&](std::uint64_t b, std::uint64_t a) {
        return static_cast<double>(b - a) / span * unit;
      };
      ReportStack::Point point{
          at(from), {rate(now.succeeded, before.succeeded), rate(now.failed, before.failed)}};
      if (last.broken > 0) point.values.push_back(rate(now.broken, before.broken));
      stack.points.push_back(std::move(point));
      from = to;
      before = now;
    }
    // The last part lasts until the end.
    if (!stack.points.empty())
      stack.points.push_back({at(one.samples.back().first), stack.points.back().values});
    charts_.stacks.push_back(std::move(stack));
  }
  // " (EADDRNOTAVAIL)"
  std::string reasons(const std::string& program) const {
    std::string all;
    const std::string prefix = program + ".failed.";
    for (const auto& [name, value] : result_.measures) {
      if (!name.starts_with(prefix)) continue;
      const std::string why = name.substr(prefix.size());
      all += fmt::format("{}{}", all.empty() ? "" : ", ", failure_words(why));
    }
    return all.empty() ? "" : " (" + all + ")";
  }

  // Of hosts that tell their states: ports of connections that they opened.
  void states_and_ports() {
    std::map<std::uint16_t, std::pair<std::uint64_t, std::vector<std::pair<std::int64_t, double>>>>
        ports;
    std::map<std::uint16_t, std::size_t> opened;
    const std::int64_t part = std::max<std::int64_t>(1, result_.took.count() / 800);
    for (const TraceEvent& e : trace_.events()) {
      if (e.what == Happening::HostCrashed && e.host != kWireHost) ports[e.host].first = 0;
      if (e.what != Happening::StateChanged || e.host == kWireHost) continue;
      told_.insert(e.host);
      if (e.connection == kNoConnection || !e.sender_is_opener) continue;
      auto& [now, points] = ports[e.host];
      if (e.from == TcpState::Closed) ++now, ++opened[e.host];
      if (e.to == TcpState::Closed && now > 0) --now;
      const auto value = static_cast<double>(now);
      if (points.empty() || e.at - points.back().first >= part) {
        points.emplace_back(e.at, value);
      } else {
        points.back().second = value;
      }
    }
    for (auto& [host, one] : ports) {
      if (opened[host] < 20) continue;
      ReportSeries series{
          fmt::format("local ports held by connections of {}", trace_.hosts()[host]), "ports",
          std::move(one.second)};
      series.limit = range_of(trace_.hosts()[host]);
      series.limit_name = fmt::format("ip_local_port_range: {} ports to each destination",
                                      grouped(static_cast<std::uint64_t>(*series.limit)));
      charts_.series.push_back(std::move(series));
    }
  }
  double range_of(const std::string& host) const {
    const HostSpec* spec = spec_of(host);
    unsigned low = 32768, high = 60999;
    if (spec != nullptr) {
      const auto set = spec->settings.find("ip_local_port_range");
      unsigned a = 0, b = 0;
      if (set != spec->settings.end() && std::sscanf(set->second.c_str(), "%u %u", &a, &b) == 2 &&
          a <= b) {
        low = a, high = b;
      }
    }
    return high - low + 1;
  }

  void counts(const HostSeries& host) {
    ReportSeries open{fmt::format("descriptors of {}", host.host), "descriptors", {}};
    ReportSeries records{fmt::format("TIME_WAIT at {}", host.host), "records", {}};
    ReportStack states{fmt::format("states of {}, as looked at", host.host), "sockets", {}, {}};
    bool told = false;
    for (const std::uint16_t known : told_) told = told || trace_.hosts()[known] == host.host;
    std::vector<TcpState> used;
    for (const Sample& s : host.samples) {
      open.points.emplace_back(at(s.at), static_cast<double>(s.descriptors));
      records.points.emplace_back(at(s.at), static_cast<double>(s.time_waits));
      for (const TcpState state : kAllTcpStates) {
        const bool counts = s.states && (*s.states)[state] > 0 && state != TcpState::Closed &&
                            state != TcpState::Listen;
        if (counts && std::find(used.begin(), used.end(), state) == used.end())
          used.push_back(state);
      }
    }
    std::sort(used.begin(), used.end());
    for (const TcpState state : used)
      states.parts.push_back({std::string(to_string(state)), std::string(to_string(state))});
    for (const Sample& s : host.samples) {
      ReportStack::Point point{at(s.at), {}};
      for (const TcpState state : used)
        point.values.push_back(s.states ? static_cast<double>((*s.states)[state]) : 0);
      states.points.push_back(std::move(point));
    }
    const HostSpec* spec = spec_of(host.host);
    if (spec != nullptr && spec->options.most_sockets < HostOptions{}.most_sockets) {
      open.limit = static_cast<double>(spec->options.most_sockets);
      open.limit_name =
          fmt::format("limit: {}", grouped(std::uint64_t{spec->options.most_sockets}));
    }
    // Records are among the states, where those are drawn.
    if (!used.empty()) charts_.stacks.push_back(std::move(states));
    if (used.empty() && !told) charts_.series.push_back(std::move(records));
    charts_.series.push_back(std::move(open));
  }

  const PlayResult& result_;
  const Scenario& scenario_;
  const LogTrace& trace_;
  Instant zero_;
  std::set<std::uint16_t> told_;
  ReportCharts charts_;
};

}  // namespace

ReportCharts page_charts(const PageOf& page, const LogTrace& trace, Instant zero) {
  return Charts(page, trace, zero).all();
}

}  // namespace lastack::lab
