#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace lastack {

bool wants_color(const std::string& choice) {
  if (choice == "always") return true;
  return choice == "auto" && ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
}

std::size_t page_width(std::size_t asked, std::size_t usual, std::size_t most) {
  if (asked > 0) return asked;
  winsize size{};
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  if (terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return std::min<std::size_t>(size.ws_col, most);
  }
  return usual;
}

}  // namespace lastack
