#include "lab/scenario/log_trace_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>

#include "report/lifecycle_log.h"

namespace lastack::lab {

Result<LogTrace> read_trace(const std::string& path) {
  std::ifstream in(path);
  if (!in) return tl::unexpected(system_error(errno, "cannot read " + path));
  LogTrace trace;
  LifecycleReader reader;
  bool begun = false;
  for (std::string line; std::getline(in, line);) {
    const auto event = reader.read(line);
    if (!event) return failure(fmt::format("{}: {}", path, event.error().message));
    if (!begun && reader.header()) {
      trace.begin(*reader.header());
      begun = true;
    }
    if (*event) trace.add(**event, reader.lines());
  }
  return trace;
}

}  // namespace lastack::lab
