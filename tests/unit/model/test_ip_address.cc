#include "lastack/ip_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <random>

#include "lastack/four_tuple.h"

namespace lastack {
namespace {

TEST(IpAddress, UnspecifiedUnlessSaid) {
  EXPECT_TRUE(IpAddress().is_unspecified());
  EXPECT_FALSE(IpAddress().is_v4());
  EXPECT_EQ(IpAddress().to_string(), "::");
  EXPECT_TRUE(IpAddress::v4(0).is_unspecified());
  EXPECT_EQ(IpAddress::v4(0).to_string(), "0.0.0.0");
  EXPECT_FALSE(IpAddress::v4(1).is_unspecified());
}

TEST(IpAddress, MappedAndIpv4AreTheSame) {
  const auto plain = IpAddress::parse("10.1.2.3");
  const auto mapped = IpAddress::parse("::ffff:10.1.2.3");
  ASSERT_TRUE(plain && mapped);
  EXPECT_EQ(*plain, *mapped);
  EXPECT_EQ(*plain, IpAddress::v4(0x0a010203));
  EXPECT_EQ(*plain, IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3}));
  EXPECT_TRUE(mapped->is_v4());
  EXPECT_EQ(mapped->v4_value(), 0x0a010203u);
  EXPECT_EQ(mapped->to_string(), "10.1.2.3");
  // Look-alikes that are not mapped.
  EXPECT_FALSE(IpAddress::parse("::10.1.2.3")->is_v4());
  EXPECT_FALSE(IpAddress::parse("::fffe:10.1.2.3")->is_v4());
  EXPECT_FALSE(IpAddress::parse("64:ff9b::10.1.2.3")->is_v4());
  EXPECT_FALSE(IpAddress::parse("1::ffff:10.1.2.3")->is_v4());
}

TEST(IpAddress, Loopback) {
  for (const char* text :
       {"127.0.0.1", "127.255.255.255", "127.0.0.0", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
  }
  for (const char* text :
       {"126.255.255.255", "128.0.0.0", "::2", "::", "0.0.0.0", "1::1", "::7f00:1"}) {
    EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
  }
}

TEST(IpAddress, PrintsAsRfc5952Says) {
  const std::pair<const char*, const char*> forms[] = {
      {"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},
      {"::0001", "::1"},
      {"fe80:0:0:0:1:0:0:1", "fe80::1:0:0:1"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
  };
  for (const auto& [text, printed] : forms) EXPECT_EQ(IpAddress::parse(text)->to_string(), printed);
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  for (const char* text :
       {"", " ", "10.0.0", "10.0.0.256", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1.2", "0x7f.1", "::g",
        "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::2", "[::1]", "fe80::1%eth0", "localhost",
        "10.0.0.1/8", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"}) {
    EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0", 9)).has_value());
  EXPECT_FALSE(IpAddress::parse(std::string_view("::1\0x", 5)).has_value());
}

TEST(IpAddress, LongestTextsAreRead) {
  EXPECT_TRUE(IpAddress::parse("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255").has_value());
  EXPECT_TRUE(IpAddress::parse("0000:0000:0000:0000:0000:ffff:255.255.255.255")->is_v4());
}

TEST(IpAddress, PrintedFormReadsBack) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    for (int i = 0; i < 2000; ++i) {
      IpAddress::Bytes bytes{};
      // Mostly zeros: that is where the short form has choices.
      for (auto& b : bytes) b = random() % 3 == 0 ? static_cast<std::uint8_t>(random()) : 0;
      const auto six = IpAddress::v6(bytes);
      ASSERT_EQ(IpAddress::parse(six.to_string()), six) << six.to_string();
      ASSERT_EQ(six.bytes(), bytes);
      const auto four = IpAddress::v4(static_cast<std::uint32_t>(random()));
      ASSERT_EQ(IpAddress::parse(four.to_string()), four);
      ASSERT_TRUE(four.is_v4());
      ASSERT_EQ(IpAddress::v4(four.v4_value()), four);
    }
  }
}

TEST(IpAddress, OrderIsThatOfTheBytes) {
  EXPECT_LT(IpAddress::v4(0x0a000001), IpAddress::v4(0x0a000002));
  EXPECT_LT(IpAddress::v4(0x7fffffff), IpAddress::v4(0x80000000));
  EXPECT_LT(IpAddress(), IpAddress::v4(0));
  EXPECT_LT(IpAddress::v4(0xffffffff), *IpAddress::parse("2001:db8::"));
}

TEST(Endpoint, Prints) {
  EXPECT_EQ((Endpoint{IpAddress::v4(0x0a000001), 80}).to_string(), "10.0.0.1:80");
  EXPECT_EQ((Endpoint{*IpAddress::parse("2001:db8::1"), 443}).to_string(), "[2001:db8::1]:443");
  EXPECT_EQ((Endpoint{{}, 22}).to_string(), "*:22");
  EXPECT_EQ((Endpoint{IpAddress::v4(0), 65535}).to_string(), "*:65535");
  EXPECT_EQ(
      (FourTuple{{IpAddress::v4(0x0a000001), 40000}, {IpAddress::v4(0x0a000002), 80}}).to_string(),
      "10.0.0.1:40000 -> 10.0.0.2:80");
}

}  // namespace
}  // namespace lastack
