#include <gtest/gtest.h>

#include <cstring>

#include "unit/wire/packets.h"
#include "wire/bytes.h"
#include "wire/checksum.h"

namespace lastack::test {
namespace {

Bytes with_payload(const IpHeader& header, std::size_t payload) {
  Bytes packet(ip_header_length(header.source) + payload, std::byte{0x5a});
  write_ip(packet.data(), header, payload);
  return packet;
}
void mend_checksum(Bytes& packet) {
  store16(&packet[10], 0);
  ChecksumSum sum;
  sum.add(std::span(packet).first(std::size_t{load8(&packet[0])} % 16 * 4));
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(&packet[10], &checksum, 2);
}

TEST(IpPacket, WrittenAndRead) {
  for (const bool v4 : {true, false}) {
    const IpHeader header{.source = v4 ? kFrom : kFrom6,
                          .destination = v4 ? kTo : kTo6,
                          .protocol = kProtocolTcp,
                          .hop_limit = 33,
                          .traffic_class = 0xb9,
                          .dont_fragment = v4,
                          .identification = static_cast<std::uint16_t>(v4 ? 777 : 0)};
    const Bytes packet = with_payload(header, 100);
    const auto read = parse_ip(packet);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->header.source, header.source);
    EXPECT_EQ(read->header.destination, header.destination);
    EXPECT_EQ(read->header.protocol, kProtocolTcp);
    EXPECT_EQ(read->header.hop_limit, 33);
    EXPECT_EQ(read->header.traffic_class, 0xb9);
    EXPECT_EQ(read->header.identification, header.identification);
    EXPECT_EQ(read->payload.size(), 100u);
  }
}

TEST(IpPacket, PaddingOfTheLinkIsNotPayload) {
  for (const IpAddress& from : {kFrom, kFrom6}) {
    Bytes packet = with_payload({.source = from, .destination = from.is_v4() ? kTo : kTo6}, 3);
    packet.resize(packet.size() + 23);
    const auto read = parse_ip(packet);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->payload.size(), 3u);
  }
}

TEST(IpPacket, EveryTruncationIsAnError) {
  for (const IpAddress& from : {kFrom, kFrom6}) {
    const Bytes packet =
        with_payload({.source = from, .destination = from.is_v4() ? kTo : kTo6}, 9);
    for (std::size_t length = 0; length < packet.size(); ++length) {
      const auto read = parse_ip(std::span(packet).first(length));
      ASSERT_FALSE(read) << length;
      EXPECT_EQ(read.error(), WireError::Truncated) << length;
    }
  }
}

TEST(IpPacket, OptionsArePassedOver) {
  Bytes packet = with_payload({.source = kFrom, .destination = kTo}, 8);
  packet.insert(packet.begin() + 20, 8, std::byte{1});
  store8(&packet[0], 0x47);
  store16(&packet[2], static_cast<std::uint16_t>(packet.size()));
  mend_checksum(packet);
  const auto read = parse_ip(packet);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->payload.size(), 8u);
}

TEST(IpPacket, HeadersThatLie) {
  const Bytes good = with_payload({.source = kFrom, .destination = kTo}, 8);
  Bytes bad = good;
  store8(&bad[0], 0x44);  // shorter than a header can be
  EXPECT_EQ(parse_ip(bad).error(), WireError::BadHeaderLength);
  bad = good;
  store16(&bad[2], 19);  // shorter than its own header
  EXPECT_EQ(parse_ip(bad).error(), WireError::BadHeaderLength);
  bad = good;
  bad[8] ^= std::byte{1};
  EXPECT_EQ(parse_ip(bad).error(), WireError::BadChecksum);
  bad = good;
  store8(&bad[0], 0x55);
  EXPECT_EQ(parse_ip(bad).error(), WireError::BadVersion);
  EXPECT_EQ(parse_ip({}).error(), WireError::Truncated);
}

TEST(IpPacket, FragmentsAreNotTaken) {
  for (const std::uint16_t field : std::initializer_list<std::uint16_t>{0x2000, 0x0001, 0x1fff}) {
    Bytes packet = with_payload({.source = kFrom, .destination = kTo}, 8);
    store16(&packet[6], field);
    mend_checksum(packet);
    EXPECT_EQ(parse_ip(packet).error(), WireError::Fragment) << field;
  }
}

// RFC 8200, 4: destination options, then TCP.
TEST(IpPacket, ExtensionHeaders) {
  const auto packet_with = [](std::uint8_t kind, Bytes extension) {
    Bytes packet = with_payload({.source = kFrom6, .destination = kTo6, .protocol = kind},
                                extension.size() + 20);
    std::copy(extension.begin(), extension.end(), packet.begin() + 40);
    return packet;
  };
  const Bytes options = bytes_of({6, 0, 1, 4, 0, 0, 0, 0});
  for (const std::uint8_t kind : std::initializer_list<std::uint8_t>{0, 60}) {
    const auto read = parse_ip(packet_with(kind, options));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->header.protocol, kProtocolTcp);
    EXPECT_EQ(read->payload.size(), 20u);
  }
  // An atomic fragment (RFC 6946) is whole; others are not taken.
  EXPECT_TRUE(parse_ip(packet_with(44, bytes_of({6, 0, 0, 0, 1, 2, 3, 4}))));
  EXPECT_EQ(parse_ip(packet_with(44, bytes_of({6, 0, 0, 1, 1, 2, 3, 4}))).error(),
            WireError::Fragment);
  EXPECT_EQ(parse_ip(packet_with(44, bytes_of({6, 0, 0, 8, 1, 2, 3, 4}))).error(),
            WireError::Fragment);
  // A routing header that has not been gone through.
  EXPECT_EQ(parse_ip(packet_with(43, bytes_of({6, 0, 0, 1, 0, 0, 0, 0}))).error(),
            WireError::UnknownHeader);
  // One that says it is longer than the packet.
  EXPECT_EQ(parse_ip(packet_with(0, bytes_of({6, 200, 0, 0, 0, 0, 0, 0}))).error(),
            WireError::Truncated);
}

}  // namespace
}  // namespace lastack::test
