// What the demo prints: no escape codes without colour, no line wider than a terminal, bars that tell a
// little from nothing and nearly all from all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "lab/demo_screen.h"

namespace lastack {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(DemoBar, TellsALittleFromNothingAndNearlyAllFromAll) {
  EXPECT_EQ(bar(0, 800, 10), "[..........]");
  EXPECT_EQ(bar(1, 800, 10), "[#.........]");
  EXPECT_EQ(bar(400, 800, 10), "[#####.....]");
  EXPECT_EQ(bar(799, 800, 10), "[#########.]");
  EXPECT_EQ(bar(800, 800, 10), "[##########]");
}

TEST(DemoBar, WrongNumbersStayInside) {
  EXPECT_EQ(bar(900, 800, 4), "[####]");
  EXPECT_EQ(bar(5, 0, 4), "[....]");
}

TEST(DemoScreen, Durations) {
  EXPECT_EQ(short_duration(0ns), "-");
  EXPECT_EQ(short_duration(21'400ns), "21 us");
  EXPECT_EQ(short_duration(999'400ns), "999 us");
  EXPECT_EQ(short_duration(999'600ns), "1.0 ms");
  EXPECT_EQ(short_duration(1'340us), "1.3 ms");
  EXPECT_EQ(short_duration(2500ms), "2.5 s");
}

DemoSlice slice(std::uint64_t ok, std::uint64_t failed) {
  DemoSlice s;
  s.at = 12500ms;
  s.ports = 800;
  s.ports_gone = 800;
  s.load.offered = ok + failed;
  s.load.ok = ok;
  s.load.failed = failed;
  s.load.errors = {{EADDRNOTAVAIL, failed}};
  return s;
}

TEST(DemoScreen, DownIsMoreThanOneInTen) {
  EXPECT_FALSE(slice(160, 0).down());
  EXPECT_FALSE(slice(144, 16).down());
  EXPECT_TRUE(slice(143, 17).down());
  EXPECT_TRUE(slice(0, 160).down());
  EXPECT_FALSE(slice(0, 0).down());
}

TEST(DemoScreen, LinesFitATerminalAndSayDownOrUp) {
  const Ink plain;
  const std::string down = demo_table_line(slice(0, 160), plain);
  EXPECT_THAT(down, HasSubstr("DOWN"));
  EXPECT_THAT(down, HasSubstr("800/800"));
  EXPECT_LE(down.size(), 80u);
  const std::string up = demo_table_line(slice(160, 0), plain);
  EXPECT_THAT(up, HasSubstr("up"));
  EXPECT_THAT(up, Not(HasSubstr("\x1b")));
  EXPECT_LE(demo_table_head(plain, false).size(), 80u);
}

TEST(DemoScreen, ColourMarksTheDifference) {
  const Ink ink{.color = true};
  EXPECT_THAT(demo_table_line(slice(0, 160), ink), HasSubstr("\x1b[31m"));
  EXPECT_THAT(demo_table_line(slice(160, 0), ink), HasSubstr("\x1b[32m"));
  EXPECT_THAT(demo_table_line(slice(159, 1), ink), Not(HasSubstr("\x1b")));
}

TEST(DemoScreen, SummaryHasALineForEachPart) {
  DemoPart before;
  before.name = "before";
  before.load = slice(240, 260).load;
  before.length = 15500ms;
  before.connections = 240;
  DemoPart after;
  after.name = "after";
  after.load = slice(500, 0).load;
  const auto lines = demo_summary({before, after}, Ink{});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[1], HasSubstr("52.0 %"));
  EXPECT_THAT(lines[2], HasSubstr("0.0 %"));
  // Nothing offered is no division.
  EXPECT_THAT(demo_summary({DemoPart{}}, Ink{})[1], HasSubstr("0.0 %"));
}

TEST(DemoScreen, TheFirstScreenSaysWhatStandsInForTheSixtySeconds) {
  DemoKernel kernel;
  kernel.release = "6.18.44";
  const auto text = [&](const DemoOptions& options) {
    std::string all;
    for (const auto& line : demo_opening(demo_script(options, kernel), kernel, Ink{})) {
      EXPECT_LE(line.size(), 85u) << line;
      all += line + "\n";
    }
    return all;
  };
  const std::string quick = text({});
  EXPECT_THAT(quick, HasSubstr("stand-in"));
  EXPECT_THAT(quick, HasSubstr("tcp_tw_reuse_delay=6000"));
  EXPECT_THAT(quick, HasSubstr("--full"));
  EXPECT_THAT(quick, HasSubstr("Linux 6.18.44"));
  EXPECT_THAT(text({.full = true}), HasSubstr("The real thing"));
  EXPECT_THAT(text({.without_reuse_delay = true}), HasSubstr("not come back by itself"));
}

}  // namespace
}  // namespace lastack
