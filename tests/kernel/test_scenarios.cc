// Scenarios with kernel hosts: the same conditions hold, and nothing is left.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lab/scenario/compare.h"
#include "lab/scenario/library.h"
#include "lab/scenario/run.h"

namespace lastack::lab {
namespace {

ScenarioFile of_library(std::string_view name) {
  const LibraryScenario* known = find_in_library(name);
  return *ScenarioFile::parse(known->text, std::string(name));
}

void expect_holds(std::string_view name, Where where) {
  const ScenarioFile file = of_library(name);
  RunRequest request;
  request.where = where;
  const auto report = run(file, request);
  ASSERT_TRUE(report) << report.error().message;
  if (!report->why_not.empty()) GTEST_SKIP() << report->why_not;
  for (const CheckOutcome& c : report->checks) {
    EXPECT_EQ(c.verdict, Check::Verdict::Holds) << c.variant << ": " << c.text << ": " << c.seen;
  }
  EXPECT_FALSE(report->checks.empty());
}

std::size_t namespaces() {
  std::ifstream mounts("/proc/self/mounts");
  std::size_t n = 0;
  for (std::string line; std::getline(mounts, line);)
    n += line.find("nsfs") != std::string::npos ? 1 : 0;
  return n;
}

TEST(ScenariosOnAKernel, ALostLastAckIsRepaired) {
  const std::size_t before = namespaces();
  expect_holds("lost-last-ack", Where::Kernel);
  EXPECT_EQ(namespaces(), before);
}
TEST(ScenariosOnAKernel, AKernelFacingAnEndpoint) {
  expect_holds("lost-last-ack", Where::Mixed);
}
TEST(ScenariosOnAKernel, DescriptorsRunOut) {
  expect_holds("close-wait-leak", Where::Kernel);
}

TEST(ScenariosOnAKernel, NginxAndCurl) {
  expect_holds("http-nginx-curl", Where::Kernel);
}
TEST(ScenariosOnAKernel, EndpointsFacingNginx) {
  expect_holds("nginx-idle-limit", Where::Mixed);
}

TEST(ScenariosOnAKernel, BothWorldsSayTheSame) {
  std::string folder = (std::filesystem::temp_directory_path() / "lastack-test-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const ScenarioFile file = of_library("orderly-close");
  CompareRequest request;
  request.folder = folder;
  const auto comparison = compare(file, request);
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(comparison) << comparison.error().message;
  if (!comparison->why_not.empty()) GTEST_SKIP() << comparison->why_not;
  EXPECT_TRUE(comparison->agrees()) << comparison_text(file, *comparison);
  EXPECT_FALSE(comparison->variants.empty());
}

// A log that cannot be written is an error, and not half a run that looks like a whole one.
TEST(ScenariosOnAKernel, AFullDisk) {
  const ScenarioFile file = of_library("lost-last-ack");
  for (const Where where : {Where::Endpoint, Where::Kernel}) {
    RunRequest request;
    request.where = where;
    request.log = "/dev/full";
    const auto report = run(file, request);
    ASSERT_TRUE(report) << report.error().message;
    if (!report->why_not.empty()) continue;
    for (const VariantRun& v : report->variants) {
      if (v.skipped || report->variants.size() > 1) continue;
      EXPECT_FALSE(v.result);
      EXPECT_NE(v.why_not.find("No space left"), std::string::npos) << v.why_not;
    }
  }
}

}  // namespace
}  // namespace lastack::lab
