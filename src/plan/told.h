// What a user tells of a load in words: settings by their Linux names, lengths of time with their units.
#pragma once

#include <optional>
#include <string_view>

#include "lastack/result.h"
#include "plan/load.h"

namespace lastack {

// "50ms", "2s", "1.5min": a number, and us, ms, s, min or h. Nothing for anything else, and for more than a year.
std::optional<Duration> parse_length(std::string_view text);

// "tcp_tw_reuse=1", "ip_local_port_range=1024 65535". The error is a sentence: no such setting (and which there are), one
// that changes nothing here, a value that it cannot have.
Result<void> set(Load& load, std::string_view assignment);

}  // namespace lastack
