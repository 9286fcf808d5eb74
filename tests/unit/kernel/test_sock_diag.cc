// The walk over a sock_diag dump: what rows say, and that no bytes whatever break it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <cstring>
#include <vector>

#include "kernel/sock_diag.h"

namespace lastack {
namespace {

constexpr std::uint32_t kSequence = 7;

std::vector<std::byte> message(std::uint16_t type, const void* payload, std::size_t size,
                               std::uint16_t flags = NLM_F_MULTI,
                               std::uint32_t sequence = kSequence) {
  std::vector<std::byte> out(NLMSG_ALIGN(NLMSG_HDRLEN + size));
  const nlmsghdr header{static_cast<std::uint32_t>(NLMSG_HDRLEN + size), type, flags, sequence, 0};
  std::memcpy(out.data(), &header, sizeof header);
  if (size > 0) std::memcpy(out.data() + NLMSG_HDRLEN, payload, size);
  return out;
}

inet_diag_msg socket_row(std::uint8_t state, std::uint8_t timer) {
  inet_diag_msg m{};
  m.idiag_family = AF_INET;
  m.idiag_state = state;
  m.idiag_timer = timer;
  m.id.idiag_sport = htons(40000);
  m.id.idiag_dport = htons(3306);
  m.id.idiag_src[0] = htonl(0x0a000001);
  m.id.idiag_dst[0] = htonl(0x0a000002);
  m.id.idiag_cookie[0] = 0x11;
  m.id.idiag_cookie[1] = 0x22;
  m.idiag_expires = 45'000;
  m.idiag_inode = 4711;
  return m;
}

std::vector<std::byte> done() {
  const std::int32_t zero = 0;
  return message(NLMSG_DONE, &zero, sizeof zero);
}

void append(std::vector<std::byte>& to, const std::vector<std::byte>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

TEST(SockDiag, a_time_wait_row_says_what_remains) {
  const inet_diag_msg m = socket_row(6, 3);
  std::vector<std::byte> bytes = message(SOCK_DIAG_BY_FAMILY, &m, sizeof m);
  append(bytes, done());
  std::vector<DiagRow> rows;
  const DiagParse parsed = parse_diag(bytes, kSequence, [&](const DiagRow& r) {
    rows.push_back(r);
    return true;
  });
  EXPECT_EQ(parsed.status, DiagStatus::Done);
  ASSERT_EQ(rows.size(), 1U);
  const SocketRecord& s = rows[0].socket;
  EXPECT_EQ(s.tuple.to_string(), "10.0.0.1:40000 -> 10.0.0.2:3306");
  EXPECT_EQ(s.state, TcpState::TimeWait);
  EXPECT_TRUE(s.compact);
  EXPECT_EQ(s.timer_remaining, 45s);
  EXPECT_EQ(s.cookie, 0x2200000011U);
}

TEST(SockDiag, a_small_fin_wait_2_record_is_told_from_a_socket_by_its_timer) {
  for (const int timer : {2, 3}) {
    const inet_diag_msg m = socket_row(5, static_cast<std::uint8_t>(timer));
    bool compact = false;
    parse_diag(message(SOCK_DIAG_BY_FAMILY, &m, sizeof m), kSequence, [&](const DiagRow& r) {
      EXPECT_EQ(r.socket.state, TcpState::FinWait2);
      compact = r.socket.compact;
      return true;
    });
    EXPECT_EQ(compact, timer == 3);
  }
}

TEST(SockDiag, rows_of_another_dump_are_passed_over) {
  const inet_diag_msg m = socket_row(1, 0);
  int rows = 0;
  const auto bytes = message(SOCK_DIAG_BY_FAMILY, &m, sizeof m, NLM_F_MULTI, kSequence + 1);
  const DiagParse parsed = parse_diag(bytes, kSequence, [&](const DiagRow&) { return ++rows > 0; });
  EXPECT_EQ(rows, 0);
  EXPECT_EQ(parsed.status, DiagStatus::More);
}

TEST(SockDiag, an_interrupted_dump_is_noticed) {
  const inet_diag_msg m = socket_row(1, 0);
  std::vector<std::byte> bytes =
      message(SOCK_DIAG_BY_FAMILY, &m, sizeof m, NLM_F_MULTI | NLM_F_DUMP_INTR);
  append(bytes, done());
  EXPECT_TRUE(parse_diag(bytes, kSequence, [](const DiagRow&) { return true; }).interrupted);
}

TEST(SockDiag, errors_of_the_kernel_are_errors) {
  struct {
    std::int32_t error;
    nlmsghdr request;
  } refused{-EPERM, {}};
  const DiagParse parsed = parse_diag(message(NLMSG_ERROR, &refused, sizeof refused), kSequence,
                                      [](const DiagRow&) { return true; });
  EXPECT_EQ(parsed.status, DiagStatus::Failed);
  EXPECT_EQ(parsed.error, EPERM);

  const std::int32_t failed = -ENOMEM;
  const DiagParse at_the_end = parse_diag(message(NLMSG_DONE, &failed, sizeof failed), kSequence,
                                          [](const DiagRow&) { return true; });
  EXPECT_EQ(at_the_end.status, DiagStatus::Failed);
  EXPECT_EQ(at_the_end.error, ENOMEM);
}

TEST(SockDiag, every_truncation_ends_without_a_row_too_many) {
  const inet_diag_msg m = socket_row(1, 0);
  std::vector<std::byte> bytes = message(SOCK_DIAG_BY_FAMILY, &m, sizeof m);
  append(bytes, done());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::byte> cut(bytes.begin(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(size));
    int rows = 0;
    const DiagParse parsed = parse_diag(cut, kSequence, [&](const DiagRow&) { return ++rows > 0; });
    EXPECT_LE(rows, 1);
    EXPECT_NE(parsed.status, DiagStatus::Done) << size;
  }
}

TEST(SockDiag, lengths_that_lie_are_refused) {
  const inet_diag_msg m = socket_row(1, 0);
  for (const std::uint32_t length : {0U, 1U, 15U, 0x7fffffffU, 0xffffffffU}) {
    std::vector<std::byte> bytes = message(SOCK_DIAG_BY_FAMILY, &m, sizeof m);
    std::memcpy(bytes.data(), &length, sizeof length);
    const DiagParse parsed = parse_diag(bytes, kSequence, [](const DiagRow&) { return true; });
    EXPECT_EQ(parsed.status, DiagStatus::Failed) << length;
    EXPECT_EQ(parsed.error, EBADMSG);
  }
}

TEST(SockDiag, attributes_that_lie_are_left_alone) {
  const inet_diag_msg m = socket_row(1, 0);
  for (const int length : {0, 3, 4, 5, 200, 65535}) {
    std::vector<std::byte> payload(sizeof m + 8);
    std::memcpy(payload.data(), &m, sizeof m);
    const nlattr attribute{static_cast<std::uint16_t>(length), INET_DIAG_INFO};
    std::memcpy(payload.data() + sizeof m, &attribute, sizeof attribute);
    int rows = 0;
    parse_diag(message(SOCK_DIAG_BY_FAMILY, payload.data(), payload.size()), kSequence,
               [&](const DiagRow& r) {
                 EXPECT_FALSE(r.has_details);
                 return ++rows > 0;
               });
    EXPECT_EQ(rows, 1);
  }
}

TEST(SockDiag, a_row_of_an_unknown_state_or_family_is_no_row) {
  for (const bool state : {true, false}) {
    inet_diag_msg m = socket_row(static_cast<std::uint8_t>(state ? 99 : 1), 0);
    if (!state) m.idiag_family = AF_UNIX;
    int rows = 0;
    parse_diag(message(SOCK_DIAG_BY_FAMILY, &m, sizeof m), kSequence,
               [&](const DiagRow&) { return ++rows > 0; });
    EXPECT_EQ(rows, 0);
  }
}

TEST(SockDiag, a_visitor_that_has_enough_stops_the_walk) {
  const inet_diag_msg m = socket_row(1, 0);
  std::vector<std::byte> bytes = message(SOCK_DIAG_BY_FAMILY, &m, sizeof m);
  append(bytes, bytes);
  int rows = 0;
  const DiagParse parsed = parse_diag(bytes, kSequence, [&](const DiagRow&) {
    ++rows;
    return false;
  });
  EXPECT_EQ(parsed.status, DiagStatus::Stopped);
  EXPECT_EQ(rows, 1);
}

}  // namespace
}  // namespace lastack
