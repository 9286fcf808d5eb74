// TCP segments (RFC 9293, 3.1) and their options: MSS (3.2), window scale and timestamps (RFC 7323), SACK
// (RFC 2018). What is unknown is skipped (MUST-6); an option that lies about its length ends the list (MUST-7).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tl/expected.hpp>

#include "lastack/four_tuple.h"
#include "wire/ip_packet.h"
#include "wire/seq_num.h"

namespace lastack {

namespace tcp_flag {
inline constexpr std::uint16_t kFin = 0x001;
inline constexpr std::uint16_t kSyn = 0x002;
inline constexpr std::uint16_t kRst = 0x004;
inline constexpr std::uint16_t kPsh = 0x008;
inline constexpr std::uint16_t kAck = 0x010;
inline constexpr std::uint16_t kUrg = 0x020;
inline constexpr std::uint16_t kEce = 0x040;
inline constexpr std::uint16_t kCwr = 0x080;
inline constexpr std::uint16_t kAe = 0x100;  // RFC 9768; reserved before
}  // namespace tcp_flag

inline constexpr std::size_t kTcpHeaderLength = 20;
inline constexpr std::size_t kMostTcpOptions = 40;

// Bytes from `left` up to, but not including, `right`.
struct SackBlock {
  SeqNum left;
  SeqNum right;
  friend constexpr bool operator==(const SackBlock&, const SackBlock&) = default;
};

struct Timestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;
  friend constexpr bool operator==(const Timestamps&, const Timestamps&) = default;
};

// Fast Open (RFC 7413): a cookie, or with no bytes the request for one.
struct FastOpenCookie {
  static constexpr std::size_t kLeast = 4, kMost = 16;
  std::uint8_t length = 0;
  bool experimental =
      false;  // in the option of experiments (RFC 6994), as before there was an own one
  std::array<std::byte, kMost> bytes{};

  friend bool operator==(const FastOpenCookie& a, const FastOpenCookie& b) {
    return a.length == b.length &&
           std::equal(a.bytes.begin(), a.bytes.begin() + a.length, b.bytes.begin());
  }
};

struct TcpOptions {
  static constexpr std::size_t kMostSackBlocks = 4;

  std::optional<std::uint16_t> mss;
  std::optional<std::uint8_t>
      window_scale;  // as on the wire; above 14 counts as 14 (RFC 7323, 2.3)
  bool sack_permitted = false;
  std::optional<Timestamps> timestamps;
  std::optional<FastOpenCookie> fast_open;
  std::uint8_t sack_count = 0;
  std::array<SackBlock, kMostSackBlocks> sack;

  std::span<const SackBlock> sack_blocks() const { return {sack.data(), sack_count}; }
};

struct TcpSegment {
  Port source = 0;
  Port destination = 0;
  SeqNum seq;
  SeqNum ack;
  std::uint16_t flags = 0;
  std::uint16_t window = 0;  // as on the wire, not scaled
  std::uint16_t urgent = 0;
  std::uint8_t header_bytes = kTcpHeaderLength;  // of one that has arrived
  std::uint8_t ecn = 0;  // of the packet that it comes in, or is to go out in (RFC 3168)
  TcpOptions options;
  std::span<const std::byte> payload;

  bool has(std::uint16_t flag) const { return (flags & flag) != 0; }
  bool syn() const { return has(tcp_flag::kSyn); }
  bool fin() const { return has(tcp_flag::kFin); }
  bool rst() const { return has(tcp_flag::kRst); }
  bool ack_flag() const { return has(tcp_flag::kAck); }
  // SEG.LEN: data, and one each for SYN and FIN.
  std::uint32_t length() const {
    return static_cast<std::uint32_t>(payload.size()) + (syn() ? 1 : 0) + (fin() ? 1 : 0);
  }
  SeqNum end() const { return seq + length(); }
};

enum class Checksum : std::uint8_t { Verify, Trust };

// Of the payload of an IP packet. The segment's own payload is part of those bytes.
tl::expected<TcpSegment, WireError> parse_tcp(std::span<const std::byte> bytes, const IpHeader& ip,
                                              Checksum checksum = Checksum::Verify);

// How many bytes the options take on the wire, a multiple of four, at most kMostTcpOptions: as many SACK
// blocks are written as fit.
std::size_t options_length(const TcpOptions& options);
inline std::size_t header_length(const TcpOptions& options) {
  return kTcpHeaderLength + options_length(options);
}

// Writes the header, in the order of options that Linux has; the checksum stays 0. `out` has room for
// header_length(options) bytes. The payload is the caller's to write.
void write_tcp_header(std::byte* out, const TcpSegment& segment);
// The header again, and the checksum with it if that is wanted: over the payload too, which lies behind it
// already.
void write_tcp(std::byte* out, const TcpSegment& segment, std::size_t payload_length,
               const IpAddress& source, const IpAddress& destination, bool with_checksum);
// Over header and payload together.
void write_tcp_checksum(std::span<std::byte> header_and_payload, const IpAddress& source,
                        const IpAddress& destination);

}  // namespace lastack
