// A lifecycle log as one HTML file that needs nothing else: what was found, states and counts over time, a sequence
// diagram, a table of events. A pure function of the log and of what the caller has to say about it. Nothing of either is
// taken as markup: a log may come from anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/log_trace.h"

namespace lastack {

// What there is to say about the run; what is empty is left out.
struct ReportText {
  std::string title;
  std::string verdict;  // one sentence
  std::string cause;    // a paragraph
  struct Row {
    std::string name, value;
  };
  std::vector<Row> evidence;
  struct Remedy {
    std::string what;     // in words
    std::string command;  // as it is typed
  };
  std::vector<Remedy> change;
  struct Proof {
    std::string name, before, after;
  };
  std::vector<Proof> proof;
  std::string replay;  // the command line that makes this run again
};

// A number over time: it holds from its point to the next one.
struct ReportSeries {
  std::string name;                                     // "ports taken, client to 10.0.0.2:3306"
  std::string unit;                                     // "ports"
  std::vector<std::pair<std::int64_t, double>> points;  // nanoseconds of the log's clock, ascending
};

// While something was made to go wrong.
struct ReportBand {
  std::int64_t from = 0, to = 0;  // nanoseconds of the log's clock
  std::string label;
};

struct LogHtmlOptions {
  // As in LogTextOptions.
  std::optional<std::vector<std::uint32_t>> connections;
  std::optional<std::int64_t> from, to;
  std::size_t rows =
      20'000;  // events in the file at most, the first ones; 0: all. What is left out is said
};

// How many connections are in TIME_WAIT at each host, and how many are open: from the log.
std::vector<ReportSeries> series_of(const LogTrace& trace, const LogHtmlOptions& options = {});

std::string log_html(const LogTrace& trace, const ReportText& text,
                     const std::vector<ReportSeries>& series = {},
                     const std::vector<ReportBand>& bands = {}, const LogHtmlOptions& options = {});

// As text between tags, or within an attribute.
std::string escaped_html(std::string_view text);

}  // namespace lastack
