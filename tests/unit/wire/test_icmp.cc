#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "unit/wire/packets.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/icmp.h"

namespace lastack::test {
namespace {

// An error about a segment that kFrom sent.
Bytes error_about(const Bytes& packet, std::uint8_t type, std::uint8_t code, std::uint32_t rest,
                  std::size_t quoted) {
  const bool v4 = load8(&packet[0]) >> 4 == 4;
  Bytes message(8);
  store8(&message[0], type);
  store8(&message[1], code);
  store32(&message[4], rest);
  message.insert(message.end(), packet.begin(),
                 packet.begin() + static_cast<std::ptrdiff_t>(std::min(quoted, packet.size())));
  ChecksumSum sum;
  if (!v4) sum.add_pseudo_header(kTo6, kFrom6, kProtocolIcmpV6, message.size());
  sum.add(message);
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(&message[2], &checksum, 2);
  return message;
}

TcpSegment segment() {
  TcpSegment s;
  s.source = 40000;
  s.destination = 80;
  s.seq = SeqNum(123456);
  return s;
}
const IpHeader kBack4{.source = kTo, .destination = kFrom, .protocol = kProtocolIcmp};
const IpHeader kBack6{.source = kTo6, .destination = kFrom6, .protocol = kProtocolIcmpV6};

TEST(Icmp, TellsWhatItIsAbout) {
  const Bytes v4 = packet_of(segment());
  const Bytes v6 = packet_of(segment(), kFrom6, kTo6);
  struct Case {
    bool v4;
    std::uint8_t type, code;
    IcmpKind kind;
  };
  for (const Case& c :
       {Case{true, 3, 0, IcmpKind::NetworkUnreachable}, Case{true, 3, 1, IcmpKind::HostUnreachable},
        Case{true, 3, 2, IcmpKind::ProtocolUnreachable},
        Case{true, 3, 3, IcmpKind::PortUnreachable}, Case{true, 3, 13, IcmpKind::HostRefused},
        Case{true, 3, 7, IcmpKind::HostUnknown}, Case{true, 3, 8, IcmpKind::HostIsolated},
        Case{true, 3, 9, IcmpKind::NetworkRefused}, Case{true, 4, 0, IcmpKind::SourceQuench},
        Case{true, 11, 0, IcmpKind::TimeExceeded}, Case{true, 12, 0, IcmpKind::ParameterProblem},
        Case{false, 1, 0, IcmpKind::NetworkUnreachable},
        Case{false, 1, 4, IcmpKind::PortUnreachable}, Case{false, 1, 1, IcmpKind::Prohibited},
        Case{false, 3, 0, IcmpKind::TimeExceeded}, Case{false, 4, 1, IcmpKind::ParameterProblem}}) {
    const auto error =
        parse_icmp(error_about(c.v4 ? v4 : v6, c.type, c.code, 0, 1000), c.v4 ? kBack4 : kBack6);
    ASSERT_TRUE(error && *error) << int{c.type} << " " << int{c.code};
    EXPECT_EQ((*error)->kind, c.kind);
    EXPECT_EQ((*error)->tuple.local, (Endpoint{c.v4 ? kFrom : kFrom6, 40000}));
    EXPECT_EQ((*error)->tuple.remote, (Endpoint{c.v4 ? kTo : kTo6, 80}));
    EXPECT_EQ((*error)->seq, SeqNum(123456));
  }
}

TEST(Icmp, TooBigTellsTheMtu) {
  const auto v4 = parse_icmp(error_about(packet_of(segment()), 3, 4, 1400, 28), kBack4);
  ASSERT_TRUE(v4 && *v4);
  EXPECT_EQ((*v4)->kind, IcmpKind::PacketTooBig);
  EXPECT_EQ((*v4)->mtu, 1400u);
  const auto v6 =
      parse_icmp(error_about(packet_of(segment(), kFrom6, kTo6), 2, 0, 1280, 48), kBack6);
  ASSERT_TRUE(v6 && *v6);
  EXPECT_EQ((*v6)->mtu, 1280u);
}

TEST(Icmp, WhatIsNoErrorOrNotAboutTcpSaysNothing) {
  const auto echo = parse_icmp(error_about(packet_of(segment()), 8, 0, 0, 100), kBack4);
  ASSERT_TRUE(echo);
  EXPECT_FALSE(*echo);
  Bytes udp = packet_of(segment());
  store8(&udp[9], 17);
  const auto other = parse_icmp(error_about(udp, 3, 3, 0, 100), kBack4);
  ASSERT_TRUE(other);
  EXPECT_FALSE(*other);
}

TEST(Icmp, CutAndCorruptedMessages) {
  const Bytes packet = packet_of(segment());
  for (std::size_t quoted = 0; quoted < 28; ++quoted) {
    const auto error = parse_icmp(error_about(packet, 3, 3, 0, quoted), kBack4);
    EXPECT_TRUE(error && !*error) << quoted;
  }
  const Bytes whole = error_about(packet, 3, 3, 0, 28);
  for (std::size_t length = 0; length < 8; ++length) {
    EXPECT_FALSE(parse_icmp(std::span(whole).first(length), kBack4));
  }
  Bytes flipped = whole;
  flipped[9] ^= std::byte{4};
  EXPECT_EQ(parse_icmp(flipped, kBack4).error(), WireError::BadChecksum);
}

}  // namespace
}  // namespace lastack::test
