// Lines of numbers, one a second: how connections are doing. Pure functions of what was counted.
#pragma once

#include <string>

#include "lastack/host.h"
#include "lastack/time.h"

namespace lastack {

// Beyond so many sockets and records the states are not counted every second.
inline constexpr std::size_t kMostCounted = 200'000;

struct LiveSample {
  Duration at{};
  StateCounts states;
  bool states_known = false;
  std::uint64_t time_waits = 0;
  std::uint64_t opened = 0;  // all of it since the start
  std::uint64_t failed = 0;
  std::uint64_t recycled = 0;  // TWRecycled
  std::uint64_t exhausted = 0;
  std::uint64_t in = 0;  // bytes of packets
  std::uint64_t out = 0;
};
StateCounts count_states(const Host& host, Instant now);

std::string live_head();
// The rates are of the time between the two.
std::string live_line(const LiveSample& before, const LiveSample& now);

// "1.4 GB/s", "12 kB/s".
std::string bytes_per_second(double rate);

}  // namespace lastack
