// A lifecycle log that the lab has written, read back.
#pragma once

#include <string>

#include "lastack/result.h"
#include "report/log_trace.h"

namespace lastack::lab {

Result<LogTrace> read_trace(const std::string& path);

}  // namespace lastack::lab
