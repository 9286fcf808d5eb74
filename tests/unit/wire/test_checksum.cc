#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "unit/wire/packets.h"
#include "wire/checksum.h"

namespace lastack::test {
namespace {

// As RFC 1071 (4.1) writes it: 16 bits at a time.
std::uint16_t slow_checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint32_t word = std::to_integer<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) word |= std::to_integer<std::uint32_t>(bytes[i + 1]);
    sum += word;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

std::uint16_t in_host_order(std::uint16_t network) {
  Bytes two(2);
  std::memcpy(two.data(), &network, 2);
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(two[0]) << 8 |
                                    std::to_integer<unsigned>(two[1]));
}

TEST(Checksum, ExampleOfRfc1071) {
  const Bytes example = bytes_of({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7});
  ChecksumSum sum;
  sum.add(example);
  EXPECT_EQ(in_host_order(sum.checksum()), static_cast<std::uint16_t>(~0xddf2U));
}

TEST(Checksum, AgreesWithThePlainLoopAtEveryLength) {
  std::mt19937_64 random(7);
  for (std::size_t length = 0; length < 300; ++length) {
    Bytes bytes(length);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random() % 5 == 0 ? 0xff : random());
    ChecksumSum sum;
    sum.add(bytes);
    EXPECT_EQ(in_host_order(sum.checksum()), slow_checksum(bytes)) << length;
  }
}

TEST(Checksum, PartsAddUpToTheWhole) {
  std::mt19937_64 random(8);
  Bytes bytes(101);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 2) {
    ChecksumSum whole, parts;
    whole.add(bytes);
    parts.add(std::span(bytes).first(cut));
    parts.add(std::span(bytes).subspan(cut));
    EXPECT_EQ(whole.checksum(), parts.checksum()) << cut;
  }
}

}  // namespace
}  // namespace lastack::test
