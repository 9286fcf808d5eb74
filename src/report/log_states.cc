#include "report/log_states.h"

#include <algorithm>
#include <map>

#include "report/log_selection.h"
#include "report/log_words.h"

namespace lastack {

std::vector<StatesOverTime> states_over_time(const LogTrace& trace, const LogHtmlOptions& options,
                                             std::size_t points) {
  LogTextOptions which;
  which.connections = options.connections;
  const LogSelection selection(trace, which);
  // All changes first: how many there are says how they are thinned out.
  std::map<std::uint16_t, std::size_t> changes;
  std::int64_t first = INT64_MAX, last = 0;
  const auto counts = [](TcpState s) { return s != TcpState::Closed && s != TcpState::Listen; };
  for (const TraceEvent& e : trace.events()) {
    if (!selection.takes_connection(e.connection)) continue;
    first = std::min(first, e.at);
    last = std::max(last, e.at);
    if (e.what == Happening::StateChanged && e.connection != kNoConnection && e.host != kWireHost) {
      ++changes[e.host];
    }
  }
  std::vector<StatesOverTime> hosts;
  std::map<std::uint16_t, std::size_t> place;
  for (const std::uint16_t host : trace.drawing_order()) {
    if (!changes.contains(host)) continue;
    place[host] = hosts.size();
    hosts.push_back({host, {{first, {}}}});
  }
  const auto part = static_cast<std::uint64_t>(last > first ? last - first : 0) / points + 1;
  std::vector<StateCounts> now(hosts.size());
  std::vector<StatesOverTime::Point> ended(hosts.size());  // the last change
  const auto open = [](const StateCounts& c) { return c.total() - c[TcpState::TimeWait]; };
  for (const TraceEvent& e : trace.events()) {
    // What a host that has crashed had is gone, without another word.
    if (e.what == Happening::HostCrashed && place.contains(e.host)) {
      const std::size_t at = place[e.host];
      now[at] = {};
      ended[at] = {e.at, now[at]};
      hosts[at].points.push_back(ended[at]);
    }
    if (e.what != Happening::StateChanged || e.connection == kNoConnection || e.host == kWireHost ||
        !selection.takes_connection(e.connection)) {
      continue;
    }
    const std::size_t at = place[e.host];
    if (counts(e.from) && now[at][e.from] > 0) --now[at][e.from];
    if (counts(e.to)) ++now[at][e.to];
    std::vector<StatesOverTime::Point>& list = hosts[at].points;
    const bool thinned = changes[e.host] > points;
    const auto part_of = [&](std::int64_t t) {
      return static_cast<std::uint64_t>(t > first ? t - first : 0) / part;
    };
    const std::int64_t t = std::max(e.at, list.back().at);
    if (list.back().at == t) {
      list.back().counts = now[at];
    } else if (!thinned || part_of(list.back().at) != part_of(t)) {
      // What the part before ended with holds until here.
      if (thinned && list.back().counts != ended[at].counts && ended[at].at > list.back().at) {
        list.push_back(ended[at]);
      }
      list.push_back({t, now[at]});
    } else if (open(now[at]) >= open(list.back().counts)) {
      list.back().counts = now[at];
    }
    ended[at] = {t, now[at]};
  }
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i].points.back().counts != now[i]) hosts[i].points.push_back({ended[i].at, now[i]});
  }
  return hosts;
}

}  // namespace lastack
