// Every scenario that comes with the program holds on the endpoint, with its own seed and with others. On a kernel it is
// `lastack lab claims` that runs them all.
#include "lab/scenario/library.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <ostream>
#include <set>

#include "lab/scenario/claims.h"
#include "lab/scenario/run.h"

namespace lastack::lab {

// In the names of the tests.
static void PrintTo(const LibraryScenario& scenario, std::ostream* out) {
  *out << scenario.name;
}

namespace {

class Library : public ::testing::TestWithParam<LibraryScenario> {};

TEST_P(Library, HoldsOnTheEndpoint) {
  const auto file = ScenarioFile::parse(GetParam().text, std::string(GetParam().name));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->name(), GetParam().name);
  // The full-size ones are a matter of minutes in such a build.
  if (GetParam().name.ends_with("-full") && std::getenv("LASTACK_FULL") == nullptr) {
    GTEST_SKIP() << "LASTACK_FULL=1 runs it";
  }
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    RunRequest request;
    request.seed = seed;
    const auto report = run(*file, request);
    ASSERT_TRUE(report) << report.error().message;
    if (!report->why_not.empty()) GTEST_SKIP() << report->why_not;
    for (const VariantRun& v : report->variants) {
      EXPECT_TRUE(v.result || v.skipped)
          << v.variant << ": " << v.why_not << "; replay: lastack lab run " << file->name()
          << " --seed " << seed;
    }
    for (const CheckOutcome& c : report->checks) {
      EXPECT_EQ(c.verdict, Check::Verdict::Holds)
          << c.variant << ": " << c.text << ": " << c.seen << "; replay: lastack lab run "
          << file->name() << " --seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Library, ::testing::ValuesIn(library().begin(), library().end()),
                         [](const auto& param) {
                           std::string name(param.param.name);
                           for (char& c : name) {
                             if (c == '-') c = '_';
                           }
                           return name;
                         });

TEST(LibraryOfScenarios, NamesClaimsThatThereAre) {
  std::set<std::string> known;
  for (const ClaimInfo& claim : claims()) known.insert(std::string(claim.row));
  for (const LibraryScenario& one : library()) {
    const auto file = ScenarioFile::parse(one.text, std::string(one.name));
    ASSERT_TRUE(file) << file.error().message;
    for (const std::string& claim : file->claims())
      EXPECT_TRUE(known.contains(claim)) << one.name << ": " << claim;
  }
}

// docs/claims.md has a row for each claim, and in it every scenario that settles it.
TEST(LibraryOfScenarios, AreInTheTableOfClaims) {
  std::ifstream file(LASTACK_SOURCE_DIR "/docs/claims.md");
  std::map<std::string, std::string> rows;
  for (std::string line; std::getline(file, line);) {
    const std::size_t end = line.find(" |", 2);
    if (line.starts_with("| ") && end != std::string::npos) rows[line.substr(2, end - 2)] = line;
  }
  for (const ClaimInfo& claim : claims())
    EXPECT_TRUE(rows.contains(std::string(claim.row))) << claim.row;
  for (const LibraryScenario& one : library()) {
    const auto read = ScenarioFile::parse(one.text, std::string(one.name));
    for (const std::string& claim : read->claims()) {
      EXPECT_NE(rows[claim].find('`' + std::string(one.name) + '`'), std::string::npos)
          << claim << ": " << one.name;
    }
  }
}

}  // namespace
}  // namespace lastack::lab
