// A set of ports in which the k-th port that is not there, or is, within any range is found in the same time
// whatever the set holds: 65,536 bits, and a Fenwick tree over the counts of 128 groups of 512.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "lastack/port_set.h"

namespace lastack {

class PortBitmap {
 public:
  using Words = std::array<std::uint64_t, 1024>;  // port p is bit p % 64 of word p / 64

  bool contains(Port port) const { return (words_[port / 64] >> (port % 64) & 1) != 0; }
  // False if it was there, or was not there, already.
  bool insert(Port port);
  bool erase(Port port);

  std::uint32_t size() const { return size_; }
  const Words& words() const { return words_; }
  // How many ports below `end` are there; `end` is at most 65536.
  std::uint32_t rank(std::uint32_t end) const;
  std::uint32_t size_within(PortRange r) const {
    return rank(std::uint32_t{r.high} + 1) - rank(r.low);
  }
  std::uint32_t absent_within(PortRange r) const { return r.size() - size_within(r); }
  // The k-th, from 0, of those in the range that are there, or are not; k is less than their number.
  Port present(PortRange r, std::uint32_t k) const { return select<true>(k + rank(r.low)); }
  Port absent(PortRange r, std::uint32_t k) const { return select<false>(k + r.low - rank(r.low)); }

 private:
  static constexpr std::uint32_t kGroupPorts = 512;
  static constexpr std::uint32_t kGroups = 65536 / kGroupPorts;
  static constexpr std::uint32_t kGroupWords = kGroupPorts / 64;

  template <bool kPresent>
  Port select(std::uint32_t k) const;
  void count(Port port, int by);

  alignas(64) Words words_{};                      // a group is a cache line
  std::array<std::uint16_t, kGroups + 1> tree_{};  // tree_[i]: the groups (i - lowest bit of i, i]
  std::uint32_t size_ = 0;
};

// How many bits are set, and where the k-th of them is. (std::popcount() is a call on the machines that this
// is built for by default.)
std::uint32_t ones(std::uint64_t word);
std::uint32_t nth_one(std::uint64_t word, std::uint32_t k);

}  // namespace lastack
