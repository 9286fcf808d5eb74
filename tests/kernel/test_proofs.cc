// Findings of the doctor made to happen on the running kernel, and to go with what it recommends. LASTACK_LONG_TESTS=1 plays
// all of scenarios/prove, but for what takes a minute.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "lab/proof/proof.h"

namespace lastack::lab {
namespace {

void expect_proved(std::string_view finding) {
  const LibraryScenario* scenario = nullptr;
  for (const LibraryScenario& one : proofs()) {
    if (one.name == finding) scenario = &one;
  }
  ASSERT_NE(scenario, nullptr);
  const auto file = ScenarioFile::parse(scenario->text, std::string(finding));
  ASSERT_TRUE(file) << file.error().message;
  const auto proof = prove(*file, {});
  ASSERT_TRUE(proof) << proof.error().message;
  if (!proof->why_not.empty()) GTEST_SKIP() << proof->why_not;
  EXPECT_TRUE(proof->holds()) << proof_text(*proof, {});
  EXPECT_GT(proof->rows.size(), 1U);
  EXPECT_FALSE(proof->checks.empty());
}

TEST(Proofs, PortsExhausted) {
  expect_proved("ports-exhausted-time-wait");
}
TEST(Proofs, ALeakMeetsTheProcesssOwnLimit) {
  expect_proved("close-wait-leak");
}
TEST(Proofs, TheTableIsFull) {
  expect_proved("time-wait-overflow");
}

class AllProofs : public testing::TestWithParam<std::size_t> {};

TEST_P(AllProofs, hold) {
  if (std::getenv("LASTACK_LONG_TESTS") == nullptr)
    GTEST_SKIP() << "all of them take minutes: LASTACK_LONG_TESTS=1";
  expect_proved(proofs()[GetParam()].name);
}
INSTANTIATE_TEST_SUITE_P(OfTheKernel, AllProofs, testing::Range<std::size_t>(0, proofs().size()),
                         [](const auto& which) {
                           std::string name;
                           for (const char c : proofs()[which.param].name)
                             name += c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace lastack::lab
