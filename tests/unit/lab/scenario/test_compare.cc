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

}  // namespace
}  // namespace lastack::lab
