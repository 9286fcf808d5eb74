// "Reading it" of docs/linux-facts.md, on the running kernel: what sock_diag and tcp_info say of the ends of
// connections.
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <set>
#include <string>

#include "kernel/linux_facts.h"

#ifndef SOCK_DESTROY
#define SOCK_DESTROY 21
#endif

namespace lastack::facts {
namespace {

TEST(LinuxFacts, R1_a_time_wait_row_has_no_owner_and_its_remaining_time) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    const auto open = row_of(pair.from_client);
    ASSERT_TRUE(open);
    EXPECT_NE(open->socket.inode, 0u);
    client_closes_first(pair);
    const auto row = row_of(pair.from_client);
    ASSERT_TRUE(row);
    EXPECT_EQ(row->socket.inode, 0u);
    EXPECT_EQ(row->socket.uid, 0u);
    EXPECT_EQ(row->socket.timer, TimerKind::TimeWait);
    EXPECT_GT(row->socket.timer_remaining, 0s);
  });
}

TEST(LinuxFacts, R1_one_dump_tells_when_each_was_closed) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair first = connect_pair(at);
    client_closes_first(first);
    const Instant closed = monotonic_now();
    usleep(1'000'000);
    Pair second = connect_pair(at);
    client_closes_first(second);
    const Duration apart = monotonic_now() - closed;
    const auto older = row_of(first.from_client);
    const auto newer = row_of(second.from_client);
    ASSERT_TRUE(older && newer);
    // Two dumps, one after the other; the older record was read first.
    const Duration told = newer->socket.timer_remaining - older->socket.timer_remaining;
    EXPECT_GT(told, 0s);
    EXPECT_LE(told, apart + 20ms);
  });
}

TEST(LinuxFacts, R1_the_substate_is_shown) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    pair.client.reset();
    ASSERT_TRUE(await([&] { return is_small_fin_wait_2(pair.from_client); }));
    EXPECT_EQ(row_of(pair.from_client)->socket.timer, TimerKind::TimeWait);
  });
}

TEST(LinuxFacts, R2_the_cookie_survives_into_time_wait) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    for (int i = 0; i < 20; ++i) {
      Pair pair = connect_pair(at);
      const auto open = row_of(pair.from_client);  // a dump gives it one
      ASSERT_TRUE(open);
      ASSERT_NE(open->socket.cookie, 0u);
      client_closes_first(pair);
      const auto row = row_of(pair.from_client);
      ASSERT_TRUE(row);
      EXPECT_EQ(row->socket.cookie, open->socket.cookie);
    }
  });
}

TEST(LinuxFacts, R3_tcpi_last_ack_recv_bounds_the_age_of_close_wait) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    const Instant before = monotonic_now();
    pair.client.reset();
    ASSERT_TRUE(await([&] { return state_of(pair.from_server) == TcpState::CloseWait; }));
    usleep(300'000);
    tcp_info info{};
    socklen_t length = sizeof info;
    ASSERT_EQ(getsockopt(pair.server.get(), IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    const auto age = monotonic_now() - before;
    EXPECT_GE(info.tcpi_last_ack_recv, 290u);
    // From below: never older than it is, but for a tick.
    EXPECT_LE(std::chrono::milliseconds(info.tcpi_last_ack_recv), age + 10ms);
  });
}

TEST(LinuxFacts, R4_states_are_filtered_in_the_kernel) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair ended = connect_pair(at);
    client_closes_first(ended);
    const Pair open = connect_pair(at);
    EXPECT_EQ(rows(diag_states::kTimeWait).size(), 1u);
    EXPECT_EQ(rows(diag_states::kEstablished).size(), 2u);
    EXPECT_EQ(rows(diag_states::kListen).size(), 1u);
    EXPECT_EQ(rows().size(), 3u);
  });
}

// Asks the kernel to end a socket; gives the errno of its answer, 0 for success.
int destroy(const FourTuple& tuple) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DESTROY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message.request.sdiag_family = AF_INET;
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = ~0U;
  message.request.id.idiag_sport = htons(tuple.local.port);
  message.request.id.idiag_dport = htons(tuple.remote.port);
  message.request.id.idiag_src[0] = htonl(tuple.local.address.v4_value());
  message.request.id.idiag_dst[0] = htonl(tuple.remote.address.v4_value());
  message.request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  message.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (send(fd.get(), &message, sizeof message, 0) < 0) return errno;
  alignas(nlmsghdr) std::array<char, 1024> answer;
  if (recv(fd.get(), answer.data(), answer.size(), 0) < static_cast<ssize_t>(sizeof(nlmsghdr))) {
    return EIO;
  }
  nlmsghdr header;
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type != NLMSG_ERROR) return EPROTO;
  nlmsgerr told;
  std::memcpy(&told, answer.data() + NLMSG_HDRLEN, sizeof told);
  return -told.error;
}

TEST(LinuxFacts, R5_sock_destroy_removes_time_wait) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const UniqueFd at = listener();
    Pair pair = connect_pair(at);
    client_closes_first(pair);
    const int error = destroy(pair.from_client);
    if (error == EOPNOTSUPP) {
      EXPECT_TRUE(in_time_wait(pair.from_client));
      GTEST_SKIP() << "not on this kernel: EOPNOTSUPP";
    }
    EXPECT_EQ(error, 0) << std::strerror(error);
    EXPECT_EQ(state_of(pair.from_client), std::nullopt);
  });
}

TEST(LinuxFacts, R6_totals_of_the_namespace_and_of_the_host) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    // The limit of orphans is the host's: a namespace has no file for it.
    EXPECT_NE(access("/proc/sys/net/ipv4/tcp_max_orphans", W_OK), 0);
    EXPECT_EQ(access("/proc/sys/net/ipv4/tcp_max_tw_buckets", W_OK), 0);
  });
}

}  // namespace
}  // namespace lastack::facts
