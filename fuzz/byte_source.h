// An input of the fuzzer as a row of small decisions. When it is used up every decision is 0, so that a short
// input is a short story.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

namespace lastack::fuzz {

class ByteSource {
 public:
  ByteSource(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  bool empty() const { return bytes_.empty(); }
  std::size_t left() const { return bytes_.size(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t b = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return b;
  }
  std::uint16_t word() {
    const std::uint16_t high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  std::uint32_t number() {
    const std::uint32_t high = word();
    return high << 16 | word();
  }
  // Below n, which is at most 256.
  std::uint32_t below(std::uint32_t n) { return byte() % n; }
  bool flag() { return (byte() & 1) != 0; }

 private:
  std::span<const std::uint8_t> bytes_;
};

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}
inline void must(bool holds, const char* what) {
  if (!holds) fail(what);
}
inline void must_be_well(const std::string& complaint) {
  if (!complaint.empty()) fail(complaint);
}

}  // namespace lastack::fuzz
