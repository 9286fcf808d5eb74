// The scenarios that come with the program, compiled in: scenarios/*.toml, and those of scenarios/prove, in each of which a
// finding of the doctor comes about, and goes with its remedies (lab/proof).
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
std::span<const LibraryScenario> proofs();
// Of the library. Null: there is none of this name.
inline const LibraryScenario* find_in_library(std::string_view name) {
  for (const LibraryScenario& scenario : library()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace lastack::lab
