// What an argument may be, and how to say that it is not. Numbers are decimal, finite and of their range: the checks of
// CLI11 let NaN through, wrap a minus sign, take 010 for eight, and print bounds of 309 digits.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace lastack {

// Refuses "", which a variable without a value leaves behind.
CLI::Validator not_empty();
// To be used with transform(): leading zeros go.
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);
CLI::Validator number(double least, double most);
// A name that a network device can have.
CLI::Validator device_name();

}  // namespace lastack
