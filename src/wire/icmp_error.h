// ICMP errors as a router would send them (RFC 792; RFC 4443), for networks in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lastack/ip_address.h"

namespace lastack {

// Room for the longest: IPv6 quotes as much as fits in 1,280 bytes.
inline constexpr std::size_t kMostIcmpError = 1280;

// Writes the whole packet about `packet`, to its source, from `from` (of its family). `rest` is the second word: the
// MTU where the message has one. How long it is; 0 for a packet that cannot be read.
std::size_t write_icmp_error(std::byte* out, std::span<const std::byte> packet,
                             const IpAddress& from, std::uint8_t type, std::uint8_t code,
                             std::uint32_t rest);

}  // namespace lastack
