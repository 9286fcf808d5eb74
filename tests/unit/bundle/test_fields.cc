// That the lists in bundle/fields.h name each member once. That they leave none out is checked where
// they are compiled.
#include <gtest/gtest.h>

#include <set>

#include "bundle/fields.h"

namespace lastack {
namespace {

// The same test as the codec's, on types that stand for what a careless change would do.
struct Three {
  int first = 0;
  std::optional<std::uint64_t> second;
  std::string third;
};
struct Grown : SocketGroup {
  std::uint32_t old_member = 0;
  bool new_member = false;
};

TEST(Fields, AForgottenMemberIsFound) {
  EXPECT_TRUE((TakesExactly<Three, int, std::optional<std::uint64_t>, std::string>));
  EXPECT_FALSE((TakesExactly<Three, int, std::optional<std::uint64_t>>));
  EXPECT_FALSE((TakesExactly<Three, int, std::string>));
  EXPECT_TRUE((TakesExactly<Grown, SocketGroup, std::uint32_t, bool>));
  EXPECT_FALSE((TakesExactly<Grown, SocketGroup, std::uint32_t>));
}

template <class A, class B>
bool same_member(const A& a, const B& b) {
  if constexpr (std::same_as<decltype(a.member), decltype(b.member)>) return a.member == b.member;
  return false;
}

template <class T>
void expect_no_member_twice() {
  std::multiset<std::string_view> names;
  for_each_field<T>([&](const auto& field) {
    names.insert(field.name);
    int times = 0;
    for_each_field<T>([&](const auto& other) { times += same_member(field, other) ? 1 : 0; });
    EXPECT_EQ(times, 1) << field.name << " shares its member with another name";
  });
  for (std::string_view name : names) EXPECT_EQ(names.count(name), 1U) << name;
}

TEST(Fields, EachMemberOnce) {
  expect_no_member_twice<NotRead>();
  expect_no_member_twice<Endpoint>();
  expect_no_member_twice<FourTuple>();
  expect_no_member_twice<TcpDetails>();
  expect_no_member_twice<SocketGroup>();
  expect_no_member_twice<Destination>();
  expect_no_member_twice<Service>();
  expect_no_member_twice<OwnedSockets>();
  expect_no_member_twice<Opener>();
  expect_no_member_twice<ContestedPort>();
  expect_no_member_twice<SocketCensus>();
  expect_no_member_twice<Conntrack>();
  expect_no_member_twice<SocketTotals>();
  expect_no_member_twice<NamespaceSnapshot>();
  expect_no_member_twice<Process>();
  expect_no_member_twice<SysctlLine>();
  expect_no_member_twice<HostSnapshot>();
  expect_no_member_twice<Observation>();
}

// Settings and Counters are written by their tables: a member without a row would be lost.
TEST(Fields, TablesCoverTheirStructs) {
  struct AllSettings {
    std::array<Settings::Value, 1> one;
    std::optional<PortRange> range;
    PortSet reserved;
  };
  EXPECT_EQ(sizeof(Settings),
            sizeof(AllSettings) + (setting_table().size() - 1) * sizeof(Settings::Value));
  EXPECT_EQ(sizeof(Counters), (counter_table().size() + 1) * sizeof(std::uint64_t));

  std::set<std::string_view> names;
  for (const SettingInfo& info : setting_table()) EXPECT_TRUE(names.insert(info.name).second);
  for (const SettingInfo& a : setting_table()) {
    int times = 0;
    for (const SettingInfo& b : setting_table()) times += a.member == b.member ? 1 : 0;
    EXPECT_EQ(times, 1) << a.name;
  }
}

}  // namespace
}  // namespace lastack
