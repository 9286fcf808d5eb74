#include "wire/ip_packet.h"

#include <algorithm>
#include <cstring>
#include <optional>

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

std::optional<WireError> parse_v4(std::span<const std::byte> bytes, IpPacket& packet) {
  if (bytes.size() < kIpv4HeaderLength) return WireError::Truncated;
  const std::size_t header_length = std::size_t{load8(&bytes[0])} % 16 * 4;
  const std::size_t total = load16(&bytes[2]);
  if (header_length < kIpv4HeaderLength || header_length > total) {
    return WireError::BadHeaderLength;
  }
  if (total > bytes.size()) return WireError::Truncated;
  ChecksumSum sum;
  if (header_length == kIpv4HeaderLength) {
    sum.add_ipv4_header(bytes.data());
  } else {
    sum.add(bytes.first(header_length));
  }
  if (!sum.is_right()) return WireError::BadChecksum;
  const std::uint16_t fragment = load16(&bytes[6]);
  constexpr std::uint16_t kDontFragment = 0x4000, kMore = 0x2000, kOffset = 0x1fff;
  if ((fragment & (kMore | kOffset)) != 0) return WireError::Fragment;
  IpHeader& header = packet.header;
  header.source = IpAddress::v4(load32(&bytes[12]));
  header.destination = IpAddress::v4(load32(&bytes[16]));
  header.protocol = load8(&bytes[9]);
  header.hop_limit = load8(&bytes[8]);
  header.traffic_class = load8(&bytes[1]);
  header.dont_fragment = (fragment & kDontFragment) != 0;
  header.identification = load16(&bytes[4]);
  packet.payload = bytes.subspan(header_length, total - header_length);
  return std::nullopt;
}

// Extension headers (RFC 8200, 4) that say nothing to TCP are passed over.
std::optional<WireError> parse_v6(std::span<const std::byte> bytes, IpPacket& packet) {
  if (bytes.size() < kIpv6HeaderLength) return WireError::Truncated;
  const std::size_t payload_length = load16(&bytes[4]);
  if (kIpv6HeaderLength + payload_length > bytes.size()) return WireError::Truncated;
  packet.header.source = load_v6(&bytes[8]);
  packet.header.destination = load_v6(&bytes[24]);
  if (packet.header.source.is_v4() || packet.header.destination.is_v4()) {
    return WireError::MappedAddress;
  }
  packet.header.hop_limit = load8(&bytes[7]);
  packet.header.traffic_class = static_cast<std::uint8_t>(load16(&bytes[0]) >> 4);
  std::span<const std::byte> rest = bytes.subspan(kIpv6HeaderLength, payload_length);
  std::uint8_t next = load8(&bytes[6]);
  constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kDestination = 60;
  while (next == kHopByHop || next == kRouting || next == kFragment || next == kDestination) {
    if (rest.size() < 8) return WireError::Truncated;
    std::size_t length = (std::size_t{load8(&rest[1])} + 1) * 8;
    if (next == kRouting && load8(&rest[3]) != 0) return WireError::UnknownHeader;
    if (next == kFragment) {
      // An "atomic" fragment, alone and whole (RFC 6946), is a packet like any other.
      constexpr std::uint16_t kOffsetAndMore = 0xfff9;
      if ((load16(&rest[2]) & kOffsetAndMore) != 0) return WireError::Fragment;
      length = 8;
    }
    if (length > rest.size()) return WireError::Truncated;
    next = load8(&rest[0]);
    rest = rest.subspan(length);
  }
  packet.header.protocol = next;
  packet.payload = rest;
  return std::nullopt;
}

}  // namespace

tl::expected<IpPacket, WireError> parse_ip(std::span<const std::byte> bytes) {
  tl::expected<IpPacket, WireError> parsed;  // filled where the caller will have it
  std::optional<WireError> error = WireError::BadVersion;
  if (bytes.empty()) {
    error = WireError::Truncated;
  } else if (const unsigned version = load8(&bytes[0]) >> 4; version == 4) {
    error = parse_v4(bytes, *parsed);
  } else if (version == 6) {
    error = parse_v6(bytes, *parsed);
  }
  if (error) parsed = unexpected(*error);
  return parsed;
}

void write_ip(std::byte* out, const IpHeader& header, std::size_t payload_length) {
  if (header.source.is_v4()) {
    // In words as wide as they will be read again, and summed before they are stored.
    const std::uint64_t first =
        std::uint64_t{0x4500U | header.traffic_class} << 48 |
        std::uint64_t{static_cast<std::uint16_t>(kIpv4HeaderLength + payload_length)} << 32 |
        std::uint64_t{header.identification} << 16 | (header.dont_fragment ? 0x4000U : 0U);
    const std::uint32_t source = header.source.v4_value();
    const std::uint32_t destination = header.destination.v4_value();
    const std::uint64_t second =
        std::uint64_t{header.hop_limit} << 56 | std::uint64_t{header.protocol} << 48 | source;
    NumberSum sum;
    sum.add(first);
    sum.add(second);
    sum.add(destination);
    store64(out, first);
    store64(out + 8, second | std::uint64_t{sum.checksum()} << 32);
    store32(out + 16, destination);
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
