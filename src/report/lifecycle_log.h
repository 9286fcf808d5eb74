// The lifecycle log as text: one JSON object a line, the header first (docs/lifecycle-log.md,
// schema/lifecycle-log-1.schema.json). Written in a fixed order of fields, so that two runs with the same events are the
// same bytes. Readers pass over what they do not know.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lastack/result.h"
#include "model/lifecycle_event.h"

namespace lastack {

inline constexpr int kLifecycleVersion = 1;

// Appends the line, with its end.
void append_line(std::string& out, const LifecycleHeader& header);
void append_line(std::string& out, const LifecycleEvent& event);

// Reads a log line by line, in one pass.
class LifecycleReader {
 public:
  // A line without its end. Nothing: an event, or a field of one, that this version does not know the meaning of, or an
  // empty line. The first line has to be the header. An error says which line and what is wrong with it; whoever likes
  // may go on with the next.
  Result<std::optional<LifecycleEvent>> read(std::string_view line);
  // After the first line.
  const std::optional<LifecycleHeader>& header() const { return header_; }
  std::uint64_t lines() const { return lines_; }

 private:
  std::optional<LifecycleHeader> header_;
  std::uint64_t lines_ = 0;
};

}  // namespace lastack
