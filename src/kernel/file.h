// Files of /proc and /sys, and the descriptors that hold them: read whole, with a limit, errors as
// values that name the path.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "kernel/unique_fd.h"
#include "lastack/result.h"

namespace lastack {

// O_CLOEXEC is added to `flags`.
Result<UniqueFd> open_file(const char* path, int flags);
// `path` relative to the folder `directory`, which may be AT_FDCWD.
Result<UniqueFd> open_file_at(int directory, const char* path, int flags);

// One read(2), again when a signal interrupted it; negative is -errno.
long read_once(int fd, std::span<char> into);
// Reads to the end of the file or of `into`. Negative is -errno.
long read_until_full(int fd, std::span<char> into);

// The whole file. One that holds more than `limit` bytes is an error (EFBIG), never half a text:
// half a number is a wrong number.
Result<std::string> read_file(const char* path, std::size_t limit);
Result<std::string> read_file_at(int directory, const char* path, std::size_t limit);
// At most the first `limit` bytes, for text that may well be cut, such as a command line.
Result<std::string> read_start_of_file_at(int directory, const char* path, std::size_t limit);

}  // namespace lastack
