// Gzip (RFC 1952), in memory, with a limit on what may come out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lastack/result.h"

namespace lastack {

bool looks_like_gzip(std::string_view bytes);
std::string gzip(std::string_view text);
// One whole gzip member and nothing after it. Stops as soon as more than `most` bytes come out.
Result<std::string> gunzip(std::string_view bytes, std::size_t most);

}  // namespace lastack
