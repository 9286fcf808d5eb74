#include "lastack/settings.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lastack {
namespace {

TEST(SettingTable, NamesAndPathsAreConsistentAndOnlyOnce) {
  std::set<std::string_view> names;
  std::set<std::string_view> paths;
  for (const SettingInfo& info : setting_table()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_TRUE(paths.insert(info.path).second) << info.path;
    EXPECT_TRUE(info.path.starts_with("net/")) << info.path;
    EXPECT_TRUE(info.path.ends_with("/" + std::string(info.name))) << info.path;
  }
}

// A row that is missing, or that names another's member, would read one setting into another.
TEST(SettingTable, EachRowHasAMemberOfItsOwnAndNoMemberIsLeftOut) {
  Settings settings;
  std::int64_t value = 0;
  for (const SettingInfo& info : setting_table()) {
    EXPECT_FALSE((settings.*info.member).has_value()) << info.name;
    settings.*info.member = value++;
  }
  value = 0;
  for (const SettingInfo& info : setting_table())
    EXPECT_EQ(settings.*info.member, value++) << info.name;
  // All numeric members come before the two that are none.
  const auto numeric =
      static_cast<std::size_t>(reinterpret_cast<char*>(&settings.ip_local_port_range) -
                               reinterpret_cast<char*>(&settings)) /
      sizeof(Settings::Value);
  EXPECT_EQ(setting_table().size(), numeric);
}

TEST(SettingTable, IsInTheOrderOfTheStruct) {
  const Settings settings;
  const Settings::Value* before = nullptr;
  for (const SettingInfo& info : setting_table()) {
    const Settings::Value* here = &(settings.*info.member);
    EXPECT_TRUE(before == nullptr || before < here) << info.name;
    before = here;
  }
}

TEST(SettingTable, FoundByName) {
  for (const SettingInfo& info : setting_table()) EXPECT_EQ(find_setting(info.name), &info);
  EXPECT_EQ(find_setting("tcp_tw_reus"), nullptr);
  EXPECT_EQ(find_setting("tcp_tw_reuse "), nullptr);
  EXPECT_EQ(find_setting(""), nullptr);
}

TEST(SettingTable, UsualValuesOfLinux) {
  const std::pair<const char*, std::int64_t> usual[] = {{"tcp_tw_reuse", 2},
                                                        {"tcp_tw_reuse_delay", 1000},
                                                        {"tcp_fin_timeout", 60},
                                                        {"tcp_timestamps", 1},
                                                        {"tcp_rfc1337", 0},
                                                        {"tcp_keepalive_time", 7200},
                                                        {"tcp_keepalive_intvl", 75},
                                                        {"tcp_keepalive_probes", 9},
                                                        {"somaxconn", 4096},
                                                        {"tcp_syncookies", 1},
                                                        {"tcp_retries1", 3},
                                                        {"tcp_retries2", 15},
                                                        {"tcp_syn_retries", 6},
                                                        {"tcp_synack_retries", 5},
                                                        {"ip_unprivileged_port_start", 1024},
                                                        {"tcp_abort_on_overflow", 0},
                                                        {"tcp_orphan_retries", 0}};
  for (const auto& [name, value] : usual) {
    ASSERT_NE(find_setting(name), nullptr) << name;
    EXPECT_EQ(find_setting(name)->usual, value) << name;
  }
  EXPECT_FALSE(find_setting("tcp_max_tw_buckets")->usual.has_value());  // follows from memory
  EXPECT_FALSE(find_setting("tcp_max_orphans")->per_namespace);
  EXPECT_TRUE(find_setting("tcp_max_tw_buckets")->per_namespace);
}

TEST(Settings, TimeWaitLastsSixtySecondsUnlessAVendorSaysElse) {
  Settings settings;
  EXPECT_EQ(settings.time_wait_length(), 60s);
  settings.tcp_fin_timeout = 5;  // has nothing to do with it
  EXPECT_EQ(settings.time_wait_length(), 60s);
  settings.tcp_tw_timeout = 15;
  EXPECT_EQ(settings.time_wait_length(), 15s);
  for (const std::int64_t absurd : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX, INT64_MIN}) {
    settings.tcp_tw_timeout = absurd;
    EXPECT_EQ(settings.time_wait_length(), 60s) << absurd;
  }
}

TEST(Settings, ReuseDelayIsOneSecondWhereTheKernelHasNoSetting) {
  Settings settings;
  EXPECT_EQ(settings.reuse_delay(), 1s);
  settings.tcp_tw_reuse_delay = 1;
  EXPECT_EQ(settings.reuse_delay(), 1ms);
  settings.tcp_tw_reuse_delay = 60000;
  EXPECT_EQ(settings.reuse_delay(), 60s);
  for (const std::int64_t absurd :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{60001}, INT64_MAX}) {
    settings.tcp_tw_reuse_delay = absurd;
    EXPECT_EQ(settings.reuse_delay(), 1s) << absurd;
  }
}

TEST(Settings, TimestampsAreOnUnlessSetToZero) {
  Settings settings;
  EXPECT_TRUE(settings.timestamps_on());
  settings.tcp_timestamps = 2;
  EXPECT_TRUE(settings.timestamps_on());
  settings.tcp_timestamps = 0;
  EXPECT_FALSE(settings.timestamps_on());
}

}  // namespace
}  // namespace lastack
