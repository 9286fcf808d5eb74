// Numbers in network order, at any alignment.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lastack {

static_assert(std::endian::native == std::endian::little ||
              std::endian::native == std::endian::big);

inline std::uint16_t swap_to_network(std::uint16_t v) {
  return std::endian::native == std::endian::big ? v : __builtin_bswap16(v);
}
inline std::uint32_t swap_to_network(std::uint32_t v) {
  return std::endian::native == std::endian::big ? v : __builtin_bswap32(v);
}

inline std::uint64_t swap_to_network(std::uint64_t v) {
  return std::endian::native == std::endian::big ? v : __builtin_bswap64(v);
}

inline std::uint8_t load8(const std::byte* at) {
  return std::to_integer<std::uint8_t>(*at);
}
inline std::uint16_t load16(const std::byte* at) {
  std::uint16_t v;
  std::memcpy(&v, at, sizeof v);
  return swap_to_network(v);
}
inline std::uint32_t load32(const std::byte* at) {
  std::uint32_t v;
  std::memcpy(&v, at, sizeof v);
  return swap_to_network(v);
}
inline void store8(std::byte* at, std::uint8_t v) {
  *at = std::byte{v};
}
inline void store16(std::byte* at, std::uint16_t v) {
  v = swap_to_network(v);
  std::memcpy(at, &v, sizeof v);
}
inline void store32(std::byte* at, std::uint32_t v) {
  v = swap_to_network(v);
  std::memcpy(at, &v, sizeof v);
}

inline void store64(std::byte* at, std::uint64_t v) {
  v = swap_to_network(v);
  std::memcpy(at, &v, sizeof v);
}

}  // namespace lastack
