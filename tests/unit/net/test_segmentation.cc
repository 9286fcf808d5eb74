// What a device with TSO does.
#include "wire/segmentation.h"

#include <gtest/gtest.h>

#include <vector>

#include "lastack/packet_view.h"
#include "unit/wire/packets.h"
#include "wire/tcp_segment.h"

namespace lastack::test {
namespace {

std::vector<std::byte> packet(std::size_t payload, std::uint16_t flags, bool v6) {
  TcpSegment segment;
  segment.source = 1;
  segment.destination = 2;
  segment.seq = SeqNum(0xfffffff0);
  segment.flags = flags;
  segment.options.timestamps = Timestamps{7, 8};
  const IpAddress a = v6 ? *IpAddress::parse("2001:db8::1") : IpAddress::v4(0x0a000001);
  const IpAddress b = v6 ? *IpAddress::parse("2001:db8::2") : IpAddress::v4(0x0a000002);
  const std::size_t ip = ip_header_length(a), tcp = header_length(segment.options);
  std::vector<std::byte> bytes(ip + tcp + payload);
  write_ip(bytes.data(), {.source = a, .destination = b}, tcp + payload);
  write_tcp_header(bytes.data() + ip, segment);
  for (std::size_t i = 0; i < payload; ++i) {
    bytes[ip + tcp + i] = static_cast<std::byte>(i * 7 + 3);
  }
  return bytes;
}

TEST(Segmentation, PiecesAreWholeSegmentsAndAddUp) {
  for (const bool v6 : {false, true}) {
    const auto whole =
        packet(4001, tcp_flag::kAck | tcp_flag::kPsh | tcp_flag::kFin | tcp_flag::kCwr, v6);
    std::vector<std::byte> joined;
    std::size_t count = 0;
    std::uint32_t seq = 0xfffffff0;
    for (Segmentation pieces(whole, 1000); !pieces.done(); ++count) {
      std::vector<std::byte> piece(pieces.length());
      pieces.write(piece.data());
      const auto ip = parse_ip(piece);
      ASSERT_TRUE(ip) << "the IP header has its own length and checksum";
      const auto segment = parse_tcp(ip->payload, ip->header, Checksum::Verify);
      ASSERT_TRUE(segment) << "the checksum is right";
      EXPECT_EQ(segment->seq.value(), seq);
      seq += static_cast<std::uint32_t>(segment->payload.size());
      EXPECT_EQ(segment->fin(), count == 4) << "FIN is about the end";
      EXPECT_EQ(segment->has(tcp_flag::kPsh), count == 4);
      EXPECT_EQ(segment->has(tcp_flag::kCwr), count == 0) << "CWR tells once";
      EXPECT_EQ(segment->options.timestamps->value, 7u);
      joined.insert(joined.end(), segment->payload.begin(), segment->payload.end());
    }
    EXPECT_EQ(count, 5u);
    const auto view = PacketView::of(whole);
    ASSERT_TRUE(view);
    EXPECT_TRUE(
        std::equal(joined.begin(), joined.end(), view->payload.begin(), view->payload.end()));
  }
}

TEST(Segmentation, WhatIsNoTcpStaysInOnePiece) {
  std::vector<std::byte> junk(3000, std::byte{0x45});
  Segmentation pieces(junk, 1000);
  ASSERT_FALSE(pieces.done());
  EXPECT_EQ(pieces.length(), junk.size());
  std::vector<std::byte> out(junk.size());
  pieces.write(out.data());
  EXPECT_EQ(out, junk);
  EXPECT_TRUE(pieces.done());
}

TEST(Segmentation, FixChecksumsMendsBoth) {
  for (const bool v6 : {false, true}) {
    auto bytes = packet(11, tcp_flag::kAck, v6);
    fix_checksums(bytes);
    bytes[bytes.size() - 1] ^= std::byte{1};
    if (!v6) bytes[8] ^= std::byte{1};  // the time to live
    EXPECT_FALSE(parse_ip(bytes) && parse_tcp(parse_ip(bytes)->payload, parse_ip(bytes)->header));
    fix_checksums(bytes);
    const auto ip = parse_ip(bytes);
    ASSERT_TRUE(ip);
    EXPECT_TRUE(parse_tcp(ip->payload, ip->header, Checksum::Verify));
  }
  std::vector<std::byte> junk(5, std::byte{0x4f});
  fix_checksums(junk);  // does not look beyond the end
}

}  // namespace
}  // namespace lastack::test
