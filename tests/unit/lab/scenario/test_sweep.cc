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

TEST(Sweep, OnlyWholeLinesCount) {
  EXPECT_EQ(sweep_number(R"({"point":4,"seed":1})"), 4u);
  EXPECT_FALSE(sweep_number(R"({"point":4,"se)"));
  EXPECT_FALSE(sweep_number(R"({"point":-4})"));
  EXPECT_FALSE(sweep_number("[]"));
  EXPECT_FALSE(sweep_number(""));
}

}  // namespace
}  // namespace lastack::lab
