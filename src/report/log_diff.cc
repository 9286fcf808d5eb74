#include "report/log_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "report/log_words.h"

namespace lastack {
namespace {

// "state" of "state:changed".
std::string_view category_of(Happening what) {
  const std::string_view name = to_string(what);
  return name.substr(0, name.find(':'));
}

bool is_complete(const LogTrace& log, std::string_view category) {
  const auto found = log.header().coverage.find(std::string(category));
  return found == log.header().coverage.end() || found->second == Coverage::Complete;
}

// Time-outs are how a host comes to do something; what it does is compared.
bool is_compared(Happening what) {
  return what != Happening::TimerFired && what != Happening::PathDoubted;
}

// Between which hosts, to which port, and the how manieth.
using Key = std::tuple<std::string, std::string, Port, std::size_t>;

struct Stream {
  std::vector<std::uint32_t> events;
};

// What each host saw of each connection.
struct Views {
  Views(const LogTrace& log, const std::set<std::string_view>& left_out) : trace(log) {
    std::map<std::tuple<std::string, std::string, Port>, std::size_t> opened;
    for (const TraceConnection& c : log.connections()) {
      const std::string from = log.name_of(c.opener), to = log.name_of(c.other);
      keys.emplace_back(from, to, c.other.port, ++opened[{from, to, c.other.port}]);
    }
    for (std::uint32_t i = 0; i < log.events().size(); ++i) {
      const TraceEvent& e = log.events()[i];
      if (!is_compared(e.what) || left_out.contains(category_of(e.what))) continue;
      const std::string host = e.host == kWireHost ? "wire" : log.hosts()[e.host];
      const Key key = e.connection == kNoConnection ? Key{} : keys[e.connection];
      of[key][host].events.push_back(i);
      all[key].push_back(i);
    }
    for (std::uint32_t i = 0; i < log.connections().size(); ++i) {
      began[keys[i]] = log.events()[log.connections()[i].first_event].at;
    }
    start = log.events().empty() ? 0 : log.events().front().at;
    began[Key{}] = start;
  }

  const LogTrace& trace;
  std::vector<Key> keys;  // by connection
  std::map<Key, std::map<std::string, Stream>> of;
  std::map<Key, std::vector<std::uint32_t>> all;  // of a connection, whoever saw it
  std::map<Key, std::int64_t> began;
  std::int64_t start = 0;
};

std::string words_of(const LogTrace& log, const TraceEvent& e) {
  std::string text = event_words(log, e);
  if (e.is_segment()) text = padded(std::move(text), 7) + " " + segment_words(e);
  return text;
}

std::string name_of(const Key& key) {
  const auto& [from, to, port, number] = key;
  if (number == 0) return "listeners, and what is of no connection";
  const char* const ending = number % 100 / 10 == 1 ? "th"
                             : number % 10 == 1     ? "st"
                             : number % 10 == 2     ? "nd"
                             : number % 10 == 3     ? "rd"
                                                    : "th";
  return fmt::format("{} -> {}:{}, the {}{}", shown(from, 40), shown(to, 40), port, number, ending);
}

class Comparison {
 public:
  Comparison(const Views& a, const Views& b, const LogDiffOptions& options)
      : a_(a), b_(b), options_(options) {}

  LogDiff result;

  void run() {
    std::set<Key> keys;
    for (const auto& [key, hosts] : a_.of) keys.insert(key);
    for (const auto& [key, hosts] : b_.of) keys.insert(key);
    for (const Key& key : keys) {
      const auto in_a = a_.of.find(key), in_b = b_.of.find(key);
      differs_ = false;
      if (in_b == b_.of.end()) {
        whole(LogDivergence::OnlyInA, key, in_a->second, a_);
      } else if (in_a == a_.of.end()) {
        whole(LogDivergence::OnlyInB, key, in_b->second, b_);
      } else {
        std::set<std::string> hosts;
        for (const auto& [host, stream] : in_a->second) hosts.insert(host);
        for (const auto& [host, stream] : in_b->second) hosts.insert(host);
        for (const std::string& host : hosts) {
          const auto sa = in_a->second.find(host), sb = in_b->second.find(host);
          streams(key, host, sa == in_a->second.end() ? nothing_ : sa->second,
                  sb == in_b->second.end() ? nothing_ : sb->second);
        }
      }
      result.connections_differ += differs_ && key != Key{} ? 1 : 0;
    }
    result.equal = !result.first;
  }

 private:
  const TraceEvent& at_a(const Stream& s, std::size_t i) const {
    return a_.trace.events()[s.events[i]];
  }
  const TraceEvent& at_b(const Stream& s, std::size_t i) const {
    return b_.trace.events()[s.events[i]];
  }

  void whole(LogDivergence kind, const Key& key, const std::map<std::string, Stream>& hosts,
             const Views& where) {
    // The earliest of them, whoever saw it.
    const std::string* host = nullptr;
    const Stream* stream = nullptr;
    for (const auto& [name, one] : hosts) {
      if (stream == nullptr || one.events.front() < stream->events.front())
        host = &name, stream = &one;
    }
    const std::int64_t t = where.trace.events()[stream->events.front()].at - where.start;
    diverge(kind, t, key, *host, kind == LogDivergence::OnlyInA ? *stream : nothing_,
            kind == LogDivergence::OnlyInB ? *stream : nothing_, 0);
  }

  void streams(const Key& key, const std::string& host, const Stream& a, const Stream& b) {
    const std::int64_t began_a = a_.began.at(key), began_b = b_.began.at(key);
    const std::size_t both = std::min(a.events.size(), b.events.size());
    for (std::size_t i = 0; i < both; ++i) {
      const TraceEvent& x = at_a(a, i);
      const TraceEvent& y = at_b(b, i);
      ++result.events;
      std::optional<LogDivergence> kind = unlike(x, y);
      const bool late =
          !near(x.at - began_a, y.at - began_b) || !near(began_a - a_.start, began_b - b_.start);
      if (!kind && options_.times && late) kind = LogDivergence::Time;
      if (!kind) continue;
      return diverge(*kind, std::min(x.at - a_.start, y.at - b_.start), key, host, a, b, i);
    }
    if (a.events.size() > both) {
      diverge(LogDivergence::MoreInA, at_a(a, both).at - a_.start, key, host, a, b, both);
    } else if (b.events.size() > both) {
      diverge(LogDivergence::MoreInB, at_b(b, both).at - b_.start, key, host, a, b, both);
    }
  }

  bool near(std::int64_t a, std::int64_t b) const {
    const auto apart = static_cast<double>(std::max(a, b)) - static_cast<double>(std::min(a, b));
    const double longer =
        std::max(std::abs(static_cast<double>(a)), std::abs(static_cast<double>(b)));
    return apart <= static_cast<double>(options_.absolute) + options_.share * longer;
  }

  static std::optional<LogDivergence> unlike(const TraceEvent& x, const TraceEvent& y) {
    if (x.what != y.what) {
      if (x.is_segment() || y.is_segment()) return LogDivergence::Segment;
      const bool states = x.what == Happening::StateChanged || y.what == Happening::StateChanged;
      return states ? LogDivergence::State : LogDivergence::Call;
    }
    if (x.is_segment()) {
      const bool same = x.flags == y.flags && x.length == y.length && x.seq == y.seq &&
                        (!x.ack_flag() || x.ack == y.ack) && x.seq_of_before == y.seq_of_before &&
                        x.ack_of_before == y.ack_of_before;
      if (!same) return LogDivergence::Segment;
    }
    if (x.what == Happening::StateChanged && (x.from != y.from || x.to != y.to)) {
      return LogDivergence::State;
    }
    return std::nullopt;
  }

  void diverge(LogDivergence kind, std::int64_t t, const Key& key, const std::string& host,
               const Stream& a, const Stream& b, std::size_t at) {
    differs_ = true;
    if (result.first && t >= earliest_) return;
    earliest_ = t;
    LogDiff::First first;
    first.kind = kind;
    first.connection = name_of(key);
    first.host = shown(host, 40);
    if (at < a.events.size()) first.line_a = at_a(a, at).line;
    if (at < b.events.size()) first.line_b = at_b(b, at).line;
    // The whole connection around it, in either log.
    const std::int64_t since = at < a.events.size() ? at_a(a, at).at - a_.began.at(key)
                                                    : at_b(b, at).at - b_.began.at(key);
    const Around in_a = around(a_, a, key, at, since), in_b = around(b_, b, key, at, since);
    for (std::size_t back = options_.context; back > 0; --back) {
      add_row(first, key, in_a.before(back), in_b.before(back), false);
    }
    add_row(first, key, in_a.itself, in_b.itself, true);
    for (std::size_t on = 0; on < options_.context; ++on) {
      add_row(first, key, in_a.after(on), in_b.after(on), false);
    }
    result.first = std::move(first);
  }

  // A place among the events of a connection: of an event, or of the time where there is none.
  struct Around {
    const std::vector<std::uint32_t>* events = nullptr;
    std::optional<std::uint32_t> itself;
    std::size_t next = 0;  // the first one after it
    std::optional<std::uint32_t> before(std::size_t back) const {
      const std::size_t at = next - (itself ? 1 : 0);
      if (events == nullptr || back > at) return std::nullopt;
      return (*events)[at - back];
    }
    std::optional<std::uint32_t> after(std::size_t on) const {
      if (events == nullptr || on >= events->size() - next) return std::nullopt;
      return (*events)[next + on];
    }
  };
  static Around around(const Views& views, const Stream& stream, const Key& key, std::size_t at,
                       std::int64_t since) {
    Around place;
    const auto found = views.all.find(key);
    if (found == views.all.end()) return place;
    place.events = &found->second;
    if (at < stream.events.size()) place.itself = stream.events[at];
    if (place.itself) {
      place.next = static_cast<std::size_t>(
          std::upper_bound(found->second.begin(), found->second.end(), *place.itself) -
          found->second.begin());
    } else {
      while (place.next < found->second.size() &&
             views.trace.events()[found->second[place.next]].at - views.began.at(key) <= since) {
        ++place.next;
      }
    }
    return place;
  }

  void add_row(LogDiff::First& first, const Key& key, std::optional<std::uint32_t> a,
               std::optional<std::uint32_t> b, bool diverges) const {
    if (!a && !b) return;
    LogDiff::First::Row row;
    row.diverges = diverges;
    if (a) row.a = side(a_, a_.trace.events()[*a], key);
    if (b) row.b = side(b_, b_.trace.events()[*b], key);
    first.rows.push_back(std::move(row));
  }
  static LogDiff::First::Row::Side side(const Views& views, const TraceEvent& e, const Key& key) {
    const std::string host = e.host == kWireHost ? "wire" : shown(views.trace.hosts()[e.host], 16);
    return {e.line, e.at - views.began.at(key), padded(host, 7) + " " + words_of(views.trace, e)};
  }

  const Views& a_;
  const Views& b_;
  const LogDiffOptions& options_;
  const Stream nothing_{};
  bool differs_ = false;
  std::int64_t earliest_ = 0;
};

void compare_headers(const LogTrace& a, const LogTrace& b, std::vector<std::string>& out) {
  const LifecycleHeader& x = a.header();
  const LifecycleHeader& y = b.header();
  const auto say = [&](const std::string& what, std::string_view first, std::string_view second) {
    if (first == second) return;
    out.push_back(fmt::format("{}: {}, {}", shown(what, 60),
                              first.empty() ? "none" : shown(first, 60),
                              second.empty() ? "none" : shown(second, 60)));
  };
  say("world", to_string(x.world), to_string(y.world));
  say("vantage", x.vantage, y.vantage);
  say("version of lastack", x.tool_version, y.tool_version);
  say("profile", x.profile, y.profile);
  say("seed", x.seed ? std::to_string(*x.seed) : "", y.seed ? std::to_string(*y.seed) : "");
  std::set<std::string> settings;
  for (const auto& [name, value] : x.settings) settings.insert(name);
  for (const auto& [name, value] : y.settings) settings.insert(name);
  for (const std::string& name : settings) {
    const auto first = x.settings.find(name), second = y.settings.find(name);
    say(name, first == x.settings.end() ? "" : first->second,
        second == y.settings.end() ? "" : second->second);
  }
}

}  // namespace

std::string_view to_string(LogDivergence kind) {
  switch (kind) {
    case LogDivergence::Segment:
      return "another segment";
    case LogDivergence::State:
      return "another change of state";
    case LogDivergence::Call:
      return "another event";
    case LogDivergence::Time:
      return "the same at another time";
    case LogDivergence::MoreInA:
      return "B ends here";
    case LogDivergence::MoreInB:
      return "A ends here";
    case LogDivergence::OnlyInA:
      return "the connection is in A only";
    case LogDivergence::OnlyInB:
      return "the connection is in B only";
  }
  return "";
}

LogDiff diff(const LogTrace& a, const LogTrace& b, const LogDiffOptions& options) {
  static constexpr std::string_view kCategories[] = {"segment", "state", "app", "icmp", "timewait"};
  std::set<std::string_view> left_out;
  for (const std::string_view category : kCategories) {
    if (!is_complete(a, category) || !is_complete(b, category)) left_out.insert(category);
  }
  const Views of_a(a, left_out), of_b(b, left_out);
  Comparison comparison(of_a, of_b, options);
  comparison.run();
  LogDiff& result = comparison.result;
  compare_headers(a, b, result.headers);
  result.connections_a = a.connections().size();
  result.connections_b = b.connections().size();
  for (const std::string_view category : left_out) result.not_compared.emplace_back(category);
  return std::move(result);
}

std::string diff_text(const LogDiff& diff, const std::string& name_a, const std::string& name_b,
                      std::size_t width) {
  std::string out;
  out += fmt::format("A  {}   {} connection{}\n", shown(name_a), grouped(diff.connections_a),
                     diff.connections_a == 1 ? "" : "s");
  out += fmt::format("B  {}   {} connection{}\n", shown(name_b), grouped(diff.connections_b),
                     diff.connections_b == 1 ? "" : "s");
  for (const std::string& one : diff.headers) out += "made with another " + one + "\n";
  if (!diff.not_compared.empty()) {
    out += "not compared, since a log is not complete there:";
    for (const std::string& category : diff.not_compared) out += " " + category;
    out += '\n';
  }
  if (diff.equal) {
    out += fmt::format("the same story: {} events compared\n", grouped(diff.events));
    return out;
  }
  const LogDiff::First& first = *diff.first;
  const auto line = [](const std::optional<std::uint32_t>& number) {
    return number ? fmt::format("line {}", *number) : std::string("nothing");
  };
  out += fmt::format("\n{}: {}\n", first.connection, to_string(first.kind));
  out += fmt::format(
      "at {}: {} of A, {} of B{}\n\n", first.host, line(first.line_a), line(first.line_b),
      diff.connections_differ > 1 ? fmt::format("; the first of {} connections that differ",
                                                grouped(diff.connections_differ))
                                  : "");
  // line, ms, what, on either side.
  std::size_t time = 8, number = 4;
  for (const LogDiff::First::Row& row : first.rows) {
    for (const auto& side : {row.a, row.b}) {
      if (!side) continue;
      time = std::max(time, milliseconds(std::abs(side->at)).size() + (side->at < 0 ? 1 : 0));
      number = std::max(number, std::to_string(side->line).size());
    }
  }
  const std::size_t half = std::max<std::size_t>((std::max<std::size_t>(width, 80) - 5) / 2, 36);
  const auto print = [&](const std::optional<LogDiff::First::Row::Side>& side) {
    if (!side) return std::string("-");
    const std::string at = (side->at < 0 ? "-" : "") + milliseconds(std::abs(side->at));
    return shown(fmt::format("{:>{}}  {:>{}}  {}", side->line, number, at, time, side->what), half);
  };
  const std::string titles = fmt::format("{:>{}}  {:>{}}  ", "line", number, "ms", time);
  out += fmt::format("  {} | {}\n", padded(titles + "A", half), titles + "B");
  for (const LogDiff::First::Row& row : first.rows) {
    out += fmt::format("{} {} | {}\n", row.diverges ? ">" : " ", padded(print(row.a), half),
                       print(row.b));
  }
  return out;
}

}  // namespace lastack
