// Which measures a scenario can have. What a condition or a verdict names that no run could give is a mistake in the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lab/scenario/scenario.h"

namespace lastack::lab {

// In the text of a verdict: "{first.took}", or "{off:first.took}" of a variant.
struct Placeholder {
  std::size_t begin, end;  // with the braces
  std::string variant, name;
};
std::vector<Placeholder> placeholders(std::string_view text);

// "most.SYN_SENT": counted only where somebody asks for it. TIME_WAIT always is.
bool is_most_of_state(std::string_view of_host);

// What is wrong with comparing a measure with a word, or with a number (no word); empty: nothing.
std::string wrong_word(std::string_view name, std::string_view word);

// What is wrong with the name, with the nearest that there is; empty: nothing.
std::string wrong_measure(const Scenario& scenario, std::string_view name);

}  // namespace lastack::lab
