// Time as both worlds use it: integer nanoseconds, given as arguments, never read from a clock
// here.
#pragma once

#include <chrono>

namespace lastack {

using Duration = std::chrono::nanoseconds;

// A point in time of whichever clock the caller keeps: CLOCK_MONOTONIC for a live host, virtual
// time for an endpoint. Only differences between instants of the same clock mean anything.
struct AnyClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<AnyClock, Duration>;
  static constexpr bool is_steady = true;
};
using Instant = AnyClock::time_point;

using namespace std::chrono_literals;  // NOLINT: 60s reads better than Duration(60'000'000'000)

// `from` and so much later (or earlier, where it is negative), but not beyond the ends of time: Duration::max() is for
// ever.
constexpr Instant later(Instant from, Duration by) {
  if (by >= Duration::zero()) return from > Instant::max() - by ? Instant::max() : from + by;
  return from < Instant::min() - by ? Instant::min() : from + by;
}

// Seconds as a floating point number, for rates and for printing only.
constexpr double seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace lastack
