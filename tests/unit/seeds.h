// Seeds of randomised tests: 1 to rounds(n), or LASTACK_SEED alone. What fails names the line that runs it again.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "watched.h"

namespace lastack {

inline std::vector<std::uint64_t> seeds(std::uint64_t n) {
  if (const char* one = std::getenv("LASTACK_SEED")) {
    return {std::strtoull(one, nullptr, 10)};
  }
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 1; i <= rounds(n); ++i) all.push_back(i);
  return all;
}

inline std::string replay(std::uint64_t seed, const char* program, const char* test) {
  return "replay: LASTACK_SEED=" + std::to_string(seed) + " build/dev/tests/unit/" + program +
         " --gtest_filter=" + test;
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::uint64_t bits() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace lastack
