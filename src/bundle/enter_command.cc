#include "bundle/enter_command.h"

#include <algorithm>

#include "model/printable.h"
#include "model/shell_word.h"

namespace lastack {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
// Plain characters, 'quoted' ones and \' in any order (POSIX XCU 2.2).
bool is_one_word(std::string_view text) {
  bool empty = true;  // so far, once the quotes are gone
  const auto takes = [&](std::string_view part) {
    // A word that begins with a hyphen would be an option, quoted or not.
    if (empty && part.starts_with('-')) return false;
    empty = empty && part.empty();
    return printable(part) == part;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_plain_in_shell(text[i])) {
      if (!takes(text.substr(i, 1))) return false;
    } else if (text[i] == '\'') {
      const std::size_t end = text.find('\'', i + 1);
      if (end == std::string_view::npos || !takes(text.substr(i + 1, end - i - 1))) return false;
      i = end;
    } else if (text.substr(i, 2) == "\\'") {
      if (!takes("'")) return false;
      ++i;
    } else {
      return false;
    }
  }
  return !empty;
}

}  // namespace

bool parse_enter_command(std::string_view text, EnterCommand& out) {
  out = {};
  if (text.empty()) return true;
  for (std::string_view program : {"ip netns exec ", "nsenter --net="}) {
    if (!text.starts_with(program)) continue;
    out = {program, text.substr(program.size()), {}};
    return is_one_word(out.name_space);
  }
  constexpr std::string_view kByProcess = "nsenter -t ";
  constexpr std::string_view kNet = " -n";
  if (!text.starts_with(kByProcess) || !text.ends_with(kNet) ||
      text.size() <= kByProcess.size() + kNet.size()) {
    return false;
  }
  text.remove_prefix(kByProcess.size());
  text.remove_suffix(kNet.size());
  out = {kByProcess, text, kNet};
  return std::all_of(text.begin(), text.end(), is_digit);
}

}  // namespace lastack
