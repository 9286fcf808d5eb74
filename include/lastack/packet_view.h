// What a packet says, for those who watch a wire or lay traps on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lastack/four_tuple.h"

namespace lastack {

// From left up to, and without, right.
struct SackRange {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
};

// A TCP segment, from its sender's side: `tuple.local` is the source. Numbers are those of the wire.
struct PacketView {
  FourTuple tuple;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t flags =
      0;  // RFC 9293, 3.1: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
  std::uint16_t window = 0;  // not scaled
  std::span<const std::byte> payload;
  std::optional<std::uint32_t> ts_value;  // RFC 7323
  std::optional<std::uint32_t> ts_echo;
  std::array<SackRange, 4> sack{};  // RFC 2018
  std::uint8_t sack_count = 0;

  bool fin() const { return (flags & 1) != 0; }
  bool syn() const { return (flags & 2) != 0; }
  bool rst() const { return (flags & 4) != 0; }
  bool ack_flag() const { return (flags & 16) != 0; }
  // Payload, and one each for SYN and FIN: the next sequence number is seq + length().
  std::uint32_t length() const {
    return static_cast<std::uint32_t>(payload.size()) + (syn() ? 1 : 0) + (fin() ? 1 : 0);
  }

  // Of a bare IPv4 or IPv6 packet; nothing if it is not TCP or cannot be read. The checksum is not looked at. The view
  // is good as long as the bytes are.
  static std::optional<PacketView> of(std::span<const std::byte> packet);
};

}  // namespace lastack
