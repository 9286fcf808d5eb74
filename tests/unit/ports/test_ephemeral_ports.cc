// The choice of a local port: the one that Linux's walk comes to, unforeseen, to the last one (RFC 6056; linux-facts 16,
// 19, 20, 22).
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ports/ephemeral_ports.h"
#include "ports/linux_walk.h"
#include "unit/seeds.h"

namespace lastack {
namespace {

const IpAddress kHere = IpAddress::v4(0x0a000001);
const Endpoint kThere{IpAddress::v4(0x0a000002), 3306};
constexpr PortRange kRange{32768, 60999};

FourTuple tuple(Port port, const Endpoint& to = kThere) {
  return {{kHere, port}, to};
}

class EphemeralPortsTest : public ::testing::Test {
 protected:
  auto choose(PortRange range = kRange, bool reuse = false, const Endpoint& to = kThere) {
    return ports.choose(kHere, to, {range}, reuse, dice.bits());
  }
  Dice dice{1};
  EphemeralPorts ports{SipKey{1, 2}};
};

TEST_F(EphemeralPortsTest, F20_each_port_once_and_then_EADDRNOTAVAIL) {
  std::set<Port> taken;
  for (std::uint32_t i = 0; i < kRange.size(); ++i) {
    const auto choice = choose();
    ASSERT_TRUE(choice) << i;
    ASSERT_FALSE(choice->reuse);
    ASSERT_TRUE(kRange.contains(choice->port));
    ASSERT_TRUE(taken.insert(choice->port).second) << choice->port;
    ports.take(tuple(choice->port));
  }
  EXPECT_EQ(ports.exhausted(), 0u);
  const auto none = choose();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error(), PortError::AddressNotAvailable);
  EXPECT_EQ(errno_of(none.error()), EADDRNOTAVAIL);
  EXPECT_EQ(ports.exhausted(), 1u) << "which the kernel does not count";
  ports.release(tuple(40'000));
  EXPECT_EQ(choose()->port, 40'000);
}

TEST_F(EphemeralPortsTest, ADestinationDoesNotTakeAnothersPorts) {
  const PortRange one{40'000, 40'000};
  ports.take(tuple(40'000));
  EXPECT_FALSE(choose(one));
  EXPECT_TRUE(choose(one, false, {kThere.address, 3307}));
  EXPECT_TRUE(choose(one, false, {IpAddress::v4(0x0a000003), 3306}));
  EXPECT_TRUE(ports.choose(IpAddress::v4(0x0a000009), kThere, {one}, false, 1));
}

TEST_F(EphemeralPortsTest, F19_one_parity_first_that_of_the_low_end) {
  for (const Port low : {Port{40'000}, Port{40'001}}) {
    const PortRange range{low, static_cast<Port>(low + 39)};
    for (int i = 0; i < 40; ++i) {
      const auto choice = choose(range);
      ASSERT_TRUE(choice) << i;
      EXPECT_EQ(choice->port % 2 == low % 2, i < 20) << "connection " << i << " from " << low;
      ports.take(tuple(choice->port));
    }
    EXPECT_FALSE(choose(range));
    for (std::uint32_t p = range.low; p <= range.high; ++p) {
      ports.release(tuple(static_cast<Port>(p)));
    }
  }
}

TEST_F(EphemeralPortsTest, TheLastPortOfAnOddRangeIsEverybodys) {
  for (int i = 0; i < 100; ++i) {
    const PortRange range{40'000, 40'004};
    std::set<Port> chosen;
    while (const auto choice = choose(range)) {
      ports.take(tuple(choice->port));
      chosen.insert(choice->port);
    }
    ASSERT_EQ(chosen.size(), 5u);
    for (const Port p : chosen) ports.release(tuple(p));
  }
}

TEST_F(EphemeralPortsTest, RFC6056_another_key_and_another_destination_begin_elsewhere) {
  std::set<Port> of_keys;
  std::set<Port> of_destinations;
  for (std::uint16_t i = 1; i <= 1000; ++i) {
    EphemeralPorts other(SipKey{i, 2});
    of_keys.insert(other.choose(kHere, kThere, {kRange}, false, 7)->port);
    of_destinations.insert(choose(kRange, false, {kThere.address, i})->port);
  }
  EXPECT_GT(of_keys.size(), 900u);
  EXPECT_GT(of_destinations.size(), 900u);
}

TEST_F(EphemeralPortsTest, F19_passes_over_reserved_and_bound_ports) {
  PortSet reserved;
  reserved.insert(PortRange{40'010, 40'019});
  ports.set_reserved(reserved);
  ports.exclude(40'001);
  ports.exclude(40'001);
  ports.exclude(40'015);
  const PortRange range{40'000, 40'021};
  std::set<Port> chosen;
  while (const auto choice = choose(range)) {
    ports.take(tuple(choice->port));
    ASSERT_TRUE(chosen.insert(choice->port).second);
  }
  EXPECT_EQ(chosen.size(), 11u);
  EXPECT_EQ(chosen.count(40'001), 0u);
  EXPECT_EQ(chosen.count(40'012), 0u);
  ports.include(40'001);
  EXPECT_FALSE(choose(range)) << "held twice";
  ports.include(40'001);
  EXPECT_EQ(choose(range)->port, 40'001);
  ports.include(40'015);
  ports.take(tuple(40'001));
  EXPECT_FALSE(choose(range)) << "reserved all the same";
  ports.set_reserved({});
  EXPECT_TRUE(choose(range));
}

// One port in a thousand may be had: found all the same, with few taken and with many.
TEST_F(EphemeralPortsTest, F19_however_many_of_them_there_are) {
  PortSet reserved;
  reserved.insert(PortRange{0, 65535});
  std::set<Port> left;
  for (Port p = 33'000; p < 60'000; p = static_cast<Port>(p + 1000)) left.insert(p);
  for (const Port p : left) reserved.erase(p);
  ports.set_reserved(reserved);
  for (const int taken : {0, 999}) {
    for (int i = 0; i < taken; ++i) ports.take(tuple(static_cast<Port>(33'001 + i)));
    std::map<Port, int> chosen;
    for (int i = 0; i < 27'000; ++i) ++chosen[choose()->port];
    ASSERT_EQ(chosen.size(), left.size());
    for (const auto& [port, n] : chosen) EXPECT_TRUE(left.count(port)) << port;
  }
}

TEST_F(EphemeralPortsTest, F16_rested_ports_only_where_they_may_be_reused) {
  const PortRange range{40'000, 40'003};
  for (Port p = 40'000; p < 40'003; ++p) ports.take(tuple(p));
  ports.set_reusable(tuple(40'001), true);
  ports.set_reusable(tuple(40'003), true);  // not taken: of no effect
  auto choice = choose(range);
  EXPECT_EQ(choice->port, 40'003);
  EXPECT_FALSE(choice->reuse);
  std::set<Port> chosen;
  for (int i = 0; i < 100; ++i) chosen.insert(choose(range, true)->port);
  EXPECT_EQ(chosen, (std::set<Port>{40'001, 40'003})) << "whichever comes first";
  ports.take(tuple(40'003));
  EXPECT_FALSE(choose(range, false));
  choice = choose(range, true);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->port, 40'001);
  EXPECT_TRUE(choice->reuse);
  ports.set_reusable(tuple(40'001), false);
  EXPECT_FALSE(choose(range, true));
  // Reusable, and held by a bind() as well: passed over.
  ports.set_reusable(tuple(40'001), true);
  ports.exclude(40'001);
  EXPECT_FALSE(choose(range, true));
}

TEST_F(EphemeralPortsTest, AWrongRangeIsAnError) {
  EXPECT_EQ(choose({5, 4}).error(), PortError::InvalidRange);
  EXPECT_EQ(ports.exhausted(), 0u);
  EXPECT_TRUE(choose({5, 5}));
  EXPECT_TRUE(choose({0, 65535}));
}

TEST_F(EphemeralPortsTest, MemoryIsThatOfWhatIsTaken) {
  for (std::uint32_t d = 0; d < 1000; ++d) {
    for (Port p = 40'000; p < 40'010; ++p) ports.take(tuple(p, {IpAddress::v4(d), 80}));
  }
  EXPECT_EQ(ports.destinations(), 1000u);
  EXPECT_LT(ports.bytes(), 1000u * 250u + 20'000u);
  for (std::uint32_t d = 0; d < 1000; ++d) {
    for (Port p = 40'000; p < 40'010; ++p) ports.release(tuple(p, {IpAddress::v4(d), 80}));
  }
  EXPECT_EQ(ports.destinations(), 0u);
}

// Linux's walk, with the same key and the same random numbers, comes to the same port.
TEST_F(EphemeralPortsTest, AgreesWithTheWalk) {
  for (const std::uint64_t seed : seeds(10)) {
    SCOPED_TRACE(replay(seed, "ports/test_ports", "EphemeralPortsTest.AgreesWithTheWalk"));
    Dice own(seed);
    EphemeralPorts all(SipKey{seed, 1});
    LinuxPortWalk walk(SipKey{seed, 1});
    const Port low = static_cast<Port>(39'900 + own.below(200));
    const std::uint64_t half = 1 + own.below(150);
    const PortRange range{low, static_cast<Port>(low + 2 * half - 1)};
    std::set<FourTuple> taken;
    std::set<FourTuple> reusable;
    std::map<Port, int> bound;
    for (int i = 0; i < 30'000; ++i) {
      const Endpoint to{IpAddress::v4(static_cast<std::uint32_t>(own.below(3))), 80};
      const FourTuple t = tuple(static_cast<Port>(39'800 + own.below(600)), to);
      switch (own.below(9)) {
        case 0:
        case 1:
          all.take(t);
          taken.insert(t);
          break;
        case 2:
          all.release(t);
          taken.erase(t);
          reusable.erase(t);
          break;
        case 3: {
          const bool can = own.one_in(2);
          all.set_reusable(t, can);
          if (taken.count(t) && can) reusable.insert(t);
          if (!can) reusable.erase(t);
          break;
        }
        case 4:
          if (own.one_in(4)) {
            all.exclude(t.local.port);
            ++bound[t.local.port];
          } else if (!bound.empty()) {
            const auto at = bound.begin();
            all.include(at->first);
            if (--at->second == 0) bound.erase(at);
          }
          break;
        case 5: {
          EphemeralPorts::Counts naive;
          for (std::uint32_t p = range.low; p <= range.high; ++p) {
            const FourTuple c = tuple(static_cast<Port>(p), to);
            if (bound.count(c.local.port)) continue;
            ++(taken.count(c) ? naive.taken : naive.free);
            if (reusable.count(c)) ++naive.reusable;
          }
          const auto counts = all.counts(kHere, to, range);
          ASSERT_EQ(counts.free, naive.free);
          ASSERT_EQ(counts.taken, naive.taken);
          ASSERT_EQ(counts.reusable, naive.reusable);
          break;
        }
        default: {
          const bool reuse = own.one_in(2);
          const RangeToChooseFrom from{range, own.one_in(4)};
          const std::uint64_t random = own.bits();
          const auto walked = walk.connect(kHere, to, from, {}, random, [&](Port p) {
            const FourTuple c = tuple(p, to);
            return !bound.count(p) && (!taken.count(c) || (reuse && reusable.count(c)));
          });
          const auto choice = all.choose(kHere, to, from, reuse, random);
          ASSERT_EQ(choice.has_value(), walked.has_value());
          if (!choice) break;
          const FourTuple c = tuple(*walked, to);
          ASSERT_EQ(choice->port, *walked);
          ASSERT_EQ(choice->reuse, taken.count(c) == 1);
          // As a user would, mostly.
          if (own.one_in(3)) break;
          all.take(c);
          all.set_reusable(c, false);
          taken.insert(c);
          reusable.erase(c);
        }
      }
    }
  }
}

}  // namespace
}  // namespace lastack
