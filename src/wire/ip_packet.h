// IPv4 (RFC 791) and IPv6 (RFC 8200) headers, as far as TCP needs them. Fragments are not reassembled:
// TCP sends none, and RFC 9293 (3.7.1) would rather have none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tl/expected.hpp>

#include "lastack/ip_address.h"

namespace lastack {

inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolIcmpV6 = 58;

inline constexpr std::size_t kIpv4HeaderLength = 20;
inline constexpr std::size_t kIpv6HeaderLength = 40;

// Why bytes were not understood. Nothing of what was read before the error is given out.
enum class WireError : std::uint8_t {
  Truncated,        // shorter than a header, or than a header says
  BadVersion,       // neither 4 nor 6
  BadHeaderLength,  // a header length that cannot be
  BadChecksum,
  Fragment,       // one of several
  UnknownHeader,  // an IPv6 extension header that only a router or a stranger knows
  MappedAddress,  // IPv6 with an address that means IPv4 (RFC 4291, 2.5.5.2): never on a wire
};

struct IpHeader {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = kProtocolTcp;
  std::uint8_t hop_limit = 64;
  std::uint8_t traffic_class = 0;  // the lowest two bits are ECN (RFC 3168)
  bool dont_fragment = true;       // IPv4 only
  std::uint16_t identification = 0;
};

namespace ecn {
inline constexpr std::uint8_t kMask = 3;
inline constexpr std::uint8_t kNotCapable = 0;
inline constexpr std::uint8_t kCapable1 = 1;
inline constexpr std::uint8_t kCapable0 = 2;
inline constexpr std::uint8_t kCongestion = 3;
}  // namespace ecn

struct IpPacket {
  IpHeader header;
  std::span<const std::byte> payload;  // part of the bytes that were parsed
};

// Bytes beyond the length that the header tells are passed over, as they may be padding of a link.
tl::expected<IpPacket, WireError> parse_ip(std::span<const std::byte> bytes);

// How long a header is that has no options.
inline std::size_t ip_header_length(const IpAddress& address) {
  return address.is_v4() ? kIpv4HeaderLength : kIpv6HeaderLength;
}
// Writes a header without options before a payload of that length; `out` has room for it. Both addresses
// are of one family.
void write_ip(std::byte* out, const IpHeader& header, std::size_t payload_length);

}  // namespace lastack
