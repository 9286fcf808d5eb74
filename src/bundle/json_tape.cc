#include "bundle/json_tape.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "bundle/json_text.h"

namespace lastack {

// What nlohmann's parser calls, in the shape it asks for. Returning false stops it.
class TapeBuilder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  TapeBuilder(JsonTape& tape, const JsonLimits& limits) : tape_(tape), limits_(limits) {}

  bool null() { return add(JsonTape::Kind::Null, 0); }
  bool boolean(bool value) { return add(value ? JsonTape::Kind::True : JsonTape::Kind::False, 0); }
  bool number_unsigned(number_unsigned_t value) { return add(JsonTape::Kind::Unsigned, value); }
  bool number_integer(number_integer_t value) {
    return add(JsonTape::Kind::Negative, static_cast<std::uint64_t>(value));
  }
  // Fractions, exponents and whole numbers beyond 64 bits; no field holds any of them.
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) {
    return add(JsonTape::Kind::Real, 0);
  }
  bool binary(binary_t& /*value*/) { return false; }
  bool string(string_t& value) {
    if (!in_object()) count_element();
    return add_string(value);
  }
  bool key(string_t& value) {
    count_element();
    return add_string(value);
  }
  bool start_object(std::size_t /*elements*/) { return open(JsonTape::Kind::Object); }
  bool start_array(std::size_t /*elements*/) { return open(JsonTape::Kind::Array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  template <class Exception>
  bool parse_error(std::size_t position, const std::string& /*token*/, const Exception& error) {
    // The parser's sentence begins with identifiers of its own: "[json.exception...] parse error at
    // line 1, column 5: ".
    std::string_view what = error.what();
    if (const auto colon = what.find(": "); colon != std::string_view::npos) {
      what.remove_prefix(colon + 2);
    }
    constexpr std::size_t kLongest = 200;  // it may quote the text
    error_ = "not JSON, at byte " + std::to_string(position) + ": " +
             printable_ascii(what.substr(0, kLongest));
    return false;
  }

  std::string error() const { return error_.value_or("not JSON"); }

 private:
  bool in_object() const {
    return !open_.empty() && tape_.entries_[open_.back()].kind == JsonTape::Kind::Object;
  }
  void count_element() {
    if (!open_.empty()) ++tape_.entries_[open_.back()].length;
  }
  bool add_entry(JsonTape::Entry entry) {
    if (tape_.entries_.size() >= limits_.values) {
      error_ = "more than " + std::to_string(limits_.values) + " values";
      return false;
    }
    tape_.entries_.push_back(entry);
    return true;
  }
  bool add(JsonTape::Kind kind, std::uint64_t payload) {
    if (!in_object()) count_element();
    return add_entry({kind, 0, payload});
  }
  bool add_string(const string_t& value) {
    const std::size_t start = tape_.strings_.size();
    if (value.size() > UINT32_MAX) return false;
    tape_.strings_ += value;
    return add_entry({JsonTape::Kind::String, static_cast<std::uint32_t>(value.size()), start});
  }
  bool open(JsonTape::Kind kind) {
    if (open_.size() >= limits_.depth) {
      error_ = "nested deeper than " + std::to_string(limits_.depth);
      return false;
    }
    if (!add(kind, 0)) return false;
    open_.push_back(tape_.entries_.size() - 1);
    return true;
  }
  bool close() {
    tape_.entries_[open_.back()].payload = tape_.entries_.size();
    open_.pop_back();
    return true;
  }

  JsonTape& tape_;
  JsonLimits limits_;
  std::vector<std::size_t> open_;  // indices of the containers we are inside of
  std::optional<std::string> error_;
};

Result<JsonTape> JsonTape::parse(std::string_view text, const JsonLimits& limits) {
  // The parser takes a NUL for the end and would not look at what follows.
  if (const std::size_t nul = text.find('\0'); nul != text.npos) {
    return failure("a NUL character at byte " + std::to_string(nul));
  }
  JsonTape tape;
  TapeBuilder builder(tape, limits);
  if (!nlohmann::json::sax_parse(text, &builder)) return failure(builder.error());
  return tape;
}

std::size_t JsonTape::next(std::size_t at) const {
  const Entry& entry = entries_[at];
  const bool container = entry.kind == Kind::Array || entry.kind == Kind::Object;
  return container ? static_cast<std::size_t>(entry.payload) : at + 1;
}

std::size_t JsonTape::find(std::size_t object, std::string_view key) const {
  if (kind(object) != Kind::Object) return 0;
  for (std::size_t at = object + 1; at < next(object); at = next(at + 1)) {
    if (string(at) == key) return at + 1;
  }
  return 0;
}

}  // namespace lastack
