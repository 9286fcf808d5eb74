// Fast Open of a listener. How it answers beside Linux is in tests/packetdrill/fast-open-*.pkt.
#include <gtest/gtest.h>

#include "stack/fast_open.h"

namespace lastack::test {
namespace {

const FourTuple kV4{{IpAddress::v4(0xc0a80001), 80}, {IpAddress::v4(0xc0000201), 40000}};

std::uint64_t number_of(const FastOpenCookie& cookie) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < cookie.length; ++i) {
    number = number << 8 | std::to_integer<std::uint64_t>(cookie.bytes[i]);
  }
  return number;
}

// As Linux 6.18 has given them.
TEST(FastOpen, CookiesAreLinuxs) {
  const auto keys = FastOpenKeys::parse("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4\n");
  ASSERT_TRUE(keys);
  EXPECT_FALSE(keys->second);
  const FastOpenCookie cookie = make_fast_open_cookie(keys->first, kV4);
  EXPECT_EQ(cookie.length, 8);
  EXPECT_EQ(number_of(cookie), 0x3021b9d889017eebU);
  FourTuple other = kV4;
  other.remote.port = 50000;
  EXPECT_EQ(make_fast_open_cookie(keys->first, other), cookie);  // the address counts
  other.remote.address = IpAddress::v4(0xc0000202);
  EXPECT_FALSE(make_fast_open_cookie(keys->first, other) == cookie);
}

TEST(FastOpen, KeysAreWrittenInEitherWay) {
  const auto both = FastOpenKeys::parse("1-2-3-4,a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
  ASSERT_TRUE(both && both->second);
  EXPECT_EQ(both->first.k0, 0x200000001U);
  EXPECT_EQ(both->first.k1, 0x400000003U);
  EXPECT_EQ(both->second->k1, 0xd4d4d4d4c3c3c3c3U);
  std::byte bytes[32] = {std::byte{1}, {}, {}, {}, std::byte{2}};
  bytes[8] = std::byte{3};
  bytes[12] = std::byte{4};
  const auto one = FastOpenKeys::of(std::span(bytes).first(16));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->first.k0, both->first.k0);
  EXPECT_EQ(one->first.k1, both->first.k1);
  EXPECT_FALSE(one->second);
  EXPECT_TRUE(FastOpenKeys::of(bytes)->second);
  EXPECT_FALSE(FastOpenKeys::of(std::span(bytes).first(17)));
  for (const char* wrong : {"", "1-2-3", "1-2-3-4-5", "1-2-3-g", "1-2-3-4,", "1-2-3-4,5", "1,2-3-4",
                            "111111111-2-3-4"}) {
    EXPECT_FALSE(FastOpenKeys::parse(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace lastack::test
