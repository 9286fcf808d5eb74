// tcp_tw_recycle's memory of timestamps (claim B6): why clients behind one NAT address lost connections.
#include <gtest/gtest.h>

#include "timewait/peer_timestamps.h"

namespace lastack::timewait {
namespace {

const IpAddress kNat = IpAddress::v4(0xc0000201);
const IpAddress kOther = IpAddress::v4(0xc0000202);

class PeerTimestampsTest : public ::testing::Test {
 protected:
  PeerTimestamps peers{SipKey{1, 2}};
  Instant t{1000s};
};

TEST_F(PeerTimestampsTest, B6_of_two_clocks_behind_one_address_the_slower_loses) {
  peers.remember(kNat, 5'000'000, t);
  EXPECT_TRUE(peers.accepts(kNat, 5'000'100, t + 1s)) << "the client with the fast clock";
  EXPECT_FALSE(peers.accepts(kNat, 40'000, t + 1s)) << "the client that started this morning";
  EXPECT_FALSE(peers.accepts(kNat, std::nullopt, t + 1s)) << "the one without timestamps";
  EXPECT_TRUE(peers.accepts(kOther, 40'000, t + 1s));
}

TEST_F(PeerTimestampsTest, B6_for_a_minute) {
  peers.remember(kNat, 5'000'000, t);
  EXPECT_FALSE(peers.accepts(kNat, 40'000, t + 59'999ms));
  EXPECT_TRUE(peers.accepts(kNat, 40'000, t + 60s));
}

TEST_F(PeerTimestampsTest, OneTickEarlierIsTaken) {
  peers.remember(kNat, 100, t);
  EXPECT_TRUE(peers.accepts(kNat, 99, t));
  EXPECT_FALSE(peers.accepts(kNat, 98, t));
  // And across the wrap of 32 bits.
  peers.remember(kOther, 0xffffffff, t);
  EXPECT_TRUE(peers.accepts(kOther, 5, t));
  EXPECT_FALSE(peers.accepts(kOther, 0xfffffff0, t));
}

TEST_F(PeerTimestampsTest, AnEarlierOneIsRememberedOnlyAfterAMinute) {
  peers.remember(kNat, 5'000'000, t);
  peers.remember(kNat, 100, t + 30s);
  EXPECT_FALSE(peers.accepts(kNat, 100, t + 40s));
  peers.remember(kNat, 100, t + 61s);
  EXPECT_TRUE(peers.accepts(kNat, 100, t + 62s));
}

TEST_F(PeerTimestampsTest, IsBounded) {
  for (std::uint32_t i = 0; i < 3 * PeerTimestamps::kMost; ++i) {
    peers.remember(IpAddress::v4(i), 1, t);
    ASSERT_LE(peers.size(), PeerTimestamps::kMost);
  }
}

}  // namespace
}  // namespace lastack::timewait
