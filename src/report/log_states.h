// How many connections are in each state at each host, over time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lastack/tcp_state.h"
#include "report/log_html.h"
#include "report/log_trace.h"

namespace lastack {

struct StatesOverTime {
  struct Point {
    std::int64_t at = 0;
    StateCounts counts;  // those that are closed or listen are not counted
  };
  std::uint16_t host = 0;
  std::vector<Point> points;
};

// By host, those that have connections. Where a host has more changes than `points`, the time is cut into so many parts, and
// of each there is the moment with most open connections, and how it ended.
std::vector<StatesOverTime> states_over_time(const LogTrace& trace, const LogHtmlOptions& options,
                                             std::size_t points = 1500);

}  // namespace lastack
