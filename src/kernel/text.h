// Walking through text that the kernel wrote, without copying it. Every function is total: text may
// end anywhere and hold anything.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "model/printable.h"

namespace lastack {

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the next line off `text`, without its newline. The last line need not have one.
constexpr std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// Takes the next word off `line`, skipping blanks before it; empty when there is none left.
constexpr std::string_view take_word(std::string_view& line) {
  std::size_t begin = 0;
  while (begin < line.size() && is_blank(line[begin])) ++begin;
  std::size_t end = begin;
  while (end < line.size() && !is_blank(line[end])) ++end;
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

constexpr std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return is_blank(c) || c == '\n' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The whole of `word` as a number of this type; nothing when it is anything else, or too large.
template <std::integral T>
std::optional<T> parse_number(std::string_view word, int base = 10) {
  T value{};
  const char* const end = word.data() + word.size();
  const auto [next, error] = std::from_chars(word.data(), end, value, base);
  if (error != std::errc{} || next != end) return std::nullopt;
  return value;
}

}  // namespace lastack
