// The walk that foretells Linux (linux-facts 19, 20, 22; claim C2).
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ports/linux_walk.h"
#include "unit/seeds.h"

namespace lastack {
namespace {

const IpAddress kHere = IpAddress::v4(0x0a000001);
const Endpoint kThere{IpAddress::v4(0x0a000002), 3306};

class LinuxWalkTest : public ::testing::Test {
 protected:
  tl::expected<Port, PortError> connect(const RangeToChooseFrom& range,
                                        const PortSet& reserved = {}, const Endpoint& to = kThere) {
    auto& in_use = taken[to];
    const auto port = walk.connect(kHere, to, range, reserved, dice.bits(),
                                   [&](Port p) { return !in_use.contains(p); });
    if (port) in_use.insert(*port);
    return port;
  }

  Dice dice{1};
  LinuxPortWalk walk{SipKey{1, 2}};
  std::map<Endpoint, PortSet> taken;
};

TEST_F(LinuxWalkTest, F19_one_parity_first_that_of_the_low_end) {
  for (const Port low : {Port{40'000}, Port{40'001}}) {
    taken.clear();
    const RangeToChooseFrom range{{low, static_cast<Port>(low + 39)}};
    for (int i = 0; i < 40; ++i) {
      const auto port = connect(range);
      ASSERT_TRUE(port) << i;
      EXPECT_EQ(*port % 2 == low % 2, i < 20) << "connection " << i << " from " << low;
    }
    EXPECT_EQ(connect(range).error(), PortError::AddressNotAvailable) << "F20";
  }
}

TEST_F(LinuxWalkTest, F20_C2_the_cliff_at_half_the_range) {
  const RangeToChooseFrom range{{32768, 60999}};
  std::uint32_t before = 0;
  for (int i = 0; i < 14'116; ++i) {
    ASSERT_TRUE(connect(range));
    if (i < 13'000) before = std::max(before, walk.looked_at());
  }
  EXPECT_LT(before, 3000u);
  ASSERT_TRUE(connect(range));
  EXPECT_GT(walk.looked_at(), 14'116u) << "all of the first parity, in vain";
}

TEST_F(LinuxWalkTest, F20_F22_a_range_of_its_own_has_none) {
  const RangeToChooseFrom range{{32768, 60999}, true};
  std::uint64_t all = 0;
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(connect(range));
    all += walk.looked_at();
  }
  EXPECT_LT(all / 20'000, 30u);
  EXPECT_GT(taken[kThere].size_within({32768, 60999}, 1), 9000u) << "either parity";
}

TEST_F(LinuxWalkTest, F19_skips_reserved_ports) {
  PortSet reserved;
  reserved.insert(PortRange{40'010, 40'011});
  reserved.insert(40'003);
  for (int i = 0; i < 17; ++i) ASSERT_TRUE(connect({{40'000, 40'019}}, reserved));
  EXPECT_FALSE(connect({{40'000, 40'019}}, reserved));
  EXPECT_FALSE(taken[kThere].contains(40'003));
}

TEST_F(LinuxWalkTest, ADestinationBeginsWhereAnotherDoesNot) {
  std::set<Port> first;
  for (std::uint32_t i = 0; i < 100; ++i) {
    first.insert(*connect({{32768, 60999}}, {}, {IpAddress::v4(i), 80}));
  }
  EXPECT_GT(first.size(), 95u);
}

TEST_F(LinuxWalkTest, GoesOnBehindTheLastPort) {
  // With nothing taken back, and each connection closed at once, ports do not come again soon.
  std::set<Port> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto port = connect({{32768, 60999}});
    ASSERT_TRUE(port);
    EXPECT_TRUE(seen.insert(*port).second);
    taken.clear();
  }
}

TEST_F(LinuxWalkTest, EveryPortOfAnOddRangeIsReachedByOnesOfItsParity) {
  // 40,000 to 40,040 has 41 places, of which the kernel walks 40: the last one only by who begins before it.
  std::set<Port> ports;
  for (int i = 0; i < 41; ++i) {
    if (const auto port = connect({{40'000, 40'040}})) ports.insert(*port);
  }
  EXPECT_GE(ports.size(), 40u);
  EXPECT_LE(*ports.rbegin(), 40'040);
  EXPECT_GE(*ports.begin(), 40'000);
}

TEST_F(LinuxWalkTest, OnePort) {
  EXPECT_EQ(connect({{40'000, 40'000}}), Port{40'000});
  EXPECT_FALSE(connect({{40'000, 40'000}}));
  EXPECT_EQ(connect({{2, 1}}).error(), PortError::InvalidRange);
}

TEST_F(LinuxWalkTest, F22_bind_zero_begins_with_the_other_parity) {
  PortSet bound;
  const auto bind = [&] {
    const auto port = LinuxPortWalk::bind_zero({{40'000, 40'039}}, {}, false, dice.bits(),
                                               [&](Port p) { return !bound.contains(p); });
    if (port) bound.insert(*port);
    return port;
  };
  for (int i = 0; i < 40; ++i) {
    const auto port = bind();
    ASSERT_TRUE(port);
    EXPECT_EQ(*port % 2 == 1, i < 20) << i;
  }
  EXPECT_EQ(bind().error(), PortError::AddressInUse) << "F20";
}

TEST_F(LinuxWalkTest, BindZeroWithReuseAddressTriesTheLowerHalfFirst) {
  PortSet bound;
  for (int i = 0; i < 40; ++i) {
    const auto port = LinuxPortWalk::bind_zero({{40'000, 40'039}}, {}, true, dice.bits(),
                                               [&](Port p) { return !bound.contains(p); });
    ASSERT_TRUE(port);
    bound.insert(*port);
    EXPECT_EQ(*port < 40'020, i < 20) << i;
  }
}

}  // namespace
}  // namespace lastack
