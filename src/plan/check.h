// The closed form against the endpoint: the load as asked, and each way out driven until it is full.
//
// A pool of ports behaves like a smaller one at a rate smaller by as much: holding times do not depend on it. So the
// endpoint is asked at a fraction, unless the full size is wanted, and what is counted is told at full size. Both
// columns are worked out for themselves: nothing of what was measured goes into what is predicted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"

namespace lastack {

// As large as a deviation may be, as a share of what is predicted; below kOneIsNothing of the trial's own size one more
// or less is no deviation.
inline constexpr double kAgreement = 0.02;

struct Comparison {
  std::string subject;  // "as asked", or the id of a way out
  std::string what;     // "opened_per_second", ...
  double predicted = 0;
  double measured = 0;
  double deviation = 0;  // (measured - predicted) / predicted; 0 where both are none
  bool agrees = false;
};

// Of the load as asked, what has no mean to compare with.
struct NotCompared {
  std::string what;  // as above
  std::string why;
};

struct CheckReport {
  std::vector<Comparison> comparisons;
  std::vector<NotCompared> not_compared;
  double fraction = 1;  // of the full size, for the load as asked
  std::uint64_t connections = 0;
  double virtual_s = 0;
  bool agrees() const;
};

struct CheckOptions {
  bool full_size = false;
  std::uint64_t seed = 1;
  // Called before each trial.
  std::function<void(std::size_t number, std::size_t of, std::string_view subject)> progress;
};

CheckReport check(const Plan& plan, const CheckOptions& options = {});

// Connection attempts that check() will make, roughly: what it costs.
double check_size(const Plan& plan, const CheckOptions& options = {});

}  // namespace lastack
