// One scenario over a grid of values and seeds. Each point is one line of JSON, in the order of the grid, so that what
// several machines have made can be put together with cat and sort, and a run that was broken off goes on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/scenario/run.h"

namespace lastack::lab {

// A key, and the values that it takes.
struct Axis {
  std::string key;
  std::vector<std::string> values;
};

struct SweepPoint {
  std::uint64_t number = 0;  // in the grid, from 0
  std::vector<Override> overrides;
  std::uint64_t seed = 1;
};

// Seeds change fastest, then the last axis.
std::vector<SweepPoint> sweep_points(const std::vector<Axis>& axes,
                                     const std::vector<std::uint64_t>& seeds);

// The line, without its end: the point, whether conditions hold, and what was measured in each variant.
std::string sweep_line(const ScenarioFile& file, const SweepPoint& point, const RunReport& report);
// What makes a point the same in another run: scenario, world, seed and values. Of a line nothing, if it is none, or is
// cut.
std::string sweep_identity(const ScenarioFile& file, Where where, const SweepPoint& point);
std::optional<std::string> sweep_identity(const std::string& line);

}  // namespace lastack::lab
