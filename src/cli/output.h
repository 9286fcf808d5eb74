// What a command prints, and whether all of it arrived.
#pragma once

#include <string>
#include <string_view>

namespace lastack {

// To standard output, whole. False when some of it could not be written; then it has been said why, unless the
// reader has gone, who has seen enough.
bool print(const std::string& command, std::string_view text);
// The same for lines of numbers that come again and again, at most PIPE_BUF bytes: a reader that stalls misses them, and
// keeps nobody waiting.
bool print_if_read(const std::string& command, std::string_view text);
// "lastack doctor: ..." on standard error, without what would act on a terminal. If that cannot be written
// either there is nobody left to tell.
void complain(const std::string& command, const std::string& message);

}  // namespace lastack
