// Facts 1 to 14 of docs/linux-facts.md, each a test with its number, on the running kernel: entering
// TIME_WAIT, FIN_WAIT_2 and orphans, and segments that meet the small record.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <string>

#include "kernel/linux_facts.h"
#include "kernel/proc_net.h"

namespace lastack::facts {
namespace {

// By how much a counter has risen since this was made.
class CounterWatch {
 public:
  std::uint64_t rise(const std::string& name) const {
    const auto now = counters();
    const auto found = now.find("TcpExt:" + name);
    return found == now.end() ? 0 : found->second - before_.at("TcpExt:" + name);
  }
  bool has(const std::string& name) const { return before_.contains("TcpExt:" + name); }

 private:
  std::map<std::string, std::uint64_t> before_ = counters();
};

void set_timeout(const UniqueFd& fd) {
  const timeval patience{10, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

// The peer has closed, and this side has not: it is in FIN_WAIT_2 with no process.
Pair orphan_in_fin_wait_2(const UniqueFd& at) {
  Pair pair = connect_pair(at);
  pair.client.reset();
  char byte;
  EXPECT_EQ(recv(pair.server.get(), &byte, 1, 0), 0);
  return pair;
}

TEST(LinuxFacts, F01_only_the_side_that_closes_first_enters_time_wait) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    client_closes_first(pair);
    EXPECT_EQ(state_of(pair.from_client), TcpState::TimeWait);
    EXPECT_EQ(state_of(pair.from_server), std::nullopt) << "LAST_ACK goes to CLOSED";
    pair = connect_pair(at);
    server_closes_first(pair);
    EXPECT_EQ(state_of(pair.from_server), TcpState::TimeWait);
    EXPECT_EQ(state_of(pair.from_client), std::nullopt);
  });
}

TEST(LinuxFacts, F01_closing_leads_to_time_wait_too) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    // A socket connected to itself closes both ends at once: FIN_WAIT_1, CLOSING, TIME_WAIT.
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Endpoint self{kA, 41000};
    const SocketAddress address = socket_address(self);
    ASSERT_EQ(bind(fd.get(), address.get(), address.length), 0);
    ASSERT_EQ(connect(fd.get(), address.get(), address.length), 0);
    fd.reset();
    EXPECT_TRUE(await([&] { return in_time_wait({self, self}); }));
  });
}

TEST(LinuxFacts, F02_the_record_is_refused_at_tcp_max_tw_buckets) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_max_tw_buckets", "5"}}), [] {
    const UniqueFd at = listener();
    const CounterWatch watch;
    const auto resets = counters()["Tcp:OutRsts"];
    for (std::size_t i = 0; i < 8; ++i) {
      Pair pair = connect_pair(at);
      ASSERT_EQ(shutdown(pair.client.get(), SHUT_WR), 0);
      ASSERT_TRUE(await([&] { return state_of(pair.from_client) == TcpState::FinWait2; }));
      pair.server.reset();
      ASSERT_TRUE(await([&] {
        return i < 5 ? in_time_wait(pair.from_client) : !state_of(pair.from_client);
      })) << "connection "
          << i;
    }
    EXPECT_EQ(rows(diag_states::kTimeWait).size(), 5u);
    EXPECT_EQ(watch.rise("TCPTimeWaitOverflow"), 3u);
    EXPECT_EQ(watch.rise("TW"), 5u);
    EXPECT_EQ(counters()["Tcp:OutRsts"], resets) << "nobody is told";
  });
}

TEST(LinuxFacts, F02_an_orphan_in_fin_wait_2_is_refused_as_well) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_max_tw_buckets", "1"}}), [] {
    const UniqueFd at = listener();
    const CounterWatch watch;
    const Pair kept = orphan_in_fin_wait_2(at);
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(kept.from_client); }));
    const Pair refused = orphan_in_fin_wait_2(at);
    EXPECT_TRUE(await([&] { return !state_of(refused.from_client); }));
    EXPECT_EQ(watch.rise("TCPTimeWaitOverflow"), 1u);
  });
}

TEST(LinuxFacts, F03_time_wait_begins_with_60_s_whatever_tcp_fin_timeout) {
  if (access("/proc/sys/net/ipv4/tcp_tw_timeout", F_OK) == 0) {
    GTEST_SKIP() << "a vendor's kernel, with tcp_tw_timeout";
  }
  for (const char* fin_timeout : {"60", "5", "200"}) {
    RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_fin_timeout", fin_timeout}}), [&] {
      const UniqueFd at = listener();
      Pair pair = connect_pair(at);
      const Instant before = monotonic_now();
      client_closes_first(pair);
      const auto row = row_of(pair.from_client);
      const Duration passed = monotonic_now() - before;
      ASSERT_TRUE(row);
      EXPECT_LE(row->socket.timer_remaining, 60s);
      // Slack of a timer's tick, 10 ms at the slowest.
      EXPECT_GE(row->socket.timer_remaining + passed, 60s - 10ms) << "with " << fin_timeout;
    });
  }
}

TEST(LinuxFacts, F03_time_wait_lasts_60_s) {
  if (!long_tests()) GTEST_SKIP() << "takes 65 s: LASTACK_LONG_TESTS=1";
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    alarm(120);
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    client_closes_first(pair);
    const Instant closed = monotonic_now();
    EXPECT_TRUE(await([&] { return !in_time_wait(pair.from_client); }, 100s));
    const double lasted = seconds(monotonic_now() - closed);
    EXPECT_GE(lasted, 59.9);
    RecordProperty("lasted_s", std::to_string(lasted));
    std::printf("TIME_WAIT lasted %.1f s\n", lasted);
  });
}

TEST(LinuxFacts, F04_an_orphan_in_fin_wait_2_is_a_small_record) {
  for (const int timeout : {3, 30}) {
    RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_fin_timeout", std::to_string(timeout)}}), [&] {
      const UniqueFd at = listener();
      const CounterWatch watch;
      const Pair pair = orphan_in_fin_wait_2(at);
      ASSERT_TRUE(await([&] { return is_small_fin_wait_2(pair.from_client); }));
      // Counted at first arming: TWKilled up to 4 s, TW beyond. Nothing was killed.
      EXPECT_EQ(watch.rise("TWKilled"), timeout == 3 ? 1u : 0u);
      EXPECT_EQ(watch.rise("TW"), timeout == 3 ? 0u : 1u);
    });
  }
}

TEST(LinuxFacts, F05_sockstats_tw_includes_fin_wait_2_records) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair ended = connect_pair(at);
    client_closes_first(ended);
    const Pair waiting = orphan_in_fin_wait_2(at);
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(waiting.from_client); }));
    const auto text = read_file("/proc/self/net/sockstat", 65536);
    ASSERT_TRUE(text);
    SocketTotals totals;
    ASSERT_TRUE(parse_sockstat(*text, totals));
    EXPECT_EQ(totals.tw, 2u);
  });
}

TEST(LinuxFacts, F06_tcp_fin_timeout_takes_any_number_and_tcp_linger2_is_bounded) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    for (const char* value : {"0", "-5", "100000", "60"}) {
      EXPECT_TRUE(write_sysctl({"net.ipv4.tcp_fin_timeout", value})) << value;
      EXPECT_EQ(read_sysctl("net.ipv4.tcp_fin_timeout").value_or(""), value);
    }
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int asked = 500;
    ASSERT_EQ(setsockopt(fd.get(), IPPROTO_TCP, TCP_LINGER2, &asked, sizeof asked), 0);
    int got = 0;
    socklen_t length = sizeof got;
    ASSERT_EQ(getsockopt(fd.get(), IPPROTO_TCP, TCP_LINGER2, &got, &length), 0);
    EXPECT_EQ(got, 120);
  });
}

TEST(LinuxFacts, F07_a_second_above_60_shortens_fin_wait_2) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_fin_timeout", "61"}}), [] {
    const UniqueFd at = listener();
    const Pair pair = orphan_in_fin_wait_2(at);
    ASSERT_TRUE(state_of(pair.from_client));
    // One second as a full socket, one more as a small record.
    EXPECT_TRUE(await([&] { return !state_of(pair.from_client); }, 30s)) << "gone long before 60 s";
  });
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_fin_timeout", "60"}}), [] {
    const UniqueFd at = listener();
    const Pair pair = orphan_in_fin_wait_2(at);
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(pair.from_client); }));
    EXPECT_GT(row_of(pair.from_client)->socket.timer_remaining, 40s);
  });
}

TEST(LinuxFacts, F08_fin_wait_2_with_the_socket_open_has_no_limit) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_fin_timeout", "1"}}), [] {
    const UniqueFd at = listener();
    const Pair half = connect_pair(at);
    ASSERT_EQ(shutdown(half.client.get(), SHUT_WR), 0);
    const Pair orphan = orphan_in_fin_wait_2(at);
    // Once the orphan is gone, the other has outlived the limit.
    ASSERT_TRUE(await([&] { return !state_of(orphan.from_client); }));
    usleep(1'500'000);
    EXPECT_EQ(state_of(half.from_client), TcpState::FinWait2);
    EXPECT_FALSE(is_small_fin_wait_2(half.from_client));
  });
}

TEST(LinuxFacts, F09_a_negative_tcp_linger2_resets) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    const int negative = -1;
    ASSERT_EQ(setsockopt(pair.client.get(), IPPROTO_TCP, TCP_LINGER2, &negative, sizeof negative),
              0);
    ASSERT_EQ(shutdown(pair.client.get(), SHUT_WR), 0);
    ASSERT_TRUE(await([&] { return state_of(pair.from_client) == TcpState::FinWait2; }));
    const CounterWatch watch;
    pair.client.reset();
    EXPECT_EQ(state_of(pair.from_client), std::nullopt);
    EXPECT_EQ(watch.rise("TCPAbortOnLinger"), 1u);
    EXPECT_TRUE(await([&] { return !state_of(pair.from_server); })) << "reset";
  });
}

TEST(LinuxFacts, F10_unread_data_at_close_resets) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    ASSERT_EQ(send(pair.server.get(), "x", 1, MSG_NOSIGNAL), 1);
    char byte;
    ASSERT_EQ(recv(pair.client.get(), &byte, 1, MSG_PEEK), 1);
    const CounterWatch watch;
    pair.client.reset();
    set_timeout(pair.server);
    EXPECT_EQ(recv(pair.server.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(watch.rise("TCPAbortOnClose"), 1u);
    EXPECT_TRUE(rows().empty()) << "no TIME_WAIT at either end";
  });
}

TEST(LinuxFacts, F10_so_linger_with_zero_time_resets) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    const linger zero{1, 0};
    ASSERT_EQ(setsockopt(pair.client.get(), SOL_SOCKET, SO_LINGER, &zero, sizeof zero), 0);
    const CounterWatch watch;
    pair.client.reset();
    char byte;
    set_timeout(pair.server);
    EXPECT_EQ(recv(pair.server.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(watch.rise("TCPAbortOnData"), 1u);
    EXPECT_TRUE(rows().empty());
  });
}

TEST(LinuxFacts, F11_data_for_an_orphan_in_fin_wait_2_is_reset) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    const Pair pair = orphan_in_fin_wait_2(at);
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(pair.from_client); }));
    ASSERT_EQ(send(pair.server.get(), "x", 1, MSG_NOSIGNAL), 1);
    EXPECT_TRUE(await([&] { return !state_of(pair.from_server); })) << "the sender was reset";
    EXPECT_EQ(state_of(pair.from_client), std::nullopt) << "and the record is gone";
  });
}

TEST(LinuxFacts, F11_a_reset_removes_the_record_and_the_fin_makes_it_time_wait) {
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_fin_timeout", "30"}}), [] {
    const UniqueFd at = listener();
    Pair reset = orphan_in_fin_wait_2(at);
    Pair finished = orphan_in_fin_wait_2(at);
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(finished.from_client); }));
    close_socket(std::move(reset.server), CloseHow::Reset);
    EXPECT_TRUE(await([&] { return !state_of(reset.from_client); }));
    const Instant before = monotonic_now();
    finished.server.reset();
    ASSERT_TRUE(await([&] { return in_time_wait(finished.from_client); }));
    const auto row = row_of(finished.from_client);
    ASSERT_TRUE(row);
    EXPECT_GE(row->socket.timer_remaining + (monotonic_now() - before), 60s - 10ms);
  });
}

TEST(LinuxFacts, F12_a_reset_ends_time_wait_unless_tcp_rfc1337) {
  for (const bool rfc1337 : {false, true}) {
    RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_rfc1337", rfc1337 ? "1" : "0"}}), [&] {
      const UniqueFd at = listener();
      Pair pair = connect_pair(at);
      const Sequence server = sequence_of(pair.server);
      client_closes_first(pair);
      // One out of place changes nothing.
      inject({.from = pair.from_server, .sequence = server.send + 100, .flags = kRst});
      EXPECT_TRUE(in_time_wait(pair.from_client));
      inject({.from = pair.from_server, .sequence = server.send + 1, .flags = kRst});
      EXPECT_EQ(in_time_wait(pair.from_client), rfc1337);
    });
  }
}

TEST(LinuxFacts, F12_an_empty_ack_begins_the_60_s_anew) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    const Sequence server = sequence_of(pair.server);
    const Sequence client = sequence_of(pair.client);
    client_closes_first(pair);
    ASSERT_TRUE(await([&] { return row_of(pair.from_client)->socket.timer_remaining < 59s; }));
    const Instant before = monotonic_now();
    inject({.from = pair.from_server,
            .sequence = server.send + 1,
            .acknowledges = client.send + 1,
            .flags = kAck});
    const auto row = row_of(pair.from_client);
    ASSERT_TRUE(row);
    EXPECT_GE(row->socket.timer_remaining + (monotonic_now() - before), 60s - 10ms);
  });
}

TEST(LinuxFacts, F13_a_listener_takes_the_syn_on_a_time_wait_four_tuple) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    const CounterWatch watch;
    std::uint32_t next = 0;
    for (int round = 0; round < 20; ++round) {
      Pair pair = connect_pair(at, {.port = 41000, .reuse_address = true});
      ASSERT_TRUE(pair.client);
      const Sequence server = sequence_of(pair.server);
      // What it would write next is one after its initial number.
      if (round > 0) {
        EXPECT_EQ(server.send, next + 65537 + 1) << "round " << round;
      }
      next = server.send + 1;  // after the FIN
      server_closes_first(pair);
    }
    EXPECT_EQ(watch.rise("TWRecycled"), 0u) << "nothing counts it";
  });
}

TEST(LinuxFacts, F14_old_timestamps_are_counted) {
  // The ACK that it draws meets no socket, since the segment is a forgery, and draws a RST in turn: with
  // tcp_rfc1337 that one changes nothing.
  RUN_IN_PRIVATE_NAMESPACE(place({{"net.ipv4.tcp_rfc1337", "1"}}), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    const Sequence server = sequence_of(pair.server);
    const std::uint32_t now = timestamp_of(pair.server);
    client_closes_first(pair);
    const CounterWatch watch;
    inject({.from = pair.from_server,
            .sequence = server.send + 1,
            .flags = kAck,
            .timestamp = now - 100'000});
    EXPECT_EQ(watch.rise(watch.has("PAWSTimewait") ? "PAWSTimewait" : "PAWSEstab"), 1u);
    EXPECT_TRUE(in_time_wait(pair.from_client));
  });
}

}  // namespace
}  // namespace lastack::facts
