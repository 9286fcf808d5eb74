// Host::set(): what it takes, and what it says where it does not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "lastack/host.h"
#include "lastack/literals.h"
#include "stack/setting_names.h"

namespace lastack::test {
namespace {

Error refusal(Host& host, std::string_view name, std::string_view value) {
  const auto set = host.set(name, value);
  if (!set) return set.error();
  ADD_FAILURE() << name << '=' << value << " is taken";
  return {};
}

TEST(SettingsByName, TheReasonIsToldInASentence) {
  struct Case {
    const char* name;
    const char* value;
    int number;
    const char* says;
  };
  const Case cases[] = {
      {"tcp_tw_resue", "1", ENOENT,
       "there is no setting \"tcp_tw_resue\"; the nearest is tcp_tw_reuse"},
      {"net.ipv4.tcp_tw_reuse", "1", ENOENT,
       "there is no setting \"net.ipv4.tcp_tw_reuse\": the last part is enough, tcp_tw_reuse"},
      {"colour", "red", ENOENT, "there is no setting \"colour\""},
      {"", "1", ENOENT, "there is no setting \"\""},
      {"tcp\x1b[2J", "1", ENOENT, "there is no setting \"tcp?[2J\""},
      {"tcp_plb_enabled", "1", EOPNOTSUPP,
       "tcp_plb_enabled is known on Linux, and not used by the endpoint"},
      {"tcp_ehash_entries", "4096", EOPNOTSUPP,
       "tcp_ehash_entries is known on Linux, and not used by the endpoint"},
      {"tcp_tw_reuse", "3", EINVAL, "tcp_tw_reuse takes a number from 0 to 2, and not 3"},
      {"tcp_tw_reuse", "-1", EINVAL, "tcp_tw_reuse takes a number from 0 to 2, and not -1"},
      {"tcp_tw_reuse", "on", EINVAL, "tcp_tw_reuse takes a number from 0 to 2, and \"on\" is none"},
      {"tcp_tw_reuse", "", EINVAL, "tcp_tw_reuse takes a number from 0 to 2, and \"\" is none"},
      {"tcp_tw_reuse", "1 2", EINVAL,
       "tcp_tw_reuse takes a number from 0 to 2, and \"1 2\" is none"},
      {"tcp_tw_reuse", "99999999999999999999", EINVAL,
       "tcp_tw_reuse takes a number from 0 to 2, and not 99999999999999999999"},
      {"tcp_rmem", "1 2", EINVAL, "tcp_rmem takes three numbers from 256 to 1073741824"},
      {"tcp_mem", "1 2 -3", EINVAL, "tcp_mem takes three numbers from 0 to 1099511627776"},
      {"tcp_fastopen_key", "1-2-3", EINVAL,
       "tcp_fastopen_key takes a key as four hexadecimal words with hyphens between, and with a "
       "comma before it a second one"},
      {"tcp_congestion_control", "bbr", EINVAL, "tcp_congestion_control is cubic or reno"},
      {"ip_local_port_range", "60999 32768", EINVAL,
       "ip_local_port_range takes two ports from 1 to 65535, the lower one first, such as 32768 60999"},
      {"ip_local_port_range", "80 32768", EINVAL,
       "ip_local_port_range begins at ip_unprivileged_port_start, 1024, or above it"},
      {"ip_unprivileged_port_start", "40000", EINVAL,
       "ip_unprivileged_port_start is at most where ip_local_port_range begins, 32768"},
      {"ip_local_reserved_ports", "9-8", EINVAL,
       "ip_local_reserved_ports takes a list of ports, such as 8080,9100-9110"},
  };
  Host host;
  for (const Case& c : cases) {
    const Error error = refusal(host, c.name, c.value);
    EXPECT_EQ(error.message, c.says);
    EXPECT_EQ(error.number, c.number) << c.name << '=' << c.value;
  }
  const Error huge = refusal(host, std::string(100'000, 'x'), std::string(100'000, '9'));
  EXPECT_LT(huge.message.size(), 200U);
}

TEST(SettingsByName, WhatTheTablesNameIsTaken) {
  Host host;
  for (const SettingLimits& s : number_settings()) {
    if (s.name == "ip_unprivileged_port_start") {  // its limit is another setting
      EXPECT_TRUE(host.set(s.name, "0"));
      continue;
    }
    for (const std::int64_t value : {s.least, s.most}) {
      const auto set = host.set(s.name, std::to_string(value));
      EXPECT_TRUE(set) << s.name << '=' << value << ": " << set.error().message;
    }
    EXPECT_EQ(refusal(host, s.name, std::to_string(s.least - 1)).number, EINVAL);
    EXPECT_EQ(refusal(host, s.name, std::to_string(s.most + 1)).number, EINVAL);
  }
  for (const auto& [name, value] : {std::pair{"ip_local_port_range", "1024\t65535\n"},
                                    {"ip_local_reserved_ports", ""},
                                    {"tcp_congestion_control", "reno"},
                                    {"tcp_fastopen_key", "a1-b2-c3-d4"},
                                    {"tcp_mem", "1 2 3"},
                                    {"tcp_rmem", "4096 131072 6291456"},
                                    {"tcp_wmem", "4096 16384 4194304"}}) {
    EXPECT_TRUE(host.set(name, value)) << name;
  }
  EXPECT_EQ(worded_settings().size(), 7U);
}

TEST(SettingsByName, EverySettingOfTheVocabularyIsUsedOrRefusedByName) {
  Host host;
  for (const SettingInfo& info : setting_table()) {
    if (find_number_setting(info.name) != nullptr) continue;
    EXPECT_EQ(refusal(host, info.name, "1").number, EOPNOTSUPP) << info.name;
  }
  for (const std::string_view name : unused_settings()) {
    EXPECT_EQ(find_number_setting(name), nullptr) << name;
    EXPECT_EQ(refusal(host, name, "1").number, EOPNOTSUPP) << name;
  }
}

// A kernel that is newer may have more, and is not held against this.
TEST(SettingsByName, TheSysctlsOfTcpAreKnown) {
  std::error_code error;
  std::size_t known = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/sys/net/ipv4", error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("tcp_")) continue;
    const auto checked = check_setting_name(name);
    known += checked || checked.error().number == EOPNOTSUPP ? 1U : 0U;
    if (!checked && checked.error().number == ENOENT) {
      std::printf("not known: %s\n", name.c_str());
    }
  }
  if (error) GTEST_SKIP() << "no /proc/sys/net/ipv4 here";
  EXPECT_GT(known, 40U);
}

// docs/library.md lists all of them, with their ranges.
TEST(SettingsByName, TheGuideListsThem) {
  std::ifstream in(LASTACK_SOURCE_DIR "/docs/library.md");
  const std::string guide(std::istreambuf_iterator<char>(in), {});
  for (const SettingLimits& s : number_settings()) {
    std::ostringstream row;
    row << "| `" << s.name << "` | " << s.least << " to " << s.most << " |";
    EXPECT_NE(guide.find(row.str()), guide.npos) << row.str();
  }
  for (const std::string_view name : worded_settings()) {
    EXPECT_NE(guide.find("| `" + std::string(name) + "` |"), guide.npos) << name;
  }
}

}  // namespace
}  // namespace lastack::test
