// Two hosts on a hostile wire: the swarm (tests/swarm), with every decision taken from the input.
#include <cstdint>
#include <span>

#include "byte_source.h"
#include "swarm/swarm.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lastack::test;
  Choices choices(std::span<const std::uint8_t>(data, size));
  SwarmPlan plan = SwarmPlan::any(choices);
  // Short stories, many of them.
  plan.steps = 80;
  plan.most_open = std::min(plan.most_open, 4U);
  plan.longest = std::min(plan.longest, 6000U);
  SwarmStats stats;
  lastack::fuzz::must_be_well(run_swarm(plan, choices, stats));
  return 0;
}
