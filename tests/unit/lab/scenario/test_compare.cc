// Comparison of worlds: what is told without playing either. tests/kernel/test_scenarios.cc plays both.
#include <gtest/gtest.h>

#include "lab/scenario/compare.h"

namespace lastack::lab {
namespace {

TEST(Compare, TellsInWhichStatesTheWorldsEnd) {
  Scenario scenario;
  for (const char* name : {"client", "server"}) {
    HostSpec host;
    host.name = name;
    scenario.hosts.push_back(host);
  }
  const Measures endpoint{{"client.states.FIN_WAIT_1", 0.0},
                          {"client.states.TIME_WAIT", 3.0},
                          {"server.states.LAST_ACK", 2.0}};
  Measures kernel = endpoint;
  EXPECT_EQ(end_states_apart(scenario, endpoint, kernel), "");
  kernel["client.states.FIN_WAIT_1"] = 8.0;
  kernel["server.states.LAST_ACK"] = 0.0;
  EXPECT_EQ(end_states_apart(scenario, endpoint, kernel),
            "client ends with 0 in FIN_WAIT_1 on the endpoint, 8 on the kernel; "
            "server ends with 2 in LAST_ACK on the endpoint, 0 on the kernel");
  kernel.erase("server.states.LAST_ACK");  // a world that was not asked
  EXPECT_EQ(end_states_apart(scenario, endpoint, kernel),
            "client ends with 0 in FIN_WAIT_1 on the endpoint, 8 on the kernel");
}

// What was measured is told of both worlds, since it need not be the same.
TEST(Compare, TellsWhatHoldsInNeitherWorld) {
  const auto with = [](Check::Verdict verdict, const std::string& seen) {
    RunReport report;
    report.variants.emplace_back();
    report.variants.back().variant = "v";
    CheckOutcome good, one;
    good.variant = one.variant = "v";
    good.text = "a.took > 1";
    good.verdict = Check::Verdict::Holds;
    one.text = "a.took < 1";
    one.verdict = verdict;
    one.seen = seen;
    report.checks = {good, one};
    return report;
  };
  constexpr auto kFails = Check::Verdict::Fails;
  EXPECT_EQ(
      fails_in_both(with(kFails, "a.took = 2 s"), with(kFails, "a.took = 3 s"), "v"),
      "in both worlds this does not hold: a.took < 1 (a.took = 2 s on the endpoint, a.took = 3 "
      "s on the kernel)");
  EXPECT_EQ(fails_in_both(with(kFails, "a.took = 2 s"), with(kFails, "a.took = 2 s"), "v"),
            "in both worlds this does not hold: a.took < 1 (a.took = 2 s)");
  EXPECT_EQ(fails_in_both(with(kFails, ""), with(Check::Verdict::Holds, ""), "v"), "");
  EXPECT_EQ(fails_in_both(with(kFails, ""), with(kFails, ""), "w"), "");
}

}  // namespace
}  // namespace lastack::lab
