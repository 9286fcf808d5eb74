#include "model/nearest_word.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace lastack {
namespace {

// How many letters have to be put in, taken out or exchanged to make one of the other (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t exchanged = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({exchanged, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> all) {
  constexpr std::size_t kLongest = 64;
  if (word.size() > kLongest) return {};
  std::string_view best;
  std::size_t least = word.size() / 3 + 1;  // as far away it is another word
  for (const std::string_view other : all) {
    const std::size_t far = distance(word, other);
    if (far < least) {
      least = far;
      best = other;
    }
  }
  return best;
}

}  // namespace lastack
