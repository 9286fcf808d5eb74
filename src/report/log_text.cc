// The list of events.
#include "report/log_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "report/log_selection.h"
#include "report/log_words.h"

namespace lastack {
namespace {

constexpr std::size_t kMostName = 16;
constexpr std::size_t kMostWhat = 56;

std::string what_of(const LogTrace& trace, const TraceEvent& e) {
  std::string text = event_words(trace, e);
  if (e.is_segment()) {
    text = padded(std::move(text), 7);
    if (e.id != 0) text += fmt::format(" #{}", e.id);
    text += ' ' + segment_words(e);
    if (e.window == 0 && !e.rst()) text += ", window 0";
    if (e.sack != 0) text += ", SACK " + trace.text(e.sack);
    if (e.again) text += ", again";
  }
  return text;
}

}  // namespace

std::string event_list(const LogTrace& trace, const LogTextOptions& options) {
  const LogSelection selection(trace, options);
  std::size_t name = 4, time = 2, number = 4, count = 0;
  std::uint32_t line = 0;
  for (const std::uint16_t host : trace.drawing_order()) {
    name = std::max(name, columns(shown(trace.hosts()[host], kMostName)));
  }
  for (const TraceEvent& e : trace.events()) {
    if (!selection.takes(e) || (options.rows != 0 && ++count > options.rows)) continue;
    time = std::max(time, milliseconds(e.at).size());
    line = std::max(line, e.line);
  }
  number = std::max(number, std::to_string(line).size());
  std::string out = fmt::format("{:>{}}  {:>{}}  {}  conn  {}  why / rule\n", "line", number, "ms",
                                time, padded("host", name), padded("what", kMostWhat));
  count = 0;
  for (const TraceEvent& e : trace.events()) {
    if (!selection.takes(e) || (options.rows != 0 && ++count > options.rows)) continue;
    std::string why = cause_words(trace, e);
    if (e.detail != 0 && e.is_segment())
      why += (why.empty() ? "" : "; ") + shown(trace.text(e.detail));
    if (e.rule != 0) why += (why.empty() ? "" : " / ") + shown(trace.text(e.rule));
    if (e.inferred) why += " (inferred)";
    const std::string host = e.host == kWireHost ? "wire" : shown(trace.hosts()[e.host], kMostName);
    std::string row = fmt::format(
        "{:>{}}  {:>{}}  {}  {:>4}  ", e.line, number, milliseconds(e.at), time, padded(host, name),
        e.connection == kNoConnection ? "" : std::to_string(e.connection + 1));
    const std::string what = what_of(trace, e);
    row += why.empty() ? what : padded(what, kMostWhat) + "  " + why;
    row = shown(row, std::max<std::size_t>(options.width, 60));
    const bool bad = e.what == Happening::SegmentDropped || e.what == Happening::SegmentCorrupted ||
                     (e.is_segment() && e.rst());
    out += options.color && bad ? "\x1b[31m" + row + "\x1b[0m\n" : row + "\n";
  }
  if (options.rows != 0 && count > options.rows) {
    out += fmt::format("... {} more events\n", grouped(count - options.rows));
  }
  if (options.legend) {
    out += "\n" + connections_legend(trace, selection);
    out +=
        "SEQ+LENGTH and ACK count from the SYN of each direction (its number is 0); ' after a number: by the\n"
        "count of the use before. #17 is one segment wherever it is seen. conn: the connection above\n";
  }
  return out;
}

}  // namespace lastack
