#include "kernel/proc_net_tcp.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "captured_text.h"

namespace lastack {
namespace {

constexpr unsigned long kTicks = 100;

std::vector<SocketRecord> rows_of(const std::string& folder) {
  std::vector<SocketRecord> rows;
  const auto done = for_each_tcp_row(folder, [&](const SocketRecord& r) { rows.push_back(r); });
  EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  return rows;
}

SocketRecord parse(std::string_view line, bool v6 = false) {
  SocketRecord record;
  EXPECT_TRUE(parse_tcp_line(line, v6, kTicks, record)) << line;
  return record;
}

TEST(ProcNetTcp, ReadsAListener) {
  const auto r = parse(
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 "
      "592494 2 00000000804533d3 100 0 0 10 0");
  EXPECT_EQ(r.tuple.local.to_string(), "127.0.0.1:8080");
  EXPECT_TRUE(r.tuple.remote.address.is_unspecified());
  EXPECT_EQ(r.state, TcpState::Listen);
  EXPECT_EQ(r.receive_queue, 3u);  // waiting for accept()
  EXPECT_EQ(r.uid, 1000u);
  EXPECT_EQ(r.inode, 592494u);
  EXPECT_EQ(r.timer, TimerKind::None);
  EXPECT_FALSE(r.compact);
}

TEST(ProcNetTcp, ReadsTimeWait) {
  const auto r = parse(
      "   3: 0100007F:D41C 0A00000A:0050 06 00000000:00000000 03:00001751 00000000     0        0 0 3 "
      "000000008e5f644d");
  EXPECT_EQ(r.state, TcpState::TimeWait);
  EXPECT_TRUE(r.compact);
  EXPECT_EQ(r.timer, TimerKind::TimeWait);
  EXPECT_EQ(r.timer_remaining, 59'690ms);  // 0x1751 hundredths
  EXPECT_EQ(r.tuple.remote.to_string(), "10.0.0.10:80");
  EXPECT_EQ(r.inode, 0u);
}

TEST(ProcNetTcp, TellsTheSmallFinWait2FromTheFullOne) {
  const char* full =
      "   4: 0100007F:D424 0100007F:AEF3 05 00000000:00000000 00:00000000 00000000     0        0 592499 "
      "1 00000000ee29d29b 20 0 0 11 -1";
  const char* small =
      "   2: 0100007F:D424 0100007F:AEF3 05 00000000:00000000 03:00001751 00000000     0        0 0 3 "
      "00000000ef603ef6";
  EXPECT_FALSE(parse(full).compact);
  EXPECT_TRUE(parse(small).compact);
  EXPECT_EQ(parse(small).state, TcpState::FinWait2);
  EXPECT_EQ(parse(small).timer_remaining, 59'690ms);
}

TEST(ProcNetTcp, ReadsIpv6AndMappedAddresses) {
  const auto six = parse(
      "   9: B80D0120000000000000000001000000:B693 00000000000000000000000001000000:9A98 08 "
      "0000000F:00000001 02:00000064 00000000     0        0 592510 1 000000004e3e8e4a 20 4 0 10 -1",
      true);
  EXPECT_EQ(six.tuple.local.to_string(), "[2001:db8::1]:46739");
  EXPECT_EQ(six.tuple.remote.to_string(), "[::1]:39576");
  EXPECT_EQ(six.state, TcpState::CloseWait);
  EXPECT_EQ(six.send_queue, 15u);
  EXPECT_EQ(six.receive_queue, 1u);
  EXPECT_EQ(six.timer, TimerKind::KeepAlive);
  EXPECT_EQ(six.timer_remaining, 1s);

  const auto mapped = parse(
      "   3: 0000000000000000FFFF00000100007F:BFF4 0000000000000000FFFF00000200007F:8DE7 01 "
      "00000000:00000000 00:00000000 00000000     0        0 592515 2 000000003e5d2c95 20 0 0 10 -1",
      true);
  EXPECT_TRUE(mapped.tuple.local.address.is_v4());
  EXPECT_EQ(mapped.tuple.local.to_string(), "127.0.0.1:49140");
}

TEST(ProcNetTcp, KnowsEveryStateOfTheKernel) {
  const std::pair<const char*, TcpState> states[] = {
      {"01", TcpState::Established}, {"02", TcpState::SynSent},   {"03", TcpState::SynReceived},
      {"04", TcpState::FinWait1},    {"05", TcpState::FinWait2},  {"06", TcpState::TimeWait},
      {"07", TcpState::Closed},      {"08", TcpState::CloseWait}, {"09", TcpState::LastAck},
      {"0A", TcpState::Listen},      {"0B", TcpState::Closing},   {"0C", TcpState::SynReceived}};
  for (const auto& [text, state] : states) {
    const std::string line = "   0: 0100007F:1F90 00000000:0000 " + std::string(text) +
                             " 00000000:00000000 00:00000000 00000000  0  0 1 2 0";
    EXPECT_EQ(parse(line).state, state) << text;
  }
}

TEST(ProcNetTcp, RefusesWhatIsMalformed) {
  const char* lines[] = {
      "",
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
      "   0: 0100007F:1F90 00000000:0000 00 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F:1F90 00000000:0000 0D 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F:1F90 00000000:0000 01 00000000:00000000 05:00000000 00000000  0  0 1 2 0",
      "   0: 0100007:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F:1F90F 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F:1F9g 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F:1F90 00000000:0000 01 100000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F:1F90 00000000:0000 01 00000000 00:00000000 00000000  0  0 1 2 0",
      "   0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  -1  0 1 2 0",
      "   0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 -1 2 0",
      "   x: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
      "   0 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 1 2 0",
  };
  for (const char* line : lines) {
    SocketRecord record;
    EXPECT_FALSE(parse_tcp_line(line, false, kTicks, record)) << line;
  }
  // A line of the other file.
  SocketRecord record;
  EXPECT_FALSE(
      parse_tcp_line("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 "
                     "00000000  0  0 1 2 0",
                     true, kTicks, record));
  EXPECT_FALSE(
      parse_tcp_line("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 "
                     "00000000  0  0 1 2 0",
                     false, 0, record));
}

TEST(ProcNetTcp, ATimerBeyondAllTimeIsNoTimer) {
  const auto r = parse(
      "   0: 0100007F:1F90 00000000:0000 06 00000000:00000000 03:FFFFFFFFFFFFFFFF 00000000  0  0 0 3 0");
  EXPECT_EQ(r.timer_remaining, 0s);
}

TEST(ProcNetTcp, ACutLineIsRefusedOrSaysTheSame) {
  const std::string line =
      "   6: 0100007F:AEF3 0100007F:D41A 01 0000000A:0000000B 02:00000123 00000000  1000        0 592496 "
      "1 00000000bae967d0 20 0 0 10 -1";
  const auto whole = parse(line);
  with_every_truncation(line, [&](std::string_view text) {
    SocketRecord r;
    if (!parse_tcp_line(text, false, kTicks, r)) return;
    EXPECT_EQ(r.tuple, whole.tuple);
    EXPECT_EQ(r.inode, whole.inode) << text;
    EXPECT_EQ(r.uid, whole.uid);
    EXPECT_EQ(r.timer_remaining, whole.timer_remaining);
  });
}

TEST(ProcNetTcp, SpoiltLinesAreSurvived) {
  std::string_view text;
  const std::string file = captured("tcp6");
  text = file;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    with_every_byte_spoilt(text.substr(0, end), [](std::string_view line) {
      SocketRecord r;
      parse_tcp_line(line, true, kTicks, r);
      parse_tcp_line(line, false, kTicks, r);
    });
    text.remove_prefix(end + 1);
  }
}

TEST(ForEachTcpRow, ReadsBothCapturedFiles) {
  const auto rows = rows_of(std::string(LASTACK_TEST_DIR) + "/captured");
  ASSERT_EQ(rows.size(), 28u);
  StateCounts states;
  std::size_t compact = 0;
  std::size_t v4 = 0;
  for (const SocketRecord& r : rows) {
    ++states[r.state];
    compact += r.compact ? 1 : 0;
    v4 += r.tuple.local.address.is_v4() ? 1 : 0;
  }
  EXPECT_EQ(states[TcpState::Listen], 3u);
  EXPECT_EQ(states[TcpState::TimeWait], 3u);
  EXPECT_EQ(states[TcpState::FinWait2], 6u);
  EXPECT_EQ(states[TcpState::CloseWait], 6u);
  EXPECT_EQ(states[TcpState::Established], 10u);
  EXPECT_EQ(compact, 6u);  // as sockstat's "tw" of the same moment says
  EXPECT_EQ(v4, 20u);
}

class TcpFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "lastack-tcp-" + std::to_string(::getpid()) +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_EQ(std::system(("rm -rf " + folder_ + " && mkdir " + folder_).c_str()), 0);
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
  }
  Result<void> read() {
    rows_.clear();
    return for_each_tcp_row(folder_, [&](const SocketRecord& r) { rows_.push_back(r); });
  }
  static std::string row(unsigned port) {
    char line[200];
    std::snprintf(
        line, sizeof line,
        "%4u: 0100007F:%04X 0100007F:0050 06 00000000:00000000 03:00000100 00000000     0  "
        "      0 0 3 0000000000000000\n",
        port, port);
    return line;
  }
  std::string folder_;
  std::vector<SocketRecord> rows_;
  const std::string heading_ = "  sl  local_address rem_address\n";
};

TEST_F(TcpFiles, NeedsNoIpv6) {
  write("tcp", heading_ + row(1));
  EXPECT_TRUE(read().has_value());
  EXPECT_EQ(rows_.size(), 1u);
}

TEST_F(TcpFiles, NeedsIpv4) {
  write("tcp6", heading_);
  EXPECT_FALSE(read().has_value());
}

// Rows lie across the ends of the reader's buffer in every way.
TEST_F(TcpFiles, NoRowIsLostBetweenTwoReads) {
  std::string text = heading_;
  for (unsigned port = 0; port < 65536; ++port) text += row(port);
  write("tcp", text);
  ASSERT_TRUE(read().has_value());
  ASSERT_EQ(rows_.size(), 65536u);
  for (unsigned port = 0; port < 65536; ++port) EXPECT_EQ(rows_[port].tuple.local.port, port);
}

TEST_F(TcpFiles, SaysThatLinesWereNotUnderstood) {
  write("tcp", heading_ + row(1) + "   2: rubbish\n" + row(3));
  const auto done = read();
  ASSERT_FALSE(done.has_value());
  EXPECT_NE(done.error().message.find("1 line not understood"), std::string::npos);
  EXPECT_EQ(rows_.size(), 2u);
}

TEST_F(TcpFiles, SaysThatTheFileEndedWithinALine) {
  const std::string last = row(2);
  write("tcp", heading_ + row(1) + last.substr(0, last.size() - 20));
  EXPECT_FALSE(read().has_value());
  EXPECT_EQ(rows_.size(), 1u);
}

TEST_F(TcpFiles, AnEndlessLineCostsNoMemoryAndHidesNoOther) {
  write("tcp", heading_ + row(1) + std::string(300'000, 'x') + "\n" + row(2));
  EXPECT_FALSE(read().has_value());
  ASSERT_EQ(rows_.size(), 2u);
  EXPECT_EQ(rows_[1].tuple.local.port, 2);
}

}  // namespace
}  // namespace lastack
