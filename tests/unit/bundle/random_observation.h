// Observations with a random value in every member, for tests of the codec.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "lastack/host_snapshot.h"

namespace lastack::test {

using Random = std::mt19937_64;

// What may vary: `plain` keeps texts printable, otherwise they hold any bytes.
struct Shape {
  std::size_t most_elements = 4;  // of each array
  bool plain = false;
};

// Obeys what the types promise each other: indices exist, a part is no more than its whole.
Observation random_observation(Random& random, const Shape& shape = {});

// The seed of one run: LASTACK_SEED if set, else `usual`. `replay` is the line that runs it again.
std::uint64_t seed_from_environment(std::uint64_t usual);
std::string replay(std::uint64_t seed);

}  // namespace lastack::test
