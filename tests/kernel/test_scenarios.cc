// Scenarios with kernel hosts: the same conditions hold, and nothing is left.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "lab/private_folder.h"
#include "lab/scenario/compare.h"
#include "lab/scenario/library.h"
#include "lab/scenario/run.h"
#include "report/lifecycle_log.h"
#include "report/log_trace.h"

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
  const auto folder = PrivateFolder::make();
  ASSERT_TRUE(folder);
  const ScenarioFile file = of_library("orderly-close");
  CompareRequest request;
  request.folder = folder->path();
  request.seeds = {1, 2};
  std::vector<std::uint64_t> told;  // before the whole is there
  request.compared = [&](const VariantComparison& one) { told.push_back(one.seed); };
  std::vector<std::size_t> told_by_then;  // while the second seed was played
  request.progress = [&](double share) {
    if (share > 0.5) told_by_then.push_back(told.size());
  };
  const auto comparison = compare(file, request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  if (!comparison->why_not.empty()) GTEST_SKIP() << comparison->why_not;
  EXPECT_TRUE(comparison->agrees()) << comparison_text(file, *comparison);
  ASSERT_FALSE(comparison->variants.empty());
  ASSERT_EQ(told.size(), comparison->variants.size());
  for (std::size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i], comparison->variants[i].seed);
  ASSERT_FALSE(told_by_then.empty());
  EXPECT_EQ(told_by_then.front(), told.size() / 2);
}

// Whatever else is different: to the number and the flag. A machine that is busy may let a kernel's host see things in another
// order now and then.
TEST(ScenariosOnAKernel, BothWorldsSendTheSameSegments) {
  const auto folder = PrivateFolder::make();
  ASSERT_TRUE(folder);
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(LASTACK_SAME_SEGMENTS))
    paths.push_back(entry.path());
  ASSERT_FALSE(paths.empty());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    const auto file = ScenarioFile::read(path);
    ASSERT_TRUE(file) << file.error().message;
    CompareRequest request;
    request.folder = folder->path();
    VariantComparison last;
    for (int tries = 3; tries > 0 && !last.same_segments; --tries) {
      const auto comparison = compare(*file, request);
      ASSERT_TRUE(comparison) << comparison.error().message;
      if (!comparison->why_not.empty()) GTEST_SKIP() << comparison->why_not;
      ASSERT_EQ(comparison->variants.size(), 1u);
      last = comparison->variants.front();
    }
    EXPECT_TRUE(last.same_segments) << last.detail;
    EXPECT_NE(last.likeness, Likeness::Bug) << last.reason;
  }
}

// The log of a run in that world. Empty: it is not to be had here.
std::string log_of(const ScenarioFile& file, Where where) {
  const auto folder = PrivateFolder::make();
  EXPECT_TRUE(folder);
  if (!folder) return "";
  RunRequest request;
  request.where = where;
  request.log = folder->path() + "/log";
  const auto report = run(file, request);
  std::string text;
  if (report && report->why_not.empty()) {
    for (const CheckOutcome& c : report->checks)
      EXPECT_EQ(c.verdict, Check::Verdict::Holds) << c.text << ": " << c.seen;
    std::ifstream in(request.log);
    text = {std::istreambuf_iterator<char>(in), {}};
    EXPECT_FALSE(text.empty());
  }
  EXPECT_TRUE(report);
  return text;
}
// What the log of a run on endpoints says, and that of one on kernel hosts where they are to be had. False: they are not.
bool traces_of(const ScenarioFile& file, const std::function<void(const LogTrace& trace)>& see) {
  for (const Where where : {Where::Endpoint, Where::Kernel}) {
    SCOPED_TRACE(to_string(where));
    const std::string log = log_of(file, where);
    if (log.empty()) return false;
    const auto trace = trace_of(log);
    EXPECT_TRUE(trace);
    if (trace) see(*trace);
  }
  return true;
}
std::vector<LifecycleEvent> events_of(const std::string& log) {
  std::vector<LifecycleEvent> events;
  LifecycleReader reader;
  std::istringstream in(log);
  for (std::string line; std::getline(in, line);) {
    const auto event = reader.read(line);
    EXPECT_TRUE(event) << line;
    if (event && *event) events.push_back(**event);
  }
  return events;
}

constexpr std::string_view kTwice = R"(
scenario = "twice"
title = "A port is used twice; what fails is no event"
[host.client]
[host.server]
[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80", from_port = 6000, options = { reuse_address = 1 } },
  { do = "accept", of = "l", socket = "s" },
  { name = "taken", do = "connect", host = "client", socket = "x", to = "server:80", from_port = 6000, options = { reuse_address = 1 } },
  { do = "close", socket = "s" },
  { do = "read", socket = "c" },
  { name = "first", do = "write", socket = "c", bytes = 5 },
  { name = "reset", do = "until", holds = "client.states.CLOSE_WAIT == 0", within = "1 s" },
  { name = "late", do = "write", socket = "c", bytes = 5 },
  { name = "half", do = "shutdown", socket = "c", how = "write" },
  { do = "close", socket = "c" },
  { do = "wait", time = "20 ms" },
  { name = "again", do = "connect", host = "client", socket = "d", to = "server:80", from_port = 6000, options = { reuse_address = 1 } },
  { do = "wait", time = "20 ms" },
]
[[check]]
holds = "taken.result == EADDRNOTAVAIL and client.ports_exhausted == 0 and late.result == EPIPE and again.result == ok"
)";

// Each host counts for itself which use of a four-tuple an event is of, and calls that fail are not told of.
TEST(ScenariosOnAKernel, TheLogCountsUsesOfAPort) {
  const ScenarioFile file = *ScenarioFile::parse(std::string(kTwice), "twice.toml");
  std::map<Where, std::vector<std::string>> calls;
  for (const Where where : {Where::Endpoint, Where::Kernel, Where::Mixed}) {
    SCOPED_TRACE(to_string(where));
    const std::string log = log_of(file, where);
    if (log.empty()) GTEST_SKIP() << "no kernel hosts here";
    std::uint32_t segments = 0;
    for (const LifecycleEvent& e : events_of(log)) {
      if (!e.tuple || e.tuple->remote.port == 0) continue;
      if (to_string(e.what).starts_with("app:") && e.host == "client")
        calls[where].push_back(fmt::format("{} {}", to_string(e.what), e.incarnation));
      if (e.what != Happening::SegmentSent) continue;
      ++segments;
      // Before the second SYN it is the first use, after it the second.
      EXPECT_GE(e.incarnation, 1u);
    }
    const auto trace = trace_of(log);
    ASSERT_TRUE(trace);
    ASSERT_EQ(trace->connections().size(), 2u);
    EXPECT_EQ(trace->connections()[1].segments, 3u);
    EXPECT_EQ(trace->connections()[0].segments, segments - 3);
    EXPECT_EQ(calls[where], calls[Where::Endpoint]);
  }
  EXPECT_EQ(calls[Where::Endpoint].back(), "app:connect 2");
}

// A RST that refuses a SYN belongs to it, and not to the host's connection before: its numbers are 0 and 1, whatever were
// chosen.
TEST(ScenariosOnAKernel, ARefusedSecondUseIsTheSameInBothWorlds) {
  const ScenarioFile file = *ScenarioFile::parse(R"(
scenario = "refused"
title = "A port is used again when nobody listens any more"
[host.client]
[host.server]
[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80", from_port = 6000, options = { reuse_address = 1 } },
  { do = "accept", of = "l", socket = "s" },
  { do = "close", socket = "s" },
  { do = "read", socket = "c" },
  { do = "abort", socket = "c" },
  { do = "close", socket = "l" },
  { do = "wait", time = "20 ms" },
  { name = "d", do = "connect", host = "client", socket = "d", to = "server:80", from_port = 6000, options = { reuse_address = 1 } },
  { do = "wait", time = "20 ms" },
]
[[check]]
holds = "d.result == ECONNREFUSED"
)",
                                                 "refused.toml");
  const bool both = traces_of(file, [](const LogTrace& trace) {
    ASSERT_EQ(trace.connections().size(), 2u);
    std::size_t resets = 0;
    for (const TraceEvent& e : trace.events()) {
      if (e.what != Happening::SegmentSent || e.connection != 1 || (e.flags & 4) == 0) continue;
      ++resets;
      EXPECT_EQ(e.seq, 0);
      EXPECT_EQ(e.ack, 1);
    }
    EXPECT_EQ(resets, 1u);
  });
  if (!both) GTEST_SKIP() << "no kernel hosts here";
}

// A setting that namespaces do not have is said to be the machine's; the endpoint has it for each host.
TEST(ScenariosOnAKernel, ASettingOfTheWholeMachine) {
  for (const auto& [setting, words] :
       {std::pair{"tcp_max_orphans = 10",
                  "net.ipv4.tcp_max_orphans: No such file or directory: a host "
                  "of its own (a network namespace) has none; it is the "
                  "whole machine's"},
        std::pair{"tcp_mem = \"1000 2000 3000\"", "it is the whole machine's"},
        std::pair{"nf_conntrack_max = 1000", "it is the whole machine's"},
        std::pair{"tcp_fin_timeout = 10", ""}}) {
    SCOPED_TRACE(setting);
    const ScenarioFile file = *ScenarioFile::parse(
        fmt::format(
            "scenario = \"x\"\n[host.a]\nsettings = {{ {} }}\n[host.b]\n[script]\nsteps = [ "
            "{{ do = \"wait\", time = \"1 ms\" }} ]\n",
            setting),
        "x.toml");
    for (const Where where : {Where::Endpoint, Where::Kernel}) {
      RunRequest request;
      request.where = where;
      const auto report = run(file, request);
      ASSERT_TRUE(report) << report.error().message;
      if (!report->why_not.empty()) GTEST_SKIP() << report->why_not;
      ASSERT_EQ(report->variants.size(), 1u);
      const std::string& why = report->variants[0].why_not;
      if (where == Where::Endpoint || *words == '\0') {
        EXPECT_EQ(why, "");
        continue;
      }
      EXPECT_NE(why.find(words), std::string::npos) << why;
      EXPECT_NE(why.find("An endpoint has one for each host"), std::string::npos) << why;
    }
  }
}

// Behind a NAT a segment has another four-tuple where it arrives. A SYN that comes again is of the same use.
TEST(ScenariosOnAKernel, ASynThatComesAgainThroughANatIsOfTheSameUse) {
  const ScenarioFile file = *ScenarioFile::parse(R"(
scenario = "again"
title = "A SYN,ACK is lost behind a NAT"
[host.client]
behind = "gw"
[host.server]
[nat.gw]
address = "203.0.113.1"
[[fault]]
name = "f"
do = "drop"
segment = "SYN+ACK"
from = "server"
[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { name = "c", do = "connect", host = "client", socket = "c", to = "server:80" },
  { do = "wait", time = "20 ms" },
]
[[check]]
holds = "c.result == ok and f.struck == 1"
)",
                                                 "again.toml");
  const bool both = traces_of(file, [](const LogTrace& trace) {
    EXPECT_EQ(trace.connections().size(), 2u);  // one on each side of the NAT
  });
  if (!both) GTEST_SKIP() << "no kernel hosts here";
}

constexpr std::string_view kAfterSilence = R"(
scenario = "after-silence"
title = "A segment is repeated after a time in which nothing happens"
sample = "10 s"
[host.client]
[host.server]
[wire]
delay = "60 ms"
[[fault]]
name = "loss"
do = "drop"
segment = "data"
from = "server"
[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80" },
  { do = "accept", of = "l", socket = "s" },
  { do = "write", socket = "s", bytes = 10 },
  { name = "got", do = "read", socket = "c", bytes = 10 },
  { do = "write", socket = "c", bytes = 10 },
  { name = "heard", do = "read", socket = "s", bytes = 10 },
  { do = "wait", time = "200 ms" },
]
[[check]]
holds = "loss.struck == 1 and got.result == ok and heard.result == ok"
)";

// By the clock in its timestamps: no segment is faster than the wire, however long nobody had anything to do before.
TEST(ScenariosOnAKernel, TheWireTakesItsTimeAfterSilence) {
  const ScenarioFile file = *ScenarioFile::parse(std::string(kAfterSilence), "after-silence.toml");
  for (const Where where : {Where::Endpoint, Where::Kernel}) {
    SCOPED_TRACE(to_string(where));
    const std::string log = log_of(file, where);
    if (log.empty()) GTEST_SKIP() << "no kernel hosts here";
    std::optional<std::uint32_t> repeated;
    std::optional<std::uint32_t> acknowledged;
    for (const LifecycleEvent& e : events_of(log)) {
      if (e.what != Happening::SegmentSent || e.host != "server" || !e.segment ||
          !e.segment->timestamps)
        continue;
      if (e.segment->length > 0) repeated = e.segment->timestamps->value;
      if (repeated && e.segment->length == 0) acknowledged = e.segment->timestamps->value;
    }
    ASSERT_TRUE(repeated && acknowledged);
    EXPECT_GE(*acknowledged - *repeated, 119u) << "milliseconds, to the client and back";
  }
}

// Six segments are late and the seventh is lost. The three behind them make RACK take all seven for lost, the first is sent
// again, and then the six arrive: none of them was lost, and the recovery is undone.
constexpr std::string_view kLossAmongLate = R"(
scenario = "loss-among-late-segments"
title = "What looked lost was late, but for one segment"
[host.client]
[host.server]
[wire]
delay = "50 ms"
[[fault]]
do = "delay"
segment = "data"
from = "server"
which = [1, 6]
by = "20 ms"
[[fault]]
do = "drop"
segment = "data"
from = "server"
which = 7
[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80" },
  { do = "accept", of = "l", socket = "s" },
  { do = "write", socket = "s", bytes = 15000, background = true },
  { name = "got", do = "read", socket = "c", bytes = 15000 },
]
[[check]]
holds = "got.result == ok and server.counters.RetransSegs == 2"
)";

// docs/differential.md, Deviations. Fails too where a kernel has learnt it: the row is to go then.
TEST(ScenariosOnAKernel, ALossAmongLateSegmentsIsFoundAtOnceByAnEndpointOnly) {
  const ScenarioFile file =
      *ScenarioFile::parse(std::string(kLossAmongLate), "loss-among-late.toml");
  for (const Where where : {Where::Endpoint, Where::Kernel}) {
    SCOPED_TRACE(to_string(where));
    const std::string log = log_of(file, where);
    if (log.empty()) GTEST_SKIP() << "no kernel hosts here";
    std::optional<std::uint32_t> first;
    std::map<std::uint32_t, std::vector<Instant>>
        sent;  // by the server: when, of each sequence number
    for (const LifecycleEvent& e : events_of(log)) {
      if (e.what != Happening::SegmentSent || e.host != "server" || !e.segment ||
          e.segment->length == 0)
        continue;
      if (!first) first = e.segment->seq;
      sent[e.segment->seq - *first].push_back(e.at);
    }
    std::vector<Duration> repeated_after;
    for (const auto& [number, at] : sent)
      if (at.size() > 1) repeated_after.push_back(at[1] - at[0]);
    // The first, which need not have been, and the seventh: after a round trip or two, or by a time-out.
    ASSERT_EQ(repeated_after.size(), 2u);
    if (where == Where::Endpoint)
      EXPECT_LT(repeated_after[1], std::chrono::milliseconds(200));
    else
      EXPECT_GE(repeated_after[1], std::chrono::milliseconds(300));
  }
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
