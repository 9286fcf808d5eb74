// A file that is there whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "lastack/result.h"

namespace lastack {

inline constexpr unsigned kOwnerOnly = 0600;

// Written beside the file and renamed into place; "-" is standard output, and a device or a pipe is written into. The
// umask is taken from any other mode than kOwnerOnly. Not for several threads.
Result<void> write_whole_file(const std::string& path, std::string_view bytes,
                              unsigned mode = kOwnerOnly);

}  // namespace lastack
