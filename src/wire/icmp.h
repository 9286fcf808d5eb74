// ICMP (RFC 792) and ICMPv6 (RFC 4443) errors that are about a TCP segment of ours, told apart as TCP has
// to tell them: RFC 1122, 4.2.3.9; RFC 9293, 3.9.2.2; RFC 5927.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tl/expected.hpp>

#include "lastack/four_tuple.h"
#include "wire/ip_packet.h"
#include "wire/seq_num.h"

namespace lastack {

enum class IcmpKind : std::uint8_t {
  NetworkUnreachable,  // and nothing else said of it; likewise of the host
  HostUnreachable,
  ProtocolUnreachable,
  PortUnreachable,
  PacketTooBig,  // fragmentation needed and DF set
  SourceRouteFailed,
  NetworkRefused,  // unknown, prohibited, or not for this service
  HostRefused,
  HostUnknown,
  HostIsolated,
  Prohibited,  // IPv6: by an administrator, by policy, or by a route that rejects
  TimeExceeded,
  ParameterProblem,
  Unknown,       // IPv6: an error of a type that nobody has told us of
  SourceQuench,  // to be ignored (MUST-55)
};

struct IcmpError {
  IcmpKind kind;
  FourTuple tuple;        // as the sender of the segment sees it: local is ours
  SeqNum seq;             // of the segment that caused it
  std::uint32_t mtu = 0;  // PacketTooBig; 0 from routers before RFC 1191
};

// `payload` is that of a packet with protocol kProtocolIcmp or kProtocolIcmpV6. Nothing for a message that
// is no error or not about TCP.
tl::expected<std::optional<IcmpError>, WireError> parse_icmp(std::span<const std::byte> payload,
                                                             const IpHeader& ip);

}  // namespace lastack
