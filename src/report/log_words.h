// How the events of a lifecycle log are said, in every drawing of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "doctor/text.h"  // grouped(): "1,234"
#include "report/log_trace.h"

namespace lastack {

// Text out of a log, fit for a terminal: without control characters and without those that turn the direction of writing
// about, at most `most` columns.
std::string shown(std::string_view text, std::size_t most = 200);
// Columns of UTF-8 text, near enough: every character takes one.
std::size_t columns(std::string_view text);
// Filled with blanks to so many columns.
std::string padded(std::string text, std::size_t width);

// "60,021.340": milliseconds.
std::string milliseconds(std::int64_t nanoseconds);

// "SYN 0, ACK 1", "PSH 1+100, ACK 1", "ACK 101"
std::string segment_words(const TraceEvent& event);
// "connect()", "TIME_WAIT reused by connect()", "lost": what needs no more than its kind; else "".
std::string_view plain_words(Happening what);
// Those, and "CLOSED -> SYN_SENT", "time-out: retransmission".
std::string event_words(const LogTrace& trace, const TraceEvent& event);
// "segment 17", "close()".
std::string cause_words(const LogTrace& trace, const TraceEvent& event);

}  // namespace lastack
