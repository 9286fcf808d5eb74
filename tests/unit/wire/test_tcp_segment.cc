#include <gtest/gtest.h>

#include <random>

#include "unit/wire/packets.h"
#include "wire/bytes.h"

namespace lastack::test {
namespace {

TcpSegment parsed(const Bytes& packet) {
  const auto ip = parse_ip(packet);
  EXPECT_TRUE(ip);
  const auto segment = parse_tcp(ip->payload, ip->header);
  EXPECT_TRUE(segment);
  return segment ? *segment : TcpSegment{};
}

Bytes options_of(const Bytes& packet) {
  const std::size_t header = std::size_t{load8(&packet[32])} / 16 * 4;
  return {packet.begin() + 40, packet.begin() + static_cast<std::ptrdiff_t>(20 + header)};
}

TEST(TcpSegment, WrittenAndRead) {
  const Bytes payload = bytes_of({1, 2, 3, 4, 5});
  TcpSegment segment;
  segment.source = 40000;
  segment.destination = 80;
  segment.seq = SeqNum(0xfffffffe);
  segment.ack = SeqNum(7);
  segment.flags = tcp_flag::kAck | tcp_flag::kFin | tcp_flag::kPsh | tcp_flag::kUrg | tcp_flag::kAe;
  segment.window = 65535;
  segment.urgent = 3;
  segment.options.timestamps = Timestamps{10, 20};
  segment.payload = payload;
  for (const bool v4 : {true, false}) {
    const Bytes packet = v4 ? packet_of(segment) : packet_of(segment, kFrom6, kTo6);
    const TcpSegment read = parsed(packet);
    EXPECT_EQ(read.source, 40000);
    EXPECT_EQ(read.destination, 80);
    EXPECT_EQ(read.seq, SeqNum(0xfffffffe));
    EXPECT_EQ(read.ack, SeqNum(7));
    EXPECT_EQ(read.flags, segment.flags);
    EXPECT_EQ(read.window, 65535);
    EXPECT_EQ(read.urgent, 3);
    EXPECT_EQ(read.options.timestamps, segment.options.timestamps);
    EXPECT_EQ(read.payload.size(), 5u);
    EXPECT_EQ(read.length(), 6u);  // the FIN counts
    EXPECT_EQ(read.end(), SeqNum(4));
  }
}

// The order and padding that Linux has, by which tools tell stacks apart.
TEST(TcpSegment, OptionsInLinuxsOrder) {
  TcpSegment segment;
  segment.flags = tcp_flag::kSyn;
  segment.options.mss = 1460;
  segment.options.sack_permitted = true;
  segment.options.timestamps = Timestamps{0x01020304, 0};
  segment.options.window_scale = 7;
  EXPECT_EQ(options_of(packet_of(segment)),
            bytes_of({2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}));
  segment.options.timestamps.reset();
  EXPECT_EQ(options_of(packet_of(segment)), bytes_of({2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7}));
  segment.options = {};
  segment.options.sack_count = 1;
  segment.options.sack[0] = {SeqNum(1), SeqNum(2)};
  EXPECT_EQ(options_of(packet_of(segment)), bytes_of({1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}));
}

// What has a short way of its own is written as the header and then the checksum over it would be.
TEST(TcpSegment, WrittenInOneGoOrHeaderAndChecksum) {
  std::mt19937 random(5);
  int syns = 0;
  for (int i = 0; i < 20'000; ++i) {
    TcpSegment s;
    s.source = static_cast<Port>(random());
    s.destination = static_cast<Port>(random());
    s.seq = SeqNum(static_cast<std::uint32_t>(random()));
    s.ack = SeqNum(static_cast<std::uint32_t>(random()));
    s.flags = random() & 0x1ff;
    s.window = static_cast<std::uint16_t>(random());
    s.urgent = static_cast<std::uint16_t>(random());
    TcpOptions& o = s.options;
    if (random() % 3 != 0) o.mss = static_cast<std::uint16_t>(random());
    if (random() % 3 != 0) o.window_scale = static_cast<std::uint8_t>(random());
    o.sack_permitted = random() % 3 != 0;
    if (random() % 3 != 0) {
      o.timestamps.emplace(static_cast<std::uint32_t>(random()),
                           static_cast<std::uint32_t>(random()));
    }
    if (random() % 3 == 0) o.sack[o.sack_count++] = {s.seq, s.ack};
    if (random() % 8 == 0 && o.sack_count == 0) o.fast_open.emplace().length = 8;
    if (o.mss && o.window_scale && o.sack_permitted && o.timestamps && o.sack_count == 0 &&
        !o.fast_open) {
      ++syns;
    }
    const std::size_t length = header_length(o);
    Bytes expected(length + random() % 8);
    for (auto& b : expected) b = static_cast<std::byte>(random());
    Bytes written = expected;
    const bool v4 = random() % 2 == 0;
    const IpAddress from = v4 ? kFrom : kFrom6, to = v4 ? kTo : kTo6;
    write_tcp(written.data(), s, written.size() - length, from, to, true);
    write_tcp_header(expected.data(), s);
    write_tcp_checksum(expected, from, to);
    ASSERT_EQ(written, expected) << i;
  }
  EXPECT_GT(syns, 1000);
}

// RFC 7413, 4.1.1, and the option of experiments that came before (RFC 6994).
TEST(TcpSegment, FastOpenCookies) {
  TcpSegment segment;
  segment.flags = tcp_flag::kSyn;
  segment.options.fast_open.emplace();
  EXPECT_EQ(options_of(packet_of(segment)), bytes_of({34, 2, 1, 1}));
  EXPECT_EQ(parsed(packet_of(segment)).options.fast_open->length, 0);
  FastOpenCookie& cookie = *segment.options.fast_open;
  cookie.length = 8;
  for (std::size_t i = 0; i < 8; ++i) cookie.bytes[i] = static_cast<std::byte>(i + 1);
  EXPECT_EQ(options_of(packet_of(segment)), bytes_of({34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1}));
  EXPECT_EQ(parsed(packet_of(segment)).options.fast_open, cookie);
  cookie.experimental = true;
  EXPECT_EQ(options_of(packet_of(segment)),
            bytes_of({254, 12, 0xf9, 0x89, 1, 2, 3, 4, 5, 6, 7, 8}));
  const TcpOptions read = parsed(packet_of(segment)).options;
  ASSERT_TRUE(read.fast_open);
  EXPECT_TRUE(read.fast_open->experimental);
  EXPECT_EQ(*read.fast_open, cookie);
  // Neither 2 bytes nor an odd number of them are a cookie.
  for (const std::uint8_t length : std::initializer_list<std::uint8_t>{2, 5, 7}) {
    cookie.length = length;
    EXPECT_FALSE(parsed(packet_of(segment)).options.fast_open) << int{length};
  }
}

TEST(TcpSegment, AsManySackBlocksAsFit) {
  for (const bool timestamps : {false, true}) {
    TcpSegment segment;
    segment.flags = tcp_flag::kAck;
    if (timestamps) segment.options.timestamps = Timestamps{1, 2};
    segment.options.sack_count = 4;
    for (std::uint32_t i = 0; i < 4; ++i)
      segment.options.sack[i] = {SeqNum(i * 10), SeqNum(i * 10 + 5)};
    const Bytes packet = packet_of(segment);
    const TcpSegment read = parsed(packet);
    EXPECT_EQ(read.options.sack_count, timestamps ? 3 : 4);
    for (std::size_t i = 0; i < read.options.sack_count; ++i) {
      EXPECT_EQ(read.options.sack[i], segment.options.sack[i]);
    }
  }
}

// MUST-6 and MUST-7.
TEST(TcpSegment, MUST_6_unknown_options_are_skipped_MUST_7_lying_ones_end_the_list) {
  TcpSegment segment;
  segment.flags = tcp_flag::kSyn;
  segment.options.mss = 1000;
  segment.options.window_scale = 3;
  Bytes packet = packet_of(segment);
  const auto reread = [&] {
    write_tcp_checksum(std::span(packet).subspan(20), kFrom, kTo);
    return parsed(packet);
  };
  store8(&packet[40], 253);  // the MSS becomes an unknown option of the same length
  store16(&packet[36], 0);
  EXPECT_FALSE(reread().options.mss);
  EXPECT_EQ(parsed(packet).options.window_scale, 3);
  for (const std::uint8_t length : std::initializer_list<std::uint8_t>{0, 1, 9, 255}) {
    store8(&packet[41], length);
    store16(&packet[36], 0);
    const TcpSegment read = reread();
    EXPECT_FALSE(read.options.mss || read.options.window_scale) << int{length};
    EXPECT_TRUE(read.syn());
  }
}

TEST(TcpSegment, KnownOptionsOfAWrongLengthAreNotTaken) {
  for (const auto& options :
       {bytes_of({2, 3, 5, 1}), bytes_of({3, 4, 7, 7}), bytes_of({4, 4, 0, 0}),
        bytes_of({8, 4, 1, 1}), bytes_of({5, 4, 0, 0}),
        bytes_of({5, 9, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1})}) {
    TcpSegment segment;
    segment.flags = tcp_flag::kSyn;
    Bytes packet = packet_of(segment);
    packet.insert(packet.end(), options.begin(), options.end());
    store8(&packet[32], static_cast<std::uint8_t>((20 + options.size()) / 4 * 16));
    write_ip(packet.data(), {.source = kFrom, .destination = kTo}, packet.size() - 20);
    store16(&packet[36], 0);
    write_tcp_checksum(std::span(packet).subspan(20), kFrom, kTo);
    const TcpOptions read = parsed(packet).options;
    EXPECT_FALSE(read.mss || read.window_scale || read.sack_permitted || read.timestamps ||
                 read.sack_count > 0);
  }
}

// What Linux puts into a SYN is read in one go: it says the same as read one by one, whatever a byte of it is changed to.
// One NOP more is another way to the same options.
TEST(TcpSegment, OptionsOfASynReadInOneGoOrOneByOne) {
  const Bytes usual = bytes_of({2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7});
  const auto read = [](const Bytes& options) {
    Bytes segment(20);
    store16(&segment[12], static_cast<std::uint16_t>((20 + options.size()) / 4 << 12 | 2));
    segment.insert(segment.end(), options.begin(), options.end());
    const auto parsed = parse_tcp(segment, {.source = kFrom, .destination = kTo}, Checksum::Trust);
    EXPECT_TRUE(parsed);
    return parsed->options;
  };
  for (std::size_t at = 0; at < usual.size(); ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      Bytes once = usual;
      once[at] = static_cast<std::byte>(value);
      Bytes with_nops = bytes_of({1, 1, 1, 1});
      with_nops.insert(with_nops.end(), once.begin(), once.end());
      const TcpOptions a = read(once), b = read(with_nops);
      ASSERT_EQ(a.mss, b.mss) << at << ' ' << value;
      ASSERT_EQ(a.window_scale, b.window_scale) << at << ' ' << value;
      ASSERT_EQ(a.sack_permitted, b.sack_permitted) << at << ' ' << value;
      ASSERT_EQ(a.timestamps, b.timestamps) << at << ' ' << value;
      ASSERT_EQ(a.sack_count, b.sack_count) << at << ' ' << value;
    }
  }
  EXPECT_EQ(read(usual).mss, 1460);
  EXPECT_EQ(read(usual).window_scale, 7);
  EXPECT_EQ(read(usual).timestamps, (Timestamps{0x01020304, 0}));
}

TEST(TcpSegment, OneFlippedBitIsSeen) {
  const Bytes payload(11, std::byte{0xaa});
  TcpSegment segment;
  segment.flags = tcp_flag::kAck;
  segment.payload = payload;
  for (const bool v4 : {true, false}) {
    const Bytes good = v4 ? packet_of(segment) : packet_of(segment, kFrom6, kTo6);
    const std::size_t ip = v4 ? 20 : 40;
    for (std::size_t bit = ip * 8; bit < good.size() * 8; ++bit) {
      Bytes bad = good;
      bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      const auto read = parse_ip(bad);
      ASSERT_TRUE(read);
      EXPECT_FALSE(parse_tcp(read->payload, read->header)) << bit;
    }
  }
}

TEST(TcpSegment, EveryTruncationIsAnError) {
  TcpSegment segment;
  segment.options.timestamps = Timestamps{1, 2};
  const Bytes packet = packet_of(segment);
  const IpHeader ip{.source = kFrom, .destination = kTo};
  for (std::size_t length = 0; length < packet.size() - 20; ++length) {
    EXPECT_FALSE(parse_tcp(std::span(packet).subspan(20, length), ip, Checksum::Trust)) << length;
  }
}

// Whatever comes is read or refused; what is read lies within what came.
TEST(TcpSegment, AnyBytes) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200'000; ++round) {
    Bytes bytes(random() % 80);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    if (bytes.size() > 13) bytes[12] = static_cast<std::byte>((5 + random() % 11) << 4);
    const IpHeader ip{.source = kFrom, .destination = kTo};
    const auto read = parse_tcp(bytes, ip, Checksum::Trust);
    if (!read) continue;
    ASSERT_LE(read->payload.size(), bytes.size());
    ASSERT_LE(read->options.sack_count, TcpOptions::kMostSackBlocks);
    ASSERT_LE(options_length(read->options), kMostTcpOptions);
  }
}

}  // namespace
}  // namespace lastack::test
