// The lifecycle log as text: what is not known is passed over, what is wrong is told with its line.
#include "report/lifecycle_log.h"
#include "watched.h"

#include <gtest/gtest.h>

#include <random>

namespace lastack::test {
namespace {

constexpr std::string_view kHeader =
    R"({"format":"lastack-lifecycle","version":1,"lastack":"0.1.0","world":"endpoint","vantage":"a",)"
    R"("clock":"monotonic, ns","seed":"18446744073709551615","settings":{},"coverage":{"segment":"complete"}})";
constexpr std::string_view kSegment =
    R"({"t":5,"host":"a","local":"[fd00::1]:80","remote":"[fd00::2]:40000","inc":2,"ev":"segment:received",)"
    R"("id":9,"flags":"SA","seq":4294967295,"ack":1,"len":0,"win":65535,"ts":[1,2],"sack":[[3,4]],"seen":"observed"})";

std::string error_of(std::string_view first, std::string_view second = "") {
  LifecycleReader reader;
  const auto a = reader.read(first);
  if (!a) return a.error().message;
  const auto b = reader.read(second);
  return b ? "" : b.error().message;
}

TEST(LifecycleLogText, IsReadAndWritten) {
  LifecycleReader reader;
  ASSERT_TRUE(reader.read(kHeader));
  EXPECT_EQ(reader.header()->seed, UINT64_MAX) << "beyond 2^53: a string";
  const auto event = reader.read(kSegment);
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->segment->flags, 18);
  EXPECT_EQ((*event)->segment->sack[0].right, 4u);
  EXPECT_EQ((*event)->tuple->remote.port, 40000);
  std::string again;
  append_line(again, *reader.header());
  append_line(again, **event);
  EXPECT_EQ(again, std::string(kHeader) + "\n" + std::string(kSegment) + "\n");
}

TEST(LifecycleLogText, WhatIsNotKnownIsPassedOver) {
  LifecycleReader reader;
  ASSERT_TRUE(reader.read(kHeader));
  const auto unknown = reader.read(R"({"t":1,"host":"a","ev":"port:exhausted","seen":"observed"})");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);
  std::string more(kSegment);
  more.insert(1, R"("new":{"deep":[[[]]]},)");
  const auto known = reader.read(more);
  ASSERT_TRUE(known && *known);
  EXPECT_EQ((*known)->segment_id, 9u);
}

TEST(LifecycleLogText, WhatIsWrongIsToldWithItsLine) {
  EXPECT_EQ(error_of("nonsense"), "line 1: not a JSON object");
  EXPECT_EQ(error_of(""), "line 1: not a JSON object");
  EXPECT_EQ(error_of("{}"),
            "line 1: not a lifecycle log: the first line has \"format\":\"lastack-lifecycle\"");
  EXPECT_EQ(error_of(R"({"format":"lastack-lifecycle","version":2})"),
            "line 1: of a version that this program does not read (it reads 1)");
  EXPECT_EQ(error_of(kHeader, "{"), "line 2: not a JSON object");
  EXPECT_EQ(error_of(kHeader, R"({"host":"a","ev":"app:close"})"),
            "line 2: an event has \"t\", nanoseconds");
  EXPECT_EQ(error_of(kHeader, R"({"t":1,"host":"a","ev":"app:close","local":"x","remote":"y"})"),
            "line 2: local and remote: ADDRESS:PORT");
  EXPECT_EQ(
      error_of(kHeader, R"({"t":1,"host":"a","ev":"state:changed","from":"CLOSED","to":"X"})"),
      "line 2: from and to: states as RFC 9293 spells them");
  EXPECT_EQ(error_of(kHeader, R"({"t":1,"host":"a","ev":"segment:sent","flags":"S","seq":-1})"),
            "line 2: a segment has seq, ack, len (32 bits) and win (16)");
}

// A line as the writer has it is read in a shorter way. With a blank before it, it is not: the same comes out, whatever it
// holds.
TEST(LifecycleLogText, TheShorterWayReadsTheSame) {
  const std::string lines[] = {
      std::string(kSegment),
      R"x({"t":7,"host":"a","local":"10.0.0.1:1","remote":"*:0","inc":1,"ev":"state:changed","from":"CLOSED","to":"LISTEN","why":"listen()","rule":"RFC9293:3.10.1","seen":"observed"})x",
      R"({"t":7,"host":"a","ev":"timer:fired","timer":"2 MSL","why":"x","seen":"inferred"})",
      R"({"t":0,"host":"wire","local":"10.0.0.1:1","remote":"10.0.0.2:2","ev":"segment:dropped","id":0,"flags":"","seq":0,"ack":0,"len":0,"win":0,"ts":[0,1],"sack":[[1,2],[3,4],[5,6],[7,8]],"why":"loss","seen":"observed"})",
  };
  std::mt19937_64 random(3);
  const auto said = [](const std::string& line) -> std::string {
    LifecycleReader reader;
    (void)reader.read(kHeader);
    const auto event = reader.read(line);
    if (!event) return event.error().message;
    std::string again;
    if (*event) append_line(again, **event);
    return again;
  };
  int events = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string line = lines[random() % std::size(lines)];
    for (auto n = random() % 3; n > 0; --n) {
      const std::size_t at = random() % line.size();
      switch (random() % 4) {
        case 0:
          line[at] = static_cast<char>(random());
          break;
        case 1:
          line[at] = "0123456789\"\\,[]{}-+.e:"[random() % 22];
          break;
        case 2:
          line.erase(at, 1 + random() % 3);
          break;
        default:
          line.insert(at, line.substr(random() % line.size(), random() % 12));
      }
      if (line.empty()) line = "{";
    }
    const std::string one = said(line), other = said(" " + line);
    ASSERT_EQ(one, other) << line;
    events += one.starts_with("{");
  }
  EXPECT_GT(events, 1000);
}

// Whatever a line holds, it is an event, nothing, or an error.
TEST(LifecycleLogText, AnyBytes) {
  std::mt19937_64 random(1);
  for (std::uint64_t round = 0; round < rounds(20'000); ++round) {
    std::string line(round % 2 == 0 ? kSegment : kHeader);
    for (auto n = random() % 4 + 1; n > 0; --n) {
      const std::size_t at = random() % line.size();
      switch (random() % 3) {
        case 0:
          line[at] = static_cast<char>(random());
          break;
        case 1:
          line.erase(at, random() % 5);
          break;
        default:
          line.insert(at, line.substr(random() % line.size(), random() % 20));
      }
      if (line.empty()) line = "{";
    }
    LifecycleReader reader;
    if (round % 2 == 0) (void)reader.read(kHeader);
    const auto event = reader.read(line);
    if (event && *event) {
      std::string again;
      append_line(again, **event);
      const auto same = reader.read(std::string_view(again).substr(0, again.size() - 1));
      ASSERT_TRUE(same && *same) << line << '\n' << again;
    }
  }
}

}  // namespace
}  // namespace lastack::test
