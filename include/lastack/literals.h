// Addresses that are known when the program is compiled: "10.0.0.1"_ip, "2001:db8::1"_ip. One that cannot be is an error
// of the compiler. For text that comes at run time: IpAddress::parse().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lastack/ip_address.h"

namespace lastack {

namespace detail {

consteval IpAddress literal_address(std::string_view text) {
  const auto wrong = [] { throw "not an address"; };
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::size_t at = 0;
  if (text.find(':') == std::string_view::npos) {
    std::uint32_t value = 0;
    for (int part = 0; part < 4; ++part) {
      if (part > 0 && (at >= text.size() || text[at++] != '.')) wrong();
      std::uint32_t number = 0;
      const std::size_t begin = at;
      while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        number = number * 10 + static_cast<std::uint32_t>(digit(text[at++]));
      }
      if (at == begin || at - begin > 3 || number > 255) wrong();
      value = value << 8 | number;
    }
    if (at != text.size()) wrong();
    return IpAddress::v4(value);
  }
  // Groups before and after "::" (RFC 4291, 2.2).
  std::uint16_t groups[8] = {};
  int count = 0, gap = -1;
  if (text.substr(0, 2) == "::") {
    gap = 0;
    at = 2;
  }
  while (at < text.size()) {
    if (count == 8) wrong();
    std::uint32_t group = 0;
    const std::size_t begin = at;
    while (at < text.size() && digit(text[at]) >= 0) {
      group = group * 16 + static_cast<std::uint32_t>(digit(text[at++]));
    }
    if (at == begin || at - begin > 4) wrong();
    groups[count++] = static_cast<std::uint16_t>(group);
    if (at == text.size()) break;
    if (text[at++] != ':' || at == text.size()) wrong();
    if (text[at] == ':') {
      if (gap >= 0) wrong();
      gap = count;
      ++at;
    }
  }
  if (gap < 0 ? count != 8 : count > 7) wrong();
  IpAddress::Bytes bytes{};
  for (int i = 0; i < count; ++i) {
    const int place = gap >= 0 && i >= gap ? 8 - count + i : i;
    bytes[static_cast<std::size_t>(2 * place)] = static_cast<std::uint8_t>(groups[i] >> 8);
    bytes[static_cast<std::size_t>(2 * place + 1)] = static_cast<std::uint8_t>(groups[i] & 0xff);
  }
  return IpAddress::v6(bytes);
}

}  // namespace detail

inline namespace literals {
consteval IpAddress operator""_ip(const char* text, std::size_t length) {
  return detail::literal_address({text, length});
}
}  // namespace literals

}  // namespace lastack
