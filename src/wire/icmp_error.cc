#include "wire/icmp_error.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"

namespace lastack {

std::size_t write_icmp_error(std::byte* out, std::span<const std::byte> packet,
                             const IpAddress& from, std::uint8_t type, std::uint8_t code,
                             std::uint32_t rest) {
  const auto ip = parse_ip(packet);
  if (!ip) return 0;
  constexpr std::size_t kIcmpHeader = 8;
  const bool v4 = ip->header.source.is_v4();
  const std::size_t header = ip_header_length(ip->header.source);
  // RFC 792 quotes the header and eight bytes; Linux, and RFC 1812, as much as 576 bytes hold.
  const std::size_t most = (v4 ? 576 : kMostIcmpError) - header - kIcmpHeader;
  const std::size_t quoted = std::min(packet.size(), most);
  const std::size_t length = kIcmpHeader + quoted;
  write_ip(out,
           {.source = from,
            .destination = ip->header.source,
            .protocol = v4 ? kProtocolIcmp : kProtocolIcmpV6},
           length);
  std::byte* icmp = out + header;
  store8(icmp, type);
  store8(icmp + 1, code);
  store16(icmp + 2, 0);
  store32(icmp + 4, rest);
  std::memcpy(icmp + kIcmpHeader, packet.data(), quoted);
  ChecksumSum sum;
  if (!v4) sum.add_pseudo_header(from, ip->header.source, kProtocolIcmpV6, length);
  sum.add({icmp, length});
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(icmp + 2, &checksum, sizeof checksum);
  return header + length;
}

}  // namespace lastack
