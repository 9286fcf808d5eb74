// One scenario in both worlds, side by side. The endpoint is held against the kernel as an acceptor: what programs see
// and what conditions say has to be the same, times within bands, the order of segments but for what TCP leaves open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/scenario/run.h"
#include "report/log_diff.h"

namespace lastack::lab {

enum class Likeness : std::uint8_t {
  Match,      // the same events in the same order, times within the bands
  Permitted,  // programs see the same; segments differ in number or order as TCP lets them
  Documented,  // the kernel does what the endpoint is known not to do: the scenario says so (`differs`)
  Bug,         // programs or conditions see something else
};
std::string_view to_string(Likeness likeness);

struct VariantComparison {
  std::string variant;
  std::uint64_t seed = 0;
  Likeness likeness = Likeness::Match;
  std::string reason;  // what differs first; empty: nothing
  // Every host has sent the same segments, numbers and flags (but PSH); if they do not match, their times or the order of
  // calls and arrivals differ.
  bool same_segments = false;
  std::string detail;  // the logs side by side there
  Duration late{};     // of the kernel's run (PlayResult::late)
};
struct Comparison {
  std::string why_not;  // nothing was compared, and why
  std::vector<VariantComparison> variants;
  bool agrees() const;
};

struct CompareRequest {
  std::vector<std::uint64_t> seeds{1};
  std::vector<Override> overrides;
  std::vector<std::string> variants;
  bool full = false;
  std::string tool_version;
  std::string folder;  // where logs are written, and left
  std::function<void(double share)> progress;
  // Each as soon as it is known, seed by seed.
  std::function<void(const VariantComparison&)> compared;
};

// A condition of this variant that holds in neither world, and what was measured in each. Empty: there is none.
std::string fails_in_both(const RunReport& endpoint, const RunReport& kernel,
                          const std::string& variant);

// In which states hosts of this scenario have not as many connections at the end in one world as in the other: "client
// ends with 0 in FIN_WAIT_1 on the endpoint, 8 on the kernel". Empty: the same.
std::string end_states_apart(const Scenario& scenario, const Measures& endpoint,
                             const Measures& kernel);

Result<Comparison> compare(const ScenarioFile& file, const CompareRequest& request);
std::string comparison_text(const ScenarioFile& file, const Comparison& comparison);
std::string comparison_text(const ScenarioFile& file, const VariantComparison& one);

}  // namespace lastack::lab
