#include "cli/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "cli/output.h"

namespace lastack {

Result<void> LogFile::open(const std::string& path) {
  fd_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd_) return tl::unexpected(system_error(errno, "cannot write " + path));
  path_ = path;
  return {};
}

void LogFile::add(std::string_view lines) {
  if (broken_ || !fd_) return;
  waiting_ += lines;
  if (waiting_.size() >= kAtOnce) flush();
}

bool LogFile::flush() {
  std::string_view left = waiting_;
  while (!broken_ && !left.empty()) {
    const ssize_t n = ::write(fd_.get(), left.data(), left.size());
    if (n > 0) {
      left.remove_prefix(static_cast<std::size_t>(n));
    } else if (n == 0 || errno != EINTR) {
      broken_ = true;
      complain(command_, system_error(errno, "cannot write " + path_).message +
                             "; the log ends there, the last line of it may be cut");
    }
  }
  waiting_.clear();
  return !broken_;
}

}  // namespace lastack
