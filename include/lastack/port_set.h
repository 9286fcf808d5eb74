// A set of ports: one bit a port, 8 KiB.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lastack/four_tuple.h"

namespace lastack {

// Both ends included, as in net.ipv4.ip_local_port_range; low <= high.
struct PortRange {
  Port low = 0;
  Port high = 0;

  constexpr bool contains(Port port) const { return low <= port && port <= high; }
  constexpr std::uint32_t size() const { return std::uint32_t{high} - low + 1; }
  friend constexpr bool operator==(const PortRange&, const PortRange&) = default;
};

class PortSet {
 public:
  constexpr bool contains(Port port) const { return (words_[port / 64] >> (port % 64) & 1) != 0; }
  constexpr void insert(Port port) { words_[port / 64] |= std::uint64_t{1} << (port % 64); }
  constexpr void erase(Port port) { words_[port / 64] &= ~(std::uint64_t{1} << (port % 64)); }
  void insert(PortRange range);
  PortSet& operator|=(const PortSet& other);

  bool empty() const;
  std::uint32_t size() const;
  std::uint32_t size_within(PortRange range) const;
  // Ports of `range` whose lowest bit equals `parity` (0 or 1): connect() walks one parity of the
  // range to its end before it looks at the other.
  std::uint32_t size_within(PortRange range, unsigned parity) const;

  // The kernel's own notation for lists of ports (ip_local_reserved_ports): "8080,9100-9110".
  std::string to_string() const;
  // Accepts that notation, an empty list included, with blanks and a newline at the end tolerated.
  // Nothing for a port above 65535, a reversed range or any other character.
  static std::optional<PortSet> parse(std::string_view text);

  friend bool operator==(const PortSet&, const PortSet&) = default;

 private:
  std::array<std::uint64_t, 1024> words_{};
};

}  // namespace lastack
