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
  const ReportText text{.title = "reuse",
                        .verdict = "half right",
                        .cause = "the ACK was lost",
                        .evidence = {{"latency", "23 ms"}},
                        .change = {{"nothing", "true"}},
                        .proof = {{"latency", "23 ms", "10 ms"}},
                        .replay = "lastack lab run x --seed 1"};
  const std::string page =
      log_html(*trace, text, series_of(*trace), {{1'000'000'000, 2'000'000'000, "ACKs lost"}});
  for (const char* const said :
       {"<h1>reuse</h1>", "half right", "the ACK was lost", "23 ms", "<pre>true</pre>", "10 ms",
        "lastack lab run x --seed 1", "@media print", "prefers-color-scheme"}) {
    EXPECT_NE(page.find(said), page.npos) << said;
  }
  const json data = json::parse(data_of(page));
  EXPECT_EQ(data["events"].size(), trace->events().size());
  EXPECT_EQ(data["columns"], json({"client", "server"}));
  EXPECT_EQ(data["connections"].size(), 2u);
  EXPECT_EQ(data["states"].size(), 2u);
  EXPECT_EQ(data["bands"], json::parse(R"([[1000000000,2000000000,"ACKs lost"]])"));
  // The client has one record from the end of its first connection to the beginning of the next.
  const json& waiting = data["series"][0];
  EXPECT_EQ(waiting["name"], "TIME_WAIT at client");
  EXPECT_EQ(waiting["points"].back()[1], 0);
  EXPECT_EQ(count(waiting["points"].dump(), ",1.0]"), 0u);
  double most = 0;
  for (const json& point : waiting["points"]) most = std::max(most, point[1].get<double>());
  EXPECT_EQ(most, 1);
  // What is empty has no heading.
  const std::string bare = log_html(*trace, {});
  EXPECT_EQ(bare.find("<h2>Proof"), bare.npos);
  EXPECT_EQ(bare.find("<h2>Replay"), bare.npos);
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
  const std::string page = log_html(
      trace, {evil, evil, evil, {{evil, evil}}, {{evil, evil}}, {{evil, evil, evil}}, evil},
      {{evil, evil, {{0, 1}, {1, std::numeric_limits<double>::quiet_NaN()}, {2, 1e308}}}},
      {{0, 1, evil}});
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
  const std::string page = log_html(*trace, {}, {}, {}, options);
  EXPECT_EQ(json::parse(data_of(page))["events"].size(), 100u);
  EXPECT_NE(page.find("The first 100 of "), page.npos);
  options.rows = 0;
  EXPECT_EQ(json::parse(data_of(log_html(*trace, {}, {}, {}, options)))["events"].size(),
            trace->events().size());
  options.connections = std::vector<std::uint32_t>{0};
  EXPECT_EQ(json::parse(data_of(log_html(*trace, {}, {}, {}, options)))["connections"].size(), 1u);
}

// Of the log's own states: what is open and what waits adds up at every point.
TEST(LogHtml, SeriesComeBackToNothing) {
  const auto trace = trace_of(foul_log(3, 20));
  ASSERT_TRUE(trace);
  const auto series = series_of(*trace);
  EXPECT_GE(series.size(), 3u);
  for (const ReportSeries& one : series) {
    ASSERT_FALSE(one.points.empty());
    EXPECT_EQ(one.points.back().second, 0) << one.name;
    for (std::size_t i = 1; i < one.points.size(); ++i) {
      EXPECT_GE(one.points[i].first, one.points[i - 1].first);
      EXPECT_LE(one.points[i].second, 4) << "four ports";
    }
  }
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
  const std::string page = log_html(trace, {}, series_of(trace));
  EXPECT_TRUE(json::parse(data_of(page))["events"].empty());
}

}  // namespace
}  // namespace lastack::test
