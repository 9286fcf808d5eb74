// JSON from a stranger, parsed into a flat tape: 16 bytes a value, no tree of allocations, so that
// what a text can make us allocate follows from its length. Depth and the number of values are
// bounded while parsing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "lastack/result.h"

namespace lastack {

struct JsonLimits {
  std::size_t depth = 32;
  std::size_t values = std::size_t{8} << 20;  // keys count as values
};

class JsonTape {
 public:
  enum class Kind : std::uint8_t {
    Null,
    False,
    True,
    Unsigned,
    Negative,
    Real,
    String,
    Array,
    Object
  };

  // The message says where in the text the error is. Anything after the value is an error.
  static Result<JsonTape> parse(std::string_view text, const JsonLimits& limits = {});

  // Values are named by their index. The first is 0; an array's elements follow it; in an object keys
  // (strings) and values alternate.
  Kind kind(std::size_t at) const { return entries_[at].kind; }
  // The index after the value and everything in it.
  std::size_t next(std::size_t at) const;
  // Of an array: its elements; of an object: its pairs.
  std::size_t count(std::size_t at) const { return entries_[at].length; }
  std::uint64_t unsigned_number(std::size_t at) const { return entries_[at].payload; }
  std::int64_t negative_number(std::size_t at) const {
    return static_cast<std::int64_t>(entries_[at].payload);
  }
  // Valid as long as the tape is.
  std::string_view string(std::size_t at) const {
    return std::string_view(strings_).substr(entries_[at].payload, entries_[at].length);
  }
  // The value of a pair, or nothing (0, which is never inside an object).
  std::size_t find(std::size_t object, std::string_view key) const;

 private:
  friend class TapeBuilder;
  struct Entry {
    Kind kind;
    std::uint32_t length;   // of a string, in bytes; of a container, its elements or pairs
    std::uint64_t payload;  // a number; a string's place in strings_; the index after a container
  };
  static_assert(sizeof(Entry) == 16);

  std::deque<Entry> entries_;
  std::string strings_;
};

}  // namespace lastack
