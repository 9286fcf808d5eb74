#include "model/shell_word.h"

#include <algorithm>

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
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
  }
  return word + "'";
}

}  // namespace lastack
