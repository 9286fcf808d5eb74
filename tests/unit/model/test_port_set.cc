#include "lastack/port_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "watched.h"

namespace lastack {
namespace {

std::set<unsigned> ports_of(const PortSet& set) {
  std::set<unsigned> ports;
  for (unsigned p = 0; p <= 65535; ++p) {
    if (set.contains(static_cast<Port>(p))) ports.insert(p);
  }
  return ports;
}

std::string parsed(std::string_view text) {
  const auto set = PortSet::parse(text);
  return set ? set->to_string() : "refused";
}

TEST(PortSet, StartsEmpty) {
  const PortSet set;
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.size(), 0u);
  EXPECT_EQ(set.to_string(), "");
}

TEST(PortSet, BothEndsOfTheNumbers) {
  PortSet set;
  set.insert(Port{0});
  set.insert(Port{65535});
  EXPECT_EQ(set.size(), 2u);
  EXPECT_EQ(set.to_string(), "0,65535");
  set.erase(0);
  EXPECT_EQ(ports_of(set), (std::set<unsigned>{65535}));
  set.insert(PortRange{0, 65535});
  EXPECT_EQ(set.size(), 65536u);
  EXPECT_EQ(set.to_string(), "0-65535");
  EXPECT_EQ(set.size_within({0, 65535}, 0), 32768u);
  EXPECT_EQ(set.size_within({0, 65535}, 1), 32768u);
}

TEST(PortSet, RangesMeetWordsOf64InEveryWay) {
  for (unsigned low = 60; low < 70; ++low) {
    for (unsigned high = low; high < 200; ++high) {
      PortSet set;
      set.insert(PortRange{static_cast<Port>(low), static_cast<Port>(high)});
      ASSERT_EQ(set.size(), high - low + 1) << low << '-' << high;
      ASSERT_FALSE(set.contains(static_cast<Port>(low - 1)));
      ASSERT_TRUE(set.contains(static_cast<Port>(low)));
      ASSERT_TRUE(set.contains(static_cast<Port>(high)));
      ASSERT_FALSE(set.contains(static_cast<Port>(high + 1)));
    }
  }
}

// Against std::set, with a seed that can be given again.
TEST(PortSet, CountsLikeAnOrdinarySet) {
  for (unsigned seed = 1; seed <= rounds(40); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto port = [&] { return static_cast<Port>(random()); };
    PortSet set;
    std::set<unsigned> model;
    for (int i = 0; i < 500; ++i) {
      const Port p = port();
      switch (random() % 4) {
        case 0: {
          const auto high = static_cast<Port>(std::min<std::uint64_t>(p + random() % 300, 65535));
          set.insert(PortRange{p, high});
          for (unsigned q = p; q <= high; ++q) model.insert(q);
          break;
        }
        case 1:
          set.erase(p);
          model.erase(p);
          break;
        default:
          set.insert(p);
          model.insert(p);
      }
    }
    ASSERT_EQ(ports_of(set), model);
    ASSERT_EQ(set.size(), model.size());
    ASSERT_EQ(set.empty(), model.empty());
    for (int i = 0; i < 50; ++i) {
      Port low = port();
      Port high = port();
      if (low > high) std::swap(low, high);
      const auto inside = [&](unsigned parity) {
        std::uint32_t n = 0;
        for (auto p = model.lower_bound(low); p != model.end() && *p <= high; ++p) {
          n += *p % 2 == parity ? 1 : 0;
        }
        return n;
      };
      ASSERT_EQ(set.size_within({low, high}, 0), inside(0)) << low << '-' << high;
      ASSERT_EQ(set.size_within({low, high}, 1), inside(1)) << low << '-' << high;
      ASSERT_EQ(set.size_within({low, high}), inside(0) + inside(1)) << low << '-' << high;
    }
    ASSERT_EQ(PortSet::parse(set.to_string()), set);
  }
}

TEST(PortSet, UnionKeepsBoth) {
  PortSet a;
  a.insert(PortRange{10, 20});
  PortSet b;
  b.insert(PortRange{15, 30});
  b.insert(Port{40000});
  a |= b;
  EXPECT_EQ(a.to_string(), "10-30,40000");
  EXPECT_EQ(b.to_string(), "15-30,40000");
}

TEST(PortSetText, TheKernelsNotation) {
  EXPECT_EQ(parsed(""), "");
  EXPECT_EQ(parsed("\n"), "");
  EXPECT_EQ(parsed("8080"), "8080");
  EXPECT_EQ(parsed("8080,9100-9110\n"), "8080,9100-9110");
  EXPECT_EQ(parsed(" 1 , 2 "), "1-2");
  EXPECT_EQ(parsed("0-65535"), "0-65535");
  EXPECT_EQ(parsed("5-5,7"), "5,7");
  EXPECT_EQ(parsed("3,2,1"), "1-3");  // neighbours join
  EXPECT_EQ(parsed("1-10,5-15"), "1-15");
}

TEST(PortSetText, RefusesAnythingElse) {
  for (const char* text : {",",
                           "1,",
                           ",1",
                           "1,,2",
                           "65536",
                           "1-65536",
                           "9-8",
                           "1-",
                           "-1",
                           "1--2",
                           "1-2-3",
                           "1 2",
                           "a",
                           "1a",
                           "0x1",
                           "+1",
                           "1.5",
                           "1;2",
                           "99999999999999999999",
                           "1\r\n"}) {
    EXPECT_EQ(parsed(text), "refused") << text;
  }
  EXPECT_EQ(parsed(std::string_view("1\0", 2)), "refused");
}

TEST(PortRange, SizeAndContents) {
  EXPECT_EQ((PortRange{0, 65535}).size(), 65536u);
  EXPECT_EQ((PortRange{7, 7}).size(), 1u);
  EXPECT_TRUE((PortRange{7, 9}).contains(7));
  EXPECT_TRUE((PortRange{7, 9}).contains(9));
  EXPECT_FALSE((PortRange{7, 9}).contains(6));
  EXPECT_FALSE((PortRange{7, 9}).contains(10));
}

}  // namespace
}  // namespace lastack
