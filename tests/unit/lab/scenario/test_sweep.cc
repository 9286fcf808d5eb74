#include "lab/scenario/sweep.h"

#include <gtest/gtest.h>

#include <set>

namespace lastack::lab {
namespace {

TEST(Sweep, AGridOfValuesAndSeeds) {
  const auto points = sweep_points({{"a.b", {"1", "2"}}, {"c", {"x", "y", "z"}}}, {7, 8});
  ASSERT_EQ(points.size(), 12u);
  std::set<std::string> all;
  for (std::size_t i = 0; i < points.size(); ++i) {
    EXPECT_EQ(points[i].number, i);
    ASSERT_EQ(points[i].overrides.size(), 2u);
    all.insert(points[i].overrides[0].value + points[i].overrides[1].value +
               std::to_string(points[i].seed));
  }
  EXPECT_EQ(all.size(), 12u);
  EXPECT_EQ(points[1].seed, 8u);
  EXPECT_EQ(sweep_points({}, {1, 2, 3}).size(), 3u);
}

// A run that was broken off goes on where the same points are asked for, and only there.
TEST(Sweep, ALineIsOfItsPoint) {
  const auto file = *ScenarioFile::parse(
      "scenario = \"x\"\n[host.a]\n[host.b]\n[[clients]]\nhost = \"a\"\nto = \"b:80\"\ncount = 1\n",
      "x.toml");
  const auto points = sweep_points({{"wire.loss", {"0", "0.1"}}}, {1, 2});
  RunReport report;
  const std::string line = sweep_line(file, points[1], report);
  EXPECT_EQ(sweep_identity(line), sweep_identity(file, Where::Endpoint, points[1]));
  EXPECT_NE(sweep_identity(line), sweep_identity(file, Where::Endpoint, points[0]));
  EXPECT_NE(sweep_identity(line), sweep_identity(file, Where::Kernel, points[1]));
  EXPECT_NE(sweep_identity(line), sweep_identity(file, Where::Endpoint, points[3]));
  // Its number in another grid is of no account.
  SweepPoint moved = points[1];
  moved.number = 40;
  EXPECT_EQ(sweep_identity(line), sweep_identity(file, Where::Endpoint, moved));
  for (std::size_t n = 0; n < line.size(); ++n)
    EXPECT_FALSE(sweep_identity(line.substr(0, n))) << n;
  EXPECT_FALSE(sweep_identity(std::string("[]")));
}

}  // namespace
}  // namespace lastack::lab
