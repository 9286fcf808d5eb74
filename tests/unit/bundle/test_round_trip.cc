// What is written is what is read back, to the bit.
#include <gtest/gtest.h>

#include "bundle/decode.h"
#include "bundle/encode.h"
#include "lastack/bundle.h"
#include "random_observation.h"
#include "watched.h"

namespace lastack {
namespace {

TEST(RoundTrip, RandomObservations) {
  const std::uint64_t first = test::seed_from_environment(1);
  const bool one = std::getenv("LASTACK_SEED") != nullptr;
  for (std::uint64_t seed = first; seed < first + (one ? 1 : rounds(300)); ++seed) {
    test::Random random(seed);
    const Observation written = test::random_observation(random);
    const auto read = from_bundle(to_bundle(written));
    ASSERT_TRUE(read) << read.error().message << '\n' << test::replay(seed);
    ASSERT_EQ(*read, written) << test::replay(seed);
    // The text as zcat shows it is a bundle as well.
    const std::string text = encode_bundle(written);
    const auto plain = from_bundle(text);
    ASSERT_TRUE(plain) << plain.error().message << '\n' << test::replay(seed);
    ASSERT_EQ(*plain, written) << test::replay(seed);
    // The same observation always gives the same text.
    ASSERT_EQ(encode_bundle(*plain), text) << test::replay(seed);
  }
}

TEST(RoundTrip, AnEmptyObservation) {
  const auto read = from_bundle(to_bundle(Observation{}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, Observation{});
}

TEST(RoundTrip, TheLargestNumbers) {
  Observation o;
  o.now.files_max = kMostCount;
  o.now.wall_time_ns = INT64_MIN;
  o.now.page_size = kMostCount - 1;
  Process& process = o.now.processes.emplace_back();
  process.pid = INT32_MAX;
  process.uid = UINT32_MAX;
  process.descriptor_limit = kMostCount;
  const auto read = from_bundle(to_bundle(o));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, o);
}

TEST(RoundTrip, AnyBytesInNames) {
  std::string all;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  Observation o;
  o.now.hostname = all;
  for (const char* bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "caf\xc3",
                            "\xc3\xa9", "\"\\\n\x1b"}) {
    Process& process = o.now.processes.emplace_back();
    process.command = bytes;
    process.arguments = bytes;
  }
  const auto read = from_bundle(to_bundle(o));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, o);
  // What is UTF-8 stays readable.
  EXPECT_NE(encode_bundle(o).find("\"command\":\"\xc3\xa9\""), std::string::npos);
}

TEST(RoundTrip, AKnownZeroIsNotAnUnknownCounter) {
  Observation o;
  NamespaceSnapshot& space = o.now.namespaces.emplace_back();
  space.counters.known = std::uint64_t{1} << *find_counter("TWRecycled");
  const std::string text = encode_bundle(o);
  EXPECT_NE(text.find("\"counters\":{\"TWRecycled\":0}"), std::string::npos) << text;
  const auto read = from_bundle(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, o);
}

TEST(RoundTrip, EveryFamilyOfAddress) {
  Observation o;
  SocketCensus& census = o.now.namespaces.emplace_back().sockets;
  for (const char* text : {"0.0.0.0", "::", "127.0.0.1", "::1", "10.1.2.3", "255.255.255.255",
                           "2001:db8::1", "fe80::1:2:3:4", "::10.0.0.1", "64:ff9b::a00:1"}) {
    census.destinations.emplace_back().source = IpAddress::parse(text).value();
  }
  const auto read = from_bundle(to_bundle(o));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, o);
}

// A later lastack may write more under the same version.
TEST(RoundTrip, UnknownFieldsAreSkipped) {
  const auto read = from_bundle(R"({"format":"lastack-bundle","version":1,"tomorrow":[{"a":[]},2],
    "now":{"hostname":"h","kernel":"6.18","wall_time_ns":5,"moon":{"phase":0.5},
           "namespaces":[{"name":"host","at_ns":7,"sockets_read":true,"counters_read":true,
             "settings":{"tcp_warp":9},"counters":{"Warps":-1},"totals":{},"sockets":{"states":{"TIME_WAIT":3}}}]}})");
  ASSERT_TRUE(read) << read.error().message;
  Observation expected;
  expected.now.hostname = "h";
  expected.now.kernel = "6.18";
  expected.now.wall_time_ns = 5;
  NamespaceSnapshot& space = expected.now.namespaces.emplace_back();
  space.name = "host";
  space.at = Instant(7ns);
  space.sockets_read = space.counters_read = true;
  space.sockets.states[TcpState::TimeWait] = 3;
  EXPECT_EQ(*read, expected);
}

}  // namespace
}  // namespace lastack
