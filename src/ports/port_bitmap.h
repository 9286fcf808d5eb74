// A set of ports in which the next one that is there, or is not, is found in the same time whatever the set holds:
// 65,536 bits, above each word of them whether it has any, and whether it has all, and the same once more above those.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lastack/port_set.h"

namespace lastack {

class PortBitmap {
 public:
  static constexpr std::uint32_t kWords = 1024;

  bool contains(Port port) const { return (words_[port / 64] >> (port % 64) & 1) != 0; }
  // False if it was there, or was not there, already.
  bool insert(Port port);
  bool erase(Port port);

  std::uint32_t size() const { return size_; }
  std::uint64_t word(std::uint32_t i) const {
    return words_[i];
  }  // port p is bit p % 64 of word p / 64

  // The first from `from` on that is there, or is not; none if it is above `last`.
  std::optional<Port> next_present(Port from, Port last) const { return next<true>(from, last); }
  std::optional<Port> next_absent(Port from, Port last) const { return next<false>(from, last); }

 private:
  template <bool kPresent>
  std::optional<Port> next(Port from, Port last) const;

  alignas(64) std::array<std::uint64_t, kWords> words_{};
  std::array<std::uint64_t, kWords / 64> some_{};  // bit w: word w is not 0
  std::array<std::uint64_t, kWords / 64> all_{};   // bit w: it is all ones
  std::uint32_t some_of_some_ = 0;                 // bit s: some_[s] is not 0
  std::uint32_t all_of_all_ = 0;                   // bit s: all_[s] is all ones
  std::uint32_t size_ = 0;
};

}  // namespace lastack
