// Two logs beside one another: the same run, other seeds, another profile, one segment less.
#include "report/log_diff.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "unit/report/real_logs.h"

namespace lastack::test {
namespace {

LogTrace traced(const std::string& log) {
  auto trace = trace_of(log);
  EXPECT_TRUE(trace) << (trace ? "" : trace.error().message);
  return trace ? std::move(*trace) : LogTrace{};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}
std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(LogDiff, TheSameRunIsTheSameStory) {
  for (const std::string& log :
       {plain_log(), last_ack_reuse_log(), three_hosts_log(), foul_log(4, 20)}) {
    LogDiffOptions exact;
    exact.absolute = 0;
    exact.share = 0;
    const LogDiff result = diff(traced(log), traced(log), exact);
    EXPECT_TRUE(result.equal) << diff_text(result, "a", "b");
    EXPECT_FALSE(result.first);
    EXPECT_GT(result.events, 20u);
    EXPECT_TRUE(result.headers.empty());
    EXPECT_NE(diff_text(result, "a", "b").find("the same story"), std::string::npos);
  }
}

// Another seed has other sequence numbers and other ephemeral ports: on a wire without faults it is the same story, and
// it is said that the seed is another.
TEST(LogDiff, NumbersAndPortsMayDiffer) {
  const LogDiff result = diff(traced(three_hosts_log(1)), traced(three_hosts_log(2)));
  EXPECT_TRUE(result.equal) << diff_text(result, "a", "b");
  EXPECT_EQ(result.headers, std::vector<std::string>{"seed: 1, 2"});
}

TEST(LogDiff, AnotherSeedOnAFoulWireIsAnotherStory) {
  const LogTrace a = traced(foul_log(4, 20)), b = traced(foul_log(5, 20));
  const LogDiff result = diff(a, b);
  EXPECT_FALSE(result.equal);
  ASSERT_TRUE(result.first);
  EXPECT_GT(result.connections_differ, 1u);
  // Nothing before it differs: the logs up to there tell one story.
  const auto cut = [](std::uint64_t seed, std::uint32_t line) {
    auto lines = lines_of(foul_log(seed, 20));
    lines.resize(line - 1);
    return joined(lines);
  };
  if (result.first->line_a && result.first->line_b) {
    LogDiffOptions options;
    const LogDiff before =
        diff(traced(cut(4, *result.first->line_a)), traced(cut(5, *result.first->line_b)), options);
    if (before.first) {
      EXPECT_TRUE(before.first->kind == LogDivergence::MoreInA ||
                  before.first->kind == LogDivergence::MoreInB ||
                  before.first->kind == LogDivergence::OnlyInA ||
                  before.first->kind == LogDivergence::OnlyInB)
          << diff_text(before, "a", "b");
    }
  }
}

TEST(LogDiff, AnotherProfileIsSaid) {
  const LogDiff result = diff(traced(plain_log()), traced(plain_log(1, "client", "rfc9293")));
  EXPECT_EQ(result.headers.at(0), "profile: linux, rfc9293");
  // MSL is two minutes there: TIME_WAIT is not over when the log ends.
  EXPECT_FALSE(result.equal);
}

TEST(LogDiff, OneLineLess) {
  const std::string log = plain_log();
  const auto lines = lines_of(log);
  const LogTrace whole = traced(log);
  std::size_t told = 0, compared = 0;
  for (std::size_t gone = 1; gone < lines.size(); ++gone) {
    auto fewer = lines;
    fewer.erase(fewer.begin() + static_cast<long>(gone));
    const LogDiff result = diff(whole, traced(joined(fewer)));
    const bool timer = lines[gone].find("timer:") != std::string::npos;
    EXPECT_EQ(result.equal, timer) << lines[gone] << '\n' << diff_text(result, "a", "b");
    compared += !timer;
    // It is found there, unless the first event of a connection is gone, from which times count.
    told += result.first && result.first->line_a == gone + 1;
  }
  EXPECT_GE(told + 3, compared);
}

TEST(LogDiff, TimesWithinTheTolerance) {
  const std::string log = plain_log();
  std::string later;
  for (std::string line : lines_of(log)) {
    // Everything from the second write on, 2 ms later.
    if (line.starts_with("{\"t\":1080") || line.starts_with("{\"t\":1085") ||
        line.starts_with("{\"t\":1090")) {
      const std::size_t end = line.find(',');
      line = "{\"t\":" + std::to_string(std::stoull(line.substr(5, end - 5)) + 2'000'000) +
             line.substr(end);
    }
    later += line + "\n";
  }
  const LogTrace a = traced(log), b = traced(later);
  LogDiffOptions options;
  options.absolute = 2'000'000;
  options.share = 0;
  EXPECT_TRUE(diff(a, b, options).equal);
  options.absolute = 1'999'999;
  const LogDiff result = diff(a, b, options);
  ASSERT_TRUE(result.first);
  EXPECT_EQ(result.first->kind, LogDivergence::Time);
  EXPECT_EQ(result.first->host, "server");
  EXPECT_EQ(result.first->line_a, result.first->line_b);
  options.share = 0.03;  // of 80 ms
  EXPECT_TRUE(diff(a, b, options).equal);
  options.share = 0;
  options.times = false;
  EXPECT_TRUE(diff(a, b, options).equal);
}

TEST(LogDiff, WhatIsNotCompleteIsNotCompared) {
  std::string fewer;
  for (std::string line : lines_of(plain_log())) {
    if (line.find("\"ev\":\"app:") != line.npos) continue;
    const std::string complete = R"("app":"complete")";
    if (const std::size_t at = line.find(complete); at != line.npos) {
      line.replace(at, complete.size(), R"("app":"absent")");
    }
    fewer += line + "\n";
  }
  const LogDiff result = diff(traced(plain_log()), traced(fewer));
  EXPECT_TRUE(result.equal) << diff_text(result, "a", "b");
  EXPECT_EQ(result.not_compared, std::vector<std::string>{"app"});
}

TEST(LogDiff, AsText) {
  const LogDiff result = diff(traced(lost_last_ack_log()), traced(last_ack_reuse_log()));
  EXPECT_EQ(diff_text(result, "lost.jsonl", "reuse.jsonl", 100), R"(A  lost.jsonl   1 connection
B  reuse.jsonl   2 connections

client -> server:80, the 1st: A ends here
at wire: nothing of A, line 37 of B; the first of 2 connections that differ

  line          ms  A                             | line          ms  B
    32      45.000  wire    lost    ACK 2         |   32      45.000  wire    lost    ACK 2
    34     252.000  server  sent    FIN 1, ACK 2  |   34     252.000  server  sent    FIN 1, ACK 2
    35     257.000  client  arrived FIN 1, ACK 2  |   35     257.000  client  arrived FIN 1, ACK 2
    36     257.000  client  sent    ACK 2         |   36     257.000  client  sent    ACK 2
> -                                               |   37     257.000  wire    lost    ACK 2
    37     262.000  server  arrived ACK 2         |   39     464.000  server  sent    FIN 1, ACK 2
    38     262.000  server  LAST_ACK -> CLOSED    |   40     469.000  client  arrived FIN 1, ACK 2
    40  60,257.000  client  TIME_WAIT -> CLOSED   |   41     469.000  client  sent    ACK 2
    41  60,257.000  client  TIME_WAIT is over     |   42     469.000  wire    lost    ACK 2
)");
}

TEST(LogDiff, AnyLogs) {
  const auto lines = lines_of(foul_log(5, 6));
  std::mt19937_64 random(2);
  for (int round = 0; round < 100; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::string two[2];
    for (std::string& log : two) {
      log = lines.front() + "\n";
      for (int i = 0; i < 100; ++i) log += lines[1 + random() % (lines.size() - 1)] + "\n";
    }
    const LogDiff there = diff(traced(two[0]), traced(two[1]));
    const LogDiff back = diff(traced(two[1]), traced(two[0]));
    EXPECT_EQ(there.equal, back.equal);
    EXPECT_FALSE(diff_text(there, "a", "b").empty());
    EXPECT_TRUE(diff(traced(two[0]), traced(two[0])).equal);
  }
}

}  // namespace
}  // namespace lastack::test
