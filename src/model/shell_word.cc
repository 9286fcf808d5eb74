#include "model/shell_word.h"

#include <algorithm>

#include "model/printable.h"

namespace lastack {

bool is_plain_in_shell(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("_./:@%+=,-").find(c) != std::string_view::npos;
}

std::string shell_word(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain_in_shell)) {
    return std::string(text);
  }
  std::string word = "'";
  for (const char c : printable(text)) {
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += c;
    }
  }
  return word + "'";
}

std::string sysctl_command(std::string_view name, std::string_view value) {
  return "sysctl -w " + shell_word(std::string(name) + "=" + std::string(value));
}

}  // namespace lastack
