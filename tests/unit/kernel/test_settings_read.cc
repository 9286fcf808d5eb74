#include "kernel/settings_read.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "captured_text.h"

namespace lastack {
namespace {

namespace fs = std::filesystem;

class Tree : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) /
            ("lastack-tree-" + std::to_string(::getpid()) +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  Settings read() {
    Settings settings;
    not_read_.clear();
    read_settings(settings, not_read_, root_.c_str());
    return settings;
  }
  fs::path root_;
  std::vector<NotRead> not_read_;
};

using ReadSettings = Tree;

TEST_F(ReadSettings, EverySettingOfTheTableFromItsOwnFile) {
  std::int64_t value = 1000;
  for (const SettingInfo& info : setting_table()) {
    write(std::string(info.path), std::to_string(value++) + "\n");
  }
  write("net/ipv4/ip_local_port_range", "1024\t65535\n");
  write("net/ipv4/ip_local_reserved_ports", "8080,9000-9002\n");
  const Settings settings = read();
  value = 1000;
  for (const SettingInfo& info : setting_table()) {
    EXPECT_EQ(settings.*info.member, value++) << info.name;
  }
  EXPECT_EQ(settings.ip_local_port_range, (PortRange{1024, 65535}));
  EXPECT_EQ(settings.ip_local_reserved_ports.to_string(), "8080,9000-9002");
  EXPECT_TRUE(not_read_.empty());
}

TEST_F(ReadSettings, WhatAnOlderKernelLacksIsNotMentioned) {
  write("net/ipv4/tcp_fin_timeout", "60\n");
  const Settings settings = read();
  EXPECT_EQ(settings.tcp_fin_timeout, 60);
  EXPECT_FALSE(settings.tcp_tw_reuse_delay.has_value());
  EXPECT_FALSE(settings.ip_local_port_range.has_value());
  EXPECT_TRUE(not_read_.empty());
}

TEST_F(ReadSettings, OneSentenceWhenAllOfItIsMasked) {
  read();
  ASSERT_EQ(not_read_.size(), 1u);
  EXPECT_EQ(not_read_[0].what, "settings (net.*)");
  root_ /= "nowhere";
  read();
  ASSERT_EQ(not_read_.size(), 1u);
}

TEST_F(ReadSettings, NegativeAndLargestValues) {
  write("net/ipv4/tcp_fin_timeout", "-5\n");
  write("net/ipv4/tcp_max_tw_buckets", "2147483647\n");
  const Settings settings = read();
  EXPECT_EQ(settings.tcp_fin_timeout, -5);
  EXPECT_EQ(settings.tcp_max_tw_buckets, INT32_MAX);
}

TEST_F(ReadSettings, WhatIsNotUnderstoodIsNamedInOneSentence) {
  write("net/ipv4/tcp_fin_timeout", "sixty\n");
  write("net/ipv4/tcp_tw_reuse", "4294967296\n");
  write("net/ipv4/tcp_timestamps", "1");  // cut: it might have been 10
  write("net/ipv4/tcp_rfc1337", "1\n");
  write("net/ipv4/ip_local_port_range", "60999 32768\n");
  write("net/ipv4/ip_local_reserved_ports", "80,70000\n");
  const Settings settings = read();
  EXPECT_EQ(settings.tcp_rfc1337, 1);
  EXPECT_FALSE(settings.tcp_fin_timeout || settings.tcp_tw_reuse || settings.tcp_timestamps);
  EXPECT_FALSE(settings.ip_local_port_range.has_value());
  ASSERT_EQ(not_read_.size(), 1u);
  for (const char* name : {"tcp_fin_timeout", "tcp_tw_reuse", "tcp_timestamps",
                           "ip_local_port_range", "ip_local_reserved_ports"}) {
    EXPECT_NE(not_read_[0].what.find(name), std::string::npos) << name;
  }
}

// The longest list there can be: every other port.
TEST_F(ReadSettings, ReservedPortsOfAnyLength) {
  PortSet ports;
  for (std::uint32_t p = 1; p < 65536; p += 2) ports.insert(static_cast<Port>(p));
  const std::string text = ports.to_string();
  ASSERT_GT(text.size(), 180'000u);
  write("net/ipv4/ip_local_reserved_ports", text + "\n");
  EXPECT_EQ(read().ip_local_reserved_ports, ports);
  EXPECT_TRUE(not_read_.empty());
  for (const std::size_t size : {1022u, 1023u, 1024u, 1025u}) {  // around the first buffer
    std::string list = "1";
    while (list.size() + 4 <= size - 1) list += ",200";
    list.resize(size - 1, '0');
    list.resize(list.find_last_not_of(",0") + 1);
    list.resize(size - 1, ' ');
    write("net/ipv4/ip_local_reserved_ports", list + "\n");
    EXPECT_TRUE(read().ip_local_reserved_ports.contains(200)) << size;
    EXPECT_TRUE(not_read_.empty()) << size;
  }
}

TEST_F(ReadSettings, NoReservedPorts) {
  write("net/ipv4/ip_local_reserved_ports", "\n");
  EXPECT_TRUE(read().ip_local_reserved_ports.empty());
  EXPECT_TRUE(not_read_.empty());
}

TEST(ReadSettingsHere, ThisMachineHasThoseThatEveryKernelHas) {
  Settings settings;
  std::vector<NotRead> not_read;
  read_settings(settings, not_read);
  EXPECT_TRUE(settings.tcp_fin_timeout.has_value());
  EXPECT_TRUE(settings.tcp_tw_reuse.has_value());
  EXPECT_TRUE(settings.somaxconn.has_value());
  EXPECT_TRUE(settings.ip_local_port_range.has_value());
  EXPECT_TRUE(not_read.empty());
}

TEST(PortRangeText, TwoPortsInOrder) {
  EXPECT_EQ(parse_port_range("32768\t60999\n"), (PortRange{32768, 60999}));
  EXPECT_EQ(parse_port_range("5 5\n"), (PortRange{5, 5}));
  for (const char* text :
       {"", "\n", "32768\n", "1 65536\n", "5 4\n", "-1 5\n", "1 2 3\n", "a b\n", "1024\t6553"}) {
    EXPECT_FALSE(parse_port_range(text).has_value()) << text;
  }
}

std::vector<SysctlLine> parse(std::string_view text) {
  std::vector<SysctlLine> lines;
  parse_sysctl_file(text, "f", lines);
  return lines;
}

TEST(SysctlFile, BothSpellingsAndLineNumbers) {
  const auto lines = parse(
      "# net.ipv4.tcp_tw_reuse = 1\n"
      "net.ipv4.tcp_tw_reuse = 1\n"
      "\n"
      "   net/ipv4/tcp_fin_timeout=15   \n"
      "-net.core.somaxconn =\t1024\r\n"
      "net.ipv4.ip_local_port_range = 1024 65000");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], (SysctlLine{"f", 2, "net.ipv4.tcp_tw_reuse", "1"}));
  EXPECT_EQ(lines[1], (SysctlLine{"f", 4, "net.ipv4.tcp_fin_timeout", "15"}));
  EXPECT_EQ(lines[2], (SysctlLine{"f", 5, "net.core.somaxconn", "1024"}));
  EXPECT_EQ(lines[3], (SysctlLine{"f", 6, "net.ipv4.ip_local_port_range", "1024 65000"}));
}

TEST(SysctlFile, RetiredSettingsAreFound) {
  const auto lines = parse("net.ipv4.tcp_tw_recycle=1\n");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].name, "net.ipv4.tcp_tw_recycle");
}

TEST(SysctlFile, PassesOverWhatIsNoAssignmentOfOurs) {
  EXPECT_TRUE(parse("").empty());
  EXPECT_TRUE(parse("; net.ipv4.tcp_tw_reuse = 1\n").empty());
  EXPECT_TRUE(parse("net.ipv4.tcp_tw_reuse\n").empty());
  EXPECT_TRUE(parse("-net.ipv4.tcp_tw_reuse\n").empty());
  EXPECT_TRUE(parse("net.ipv4.tcp_* = 1\n").empty());
  EXPECT_TRUE(parse("net.ipv4.conf.eth0/1.forwarding = 1\n").empty());
  EXPECT_TRUE(parse("vm.swappiness = 1\n").empty());
  EXPECT_TRUE(parse("net.ipv4.tcp_tw_reuse2 = 1\n").empty());
  EXPECT_TRUE(parse("tcp_tw_reuse = 1\n").empty());
  EXPECT_TRUE(parse("net.ipv4/tcp_tw_reuse = 1\n").empty());  // a name with a slash in it
  EXPECT_TRUE(parse("= 1\n=\n-\n").empty());
}

TEST(SysctlFile, ValuesArePrintableAndOfBoundedLength) {
  const auto lines = parse("net.ipv4.tcp_tw_reuse = \x1b[2J\xff\n");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].value, "?[2J?");
  EXPECT_LE(parse("net.ipv4.tcp_tw_reuse = " + std::string(100'000, '1'))[0].value.size(), 1024u);
}

TEST(SysctlFile, CutAndSpoiltTextIsSurvived) {
  const std::string_view text = "# x\n-net/ipv4/tcp_fin_timeout = 15\nnet.ipv4.tcp_tw_reuse=1\n";
  with_every_truncation(text, [](std::string_view t) { parse(t); });
  with_every_byte_spoilt(text, [](std::string_view t) { parse(t); });
}

using SysctlFiles = Tree;

std::vector<std::string> files_of(const std::vector<SysctlLine>& lines) {
  std::vector<std::string> files;
  for (const SysctlLine& line : lines) files.push_back(line.file);
  return files;
}

TEST_F(SysctlFiles, InTheOrderOfApplication) {
  write("usr/lib/sysctl.d/10-a.conf", "net.ipv4.tcp_tw_reuse = 0\n");
  write("etc/sysctl.d/20-b.conf", "net.ipv4.tcp_tw_reuse = 1\n");
  write("run/sysctl.d/15-c.conf", "net.ipv4.tcp_tw_reuse = 2\n");
  write("usr/local/lib/sysctl.d/30-d.conf", "net.ipv4.tcp_tw_reuse = 3\n");
  write("etc/sysctl.conf", "net.ipv4.tcp_tw_reuse = 4\n");
  write("etc/sysctl.d/README", "net.ipv4.tcp_tw_reuse = 9\n");
  EXPECT_EQ(files_of(read_sysctl_files(root_)),
            (std::vector<std::string>{"/usr/lib/sysctl.d/10-a.conf", "/run/sysctl.d/15-c.conf",
                                      "/etc/sysctl.d/20-b.conf",
                                      "/usr/local/lib/sysctl.d/30-d.conf", "/etc/sysctl.conf"}));
}

TEST_F(SysctlFiles, AFileOfTheSameNameHidesThoseOfLowerRank) {
  write("usr/lib/sysctl.d/50-default.conf", "net.ipv4.tcp_tw_reuse = 0\n");
  write("etc/sysctl.d/50-default.conf", "net.ipv4.tcp_fin_timeout = 15\n");
  write("usr/lib/sysctl.d/60-off.conf", "net.ipv4.tcp_tw_reuse = 0\n");
  fs::create_symlink("/dev/null", root_ / "etc/sysctl.d/60-off.conf");
  const auto lines = read_sysctl_files(root_);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].name, "net.ipv4.tcp_fin_timeout");
}

TEST_F(SysctlFiles, ALinkToSysctlConfIsReadOnce) {
  write("etc/sysctl.conf", "net.ipv4.tcp_tw_reuse = 1\n");
  fs::create_directories(root_ / "etc/sysctl.d");
  fs::create_symlink("../sysctl.conf", root_ / "etc/sysctl.d/99-sysctl.conf");
  EXPECT_EQ(files_of(read_sysctl_files(root_)),
            (std::vector<std::string>{"/etc/sysctl.d/99-sysctl.conf"}));
}

TEST_F(SysctlFiles, StrangeFilesDoNotStopIt) {
  fs::create_directories(root_ / "etc/sysctl.d/10-folder.conf");
  ASSERT_EQ(::mkfifo((root_ / "etc/sysctl.d/11-fifo.conf").c_str(), 0600), 0);
  fs::create_symlink("11-loop.conf", root_ / "etc/sysctl.d/11-loop.conf");
  write("etc/sysctl.d/12-large.conf",
        "net.ipv4.tcp_tw_reuse = 1\n" + std::string(3'000'000, '#') + "\n");
  write("etc/sysctl.d/13-empty.conf", "");
  EXPECT_EQ(read_sysctl_files(root_).size(), 1u);
}

TEST_F(SysctlFiles, NothingThere) {
  EXPECT_TRUE(read_sysctl_files(root_).empty());
}

}  // namespace
}  // namespace lastack
