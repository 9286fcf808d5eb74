// Packets for the tests of wire/.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <random>
#include <vector>

#include "wire/ip_packet.h"
#include "wire/tcp_segment.h"

namespace lastack::test {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(std::initializer_list<unsigned> values) {
  Bytes bytes;
  for (const unsigned v : values) bytes.push_back(static_cast<std::byte>(v));
  return bytes;
}

inline const IpAddress kFrom = IpAddress::v4(0x0a000001);
inline const IpAddress kTo = IpAddress::v4(0x0a000002);
inline const IpAddress kFrom6 = *IpAddress::parse("2001:db8::1");
inline const IpAddress kTo6 = *IpAddress::parse("2001:db8::2");

// A whole packet with correct checksums.
inline Bytes packet_of(const TcpSegment& segment, const IpAddress& from = kFrom,
                       const IpAddress& to = kTo) {
  const std::size_t ip = ip_header_length(from);
  const std::size_t tcp = header_length(segment.options);
  Bytes packet(ip + tcp + segment.payload.size());
  write_ip(packet.data(), {.source = from, .destination = to}, packet.size() - ip);
  write_tcp_header(packet.data() + ip, segment);
  std::copy(segment.payload.begin(), segment.payload.end(),
            packet.begin() + static_cast<std::ptrdiff_t>(ip + tcp));
  write_tcp_checksum(std::span(packet).subspan(ip), from, to);
  return packet;
}

}  // namespace lastack::test
