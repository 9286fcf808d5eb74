// The scenarios that come with the program: scenarios/*.toml, compiled in.
#pragma once

#include <span>
#include <string_view>

namespace lastack::lab {

struct LibraryScenario {
  std::string_view name;  // "port-exhaustion"
  std::string_view text;  // the file
};
// By name.
std::span<const LibraryScenario> library();
// Null: there is none of this name.
const LibraryScenario* find_in_library(std::string_view name);

}  // namespace lastack::lab
