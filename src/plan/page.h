// A plan for people (one screen, the sentence first) and for programs (JSON).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lastack/report.h"
#include "plan/check.h"
#include "plan/from_host.h"
#include "plan/plan.h"

namespace lastack {

// Where the load comes from, if it is a host's.
struct PlanOrigin {
  std::string hostname;
  std::string kernel;
  double sampled_s = 0;               // between two looks; 0: one look
  std::vector<SeenLoad> seen;         // those first that use most of what they can
  std::optional<std::size_t> chosen;  // of `seen`
};

struct PlanPage {
  const Plan& plan;
  const PlanOrigin* origin = nullptr;
  const CheckReport* check = nullptr;
};

enum class Fit : std::uint8_t { Fits, AtAPrice, Breaks };
// AtAPrice: nothing fails, but connect() is dear, or connections skip TIME_WAIT.
Fit fit_of(const Plan& plan);

std::string to_text(const PlanPage& page, const TextStyle& style = {});
std::string to_json(const PlanPage& page);

}  // namespace lastack
