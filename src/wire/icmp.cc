#include "wire/icmp.h"

#include <cstring>

#include "wire/bytes.h"
#include "wire/checksum.h"

namespace lastack {
namespace {

using tl::unexpected;

std::optional<IcmpKind> kind_v4(std::uint8_t type, std::uint8_t code) {
  switch (type) {
    case 3:
      switch (code) {
        case 0:
          return IcmpKind::NetworkUnreachable;
        case 1:
          return IcmpKind::HostUnreachable;
        case 2:
          return IcmpKind::ProtocolUnreachable;
        case 3:
          return IcmpKind::PortUnreachable;
        case 4:
          return IcmpKind::PacketTooBig;
        case 5:
          return IcmpKind::SourceRouteFailed;
        case 6:
        case 9:
        case 11:
          return IcmpKind::NetworkRefused;
        case 7:
          return IcmpKind::HostUnknown;
        case 8:
          return IcmpKind::HostIsolated;
        case 10:
        case 12:
        case 13:
        case 14:
        case 15:
          return IcmpKind::HostRefused;
        default:
          return std::nullopt;  // no such code
      }
    case 4:
      return IcmpKind::SourceQuench;
    case 11:
      // 1: of putting fragments together, which says nothing of the way (Linux: icmp_unreach).
      if (code == 1) return std::nullopt;
      return IcmpKind::TimeExceeded;
    case 12:
      return IcmpKind::ParameterProblem;
    default:
      return std::nullopt;
  }
}

constexpr std::uint8_t kFirstInformational = 128;  // type of ICMPv6

std::optional<IcmpKind> kind_v6(std::uint8_t type, std::uint8_t code) {
  switch (type) {
    case 1:
      switch (code) {
        case 0:
          return IcmpKind::NetworkUnreachable;
        case 4:
          return IcmpKind::PortUnreachable;
        case 1:
        case 5:
        case 6:
          return IcmpKind::Prohibited;
        case 2:
        case 3:
          return IcmpKind::HostUnreachable;
        default:
          return IcmpKind::ParameterProblem;  // such as 7, of a source route
      }
    case 2:
      return IcmpKind::PacketTooBig;
    case 3:
      return IcmpKind::TimeExceeded;
    case 4:
      return IcmpKind::ParameterProblem;
    default:
      // Errors that are not known are for the layer above to judge (RFC 4443, 2.4 (a)).
      if (type < kFirstInformational) return IcmpKind::Unknown;
      return std::nullopt;
  }
}

// The header inside an error: cut after as few as eight bytes of TCP, its lengths telling of what was sent,
// its checksum possibly of what a router had changed.
struct Inner {
  IpAddress source;
  IpAddress destination;
  std::span<const std::byte> tcp;
};
std::optional<Inner> parse_inner(std::span<const std::byte> bytes, bool v4) {
  Inner inner;
  if (v4) {
    if (bytes.size() < kIpv4HeaderLength || load8(&bytes[0]) >> 4 != 4) return std::nullopt;
    const std::size_t header = std::size_t{load8(&bytes[0])} % 16 * 4;
    constexpr std::uint16_t kOffset = 0x1fff;
    if (header < kIpv4HeaderLength || header > bytes.size() || load8(&bytes[9]) != kProtocolTcp ||
        (load16(&bytes[6]) & kOffset) != 0) {
      return std::nullopt;
    }
    inner.source = IpAddress::v4(load32(&bytes[12]));
    inner.destination = IpAddress::v4(load32(&bytes[16]));
    inner.tcp = bytes.subspan(header);
  } else {
    if (bytes.size() < kIpv6HeaderLength || load8(&bytes[0]) >> 4 != 6 ||
        load8(&bytes[6]) != kProtocolTcp) {
      return std::nullopt;
    }
    IpAddress::Bytes address;
    std::memcpy(address.data(), &bytes[8], address.size());
    inner.source = IpAddress::v6(address);
    std::memcpy(address.data(), &bytes[24], address.size());
    inner.destination = IpAddress::v6(address);
    if (inner.source.is_v4() || inner.destination.is_v4()) return std::nullopt;
    inner.tcp = bytes.subspan(kIpv6HeaderLength);
  }
  if (inner.tcp.size() < 8) return std::nullopt;
  return inner;
}

}  // namespace

tl::expected<std::optional<IcmpError>, WireError> parse_icmp(std::span<const std::byte> payload,
                                                             const IpHeader& ip) {
  constexpr std::size_t kHeader = 8;
  if (payload.size() < kHeader) return unexpected(WireError::Truncated);
  const bool v4 = ip.source.is_v4();
  ChecksumSum sum;
  if (!v4) sum.add_pseudo_header(ip.source, ip.destination, kProtocolIcmpV6, payload.size());
  sum.add(payload);
  if (sum.checksum() != 0) return unexpected(WireError::BadChecksum);
  const std::uint8_t type = load8(&payload[0]);
  const std::uint8_t code = load8(&payload[1]);
  const auto kind = v4 ? kind_v4(type, code) : kind_v6(type, code);
  if (!kind) return std::nullopt;
  const auto inner = parse_inner(payload.subspan(kHeader), v4);
  if (!inner) return std::nullopt;
  IcmpError error{.kind = *kind,
                  .tuple = {{inner->source, load16(&inner->tcp[0])},
                            {inner->destination, load16(&inner->tcp[2])}},
                  .seq = SeqNum(load32(&inner->tcp[4]))};
  if (*kind == IcmpKind::PacketTooBig) error.mtu = v4 ? load16(&payload[6]) : load32(&payload[4]);
  return error;
}

}  // namespace lastack
