// The short way through a packet says what the long way says.
#include "wire/plain_segment.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace lastack {
namespace {

const FourTuple kTuple{{IpAddress::v4(0x0a000001), 40'000}, {IpAddress::v4(0xc0a80102), 443}};

TcpSegment random_segment(std::mt19937& random) {
  TcpSegment s;
  s.source = kTuple.local.port;
  s.destination = kTuple.remote.port;
  s.seq = SeqNum(static_cast<std::uint32_t>(random()));
  s.ack = SeqNum(static_cast<std::uint32_t>(random()));
  s.flags = random() & 0x1ff;
  s.window = static_cast<std::uint16_t>(random());
  s.urgent = static_cast<std::uint16_t>(random());
  s.options.timestamps =
      Timestamps{static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random())};
  return s;
}

PlainNumbers numbers_of(const TcpSegment& s) {
  return {.seq = s.seq,
          .ack = s.ack,
          .flags = s.flags,
          .window = s.window,
          .urgent = s.urgent,
          .timestamps = *s.options.timestamps};
}

// As the long way writes it.
std::vector<std::byte> written(const TcpSegment& s, std::uint8_t hops, std::uint8_t traffic_class,
                               const std::vector<std::byte>& payload) {
  std::vector<std::byte> packet(kPlainHeaders + payload.size());
  std::copy(payload.begin(), payload.end(), packet.begin() + kPlainHeaders);
  const IpHeader ip{.source = kTuple.local.address,
                    .destination = kTuple.remote.address,
                    .hop_limit = hops,
                    .traffic_class = traffic_class};
  write_ip(packet.data(), ip, kPlainTcpHeader + payload.size());
  const auto tcp = std::span(packet).subspan(kIpv4HeaderLength);
  write_tcp_header(tcp.data(), s);
  write_tcp_checksum(tcp, ip.source, ip.destination);
  return packet;
}

std::vector<std::byte> random_payload(std::mt19937& random) {
  std::vector<std::byte> payload(random() % 4 == 0 ? random() % 1449 : random() % 9);
  for (auto& b : payload) b = static_cast<std::byte>(random());
  return payload;
}

void expect_same(const FourTuple& tuple, const TcpSegment& segment,
                 std::span<const std::byte> packet) {
  const auto long_ip = parse_ip(packet);
  ASSERT_TRUE(long_ip);
  const auto other = parse_tcp(long_ip->payload, long_ip->header);
  ASSERT_TRUE(other);
  EXPECT_EQ(long_ip->header.protocol, kProtocolTcp);
  EXPECT_EQ(tuple.local, (Endpoint{long_ip->header.destination, other->destination}));
  EXPECT_EQ(tuple.remote, (Endpoint{long_ip->header.source, other->source}));
  EXPECT_EQ(segment.source, other->source);
  EXPECT_EQ(segment.destination, other->destination);
  EXPECT_EQ(segment.seq, other->seq);
  EXPECT_EQ(segment.ack, other->ack);
  EXPECT_EQ(segment.flags, other->flags);
  EXPECT_EQ(segment.window, other->window);
  EXPECT_EQ(segment.urgent, other->urgent);
  EXPECT_EQ(segment.ecn, other->ecn);
  EXPECT_EQ(segment.header_bytes, other->header_bytes);
  EXPECT_EQ(segment.options.timestamps, other->options.timestamps);
  EXPECT_FALSE(other->options.mss || other->options.window_scale);
  EXPECT_FALSE(other->options.sack_permitted || other->options.sack_count > 0);
  EXPECT_EQ(segment.payload.data(), other->payload.data());
  EXPECT_EQ(segment.payload.size(), other->payload.size());
}

TEST(PlainSegment, IsWrittenAsTheLongWayWritesIt) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const TcpSegment s = random_segment(random);
    const auto payload = random_payload(random);
    const auto hops = static_cast<std::uint8_t>(random());
    const auto traffic_class = static_cast<std::uint8_t>(random());
    const auto expected = written(s, hops, traffic_class, payload);
    std::vector<std::byte> packet(expected.size());
    std::copy(payload.begin(), payload.end(), packet.begin() + kPlainHeaders);
    write_plain(packet.data(), kTuple, numbers_of(s), hops, traffic_class, payload.size(), true);
    ASSERT_EQ(packet, expected) << i;
  }
}

TEST(PlainSegment, IsReadAsTheLongWayReadsIt) {
  std::mt19937 random(2);
  for (int i = 0; i < 20'000; ++i) {
    auto packet = written(random_segment(random), static_cast<std::uint8_t>(random()),
                          static_cast<std::uint8_t>(random()), random_payload(random));
    packet.resize(packet.size() + random() % 3);  // padding
    FourTuple tuple;
    TcpSegment segment;
    ASSERT_TRUE(read_plain(packet, Checksum::Verify, tuple, segment)) << i;
    expect_same(tuple, segment, packet);
  }
}

// Whatever is damaged, cut or made into something else: the short way takes it only if the long way does, and then says
// the same.
TEST(PlainSegment, TakesNothingThatTheLongWayRefuses) {
  std::mt19937 random(3);
  int taken = 0;
  for (int i = 0; i < 50'000; ++i) {
    auto packet = written(random_segment(random), 64, 0, random_payload(random));
    const auto changes = static_cast<unsigned>(random() % 3);
    for (unsigned n = 0; n < changes; ++n) {
      packet[random() % std::min<std::size_t>(packet.size(), 60)] ^= std::byte{1} << random() % 8;
    }
    // Two opposite changes leave a checksum right.
    if (random() % 2 == 0) {
      const std::size_t at = random() % 8 * 2;
      std::swap_ranges(packet.begin() + static_cast<std::ptrdiff_t>(at),
                       packet.begin() + static_cast<std::ptrdiff_t>(at) + 2,
                       packet.begin() + static_cast<std::ptrdiff_t>(random() % 10 * 2));
    }
    if (random() % 8 == 0) packet.resize(random() % (packet.size() + 1));
    FourTuple tuple;
    TcpSegment segment;
    if (!read_plain(packet, Checksum::Verify, tuple, segment)) continue;
    ++taken;
    expect_same(tuple, segment, packet);
    if (HasFatalFailure()) FAIL() << i;
  }
  EXPECT_GT(taken, 1000);
}

TEST(PlainSegment, LeavesTheChecksumToWhoeverWantsIt) {
  std::array<std::byte, kPlainHeaders> packet{};
  write_plain(packet.data(), kTuple, PlainNumbers{}, 64, 0, 0, false);
  EXPECT_EQ(load16(&packet[kIpv4HeaderLength + 16]), 0);
  FourTuple tuple;
  TcpSegment segment;
  EXPECT_FALSE(read_plain(packet, Checksum::Verify, tuple, segment));
  EXPECT_TRUE(read_plain(packet, Checksum::Trust, tuple, segment));
}

}  // namespace
}  // namespace lastack
