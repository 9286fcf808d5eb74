#include "cli/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "model/printable.h"

namespace lastack {

bool print(const std::string& command, std::string_view text) {
  errno = 0;
  const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (whole && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return true;
  const int error = errno;
  if (error != EPIPE) {
    complain(command, std::string("cannot write to standard output: ") + std::strerror(error));
  }
  return false;
}

bool print_if_read(const std::string& command, std::string_view text) {
  pollfd look{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&look, 1, 0) == 0 || print(command, text);
}

void complain(const std::string& command, const std::string& message) {
  const std::string line =
      (command.empty() ? "lastack: " : "lastack " + command + ": ") + printable(message) + "\n";
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace lastack
