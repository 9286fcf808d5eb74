#include "bundle/json_text.h"

#include <cstdint>

namespace lastack {

namespace {

std::uint8_t byte(char c) {
  return static_cast<std::uint8_t>(c);
}

bool in(std::uint8_t b, unsigned low, unsigned high) {
  return low <= b && b <= high;
}

}  // namespace

// RFC 3629, section 4, row by row.
bool is_utf8(std::string_view bytes) {
  std::size_t i = 0;
  const auto at = [&](std::size_t k) {
    return i + k < bytes.size() ? byte(bytes[i + k]) : std::uint8_t{0};
  };
  while (i < bytes.size()) {
    const std::uint8_t first = at(0);
    if (first < 0x80) {
      i += 1;
    } else if (in(first, 0xc2, 0xdf)) {
      if (!in(at(1), 0x80, 0xbf)) return false;
      i += 2;
    } else if (in(first, 0xe0, 0xef)) {
      const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
      const unsigned high = first == 0xed ? 0x9f : 0xbf;
      if (!in(at(1), low, high) || !in(at(2), 0x80, 0xbf)) return false;
      i += 3;
    } else if (in(first, 0xf0, 0xf4)) {
      const unsigned low = first == 0xf0 ? 0x90 : 0x80;
      const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
      if (!in(at(1), low, high) || !in(at(2), 0x80, 0xbf) || !in(at(3), 0x80, 0xbf)) return false;
      i += 4;
    } else {
      return false;
    }
  }
  return true;
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte(c) < 0x20) {
          out += "\\u00";
          out += kHex[byte(c) >> 4];
          out += kHex[byte(c) & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

std::string latin1_to_utf8(std::string_view bytes) {
  std::string text;
  for (char c : bytes) {
    if (byte(c) < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | byte(c) >> 6);
      text += static_cast<char>(0x80 | (byte(c) & 0x3f));
    }
  }
  return text;
}

bool utf8_to_latin1(std::string_view text, std::string& bytes) {
  bytes.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint8_t first = byte(text[i]);
    if (first < 0x80) {
      bytes += text[i];
    } else if ((first == 0xc2 || first == 0xc3) && i + 1 < text.size()) {
      bytes += static_cast<char>((first & 3U) << 6 | (byte(text[++i]) & 0x3fU));
    } else {
      return false;
    }
  }
  return true;
}

std::string printable_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (!in(byte(c), 0x20, 0x7e)) c = '?';
  }
  return out;
}

}  // namespace lastack
