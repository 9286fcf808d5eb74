// A diagnosis for people and for programs.
#pragma once

#include <cstddef>
#include <string>

#include "lastack/doctor.h"

namespace lastack {

struct TextStyle {
  std::size_t width = 100;  // columns; at least 60 are used
  bool color = false;       // marks severity only
  bool verbose = false;     // every finding in full, the evidence by name, all destinations
};

// One screen where possible: the sentence first, then the evidence, then what to do. Ends with a newline.
// Names that came from outside (commands, units) are printed without control characters.
std::string to_text(const Diagnosis& diagnosis, const TextStyle& style = {});

// schema/diagnosis-1.schema.json describes it. Never throws; bytes that are not UTF-8 are replaced.
std::string to_json(const Diagnosis& diagnosis);

}  // namespace lastack
