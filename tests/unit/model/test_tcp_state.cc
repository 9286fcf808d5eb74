#include "lastack/tcp_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "lastack/counters.h"

namespace lastack {
namespace {

TEST(TcpState, ElevenNamesThatReadBack) {
  std::set<std::string_view> names;
  for (const TcpState s : kAllTcpStates) {
    EXPECT_TRUE(names.insert(to_string(s)).second);
    EXPECT_EQ(parse_tcp_state(to_string(s)), s);
  }
  EXPECT_EQ(names.size(), kTcpStates);
}

TEST(TcpState, OrderIsThatOfRfc9293) {
  for (std::size_t i = 0; i < kTcpStates; ++i)
    EXPECT_EQ(static_cast<std::size_t>(kAllTcpStates[i]), i);
  EXPECT_EQ(kAllTcpStates.front(), TcpState::Listen);
  EXPECT_EQ(kAllTcpStates.back(), TcpState::Closed);
}

TEST(TcpState, OneSpellingOnly) {
  for (const char* name :
       {"", "TIME-WAIT", "time_wait", "TIME_WAIT ", "SYN_RECV", "FIN_WAIT1", "LISTENING", "?"}) {
    EXPECT_FALSE(parse_tcp_state(name).has_value()) << name;
  }
}

TEST(TcpState, AValueOutsideTheListIsSurvived) {
  EXPECT_EQ(to_string(static_cast<TcpState>(200)), "?");
}

TEST(StateCounts, CountAndAddUp) {
  StateCounts a;
  EXPECT_EQ(a.total(), 0u);
  a[TcpState::TimeWait] = 5;
  ++a[TcpState::Listen];
  StateCounts b;
  b[TcpState::TimeWait] = 7;
  b[TcpState::Closed] = 1;
  a += b;
  EXPECT_EQ(a[TcpState::TimeWait], 12u);
  EXPECT_EQ(a[TcpState::Listen], 1u);
  EXPECT_EQ(a[TcpState::Closed], 1u);
  EXPECT_EQ(a.total(), 14u);
  EXPECT_EQ(b.total(), 8u);
}

TEST(CounterTable, NamesAreFoundAndMembersAreTheirOwn) {
  Counters counters;
  ASSERT_LE(counter_table().size(), 64u);  // one bit each in `known`
  for (std::size_t i = 0; i < counter_table().size(); ++i) {
    const CounterInfo& info = counter_table()[i];
    EXPECT_EQ(find_counter(info.name), i);
    EXPECT_EQ(counters.*info.member, 0u) << info.name;
    counters.*info.member = i + 1;
    EXPECT_FALSE(is_known(counters, i));
    counters.known |= std::uint64_t{1} << i;
    EXPECT_TRUE(is_known(counters, i));
  }
  for (std::size_t i = 0; i < counter_table().size(); ++i) {
    EXPECT_EQ(counters.*counter_table()[i].member, i + 1);
  }
  EXPECT_EQ(sizeof(Counters), (counter_table().size() + 1) * sizeof(std::uint64_t));
  EXPECT_FALSE(find_counter("").has_value());
  EXPECT_FALSE(find_counter("tw").has_value());
}

}  // namespace
}  // namespace lastack
