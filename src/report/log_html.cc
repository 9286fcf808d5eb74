#include "report/log_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <unordered_map>
#include <utility>

#include "bundle/json_text.h"
#include "report/log_columns.h"
#include "report/log_page.h"
#include "report/log_selection.h"
#include "report/log_states.h"
#include "report/log_text.h"
#include "report/log_words.h"

namespace lastack {
namespace {

constexpr std::size_t kMostColumns = 12;
constexpr std::size_t kMostText = 400;
constexpr std::size_t kMostPoints = 1600;     // of a chart
constexpr std::size_t kWithoutProgram = 200;  // rows of the diagram for whoever runs no programs

// JSON within <script>: no character that could end it.
void append_script_text(std::string& out, std::string_view text) {
  std::string quoted;
  append_json_string(quoted, shown(text, kMostText));
  for (const char c : quoted) {
    if (c == '<' || c == '>' || c == '&' || c == '\'') {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
}

// Each text once.
class Texts {
 public:
  std::size_t of(const std::string& text) {
    const auto [at, fresh] = index_.try_emplace(text, list_.size());
    if (fresh) list_.push_back(text);
    return at->second;
  }
  const std::vector<std::string>& list() const { return list_; }

 private:
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::string> list_;
};

// As log_page.js has it.
int kind_of(Happening what) {
  switch (what) {
    case Happening::SegmentSent:
      return 0;
    case Happening::SegmentReceived:
      return 1;
    case Happening::SegmentDropped:
      return 2;
    case Happening::SegmentDelayed:
    case Happening::SegmentDuplicated:
    case Happening::SegmentCorrupted:
      return 3;
    case Happening::StateChanged:
      return 4;
    case Happening::TimerFired:
      return 5;
    case Happening::AppListen:
    case Happening::AppConnect:
    case Happening::AppAccept:
    case Happening::AppRead:
    case Happening::AppWrite:
    case Happening::AppShutdown:
    case Happening::AppClose:
    case Happening::AppAbort:
      return 6;
    case Happening::IcmpReceived:
    case Happening::PathDoubted:
      return 7;
    case Happening::AppRefused:
    case Happening::HostCrashed:
      return 9;
    case Happening::SettingChanged:
      return 6;
    case Happening::TimeWaitEntered:
    case Happening::TimeWaitEnded:
    case Happening::TimeWaitOverflowed:
    case Happening::TimeWaitSkipped:
    case Happening::TimeWaitEvicted:
    case Happening::TimeWaitAssassinated:
    case Happening::TimeWaitReused:
    case Happening::TimeWaitReopened:
    case Happening::TimeWaitAborted:
      return 8;
  }
  return 7;
}

std::string head_html(const std::string& title, const std::string& part) {
  std::string out;
  out +=
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  // Nothing is fetched, whatever the log says.
  out +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n";
  out += "<title>" + escaped_html(part.empty() ? title : part + ": " + title) + "</title>\n";
  out += "<style>\n";
  out += kLogPageStyle;
  out += "</style>\n</head>\n<body>\n";
  return out;
}

class Page {
 public:
  Page(const LogTrace& trace, const ReportText& text, const ReportCharts& charts,
       const LogHtmlOptions& options)
      : trace_(trace), text_(text), charts_(charts), options_(options) {
    which_.connections = options.connections;
    which_.from = options.from;
    which_.to = options.to;
  }

  std::string write() {
    const std::string data = data_json();
    head();
    summary();
    body();
    out_ += "<script type=\"application/json\" id=\"log\">" + data + "</script>\n<script>\n";
    out_ += kLogPageProgram;
    out_ += "</script>\n</body>\n</html>\n";
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += text + "\n"; }

  std::string title() const { return text_.title.empty() ? "A lifecycle log" : text_.title; }

  void head() { out_ += head_html(title(), text_.part); }

  std::string about() const {
    const LifecycleHeader& h = trace_.header();
    std::string text = fmt::format("{}, seen from {}", to_string(h.world), h.vantage);
    if (!h.profile.empty()) text += fmt::format(" · profile {}", h.profile);
    if (h.seed) text += fmt::format(" · seed {}", *h.seed);
    for (const auto& [name, value] : h.settings) text += fmt::format(" · {}={}", name, value);
    text += fmt::format(" · {} events, {} connections", grouped(trace_.events().size()),
                        grouped(trace_.connections().size()));
    for (const auto& [category, how] : h.coverage) {
      if (how == Coverage::Sampled) text += " · " + category + " events: a sample";
    }
    return text;
  }

  void summary() {
    line("<header><div class=\"top\"><h1>" + escaped_html(title()) +
         (text_.part.empty() ? ""
                             : " <small class=\"id\">" + escaped_html(text_.part) + "</small>") +
         "</h1><div class=\"screen\"><button id=\"theme\" title=\"t\">light / dark</button> "
         "<button id=\"question\" title=\"?\">keys</button></div></div>");
    line("<p class=\"meta\">" + escaped_html(text_.run.empty() ? about() : text_.run) +
         "</p></header>");
    out_ += summary_html(text_);
  }

  void body() {
    line(
        "<h2>Over time</h2>\n<div class=\"legend\" id=\"bands\"></div><div class=\"charts\" "
        "id=\"charts\"></div><p class=\"meta\" id=\"constant\"></p>");
    line("<h2>Sequence</h2>");
    if (left_out_ > 0) {
      line(fmt::format("<p class=\"meta\">The first {} of {} events; the charts show all.</p>",
                       grouped(taken_), grouped(taken_ + left_out_)));
    }
    line(
        "<div class=\"bar\"><input type=\"search\" id=\"filter\" placeholder=\"filter: every word, anywhere ( / )\" "
        "aria-label=\"filter of events\"><select id=\"connection\" aria-label=\"connection\"></select>"
        "<button id=\"out\" title=\"-\" aria-label=\"smaller\">&minus;</button><button id=\"in\" title=\"+\" "
        "aria-label=\"larger\">+</button><span class=\"meta\" id=\"count\"></span></div>");
    line("<div class=\"bar screen\" id=\"moments\" aria-label=\"moments\"></div>");
    line(
        "<div class=\"scroll screen\" id=\"diagram\" tabindex=\"0\" aria-label=\"sequence diagram\"><div "
        "class=\"head\" id=\"heads\"></div><div class=\"spacer\" id=\"lane\"></div></div>");
    line("<div class=\"printed\" id=\"paper\"></div>");
    line("<pre class=\"screen\" id=\"detail\" aria-live=\"polite\"></pre>");
    line("<div class=\"legend\" id=\"marks\"></div>");
    line(
        "<p class=\"meta\">SEQ+LENGTH and ACK count from the SYN of each direction, whose number is 0; ' after "
        "one: by the count of the use before.</p>");
    line("<h2 class=\"screen\">Events</h2>");
    line(
        "<div class=\"scroll screen\" id=\"events\" tabindex=\"0\" aria-label=\"events\"><div class=\"spacer\" "
        "id=\"lines\"></div></div>");
    out_ += appendix_html(text_);
    out_ +=
        "<noscript><p>Without its program the page shows the beginning only.</p><pre class=\"wide\">";
    LogTextOptions plain = which_;
    plain.rows = kWithoutProgram;
    plain.width = 130;
    out_ += escaped_html(sequence_diagram(trace_, plain));
    line("</pre></noscript>");
    line(
        "<dialog id=\"help\"><h2>Keys</h2><table>"
        "<tr><td><kbd>&uarr;</kbd> <kbd>&darr;</kbd> <kbd>PgUp</kbd> <kbd>PgDn</kbd> <kbd>Home</kbd> <kbd>End</kbd></td><td>choose an event</td></tr>"
        "<tr><td><kbd>&rarr;</kbd> <kbd>&larr;</kbd></td><td>to where the segment arrives, or was sent</td></tr>"
        "<tr><td><kbd>+</kbd> <kbd>-</kbd> <kbd>0</kbd></td><td>larger, smaller, as it was</td></tr>"
        "<tr><td><kbd>[</kbd> <kbd>]</kbd> <kbd>,</kbd> <kbd>.</kbd></td><td>charts: shorter time, longer, earlier, later</td></tr>"
        "<tr><td><kbd>/</kbd></td><td>filter; <kbd>Esc</kbd> empties it</td></tr>"
        "<tr><td><kbd>t</kbd></td><td>light or dark</td></tr>"
        "<tr><td><kbd>?</kbd></td><td>this</td></tr></table>"
        "<p class=\"meta\">In a chart: a click goes to that time, dragging looks closer, a double click shows all. Shaded is what the diagram shows.</p>"
        "<p><button id=\"closer\">Close</button></p></dialog>");
  }

  // --- What the program of the page reads

  std::string data_json() {
    const LogSelection selection(trace_, which_);
    const LogColumns columns(trace_, selection, kMostColumns);
    Texts texts;
    texts.of("");
    // Connections of what is in the file, by their number there.
    std::map<std::uint32_t, std::size_t> connections;
    std::vector<std::uint32_t> connection_list;
    std::string events;
    std::int64_t first = INT64_MAX, last = 0;
    for (const TraceEvent& e : trace_.events()) {
      if (!selection.takes(e)) continue;
      first = std::min(first, e.at);
      last = std::max(last, e.at);
      if (options_.rows != 0 && taken_ == options_.rows) {
        ++left_out_;
        continue;
      }
      ++taken_;
      long connection = -1;
      if (e.connection != kNoConnection) {
        const auto [at, fresh] = connections.try_emplace(e.connection, connection_list.size());
        if (fresh) connection_list.push_back(e.connection);
        connection = static_cast<long>(at->second);
      }
      long from = -1, to = -1;
      std::string words;
      if (e.is_segment() && e.connection != kNoConnection) {
        const auto ends = columns.ends(e);
        from = static_cast<long>(ends.first);
        to = static_cast<long>(ends.second);
        words = segment_words(e);
        if (e.sack != 0) words += ", SACK " + trace_.text(e.sack);
        if (e.again) words += ", again";
      }
      std::string what = event_words(trace_, e);
      if (e.what == Happening::StateChanged) words = std::exchange(what, "state");
      std::string rule = trace_.text(e.rule);
      if (e.is_segment() && e.detail != 0) {
        rule += (rule.empty() ? "" : "; ") + trace_.text(e.detail);
      }
      fmt::format_to(std::back_inserter(events), "{}[{},{},{},{},{},{},{},{},{},{},{},{}",
                     events.empty() ? "" : ",", e.line, e.at,
                     e.host == kWireHost ? -1L : static_cast<long>(columns.of(e.host)),
                     kind_of(e.what), connection, from, to, texts.of(what), texts.of(words),
                     texts.of(cause_words(trace_, e)), texts.of(rule), e.id);
      if (e.what == Happening::StateChanged) {
        fmt::format_to(std::back_inserter(events), ",{}", static_cast<int>(e.to));
      }
      events += ']';
    }
    if (first > last) first = last;

    std::string out = "{\"events\":[" + events + "],\"texts\":";
    list(out, texts.list());
    out += ",\"columns\":";
    std::vector<std::string> names;
    for (const LogColumn& column : columns.list) names.push_back(column.name);
    list(out, names);
    out += ",\"connections\":";
    names.clear();
    for (const std::uint32_t one : connection_list) names.push_back(trace_.describe(one));
    list(out, names);
    out += ",\"state_names\":";
    names.clear();
    for (const TcpState state : kAllTcpStates) names.emplace_back(to_string(state));
    list(out, names);
    std::int64_t begin = first;
    for (const ReportStack& one : charts_.stacks) {
      if (one.points.empty()) continue;
      begin = std::min(begin, one.points.front().at);
      last = std::max(last, one.points.back().at);
    }
    if (options_.zero) begin = std::min(begin, *options_.zero);
    fmt::format_to(std::back_inserter(out),
                   ",\"range\":[{},{}],\"zero\":{},\"whole\":{},\"states\":[", begin, last,
                   options_.zero.value_or(0), left_out_ == 0);
    bool begun = false;
    std::vector<std::string> constant;
    for (const StatesOverTime& host : states_over_time(trace_, options_)) {
      if (is_idle(host)) {
        constant.push_back(fmt::format("states of {}: never more than one connection at a time",
                                       trace_.hosts()[host.host]));
        continue;
      }
      out += std::exchange(begun, true) ? ",{\"name\":" : "{\"name\":";
      append_script_text(out, trace_.hosts()[host.host]);
      out += ",\"points\":[";
      for (std::size_t i = 0; i < host.points.size(); ++i) {
        fmt::format_to(std::back_inserter(out), "{}[{},[", i == 0 ? "" : ",", host.points[i].at);
        for (const TcpState state : kAllTcpStates) {
          fmt::format_to(std::back_inserter(out), "{}{}", state == kAllTcpStates[0] ? "" : ",",
                         host.points[i].counts[state]);
        }
        out += "]]";
      }
      out += "]}";
    }
    out += "],\"series\":[";
    begun = false;
    for (const ReportSeries& one : charts_.series) {
      if (const std::string why = left_out(one); !why.empty()) {
        constant.push_back(why);
        continue;
      }
      out += std::exchange(begun, true) ? ",{\"name\":" : "{\"name\":";
      append_script_text(out, one.name);
      out += ",\"unit\":";
      append_script_text(out, one.unit);
      if (one.limit && std::isfinite(*one.limit)) {
        fmt::format_to(std::back_inserter(out), ",\"limit\":{:.9g},\"limit_name\":", *one.limit);
        append_script_text(out, one.limit_name);
      }
      out += ",\"points\":[";
      // No more than a screen has columns.
      const std::size_t every = one.points.size() / kMostPoints + 1;
      for (std::size_t i = 0; i < one.points.size(); ++i) {
        if (i % every != 0 && i + 1 != one.points.size()) continue;
        fmt::format_to(std::back_inserter(out), "{}[{},{:.9g}]", i == 0 ? "" : ",",
                       one.points[i].first, finite(one.points[i].second));
      }
      out += "]}";
    }
    out += "],\"stacks\":[";
    begun = false;
    for (const ReportStack& one : charts_.stacks) {
      if (std::exchange(begun, true)) out += ',';
      append_stack(out, one);
    }
    out += "],\"constant\":";
    list(out, constant);
    out += ",\"moments\":[";
    begun = false;
    for (const ReportText::Moment& one : text_.moments) {
      fmt::format_to(std::back_inserter(out), "{}[{},", std::exchange(begun, true) ? "," : "",
                     one.at);
      append_script_text(out, one.label);
      out += ']';
    }
    out += "],\"bands\":[";
    begun = false;
    for (const ReportBand& band : charts_.bands) {
      fmt::format_to(std::back_inserter(out), "{}[{},{},", std::exchange(begun, true) ? "," : "",
                     band.from, band.to);
      append_script_text(out, band.label);
      fmt::format_to(std::back_inserter(out), ",{},{}]", static_cast<int>(band.kind), band.count);
    }
    out += "]}";
    return out;
  }
  // JSON has neither infinity nor not-a-number.
  static double finite(double value) { return std::isfinite(value) ? value : 0; }

  static void append_stack(std::string& out, const ReportStack& one) {
    out += "{\"name\":";
    append_script_text(out, one.name);
    out += ",\"unit\":";
    append_script_text(out, one.unit);
    fmt::format_to(std::back_inserter(out), ",\"key\":{},\"parts\":[", one.key);
    for (std::size_t i = 0; i < one.parts.size(); ++i) {
      out += i == 0 ? "[" : ",[";
      append_script_text(out, one.parts[i].name);
      out += ',';
      append_script_text(out, one.parts[i].color);
      out += ']';
    }
    out += "],\"points\":[";
    const std::size_t every = one.points.size() / kMostPoints + 1;
    bool begun = false;
    for (std::size_t i = 0; i < one.points.size(); ++i) {
      if (i % every != 0 && i + 1 != one.points.size()) continue;
      fmt::format_to(std::back_inserter(out), "{}[{},[", std::exchange(begun, true) ? "," : "",
                     one.points[i].at);
      for (std::size_t k = 0; k < one.parts.size(); ++k) {
        const auto& values = one.points[i].values;
        fmt::format_to(std::back_inserter(out), "{}{:.6g}", k == 0 ? "" : ",",
                       k < values.size() ? finite(values[k]) : 0);
      }
      out += "]]";
    }
    out += "]}";
  }

  // Of many connections at most one at a time: nothing can be seen of it.
  bool is_idle(const StatesOverTime& host) const {
    if (trace_.connections().size() < 50) return false;
    return std::all_of(host.points.begin(), host.points.end(),
                       [](const auto& point) { return point.counts.total() <= 1; });
  }

  // Why a chart of it would show nothing; empty: it does.
  std::string left_out(const ReportSeries& series) const {
    const auto& points = series.points;
    if (points.empty()) return series.name + ": nothing";
    const auto differ = [](const auto& a, const auto& b) { return a.second != b.second; };
    const auto change = std::adjacent_find(points.begin(), points.end(), differ);
    if (change == points.end())
      return fmt::format("{}: {:.9g} {}", series.name, finite(points[0].second), series.unit);
    if (std::adjacent_find(change + 1, points.end(), differ) == points.end()) {
      const auto at = static_cast<double>((change + 1)->first - options_.zero.value_or(0));
      return fmt::format("{}: {:.9g}, and from {:.4g} s on {:.9g}", series.name,
                         finite(change->second), at / 1e9, finite((change + 1)->second));
    }
    double most = 0;
    for (const auto& [when, value] : points) most = std::max(most, value);
    if (most <= 1 && trace_.connections().size() >= 50)
      return fmt::format("{}: never more than {:.9g}", series.name, most);
    // A limit that is far away would make the curve a flat line.
    if (series.limit && most < *series.limit / 8) {
      return fmt::format("{}: at most {:.9g} of {}", series.name, most,
                         grouped(static_cast<std::uint64_t>(*series.limit)));
    }
    for (const ReportSeries& other : charts_.series) {
      if (&other == &series) return "";
      if (other.points == points) return fmt::format("{}: as {}", series.name, other.name);
    }
    return "";
  }

  static void list(std::string& out, const std::vector<std::string>& texts) {
    out += '[';
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (i > 0) out += ',';
      append_script_text(out, texts[i]);
    }
    out += ']';
  }

  const LogTrace& trace_;
  const ReportText& text_;
  const ReportCharts& charts_;
  const LogHtmlOptions& options_;
  LogTextOptions which_;
  std::string out_;
  std::size_t taken_ = 0, left_out_ = 0;
};

}  // namespace

std::string escaped_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t start = 0; start <= text.size();) {
    // Line by line: the ends of lines are the only controls that stay.
    const std::size_t end = std::min(text.find('\n', start), text.size());
    for (const char c : shown(text.substr(start, end - start), 1U << 20)) {
      switch (c) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '"':
          out += "&quot;";
          break;
        case '\'':
          out += "&#39;";
          break;
        default:
          out += c;
      }
    }
    if (end < text.size()) out += '\n';
    start = end + 1;
  }
  return out;
}

std::string overview_html(const ReportText& text) {
  std::string out = head_html(text.title, text.part);
  out += "<header><h1>" + escaped_html(text.title) + "</h1>\n<p class=\"meta\">" +
         escaped_html(text.run) + "</p></header>\n";
  out += summary_html(text);
  out += appendix_html(text);
  // It is as light or dark as the reader's other windows.
  out +=
      "<script>\n(() => {\n"
      "  const dark = window.matchMedia(\"(prefers-color-scheme: dark)\");\n"
      "  const paint = () => document.documentElement.setAttribute(\"data-theme\", dark.matches ? "
      "\"dark\" : \"light\");\n"
      "  dark.addEventListener(\"change\", paint);\n  paint();\n})();\n</script>\n</body>\n</html>\n";
  return out;
}

std::string log_html(const LogTrace& trace, const ReportText& text, const ReportCharts& charts,
                     const LogHtmlOptions& options) {
  return Page(trace, text, charts, options).write();
}

}  // namespace lastack
