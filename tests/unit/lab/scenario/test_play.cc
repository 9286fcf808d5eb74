#include "lab/scenario/can_play.h"
#include "lab/scenario/measure_words.h"
#include "lab/scenario/play.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <vector>

#include "lab/scenario/scenario_file.h"
#include "report/lifecycle_log.h"

namespace lastack::lab {
namespace {

const std::string kHosts =
    "scenario = \"x\"\n[host.client]\n[host.server]\n[wire]\ndelay = \"1 ms\"\n";

PlayResult played(const std::string& text, std::uint64_t seed = 1, std::string* log = nullptr) {
  const auto file = ScenarioFile::parse(text, "x.toml");
  EXPECT_TRUE(file) << (file ? "" : file.error().message);
  if (!file) return {};
  const auto scenario = file->scenario("", Where::Endpoint);
  PlayOptions options;
  options.seed = seed;
  if (log != nullptr) options.log = [log](std::string_view line) { *log += line; };
  auto result = play(*scenario, options);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? *std::move(result) : PlayResult{};
}
double number(const PlayResult& result, const std::string& name) {
  const auto found = result.measures.find(name);
  if (found == result.measures.end() || !std::holds_alternative<double>(found->second)) return -1;
  return std::get<double>(found->second);
}
std::string word(const PlayResult& result, const std::string& name) {
  const auto found = result.measures.find(name);
  if (found == result.measures.end() || !std::holds_alternative<std::string>(found->second))
    return "";
  return std::get<std::string>(found->second);
}

TEST(Play, StepsTakeAsLongAsTheWire) {
  const auto r = played(kHosts + R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { name = "open", do = "connect", host = "client", socket = "c", to = "server:80", from_port = 4000 },
  { name = "twice", do = "connect", host = "client", socket = "d", to = "server:80", from_port = 4000 },
  { name = "refused", do = "connect", host = "client", socket = "e", to = "server:81" },
  { do = "accept", of = "l", socket = "s" },
  { do = "write", socket = "c", bytes = 50000, fill = "a", background = true },
  { name = "got", do = "read", socket = "s", bytes = 50000, fill = "a" },
  { do = "close", socket = "c" },
  { name = "end", do = "read", socket = "s" },
  { name = "nothing", do = "accept", of = "l", socket = "z", within = "20 ms" },
]
)");
  EXPECT_EQ(word(r, "open.result"), "ok");
  EXPECT_EQ(number(r, "open.took"), 0.002);
  EXPECT_EQ(word(r, "twice.result"), "EADDRINUSE");
  EXPECT_EQ(word(r, "refused.result"), "ECONNREFUSED");
  EXPECT_EQ(number(r, "got.bytes"), 50000);
  EXPECT_EQ(number(r, "got.foreign"), 0);
  EXPECT_EQ(word(r, "end.result"), "end");
  EXPECT_EQ(word(r, "nothing.result"), "timeout");
  EXPECT_EQ(number(r, "nothing.took"), 0.02);
  EXPECT_EQ(number(r, "client.states.FIN_WAIT_1"),
            1);  // the acknowledgement is delayed, as Linux delays it
}

// Each of its results says which earlier step's failure it follows.
TEST(Play, AStepThatFailsSinceAnotherDid) {
  const auto r = played(kHosts + R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { name = "none", do = "accept", of = "l", socket = "s", within = "5 ms" },
  { name = "heard", do = "read", socket = "s" },
  { name = "refused", do = "connect", host = "client", socket = "c", to = "server:81" },
  { name = "told", do = "write", socket = "c", bytes = 1 },
  { do = "close", socket = "l" },
  { name = "late", do = "accept", of = "l", socket = "t" },
  { do = "listen", host = "server", socket = "m", port = 82 },
  { name = "own", do = "connect", host = "client", socket = "d", to = "server:82" },
  { do = "crash", host = "client" },
  { name = "lost", do = "close", socket = "d" },
]
)");
  const auto note = [&](const std::string& step) {
    const auto found = r.notes.find(step + ".result");
    return found == r.notes.end() ? "" : found->second;
  };
  EXPECT_EQ(word(r, "none.result"), "timeout");
  EXPECT_EQ(note("none"), "") << "its own fault";
  EXPECT_EQ(word(r, "heard.result"), "EBADF");
  EXPECT_EQ(note("heard"), "it follows none (accept), which came to timeout, so s is not open");
  EXPECT_NE(word(r, "told.result"), "ok");
  EXPECT_EQ(note("told"),
            "it follows refused (connect), which came to ECONNREFUSED, so c is no connection");
  EXPECT_EQ(word(r, "late.result"), "EBADF");
  EXPECT_EQ(note("late"), "it follows step6 (close), so l is not open");
  EXPECT_EQ(note("own"), "");
  EXPECT_EQ(note("lost"), "it follows step10 (crash), so d is not open");
  EXPECT_EQ(r.notes.size(), 4u);
}

// What listens without an address listens on the families that its host has.
TEST(Play, AListenerOfBothFamilies) {
  const std::string text =
      "scenario = \"x\"\n"
      "[host.client]\naddress = [\"10.0.0.1\", \"fd00::1\"]\n"
      "[host.server]\naddress = [\"10.0.0.2\", \"fd00::2\"]\n"
      "[host.old]\naddress = \"10.0.0.3\"\n"
      "[[server]]\nname = \"service\"\nhost = \"server\"\n"
      R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 81 },
  { name = "four", do = "connect", host = "client", socket = "a", to = "server:81" },
  { name = "six", do = "connect", host = "client", socket = "b", to = "server:81", from_address = "fd00::1" },
  { name = "from_old", do = "connect", host = "old", socket = "c", to = "server:81" },
  { do = "listen", host = "server", socket = "v4", port = 82, address = "10.0.0.2" },
  { name = "four_only", do = "connect", host = "client", socket = "d", to = "server:82", from_address = "fd00::1" },
  { name = "four_served", do = "connect", host = "client", socket = "e", to = "server:80" },
  { name = "six_served", do = "connect", host = "client", socket = "f", to = "[fd00::2]:80" },
]
)";
  const auto r = played(text);
  for (const char* step : {"four", "six", "from_old", "four_served", "six_served"})
    EXPECT_EQ(word(r, std::string(step) + ".result"), "ok") << step;
  EXPECT_EQ(word(r, "four_only.result"), "ECONNREFUSED");
}

TEST(Play, WordsOfFailures) {
  const auto file = ScenarioFile::parse(
      kHosts + "[[clients]]\nname = \"load\"\nhost = \"client\"\nto = \"server:80\"\ncount = 1\n",
      "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  const auto scenario = file->scenario("", Where::Endpoint);
  ASSERT_TRUE(scenario);
  EXPECT_EQ(measure_words(*scenario, "load.failed.ECONNRESET"), "load: failed, ECONNRESET");
  EXPECT_EQ(measure_words(*scenario, "load.failed.connect_ETIMEDOUT"),
            "load: failed, connect(): ETIMEDOUT");
  EXPECT_EQ(failure_words("no_answer"), "closed by the other side before an answer");
  EXPECT_EQ(failure_words("gave_up"), "no answer in time");
  EXPECT_EQ(measure_words(*scenario, "server.most.LAST_ACK"), "server: most in LAST_ACK at a time");
}

TEST(Play, TheMostInAState) {
  const std::string text = kHosts + R"([[fault]]
do = "drop"
segment = "SYN"
[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80", background = true },
  { name = "seen", do = "until", holds = "client.most.SYN_SENT == 1", within = "3 s" },
  { name = "open", do = "until", holds = "client.states.ESTABLISHED == 1", within = "3 s" },
]
)";
  const auto r = played(text);
  EXPECT_EQ(word(r, "seen.result"), "ok");
  EXPECT_EQ(number(r, "client.states.SYN_SENT"), 0);
  EXPECT_EQ(number(r, "client.most.SYN_SENT"), 1);
  EXPECT_EQ(number(r, "server.most.SYN_SENT"), -1) << "nobody asks for it";
}

TEST(Play, WhatComesBackOfARejectedSegment) {
  const auto result = [](const std::string& icmp, bool v6) {
    const std::string hosts =
        v6 ? "scenario = \"x\"\n[host.client]\naddress = \"fd00::1\"\n[host.server]\naddress = "
             "\"fd00::2\"\n"
           : kHosts;
    return word(played(hosts + "[[fault]]\ndo = \"reject\"\nsegment = \"SYN\"\nwhich = \"all\"\n" +
                       icmp + R"([script]
steps = [ { name = "open", do = "connect", host = "client", socket = "c", to = "server:80", within = "500 ms" } ]
)"),
                "open.result");
  };
  for (const bool v6 : {false, true}) {
    EXPECT_EQ(result("", v6), v6 ? "EACCES" : "EHOSTUNREACH");
    EXPECT_EQ(result("icmp = \"prohibited\"\n", v6), result("", v6));
    EXPECT_EQ(result("icmp = \"port\"\n", v6), "ECONNREFUSED");
    EXPECT_EQ(result("icmp = \"host\"\n", v6), "EHOSTUNREACH");
    EXPECT_EQ(result("icmp = \"net\"\n", v6), "ENETUNREACH");
  }
}

TEST(Play, AFaultStrikesWhatItNames) {
  const std::string script = R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { name = "open", do = "connect", host = "client", socket = "c", to = "server:80" },
]
)";
  const auto second = [&](const std::string& fault) { return played(kHosts + fault + script); };
  const auto none = second("");
  const auto dropped = second("[[fault]]\nname = \"f\"\ndo = \"drop\"\nsegment = \"SYN\"\n");
  const auto twice = second(
      "[[fault]]\nname = \"f\"\ndo = \"drop\"\nsegment = \"SYN+ACK\"\nfrom = \"server\"\nwhich = [1, 2]\n");
  const auto later =
      second("[[fault]]\nname = \"f\"\ndo = \"delay\"\nsegment = \"SYN\"\nby = \"100 ms\"\n");
  const auto other =
      second("[[fault]]\nname = \"f\"\ndo = \"drop\"\nsegment = \"SYN\"\nfrom = \"server\"\n");
  EXPECT_EQ(number(none, "open.took"), 0.002);
  EXPECT_NEAR(number(dropped, "open.took"), 1.002, 0.01);
  EXPECT_EQ(number(dropped, "f.struck"), 1);
  EXPECT_GT(number(twice, "open.took"), 1);
  EXPECT_EQ(number(twice, "f.struck"), 2);
  EXPECT_NEAR(number(later, "open.took"), 0.102, 1e-9);
  EXPECT_EQ(number(other, "f.struck"), 0);
}

TEST(Play, TheSameSeedIsTheSameBytes) {
  const std::string text = kHosts + "loss = 0.05\nreorder = 0.1\n" + R"([[server]]
host = "server"
answer = 5000
[[clients]]
name = "load"
host = "client"
to = "server:80"
rate = 200
count = 200
)";
  std::string first, again, other;
  const auto a = played(text, 5, &first);
  const auto b = played(text, 5, &again);
  (void)played(text, 6, &other);
  EXPECT_EQ(first, again);
  EXPECT_EQ(a.measures, b.measures);
  EXPECT_NE(first, other);
  EXPECT_EQ(number(a, "load.begun"), 200);
  EXPECT_GT(number(a, "wire.lost"), 10);
}

// As Linux does, which sends what the window allows in one piece, and cuts it on its way out (tcp_mss_split_point). The log
// has what is on the wire.
TEST(Play, AWindowIsUsedToItsEdge) {
  std::string log;
  (void)played(
      "scenario = \"x\"\n[host.client]\nsettings = { tcp_rmem = \"4096 9000 9000\" }\n"
      "[host.server]\n[wire]\ndelay = \"5 ms\"\n"
      R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80" },
  { do = "accept", of = "l", socket = "s" },
  { do = "write", socket = "s", bytes = 40000, background = true },
  { do = "wait", time = "2 s" },
  { name = "read", do = "read", socket = "c", bytes = 3000 },
  { do = "wait", time = "50 ms" },
]
)",
      1, &log);
  std::map<std::uint64_t, std::uint32_t> sent;
  std::vector<std::uint32_t> after_read;
  bool read = false;
  LifecycleReader reader;
  std::istringstream in(log);
  for (std::string line; std::getline(in, line);) {
    const auto event = reader.read(line);
    ASSERT_TRUE(event) << line;
    if (!*event) continue;
    const LifecycleEvent& e = **event;
    read = read || e.what == Happening::AppRead;
    if (!e.segment) continue;
    EXPECT_LE(e.segment->length, 1448u) << line;
    if (e.what == Happening::SegmentSent) {
      EXPECT_TRUE(sent.emplace(e.segment_id, e.segment->length).second) << line;
      if (read && e.host == "server") after_read.push_back(e.segment->length);
    } else if (e.what == Happening::SegmentReceived) {
      EXPECT_EQ(sent[e.segment_id], e.segment->length) << line;
    }
  }
  EXPECT_EQ(after_read, (std::vector<std::uint32_t>{1448, 1240}));  // a window of 2,688
}

TEST(Play, ProgramsCountWhatBecameOfTheirConnections) {
  const auto r = played("duration = \"3 s\"\n" + kHosts + R"([[server]]
name = "service"
host = "server"
requests = 0
idle_limit = "1 s"
[[clients]]
name = "load"
host = "client"
to = "server:80"
rate = 50
count = 50
requests = 3
[[clients]]
name = "wrong"
host = "client"
to = "server:81"
at_once = 2
count = 10
[[pool]]
name = "pool"
host = "client"
to = "server:80"
rate = 100
size = 2
)");
  EXPECT_EQ(number(r, "load.done"), 50);
  EXPECT_EQ(number(r, "load.answered"), 150);
  EXPECT_EQ(number(r, "wrong.failed.ECONNREFUSED"), 10);
  EXPECT_EQ(number(r, "pool.failed"), 0);
  EXPECT_EQ(number(r, "pool.opened"), 1);  // an answer takes 2 ms
  EXPECT_GE(number(r, "pool.done"), 299);
  EXPECT_EQ(number(r, "service.accepted"), 51);
}

// Its times count from the end of the step that it waits for; and what a step and the records cost is measured.
TEST(Play, AProgramBeginsAfterAStep) {
  const auto r = played(kHosts + R"([[server]]
name = "service"
host = "server"
[[clients]]
name = "first"
host = "client"
to = "server:80"
at_once = 1
count = 100
[[clients]]
name = "second"
host = "client"
to = "server:81"
at_once = 1
count = 1
after = "done"
begins = "2 s"
[script]
steps = [
  { name = "done", do = "until", holds = "first.done == 100" },
  { name = "over", do = "until", holds = "second.failed == 1" },
]
)");
  EXPECT_EQ(word(r, "over.result"), "ok");
  EXPECT_NEAR(number(r, "over.took"), 2.002, 0.001);
  EXPECT_GT(number(r, "done.processor"), 0);
  EXPECT_GT(number(r, "done.memory"), 25 * number(r, "client.states.TIME_WAIT"));
  EXPECT_EQ(number(r, "client.states.TIME_WAIT"), 100);
}

// What a crashed host does not know any more draws a RST at once, or after a quiet time of an MSL.
TEST(Play, ACrashIsForgottenAtOnceOrQuietly) {
  const auto asked = [](const std::string& quiet) {
    return played(kHosts + R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80" },
  { do = "crash", host = "server")" +
                  quiet + R"( },
  { do = "write", socket = "c", bytes = 1 },
  { name = "told", do = "read", socket = "c", within = "2 min" },
]
)");
  };
  const auto soon = asked("");
  EXPECT_EQ(word(soon, "told.result"), "ECONNRESET");
  EXPECT_LT(number(soon, "told.took"), 0.01);
  const auto late = asked(", quiet = true");
  EXPECT_EQ(word(late, "told.result"), "ECONNRESET");
  EXPECT_GT(number(late, "told.took"), 20);
}

// A condition that holds when something happens is seen then, however long nothing does; one about time as it passes.
TEST(Play, UntilIsSeenWhenItHolds) {
  const auto r = played(kHosts + R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80" },
  { do = "accept", of = "l", socket = "s" },
  { do = "close", socket = "c" },
  { do = "read", socket = "s" },
  { do = "close", socket = "s" },
  { name = "entered", do = "until", holds = "client.states.TIME_WAIT == 1", within = "1 s" },
  { name = "half", do = "until", holds = "client.left.TIME_WAIT <= 30 s", within = "1 min" },
  { name = "over", do = "until", holds = "client.states.TIME_WAIT == 0 and server.states.LAST_ACK == 0", within = "5 min" },
  { name = "never", do = "until", holds = "client.states.TIME_WAIT == 1", within = "1 h" },
]
)");
  EXPECT_EQ(word(r, "entered.result"), "ok");
  EXPECT_LE(number(r, "entered.took"), 0.003);
  EXPECT_EQ(word(r, "half.result"), "ok");
  EXPECT_NEAR(number(r, "half.took"), 30, 0.002);
  EXPECT_EQ(word(r, "over.result"), "ok");
  EXPECT_NEAR(number(r, "half.took") + number(r, "over.took"), 60, 0.002);
  EXPECT_EQ(word(r, "never.result"), "timeout");
  EXPECT_EQ(number(r, "never.took"), 3600);
}

TEST(Play, WhatAKernelCannotBeGiven) {
  const auto file = ScenarioFile::parse(
      "scenario = \"x\"\n[host.a]\nmsl = \"1 s\"\n[host.b]\n[[clients]]\nhost = \"a\"\nto = \"b:80\"\ncount = 1\n",
      "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(cannot_play(*file->scenario("", Where::Endpoint), Where::Endpoint), "");
  EXPECT_NE(cannot_play(*file->scenario("", Where::Kernel), Where::Kernel), "");
}

// A kernel's close() would wait for a wire that waits for it; only the host that is asked decides.
TEST(Play, WhatACrashAndALingerNeedOfAHost) {
  const auto why = [](std::string_view kind, std::string_view step, Where where) {
    const auto file = ScenarioFile::parse(fmt::format(R"(
scenario = "s"
[host.client]
[host.server]
kind = "{}"
[script]
steps = [
  {{ name = "l", do = "listen", host = "server", socket = "l", port = 80 }},
  {{ name = "x", {} }},
]
)",
                                                      kind, step),
                                          "s.toml");
    if (!file) return file.error().message;
    const auto scenario = file->scenario("", where);
    return scenario ? cannot_play(*scenario, where) : scenario.error().message;
  };
  const auto linger =
      R"(do = "connect", host = "client", socket = "c", to = "server:80", options = { linger = 3 })";
  const auto option = R"(do = "option", socket = "l", options = { linger = 3 })";
  const auto reset = R"(do = "option", socket = "l", options = { linger = 0 })";
  const auto crash = R"(do = "crash", host = "server")";
  EXPECT_EQ(why("either", linger, Where::Endpoint), "");
  EXPECT_NE(why("either", linger, Where::Kernel).find("linger above 0"), std::string::npos);
  EXPECT_NE(why("either", option, Where::Kernel).find("linger above 0"), std::string::npos);
  EXPECT_EQ(why("either", option, Where::Endpoint), "");
  EXPECT_EQ(why("either", reset, Where::Kernel), "");
  EXPECT_EQ(why("either", crash, Where::Kernel), "a kernel host cannot crash here");
  EXPECT_EQ(why("endpoint", crash, Where::Kernel), "");
}

const std::string kOpenTwice = R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { name = "first", do = "connect", host = "client", socket = "c", to = "server:80" },
  { do = "wait", time = "1 s" },
  { name = "second", do = "connect", host = "client", socket = "d", to = "server:80" },
]
)";

TEST(Play, ALinkChangesInTheMiddleOfARun) {
  const auto with = [&](const std::string& change) {
    return played(kHosts + "[[change]]\nname = \"slower\"\n" + change + kOpenTwice);
  };
  const auto wire = with("at = \"500 ms\"\ndelay = \"10 ms\"\n");
  EXPECT_EQ(number(wire, "first.took"), 0.002);
  EXPECT_EQ(number(wire, "second.took"), 0.02);
  EXPECT_EQ(number(wire, "slower.at"), 0.5);
  const auto link =
      with("at = \"500 ms\"\nbetween = [\"server\", \"client\"]\ndelay = \"10 ms\"\n");
  EXPECT_EQ(number(link, "second.took"), 0.02);
  const auto after = with("after = \"first\"\nat = \"10 ms\"\ndelay = \"10 ms\"\n");
  EXPECT_EQ(number(after, "slower.at"), 0.012);
  EXPECT_EQ(number(after, "second.took"), 0.02);
  const auto late = with("at = \"5 s\"\ndelay = \"10 ms\"\n");
  EXPECT_EQ(number(late, "second.took"), 0.002);
  EXPECT_EQ(number(late, "slower.at"), -1);
}

TEST(Play, AChangeKeepsWhatItDoesNotName) {
  // Down for 100 ms while the second SYN is sent, which comes again after a second.
  const auto down = played(kHosts + R"([[change]]
after = "first"
at = "990 ms"
down = true
[[change]]
after = "first"
at = "1090 ms"
down = false
)" + kOpenTwice);
  EXPECT_EQ(number(down, "first.took"), 0.002);
  EXPECT_NEAR(number(down, "second.took"), 1.002, 0.001);
  // A link of its own is not the wire's.
  const auto own = played(kHosts + R"([[link]]
between = ["client", "server"]
delay = "3 ms"
[[change]]
at = "0 s"
delay = "10 ms"
[[change]]
at = "500 ms"
between = ["client", "server"]
jitter = "0 s"
)" + kOpenTwice);
  EXPECT_EQ(number(own, "first.took"), 0.006);
  EXPECT_EQ(number(own, "second.took"), 0.006);
}

TEST(Play, ANatForgets) {
  const auto with = [](const std::string& change) {
    return played(R"(scenario = "x"
[host.client]
behind = "box"
[host.server]
[nat.box]
address = "192.0.2.1"
)" + change + R"([script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { do = "connect", host = "client", socket = "c", to = "server:80" },
  { name = "accepted", do = "accept", of = "l", socket = "s" },
  { do = "wait", time = "1 s" },
  { do = "write", socket = "s", bytes = 10 },
  { name = "got", do = "read", socket = "c", bytes = 10, within = "1 s" },
]
)");
  };
  EXPECT_EQ(word(with(""), "got.result"), "ok");
  const auto forgets = with("[[change]]\nnat = \"box\"\nafter = \"accepted\"\nforget = true\n");
  EXPECT_EQ(word(forgets, "got.result"), "timeout");
  EXPECT_EQ(number(forgets, "box.expired"), 1);
  EXPECT_GT(number(forgets, "box.unknown"), 0);
  const auto sooner =
      with("[[change]]\nnat = \"box\"\nafter = \"accepted\"\nforget_after = \"500 ms\"\n");
  EXPECT_EQ(word(sooner, "got.result"), "timeout");
}

TEST(Play, AnAddressIsADestinationToo) {
  const auto r = played(R"(scenario = "x"
[host.client]
address = ["10.0.0.1", "fd00::1"]
[host.server]
address = ["10.0.0.2", "10.0.0.3", "fd00::2"]
[[server]]
name = "second"
host = "server"
address = "10.0.0.3"
port = 81
[[clients]]
name = "load"
host = "client"
to = ["10.0.0.3:81", "server:81"]
at_once = 2
count = 4
[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80, address = "10.0.0.3" },
  { do = "listen", host = "server", socket = "m", port = 80, address = "fd00::2" },
  { name = "first", do = "connect", host = "client", socket = "a", to = "server:80" },
  { name = "own", do = "connect", host = "client", socket = "b", to = "10.0.0.3:80" },
  { name = "v6", do = "connect", host = "client", socket = "c", to = "[fd00::2]:80" },
  { name = "nobody", do = "connect", host = "client", socket = "d", to = "10.9.9.9:80", within = "10 s" },
]
)");
  EXPECT_EQ(word(r, "first.result"), "ECONNREFUSED");
  EXPECT_EQ(word(r, "own.result"), "ok");
  EXPECT_EQ(word(r, "v6.result"), "ok");
  EXPECT_EQ(word(r, "nobody.result"), "timeout");
  EXPECT_EQ(number(r, "load.done"), 2);
  EXPECT_EQ(number(r, "load.failed.ECONNREFUSED"), 2);
}

TEST(Play, SettingsAreMeasured) {
  const auto r = played(R"(scenario = "x"
[host.client]
settings = { tcp_fin_timeout = 7, ip_local_port_range = "5000 5009" }
[host.server]
[script]
steps = [
  { name = "before", do = "until", holds = "client.settings.tcp_fin_timeout == 7", within = "1 s" },
  { do = "set", host = "client", setting = "tcp_fin_timeout", value = 9 },
  { name = "after", do = "until", holds = "client.settings.tcp_fin_timeout == 9", within = "1 s" },
]
)");
  EXPECT_EQ(word(r, "before.result"), "ok");
  EXPECT_EQ(word(r, "after.result"), "ok");
  EXPECT_EQ(number(r, "client.settings.tcp_fin_timeout"), 9);
  EXPECT_EQ(number(r, "server.settings.tcp_fin_timeout"), 60);
  EXPECT_EQ(number(r, "client.settings.ip_local_port_range.first"), 5000);
  EXPECT_EQ(number(r, "client.settings.ip_local_port_range.last"), 5009);
}

}  // namespace
}  // namespace lastack::lab
