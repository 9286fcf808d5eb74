#include "wire/ip_packet.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"
#include "wire/checksum.h"

namespace lastack {
namespace {

using tl::unexpected;

IpAddress load_v6(const std::byte* at) {
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), at, bytes.size());
  return IpAddress::v6(bytes);
}

tl::expected<IpPacket, WireError> parse_v4(std::span<const std::byte> bytes) {
  if (bytes.size() < kIpv4HeaderLength) return unexpected(WireError::Truncated);
  const std::size_t header_length = std::size_t{load8(&bytes[0])} % 16 * 4;
  const std::size_t total = load16(&bytes[2]);
  if (header_length < kIpv4HeaderLength || header_length > total) {
    return unexpected(WireError::BadHeaderLength);
  }
  if (total > bytes.size()) return unexpected(WireError::Truncated);
  ChecksumSum sum;
  if (header_length == kIpv4HeaderLength) {
    sum.add_ipv4_header(bytes.data());
  } else {
    sum.add(bytes.first(header_length));
  }
  if (sum.checksum() != 0) return unexpected(WireError::BadChecksum);
  const std::uint16_t fragment = load16(&bytes[6]);
  constexpr std::uint16_t kDontFragment = 0x4000, kMore = 0x2000, kOffset = 0x1fff;
  if ((fragment & (kMore | kOffset)) != 0) return unexpected(WireError::Fragment);
  tl::expected<IpPacket, WireError> parsed;  // filled where it lies
  IpPacket& packet = *parsed;
  packet.header = {.source = IpAddress::v4(load32(&bytes[12])),
                   .destination = IpAddress::v4(load32(&bytes[16])),
                   .protocol = load8(&bytes[9]),
                   .hop_limit = load8(&bytes[8]),
                   .traffic_class = load8(&bytes[1]),
                   .dont_fragment = (fragment & kDontFragment) != 0,
                   .identification = load16(&bytes[4])};
  packet.payload = bytes.subspan(header_length, total - header_length);
  return parsed;
}

// Extension headers (RFC 8200, 4) that say nothing to TCP are passed over.
tl::expected<IpPacket, WireError> parse_v6(std::span<const std::byte> bytes) {
  if (bytes.size() < kIpv6HeaderLength) return unexpected(WireError::Truncated);
  const std::size_t payload_length = load16(&bytes[4]);
  if (kIpv6HeaderLength + payload_length > bytes.size()) return unexpected(WireError::Truncated);
  IpPacket packet;
  packet.header.source = load_v6(&bytes[8]);
  packet.header.destination = load_v6(&bytes[24]);
  if (packet.header.source.is_v4() || packet.header.destination.is_v4()) {
    return unexpected(WireError::MappedAddress);
  }
  packet.header.hop_limit = load8(&bytes[7]);
  packet.header.traffic_class = static_cast<std::uint8_t>(load16(&bytes[0]) >> 4);
  std::span<const std::byte> rest = bytes.subspan(kIpv6HeaderLength, payload_length);
  std::uint8_t next = load8(&bytes[6]);
  constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kDestination = 60;
  while (next == kHopByHop || next == kRouting || next == kFragment || next == kDestination) {
    if (rest.size() < 8) return unexpected(WireError::Truncated);
    std::size_t length = (std::size_t{load8(&rest[1])} + 1) * 8;
    if (next == kRouting && load8(&rest[3]) != 0) return unexpected(WireError::UnknownHeader);
    if (next == kFragment) {
      // An "atomic" fragment, alone and whole (RFC 6946), is a packet like any other.
      constexpr std::uint16_t kOffsetAndMore = 0xfff9;
      if ((load16(&rest[2]) & kOffsetAndMore) != 0) return unexpected(WireError::Fragment);
      length = 8;
    }
    if (length > rest.size()) return unexpected(WireError::Truncated);
    next = load8(&rest[0]);
    rest = rest.subspan(length);
  }
  packet.header.protocol = next;
  packet.payload = rest;
  return packet;
}

}  // namespace

tl::expected<IpPacket, WireError> parse_ip(std::span<const std::byte> bytes) {
  if (bytes.empty()) return unexpected(WireError::Truncated);
  switch (load8(&bytes[0]) >> 4) {
    case 4:
      return parse_v4(bytes);
    case 6:
      return parse_v6(bytes);
    default:
      return unexpected(WireError::BadVersion);
  }
}

void write_ip(std::byte* out, const IpHeader& header, std::size_t payload_length) {
  if (header.source.is_v4()) {
    store16(out, static_cast<std::uint16_t>(0x4500 | header.traffic_class));
    store16(out + 2, static_cast<std::uint16_t>(kIpv4HeaderLength + payload_length));
    store16(out + 4, header.identification);
    store16(out + 6, header.dont_fragment ? 0x4000 : 0);
    store8(out + 8, header.hop_limit);
    store8(out + 9, header.protocol);
    store16(out + 10, 0);
    store32(out + 12, header.source.v4_value());
    store32(out + 16, header.destination.v4_value());
    ChecksumSum sum;
    sum.add_ipv4_header(out);
    const std::uint16_t checksum = sum.checksum();
    std::memcpy(out + 10, &checksum, sizeof checksum);
    return;
  }
  store32(out, 6U << 28 | std::uint32_t{header.traffic_class} << 20);
  store16(out + 4, static_cast<std::uint16_t>(payload_length));
  store8(out + 6, header.protocol);
  store8(out + 7, header.hop_limit);
  std::memcpy(out + 8, header.source.bytes().data(), 16);
  std::memcpy(out + 24, header.destination.bytes().data(), 16);
}

}  // namespace lastack
