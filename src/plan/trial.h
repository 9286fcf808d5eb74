// A load on two endpoint hosts in virtual time, measured: what the closed form is held against.
#pragma once

#include <cstdint>
#include <optional>

#include "plan/load.h"

namespace lastack {

inline constexpr double kMostPairs = 4096;

struct TrialOptions {
  double rate = 0;      // connections a second that are offered, evenly
  Duration warm{};      // from the first connect() to the beginning of what is measured
  Duration measured{};  // more than 0
  std::uint64_t seed = 1;
  bool limit_descriptors = false;  // to Load::descriptors; else there are enough
};

// Rates are means over what was measured, and so is what there is at a time.
struct Measured {
  double opened_per_second = 0;
  double failed_per_second = 0;  // no local port was left
  double without_descriptor_per_second = 0;
  double overflow_per_second = 0;  // skipped TIME_WAIT (TCPTimeWaitOverflow)
  double second_parity_share = 0;  // of the opened: connect() had walked past the first parity
  double open = 0;                 // at the connecting host, closing ones too
  double time_waits_here = 0;
  double time_waits_there = 0;
  std::optional<double> first_failure_s;  // from the first connect(), whenever
  std::uint64_t connections = 0;          // attempts in all
};

// Ports are chosen by Linux's walk. Load::rate is not looked at; conntrack there is none. The number of pairs is at
// most kMostPairs.
Measured measure(const Load& load, const TrialOptions& options);

}  // namespace lastack
