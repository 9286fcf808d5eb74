#include "kernel/proc_net.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "captured_text.h"

namespace lastack {
namespace {

bool known(const Counters& counters, std::string_view name) {
  const auto index = find_counter(name);
  EXPECT_TRUE(index.has_value()) << name;
  return index && is_known(counters, *index);
}

// What is known in `part` has the same value in `whole`.
void expect_no_wrong_number(const Counters& part, const Counters& whole) {
  for (std::size_t i = 0; i < counter_table().size(); ++i) {
    if (!is_known(part, i)) continue;
    EXPECT_TRUE(is_known(whole, i)) << counter_table()[i].name;
    EXPECT_EQ(part.*counter_table()[i].member, whole.*counter_table()[i].member)
        << counter_table()[i].name;
  }
}

TEST(ProcNet, ReadsTcpOfSnmpAndNothingOfOtherProtocols) {
  Counters counters;
  ASSERT_TRUE(parse_snmp(captured("snmp"), counters));
  EXPECT_EQ(counters.ActiveOpens, 17u);
  EXPECT_EQ(counters.PassiveOpens, 17u);
  EXPECT_EQ(counters.EstabResets, 3u);
  EXPECT_EQ(counters.CurrEstab, 16u);
  EXPECT_EQ(counters.InSegs, 81u);
  EXPECT_EQ(counters.OutRsts, 3u);
  EXPECT_TRUE(known(counters, "InErrs"));
  EXPECT_FALSE(known(counters, "TW"));
}

TEST(ProcNet, ReadsTcpExtOfNetstat) {
  Counters counters;
  ASSERT_TRUE(parse_netstat(captured("netstat"), counters));
  EXPECT_EQ(counters.TW, 6u);
  EXPECT_TRUE(known(counters, "TCPTimeWaitOverflow"));
  EXPECT_FALSE(known(counters, "ActiveOpens"));
}

// A name that the kernel writes and the table lacks, or spells otherwise, would stay unknown for ever.
TEST(ProcNet, FindsEveryCounterOfTheTableOnLinux618) {
  Counters counters;
  ASSERT_TRUE(parse_snmp(captured("snmp"), counters));
  ASSERT_TRUE(parse_netstat(captured("netstat"), counters));
  for (std::size_t i = 0; i < counter_table().size(); ++i) {
    EXPECT_TRUE(is_known(counters, i)) << counter_table()[i].name;
  }
}

// The lookup is a table made at compile time: each name must come out as itself.
TEST(ProcNet, EachNameSetsItsOwnCounterOnly) {
  for (std::size_t i = 0; i < counter_table().size(); ++i) {
    Counters counters;
    const std::string name(counter_table()[i].name);
    ASSERT_TRUE(parse_netstat("TcpExt: " + name + "\nTcpExt: 4242\n", counters)) << name;
    EXPECT_EQ(counters.known, std::uint64_t{1} << i) << name;
    EXPECT_EQ(counters.*counter_table()[i].member, 4242u) << name;
  }
}

TEST(ProcNet, NamesThatOnlyResembleAreUnknown) {
  for (std::size_t i = 0; i < counter_table().size(); ++i) {
    const std::string name(counter_table()[i].name);
    for (const std::string& other : {name + "x", "x" + name, name.substr(1) + "_"}) {
      Counters counters;
      EXPECT_FALSE(parse_netstat("TcpExt: " + other + "\nTcpExt: 1\n", counters)) << other;
      EXPECT_EQ(counters, Counters{}) << other;
    }
  }
}

TEST(ProcNet, LinesOfDifferentLengthAreReadAsFarAsBothGo) {
  Counters counters;
  EXPECT_TRUE(parse_netstat("TcpExt: TW TWRecycled TWKilled\nTcpExt: 1 2\n", counters));
  EXPECT_TRUE(known(counters, "TWRecycled"));
  EXPECT_FALSE(known(counters, "TWKilled"));

  Counters more_numbers;
  EXPECT_TRUE(parse_netstat("TcpExt: TW\nTcpExt: 1 2 3\n", more_numbers));
  EXPECT_EQ(more_numbers.TW, 1u);
}

TEST(ProcNet, NumbersThatAreNoCountersStayUnknown) {
  for (const char* number :
       {"-1", "18446744073709551616", "99999999999999999999999", "0x10", "1.5", "+1", "1k"}) {
    Counters counters;
    parse_netstat("TcpExt: TW TWKilled\nTcpExt: " + std::string(number) + " 7\n", counters);
    EXPECT_FALSE(known(counters, "TW")) << number;
    EXPECT_EQ(counters.TWKilled, 7u) << number;
  }
  Counters largest;
  EXPECT_TRUE(parse_netstat("TcpExt: TW\nTcpExt: 18446744073709551615\n", largest));
  EXPECT_EQ(largest.TW, kMostCount);
}

TEST(ProcNet, OneUnreadableNumberDoesNotShiftTheOthers) {
  Counters counters;
  EXPECT_TRUE(parse_netstat("TcpExt: TW TWRecycled TWKilled\nTcpExt: 1 -2 3\n", counters));
  EXPECT_EQ(counters.TW, 1u);
  EXPECT_FALSE(known(counters, "TWRecycled"));
  EXPECT_EQ(counters.TWKilled, 3u);
}

TEST(ProcNet, LinesOutOfPairAreNoNumbers) {
  Counters counters;
  EXPECT_FALSE(parse_netstat("TcpExt: TW TWRecycled\n", counters));
  EXPECT_FALSE(parse_netstat("TcpExt: TW\nIpExt: 5\n", counters));
  EXPECT_FALSE(parse_netstat("MPTcpExt: TW\nMPTcpExt: 5\n", counters));
  EXPECT_FALSE(parse_snmp("", counters));
  EXPECT_FALSE(parse_snmp("\n\n\n", counters));
  EXPECT_EQ(counters, Counters{});
  // A stray line before the pair does not hide it.
  EXPECT_TRUE(parse_netstat("TcpExt:\nIpExt: x\nTcpExt: TW\nTcpExt: 5\n", counters));
  EXPECT_EQ(counters.TW, 5u);
}

TEST(ProcNet, CutTextGivesNoWrongNumber) {
  const std::string snmp = captured("snmp");
  const std::string netstat = captured("netstat");
  Counters whole;
  ASSERT_TRUE(parse_snmp(snmp, whole));
  ASSERT_TRUE(parse_netstat(netstat, whole));
  with_every_truncation(snmp, [&](std::string_view text) {
    Counters part;
    parse_snmp(text, part);
    expect_no_wrong_number(part, whole);
  });
  with_every_truncation(netstat, [&](std::string_view text) {
    Counters part;
    parse_netstat(text, part);
    expect_no_wrong_number(part, whole);
  });
}

TEST(ProcNet, SpoiltTextIsSurvived) {
  with_every_byte_spoilt(captured("netstat"), [](std::string_view text) {
    Counters counters;
    parse_netstat(text, counters);
  });
}

TEST(ProcNet, ReadsTotals) {
  SocketTotals totals;
  ASSERT_TRUE(parse_sockstat(captured("sockstat"), totals));
  ASSERT_TRUE(parse_sockstat6(captured("sockstat6"), totals));
  EXPECT_EQ(totals, (SocketTotals{.used = 25,
                                  .tcp_in_use = 7,
                                  .tcp6_in_use = 15,
                                  .orphan = 849,
                                  .tw = 6,
                                  .alloc = 875,
                                  .mem_pages = 1021}));
}

TEST(ProcNet, TotalsOfAnotherProtocolAreNotTcps) {
  SocketTotals totals;
  EXPECT_FALSE(parse_sockstat("UDP: inuse 5\nTCPLITE: inuse 6\n", totals));
  EXPECT_FALSE(parse_sockstat("TCP: \n", totals));
  EXPECT_FALSE(parse_sockstat("TCP: inuse -5 orphan\n", totals));
  EXPECT_FALSE(parse_sockstat("sockets: used 1127\nTCP: \n", totals));
  EXPECT_FALSE(parse_sockstat6(captured("sockstat"), totals));
  EXPECT_EQ(totals, SocketTotals{});
}

TEST(ProcNet, CutTotalsAreNotWrong) {
  with_every_truncation("TCP: inuse 123 orphan 456 tw 789 alloc 147 mem 258\n",
                        [](std::string_view text) {
                          SocketTotals t;
                          parse_sockstat(text, t);
                          EXPECT_TRUE(t.tcp_in_use == 0 || t.tcp_in_use == 123) << text;
                          EXPECT_TRUE(t.orphan == 0 || t.orphan == 456) << text;
                          EXPECT_TRUE(t.tw == 0 || t.tw == 789) << text;
                          EXPECT_TRUE(t.alloc == 0 || t.alloc == 147) << text;
                          EXPECT_TRUE(t.mem_pages == 0 || t.mem_pages == 258) << text;
                        });
}

TEST(ReadCounters, ReadsTheFourFilesOfAFolder) {
  Counters counters;
  SocketTotals totals;
  std::vector<NotRead> not_read;
  EXPECT_TRUE(
      read_counters(std::string(LASTACK_TEST_DIR) + "/captured", counters, totals, not_read));
  EXPECT_TRUE(not_read.empty());
  EXPECT_EQ(counters.TW, 6u);
  EXPECT_EQ(counters.ActiveOpens, 17u);
  EXPECT_EQ(totals.tcp6_in_use, 15u);
}

TEST(ReadCounters, SaysWhichFileIsMissing) {
  const std::string folder =
      ::testing::TempDir() + "lastack-counters-" + std::to_string(::getpid());
  ASSERT_EQ(std::system(("rm -rf " + folder + " && mkdir " + folder).c_str()), 0);
  std::ofstream(folder + "/netstat") << captured("netstat");
  std::ofstream(folder + "/sockstat") << "gibberish\n";
  Counters counters;
  SocketTotals totals;
  std::vector<NotRead> not_read;
  EXPECT_TRUE(read_counters(folder, counters, totals, not_read));
  ASSERT_EQ(not_read.size(),
            2u);  // and none for sockstat6: that is how a kernel without IPv6 looks
  EXPECT_NE(not_read[0].what.find("/snmp"), std::string::npos);
  EXPECT_NE(not_read[1].what.find("/sockstat"), std::string::npos);
  EXPECT_EQ(counters.TW, 6u);

  EXPECT_FALSE(read_counters(folder + "/nowhere", counters, totals, not_read));
  ASSERT_EQ(not_read.size(), 3u);
  EXPECT_NE(not_read[2].why.find("No such file"), std::string::npos);
}

TEST(ReadCounters, AnOverlongFileIsRefusedNotCut) {
  const std::string folder =
      ::testing::TempDir() + "lastack-overlong-" + std::to_string(::getpid());
  ASSERT_EQ(std::system(("rm -rf " + folder + " && mkdir " + folder).c_str()), 0);
  std::ofstream(folder + "/snmp") << captured("snmp");
  std::ofstream(folder + "/sockstat") << captured("sockstat");
  std::ofstream(folder + "/netstat") << "TcpExt: TW\nTcpExt: 5\n" << std::string(1 << 20, 'x');
  Counters counters;
  SocketTotals totals;
  std::vector<NotRead> not_read;
  EXPECT_TRUE(read_counters(folder, counters, totals, not_read));
  EXPECT_FALSE(known(counters, "TW"));
  ASSERT_EQ(not_read.size(), 1u);
}

TEST(ReadCounters, ReadsThisMachine) {
  Counters counters;
  SocketTotals totals;
  std::vector<NotRead> not_read;
  ASSERT_TRUE(read_counters("/proc/thread-self/net", counters, totals, not_read));
  EXPECT_TRUE(known(counters, "TW"));
  EXPECT_TRUE(known(counters, "ActiveOpens"));
  EXPECT_TRUE(not_read.empty());
}

}  // namespace
}  // namespace lastack
