#include "lab/scenario/marks.h"

#include <gtest/gtest.h>

#include "lab/scenario/measure_words.h"
#include "lab/scenario/play.h"
#include "lab/scenario/scenario_file.h"

namespace lastack::lab {
namespace {

Instant at(int ms) {
  return Instant(std::chrono::milliseconds(ms));
}

TEST(Marks, WhatLiesCloseTogetherIsOne) {
  Marks marks(10ms);
  for (const int ms : {0, 5, 15, 40}) marks.put("a", at(ms));
  marks.put("b", at(41));
  ASSERT_EQ(marks.all().size(), 3u);
  EXPECT_EQ(marks.all()[0].to, at(15));
  EXPECT_EQ(marks.all()[0].count, 3u);
  EXPECT_EQ(marks.all()[1].from, at(40));
  EXPECT_EQ(marks.all()[2].label, "b");
}

TEST(Marks, AreBounded) {
  Marks marks(1ms);
  for (int i = 0; i < 5000; ++i) marks.put("a", at(10 * i));
  EXPECT_EQ(marks.all().size(), 400u);
  EXPECT_EQ(marks.all().back().to, at(49'990));
  EXPECT_EQ(marks.all().back().count, 5000u - 399u);
}

// Two clients behind a NAT of one port, a fault, and a crash.
constexpr const char* kTroubles = R"(scenario = "x"
duration = "3 s"
[host.one]
behind = "box"
settings = { tcp_syn_retries = 1 }
[host.two]
behind = "box"
[host.server]
[nat.box]
address = "10.9.9.9"
first_port = 1024
last_port = 1024
[[fault]]
name = "loss"
do = "drop"
segment = "FIN"
from = "server"
[[server]]
name = "service"
host = "server"
[[clients]]
name = "load"
host = "one"
to = "server:80"
count = 1
patience = "1 s"
[[clients]]
name = "other"
host = "two"
to = "server:80"
count = 1
patience = "1 s"
[script]
steps = [ { do = "wait", time = "2 s" }, { do = "set", host = "server", setting = "tcp_fin_timeout", value = 10 },
          { name = "boom", do = "crash", host = "server" } ]
)";

TEST(Play, TroublesAreInTheLogAndMarked) {
  const auto file = ScenarioFile::parse(kTroubles, "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  const auto scenario = file->scenario("", Where::Endpoint);
  PlayOptions options;
  std::string log;
  options.log = [&](std::string_view line) { log += line; };
  options.for_page = true;
  const auto result = play(*scenario, options);
  ASSERT_TRUE(result) << result.error().message;
  std::map<std::string, std::uint64_t> marks;
  for (const Mark& m : result->marks) marks[m.label] += m.count;
  EXPECT_GE(marks["fault loss"], 1u);
  EXPECT_EQ(marks["box drops: no port left"],
            static_cast<std::uint64_t>(std::get<double>(result->measures.at("box.no_port"))));
  EXPECT_GE(marks["box drops: no port left"], 1u);
  EXPECT_EQ(marks["server crashes"], 1u);
  EXPECT_EQ(marks["server: tcp_fin_timeout = 10"], 1u);
  for (const char* part : {R"("nats":{"box":{"address":"10.9.9.9","inside":["one","two"]}})",
                           R"("why":"box: no port left")", R"("why":"fault loss")",
                           R"("host":"server","ev":"host:crashed")",
                           R"("ev":"host:set","why":"tcp_fin_timeout = 10")"}) {
    EXPECT_NE(log.find(part), std::string::npos) << part;
  }
  // What became of the connects, at the end.
  ASSERT_EQ(result->tallies.size(), 2u);
  EXPECT_EQ(result->tallies[0].program, "load");
  EXPECT_EQ(result->tallies[0].samples.back().second.succeeded, 1u);
  EXPECT_EQ(result->tallies[1].host, "two");
  EXPECT_EQ(result->tallies[1].samples.back().second.failed, 1u);

  EXPECT_EQ(measure_words(*scenario, "load.failed.gave_up"),
            "load: connections given up: no answer in time");
  EXPECT_EQ(measure_words(*scenario, "boom.at"), "step boom (crash): when it was over");
  EXPECT_EQ(better(*scenario, "load.failed.ECONNRESET"), Better::Less);
  EXPECT_EQ(better(*scenario, "service.answered"), Better::More);
  EXPECT_EQ(better(*scenario, "server.states.TIME_WAIT"), Better::Unknown);
}

}  // namespace
}  // namespace lastack::lab
