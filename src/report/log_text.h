// A lifecycle log for a terminal: an aligned list of events, and a sequence diagram in characters. Pure functions of the
// log; what comes out of the log is made printable first, since a log may come from anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/log_trace.h"

namespace lastack {

// What is drawn of a log.
struct LogTextOptions {
  // Indices into LogTrace::connections(), as LogTrace::find() returns them; nothing: all, and what is of none.
  std::optional<std::vector<std::uint32_t>> connections;
  std::optional<std::int64_t> from, to;  // nanoseconds of the log's clock, inclusive
  std::size_t rows = 0;                  // at most; 0: all. What is left out is said
  std::size_t width = 100;               // columns, at least 60
  bool color = false;                    // escape sequences of a terminal
  bool legend = true;  // what the signs mean, and which connection has which number
};

std::string event_list(const LogTrace& trace, const LogTextOptions& options = {});

// A column for each host, time downwards. A segment is one arrow where nothing lies between its sending and its arrival,
// else two halves with its number; what is lost ends in X.
std::string sequence_diagram(const LogTrace& trace, const LogTextOptions& options = {});

}  // namespace lastack
