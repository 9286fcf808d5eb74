// What the demo promises has to follow from its numbers.
#include <gtest/gtest.h>

#include "lab/demo_script.h"

namespace lastack {
namespace {

DemoScript script(bool full, bool has_delay) {
  DemoKernel kernel;
  kernel.has_reuse_delay = has_delay;
  return demo_script({.full = full}, kernel);
}

class EveryDemoScript : public ::testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  DemoScript s = script(GetParam().first, GetParam().second);
};
INSTANTIATE_TEST_SUITE_P(Kernels, EveryDemoScript,
                         ::testing::Values(std::pair{false, true}, std::pair{false, false},
                                           std::pair{true, true}, std::pair{true, false}));

TEST_P(EveryDemoScript, PortsRunOutBeforeTheDiagnosis) {
  EXPECT_LT(s.ports_last() + 2s, s.before_diagnosis);
}

TEST_P(EveryDemoScript, TheDiagnosisMeetsItDown) {
  const Duration at = s.before_diagnosis % s.hold;
  EXPECT_GT(at, s.ports_last());
  EXPECT_LT(at, s.hold);
}

// Each remedy has to be seen for longer than the service had lived without.
TEST_P(EveryDemoScript, RemediesAreShownLongEnough) {
  EXPECT_GE(s.pool_part, 2 * s.ports_last() - s.ports_last() / 2);
  EXPECT_GE(s.kernel_part, 2 * s.ports_last());
}

TEST_P(EveryDemoScript, TheKernelsRemedyCarriesTheLoad) {
  // After a second a port may be had again.
  EXPECT_LT(s.rate * 1.5, s.range.size());
  EXPECT_FALSE(s.kernel_remedy.name.empty());
}

TEST_P(EveryDemoScript, AddressesAreNoLoopback) {
  EXPECT_FALSE(s.client.is_loopback());
  EXPECT_FALSE(s.database.address.is_loopback());
  EXPECT_NE(s.client, s.database.address);
}

TEST(DemoScript, ModeByKernelAndWish) {
  EXPECT_EQ(script(false, true).mode, DemoMode::StandIn);
  EXPECT_EQ(script(false, false).mode, DemoMode::NoReturn);
  EXPECT_EQ(script(true, true).mode, DemoMode::Full);
  EXPECT_EQ(script(true, false).mode, DemoMode::Full);
  EXPECT_EQ(demo_script({.without_reuse_delay = true}, DemoKernel{}).mode, DemoMode::NoReturn);
}

TEST(DemoScript, TheReturnOfPortsIsSeen) {
  for (const bool full : {false, true}) {
    const DemoScript s = script(full, true);
    // TIME_WAIT's own timer may be some seconds late.
    EXPECT_GE(s.before_diagnosis + s.after_diagnosis, s.hold + (full ? 8s : 2s));
  }
  EXPECT_TRUE(script(false, false).kernel_first);
}

TEST(DemoScript, Lengths) {
  EXPECT_LE(script(false, true).length(), 30s);
  EXPECT_LE(script(false, false).length(), 30s);
  EXPECT_LE(script(true, true).length(), 120s);
}

}  // namespace
}  // namespace lastack
