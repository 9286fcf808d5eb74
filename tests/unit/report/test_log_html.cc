// The page: nothing of a log is markup in it, whatever it says; it holds what it shall, and fetches nothing.
#include "report/log_html.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "report/log_states.h"
#include "unit/report/real_logs.h"

namespace lastack::test {
namespace {

using nlohmann::json;

// What stands between the tags of the data.
std::string data_of(const std::string& page) {
  const std::string begin = R"(<script type="application/json" id="log">)";
  const std::size_t at = page.find(begin);
  if (at == page.npos) return "";
  const std::size_t start = at + begin.size();
  return page.substr(start, page.find("</script>", start) - start);
}

std::size_t count(const std::string& text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++n;
  return n;
}

TEST(LogHtml, HoldsTheRun) {
  const auto trace = trace_of(last_ack_reuse_log());
  ASSERT_TRUE(trace);
  ReportText text;
  text.title = "reuse";
  text.part = "linux";
  text.claims = {
      {"A5", "half right", "a port is used again", {{"after ", false}, {"23 ms", true}}, true},
      {"A1", "true", "tcp_x does it", {}, false}};
  text.failed = {"latency: `x < 1`: it is 2, 1 too much"};
  text.cause = "the *last* ACK was lost\n\nand so on: tcp_keepalive_* and `close()`, 2 * 3 * 4";
  text.evidence = {{"latency", "23 ms"}};
  text.conditions = {{"it is fast", "latency: 2", "x < 1", false}};
  text.change = {{"on",
                  "reuse ports",
                  {{"client", "1 in place of 0", "sysctl -w x=1", "sysctl -w x=0", "", "sysctl x",
                    "echo x=1 > /etc/sysctl.d/x.conf"},
                   {"", "the server closes first", "", "", "", "", ""}},
                  "hides it",
                  "ss -tan",
                  "failed: 0 in place of 7",
                  "late: 2 in place of 1",
                  "a note",
                  "page-on.html",
                  true,
                  false},
                 {"off",
                  "a shorter time",
                  {{"client", "x = 2", "sysctl -w x=2", "", "", "", ""}},
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  false,
                  false}};
  text.proof_heads = {"off", "on"};
  text.proof = {{"failed", {{"7", ReportText::Mark::None}, {"0", ReportText::Mark::Better}}},
                {"late", {{"1", ReportText::Mark::None}, {"2", ReportText::Mark::Worse}}}};
  text.pages = {{"off", "page-off.html", true}, {"on", "page-on.html", false}};
  text.replay = {{"This run:", "lastack lab run x --seed 1"}};
  text.moments = {{"second", 1'003'000'000}};
  ReportCharts charts;
  charts.bands = {{1'000'000'000, 2'000'000'000, "ACKs lost", ReportBand::Kind::Loss, 3}};
  charts.series = {{"ports of client", "ports", {{0, 1}, {5, 2}, {9, 1}}, 500.0, "range"},
                   {"flat", "records", {{0, 4}, {9, 4}}},
                   {"once", "records", {{0, 4}, {2'000'000'000, 5}}},
                   {"again", "ports", {{0, 1}, {5, 2}, {9, 1}}}};
  charts.series[0].limit = 4;
  charts.stacks = {{"connects",
                    "a second",
                    {{"connected", "good"}, {"failed", "bad"}},
                    {{0, {1, 2}}, {9, {3}}},
                    true}};
  LogHtmlOptions options;
  options.zero = 1'000'000'000;
  const std::string page = log_html(*trace, text, charts, options);
  for (
      const char* const said :
      {"<h1>reuse <small class=\"id\">linux</small></h1>",
       "A port is used again &ndash; <span class=\"word\">half right</span>",
       "<small class=\"id\">A5</small>",
       "after <b>23 ms</b>",
       "tcp_x does it &ndash; <span class=\"word no\">not confirmed</span>",
       "One condition does not hold:",
       "<li>latency: <code>x &lt; 1</code>: it is 2, 1 too much</li>",
       "<em>last</em> ACK was lost<br><br>and so on: tcp_keepalive_* and <code>close()</code>, 2 * 3 * 4",
       "<b>does not hold</b>",
       "<th scope=\"row\">on client</th><td><code>sysctl -w x=1</code>",
       "<th scope=\"row\">undo</th><td><code>sysctl -w x=0</code>",
       "Changed in the run: the server closes first",
       "Caution: hides it",
       "failed: 0 in place of 7",
       "<p class=\"price\">At the price of late: 2 in place of 1</p>",
       "ss -tan",
       "<th scope=\"row\">your value</th><td><code>sysctl x</code>",
       "<th scope=\"row\">for good</th><td><code>echo x=1 &gt; /etc/sysctl.d/x.conf</code>",
       "<a href=\"./page-on.html\">on</a>",
       "Will not help",
       "Tried in the run: on client x = 2",
       "<p class=\"meta\">a note</p>",
       "<td class=\"better\">0 <small>better</small>",
       "<td class=\"worse\">2 <small>worse</small>",
       "<pre>lastack lab run x --seed 1</pre>",
       "@media print",
       "prefers-color-scheme"}) {
    EXPECT_NE(page.find(said), page.npos) << said;
  }
  EXPECT_EQ(page.find("sysctl -w x=2"), page.npos) << "what does not help is not to be typed";
  const json data = json::parse(data_of(page));
  EXPECT_EQ(data["events"].size(), trace->events().size());
  EXPECT_EQ(data["columns"], json({"client", "server"}));
  EXPECT_EQ(data["connections"].size(), 2u);
  EXPECT_EQ(data["states"].size(), 2u);
  EXPECT_EQ(data["zero"], 1'000'000'000);
  EXPECT_EQ(data["bands"], json::parse(R"([[1000000000,2000000000,"ACKs lost",1,3]])"));
  EXPECT_EQ(data["moments"], json::parse(R"([[1003000000,"second"]])"));
  EXPECT_EQ(data["stacks"][0]["points"], json::parse("[[0,[1,2]],[9,[3,0]]]"));
  // What is flat, or the same again, is said in words.
  EXPECT_EQ(data["series"].size(), 1u);
  EXPECT_EQ(data["series"][0]["limit"], 4);
  EXPECT_EQ(
      data["constant"],
      json::parse(
          R"(["flat: 4 records", "once: 4, and from 1 s on 5", "again: as ports of client"])"));
  // What is empty has no heading.
  const std::string bare = log_html(*trace, {});
  EXPECT_EQ(bare.find("<h2>Proof"), bare.npos);
  EXPECT_EQ(bare.find("<h2>Run it again"), bare.npos);
  EXPECT_EQ(bare.find("What to change"), bare.npos);
}

TEST(LogHtml, FetchesNothing) {
  const auto trace = trace_of(plain_log());
  ASSERT_TRUE(trace);
  const std::string page = log_html(*trace, {});
  EXPECT_NE(page.find("default-src 'none'"), page.npos);
  EXPECT_EQ(count(page, "http://"), 1u) << "the namespace of SVG";
  for (const char* const word :
       {"https://", "@import", "url(", "src=", "fetch(", "XMLHttp", "innerHTML", "eval("}) {
    const std::size_t at = page.find(word);
    // The clip path of a chart is the only thing that is referred to.
    const bool own = std::string_view(word) == "url(" && page.find("url(#\" + id") == at;
    EXPECT_TRUE(at == page.npos || own) << word;
  }
}

TEST(LogHtml, NothingOfALogIsMarkup) {
  const std::string evil =
      "</script><script>window.pwned=1</script>\"'`<!--&\x1b]0;x\x07\xe2\x80\xa8";
  std::string log = plain_log(1, evil);
  // The recorder writes it as JSON; reasons and rules get it as well.
  LifecycleReader reader;
  std::istringstream lines(log);
  std::vector<LifecycleEvent> events;
  for (std::string line; std::getline(lines, line);) {
    auto event = reader.read(line);
    ASSERT_TRUE(event) << event.error().message;
    if (!*event) continue;
    (*event)->why = evil;
    (*event)->rule = evil;
    if (!(*event)->timer.empty()) (*event)->timer = evil;
    events.push_back(**event);
  }
  LifecycleHeader header = *reader.header();
  header.vantage = header.profile = evil;
  header.settings[evil] = evil;
  header.coverage[evil] = Coverage::Sampled;
  const LogTrace trace = trace_of(header, events);
  const std::string clean = log_html(*trace_of(plain_log()), {});
  ReportText text;
  text.title = text.part = text.run = text.verdict = text.cause = text.advice = evil;
  text.claims = {{evil, evil, evil, {{evil, true}}, true},
                 {evil, evil, evil, {{evil, false}}, false}};
  text.failed = {evil, "`" + evil + "` *" + evil + "*"};
  text.evidence = {{evil, evil}};
  text.conditions = {{evil, evil, evil, true}};
  text.change = {{evil,
                  evil,
                  {{evil, evil, evil, evil, evil, evil, evil}, {"", evil, "", "", "", evil, ""}},
                  evil,
                  evil,
                  evil,
                  evil,
                  evil,
                  evil,
                  true,
                  false},
                 {evil, evil, {}, evil, evil, evil, evil, evil, evil, false, true}};
  text.proof_heads = {evil};
  text.proof = {{evil, {{evil, ReportText::Mark::Better}}}};
  text.pages = {{evil, evil, true}, {evil, "javascript:" + evil, false}};
  text.replay = {{evil, evil}};
  text.moments = {{evil, 1}};
  ReportCharts charts;
  charts.series = {
      {evil, evil, {{0, 1}, {1, std::numeric_limits<double>::quiet_NaN()}, {2, 1e308}}, 2.0, evil},
      {evil, evil, {}}};
  charts.bands = {{0, 1, evil}};
  charts.stacks = {{evil, evil, {{evil, evil}}, {{0, {std::numeric_limits<double>::infinity()}}}}};
  const std::string page = log_html(trace, text, charts);
  // A link leads to a file beside the page, and nowhere else.
  for (std::size_t at = page.find("href=\""); at != page.npos; at = page.find("href=\"", at + 1)) {
    const std::string_view to = std::string_view(page).substr(at + 6, 5);
    EXPECT_TRUE(to.starts_with("./") || to == "data:") << to;
    EXPECT_EQ(std::string_view(page).substr(at + 8, page.find('"', at + 8) - at - 8).find('/'),
              std::string_view::npos);
  }
  EXPECT_EQ(count(page, "<script"), count(clean, "<script"));
  EXPECT_EQ(count(page, "</script"), count(clean, "</script"));
  EXPECT_EQ(page.find("<!--"), page.npos);
  EXPECT_EQ(page.find('\x1b'), page.npos);
  EXPECT_EQ(page.find("\xe2\x80\xa8"), page.npos);
  const std::string data = data_of(page);
  EXPECT_EQ(data.find_first_of("<>&'"), data.npos);
  const json parsed = json::parse(data, nullptr, false);
  ASSERT_TRUE(parsed.is_object());
  EXPECT_TRUE(
      parsed["columns"][0].get<std::string>().starts_with("</script><script>window.pwned=1"));
}

TEST(LogHtml, RowsAreLimitedAndSaid) {
  const auto trace = trace_of(foul_log(3, 20));
  ASSERT_TRUE(trace);
  LogHtmlOptions options;
  options.rows = 100;
  const std::string page = log_html(*trace, {}, {}, options);
  EXPECT_EQ(json::parse(data_of(page))["events"].size(), 100u);
  EXPECT_NE(page.find("The first 100 of "), page.npos);
  options.rows = 0;
  EXPECT_EQ(json::parse(data_of(log_html(*trace, {}, {}, options)))["events"].size(),
            trace->events().size());
  options.connections = std::vector<std::uint32_t>{0};
  EXPECT_EQ(json::parse(data_of(log_html(*trace, {}, {}, options)))["connections"].size(), 1u);
}

// Of the log's own states: what is open and what waits comes to nothing at the end.
TEST(LogHtml, StatesComeBackToNothing) {
  const auto trace = trace_of(foul_log(3, 20));
  ASSERT_TRUE(trace);
  const auto states = states_over_time(*trace, {});
  EXPECT_GE(states.size(), 2u);
  for (const StatesOverTime& one : states) {
    ASSERT_FALSE(one.points.empty());
    EXPECT_EQ(one.points.back().counts.total(), 0u);
    for (std::size_t i = 1; i < one.points.size(); ++i) {
      EXPECT_GE(one.points[i].at, one.points[i - 1].at);
      EXPECT_LE(one.points[i].counts.total(), 4u) << "four ports";
    }
  }
}

// A long run makes no larger page than a short one.
TEST(LogHtml, ChartsAreBounded) {
  const auto trace = trace_of(plain_log());
  ASSERT_TRUE(trace);
  ReportCharts charts;
  charts.series = {{"much", "records", {}}};
  charts.stacks = {{"more", "a second", {{"connected", "good"}}, {}}};
  for (int i = 0; i < 100'000; ++i) {
    charts.series[0].points.emplace_back(i, i % 7);
    charts.stacks[0].points.push_back({i, {i % 7 + 0.0}});
  }
  const json data = json::parse(data_of(log_html(*trace, {}, charts)));
  EXPECT_LE(data["series"][0]["points"].size(), 1700u);
  EXPECT_LE(data["stacks"][0]["points"].size(), 1700u);
  EXPECT_EQ(data["series"][0]["points"].back()[0], 99'999);
}

// A NAT has its name and its place; whoever is inside sends to it, and it to the others. A host that has crashed has no
// connection any more.
TEST(LogHtml, NatsAndCrashes) {
  LifecycleHeader header;
  header.nats["box"] = {"10.0.0.9", {"one"}};
  const auto address = [](const char* text) { return *IpAddress::parse(text); };
  const FourTuple inside{{address("192.168.0.1"), 5000}, {address("10.0.0.2"), 80}};
  const FourTuple outside{{address("10.0.0.2"), 80}, {address("10.0.0.9"), 1024}};
  const auto event = [](int ms, const char* host, const FourTuple& tuple, Happening what) {
    LifecycleEvent e;
    e.at = Instant(std::chrono::milliseconds(ms));
    e.host = host;
    e.tuple = tuple;
    e.what = what;
    if (what <= Happening::SegmentCorrupted) e.segment = SeenSegment{.seq = 7, .flags = 2};
    return e;
  };
  std::vector<LifecycleEvent> events{event(1, "one", inside, Happening::SegmentSent),
                                     event(2, "server", outside, Happening::SegmentReceived),
                                     event(3, "server", outside, Happening::StateChanged)};
  events[2].from = TcpState::Listen;
  events[2].to = TcpState::SynReceived;
  events.push_back({});
  events.back().at = Instant(4ms);
  events.back().host = "server";
  events.back().what = Happening::HostCrashed;
  std::string text;
  append_line(text, header);
  for (const LifecycleEvent& e : events) append_line(text, e);
  const auto trace = trace_of(text);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->header().nats.at("box").inside, std::vector<std::string>{"one"});
  const json data = json::parse(data_of(log_html(*trace, {})));
  EXPECT_EQ(data["columns"], json({"one", "box", "server"}));
  EXPECT_EQ(data["events"][0][5], 0);  // from one to the box
  EXPECT_EQ(data["events"][0][6], 1);
  EXPECT_EQ(data["events"][1][5], 1);  // from there to the server
  EXPECT_EQ(data["events"][1][6], 2);
  const auto states = states_over_time(*trace, {});
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].points.back().counts.total(), 0u);
  EXPECT_EQ(states[0].points[states[0].points.size() - 2].counts.total(), 1u);
}

// Thinned out, nothing short is lost, and it ends as it does.
TEST(LogHtml, ThinnedOutStatesKeepWhatIsOpen) {
  const auto trace = trace_of(foul_log(3, 20));
  ASSERT_TRUE(trace);
  const auto all = states_over_time(*trace, {}), few = states_over_time(*trace, {}, 10);
  ASSERT_EQ(all.size(), few.size());
  for (std::size_t host = 0; host < all.size(); ++host) {
    EXPECT_LE(few[host].points.size(), 24u);
    EXPECT_GT(all[host].points.size(), 50u);
    std::uint64_t most = 0, kept = 0;
    const auto open = [](const StateCounts& c) { return c.total() - c[TcpState::TimeWait]; };
    for (const auto& point : all[host].points) most = std::max(most, open(point.counts));
    for (const auto& point : few[host].points) kept = std::max(kept, open(point.counts));
    EXPECT_EQ(kept, most);
    EXPECT_EQ(few[host].points.back().counts, all[host].points.back().counts);
    for (std::size_t i = 1; i < few[host].points.size(); ++i) {
      EXPECT_LE(few[host].points[i - 1].at, few[host].points[i].at);
    }
  }
}

TEST(LogHtml, AnEmptyLogIsAPage) {
  const LogTrace trace = trace_of(LifecycleHeader{}, {});
  const std::string page = log_html(trace, {});
  EXPECT_TRUE(json::parse(data_of(page))["events"].empty());
}

}  // namespace
}  // namespace lastack::test
