// A page of text in columns, for terminals.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "model/printable.h"

namespace lastack::lab {

// A page of sections: a head at the left, under it rows of columns, the last of which is wrapped.
class ColumnPage {
 public:
  // Begins a line of `below` that is not wrapped.
  static constexpr std::string_view kAsItIs = "| ";

  void head(std::string_view words) { text_ += fmt::format("\n{}\n", words); }
  void line(std::string_view words) { text_ += fmt::format("{}\n", words); }
  void prose(std::string_view words, std::size_t indent) {
    text_ += std::string(indent, ' ');
    wrap(words, indent);
  }
  struct Row {
    std::vector<std::string> cells;
    std::vector<std::string> below;  // beside nothing, under the last cell
  };
  void rows(const std::vector<Row>& all) {
    std::vector<std::size_t> widths;
    for (const Row& row : all) {
      for (std::size_t i = 0; i + 1 < row.cells.size(); ++i) {
        if (widths.size() <= i) widths.resize(i + 1, 0);
        if (row.cells[i].size() <= kWidestName)
          widths[i] = std::max(widths[i], row.cells[i].size());
      }
    }
    for (const Row& row : all) {
      std::string line = "  ";
      std::size_t hanging = 2;
      for (std::size_t i = 0; i + 1 < row.cells.size(); ++i) {
        hanging += widths[i] == 0 ? 0 : widths[i] + 2;
        line += widths[i] == 0 ? row.cells[i] : fmt::format("{:<{}}", row.cells[i], widths[i]);
        if (widths[i] != 0) line += "  ";
      }
      if (line.size() > hanging) line += fmt::format("\n{}", std::string(hanging, ' '));
      text_ += line;
      wrap(row.cells.back(), hanging);
      for (const std::string& more : row.below) {
        if (more.empty()) continue;
        text_ += std::string(hanging, ' ');
        if (more.starts_with(kAsItIs)) {
          text_ += fmt::format("{}\n", printable(more));
        } else {
          wrap(more, hanging, 2);
        }
      }
    }
  }
  std::string take() { return std::move(text_); }

 private:
  // The line is filled up to `hanging` already.
  void wrap(std::string_view words, std::size_t hanging, std::size_t deeper = 0) {
    std::size_t column = hanging;
    bool begun = false;
    for (std::size_t at = 0; at < words.size();) {
      const std::size_t end = std::min(words.find(' ', at), words.size());
      const std::string_view word = words.substr(at, end - at);
      at = end + 1;
      if (word.empty()) continue;
      if (begun && column + 1 + word.size() > kWidth) {
        text_ += fmt::format("\n{}", std::string(hanging + deeper, ' '));
        column = hanging + deeper;
        begun = false;
      }
      if (begun) text_ += ' ', ++column;
      text_ += printable(word);
      column += word.size();
      begun = true;
    }
    text_ += '\n';
  }

  static constexpr std::size_t kWidth = 100;
  static constexpr std::size_t kWidestName =
      24;  // of a column; after a longer one comes a line of its own
  std::string text_;
};

}  // namespace lastack::lab
