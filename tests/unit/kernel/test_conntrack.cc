#include "kernel/conntrack.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include <cerrno>
#include <cstring>

namespace lastack {
namespace {

using Bytes = std::vector<std::byte>;
constexpr std::uint32_t kSequence = 7;
constexpr std::uint16_t kEntry = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;

template <class T>
void put(Bytes& to, const T& value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  to.insert(to.end(), from, from + sizeof value);
}

Bytes attribute(std::uint16_t type, const Bytes& payload) {
  Bytes bytes;
  put(bytes, nlattr{static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()), type});
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  bytes.resize((bytes.size() + 3) & ~std::size_t{3});
  return bytes;
}

Bytes message(std::uint16_t type, const Bytes& payload, std::uint16_t flags = NLM_F_MULTI,
              std::uint32_t sequence = kSequence) {
  Bytes bytes;
  put(bytes, nlmsghdr{static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()), type, flags,
                      sequence, 0});
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  bytes.resize((bytes.size() + 3) & ~std::size_t{3});
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// As the kernel writes them: tuples and other attributes first, nested ones flagged.
Bytes tcp_entry(std::uint8_t state, std::uint16_t flags = NLM_F_MULTI) {
  Bytes payload;
  put(payload, nfgenmsg{2, NFNETLINK_V0, 0});
  const Bytes filling(20, std::byte{0x55});
  payload = payload + attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, filling) +
            attribute(CTA_TIMEOUT, Bytes(4)) +
            attribute(CTA_PROTOINFO | NLA_F_NESTED,
                      attribute(CTA_PROTOINFO_TCP | NLA_F_NESTED,
                                attribute(CTA_PROTOINFO_TCP_STATE, {std::byte{state}}) +
                                    attribute(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, {std::byte{7}}))) +
            attribute(CTA_ID, Bytes(4));
  return message(kEntry, payload, flags);
}

Bytes udp_entry() {
  Bytes payload;
  put(payload, nfgenmsg{2, NFNETLINK_V0, 0});
  return message(kEntry, payload + attribute(CTA_TIMEOUT, Bytes(4)));
}

Bytes number(std::int32_t value) {
  Bytes bytes;
  put(bytes, value);
  return bytes;
}

TEST(CtnetlinkWalk, CountsEntriesAndThoseInTimeWait) {
  CtDump dump;
  EXPECT_TRUE(
      walk_ctnetlink(tcp_entry(7) + tcp_entry(3) + udp_entry() + tcp_entry(7), kSequence, dump));
  EXPECT_EQ(dump.entries, 4u);
  EXPECT_EQ(dump.time_wait, 2u);
  EXPECT_FALSE(dump.done);
  EXPECT_TRUE(walk_ctnetlink(tcp_entry(7) + message(NLMSG_DONE, number(0)), kSequence, dump));
  EXPECT_EQ(dump.entries, 5u);
  EXPECT_EQ(dump.time_wait, 3u);
  EXPECT_TRUE(dump.done);
  EXPECT_FALSE(dump.interrupted);
  EXPECT_EQ(dump.error, 0);
}

TEST(CtnetlinkWalk, SaysThatTheTableChanged) {
  CtDump dump;
  EXPECT_TRUE(walk_ctnetlink(tcp_entry(7, NLM_F_MULTI | NLM_F_DUMP_INTR), kSequence, dump));
  EXPECT_TRUE(dump.interrupted);
}

TEST(CtnetlinkWalk, PassesOnTheKernelsRefusal) {
  CtDump dump;
  EXPECT_TRUE(walk_ctnetlink(message(NLMSG_ERROR, number(-EPERM) + Bytes(16)), kSequence, dump));
  EXPECT_EQ(dump.error, EPERM);
  CtDump late;
  EXPECT_TRUE(walk_ctnetlink(message(NLMSG_DONE, number(-EINTR)), kSequence, late));
  EXPECT_EQ(late.error, EINTR);
  CtDump absurd;
  EXPECT_TRUE(walk_ctnetlink(message(NLMSG_ERROR, number(INT32_MIN)), kSequence, absurd));
  EXPECT_GT(absurd.error, 0);
}

TEST(CtnetlinkWalk, AnswersToOthersAreNotCounted) {
  CtDump dump;
  Bytes other = tcp_entry(7);
  auto* header = reinterpret_cast<nlmsghdr*>(other.data());
  header->nlmsg_seq = kSequence + 1;
  EXPECT_TRUE(walk_ctnetlink(other + message(NLMSG_DONE, number(0), 0, 0), kSequence, dump));
  EXPECT_EQ(dump.entries, 0u);
  EXPECT_FALSE(dump.done);
}

TEST(CtnetlinkWalk, LengthsThatLieEndTheWalk) {
  for (const std::uint32_t length : {0u, 1u, 15u, 1'000'000u, UINT32_MAX}) {
    Bytes bytes = tcp_entry(7) + tcp_entry(7);
    std::memcpy(bytes.data() + tcp_entry(7).size(), &length, sizeof length);
    CtDump dump;
    EXPECT_FALSE(walk_ctnetlink(bytes, kSequence, dump)) << length;
    EXPECT_EQ(dump.time_wait, 1u) << length;
  }
  // An attribute's length: no state is found, the entry still counts.
  const std::size_t first_attribute = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  for (const int length : {0, 3, 60'000}) {
    Bytes bytes = tcp_entry(7);
    const auto lie = static_cast<std::uint16_t>(length);
    std::memcpy(bytes.data() + first_attribute, &lie, sizeof lie);
    CtDump dump;
    EXPECT_TRUE(walk_ctnetlink(bytes, kSequence, dump));
    EXPECT_EQ(dump.entries, 1u);
    EXPECT_EQ(dump.time_wait, 0u);
  }
}

TEST(CtnetlinkWalk, CutAndSpoiltBytesAreSurvived) {
  const Bytes bytes = tcp_entry(7) + udp_entry() + message(NLMSG_DONE, number(0));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const Bytes exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    CtDump dump;
    walk_ctnetlink(exact, kSequence, dump);
    EXPECT_LE(dump.time_wait, 1u);
    EXPECT_FALSE(dump.done && length + 4 < bytes.size());
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int value : {0, 1, 4, 127, 255}) {
      Bytes spoilt = bytes;
      spoilt[i] = static_cast<std::byte>(value);
      CtDump dump;
      walk_ctnetlink(spoilt, kSequence, dump);
      EXPECT_LE(dump.entries, 2u);
    }
  }
}

TEST(CtnetlinkWalk, BytesNeedNoAlignment) {
  const Bytes bytes = tcp_entry(7) + message(NLMSG_DONE, number(0));
  for (std::size_t shift = 0; shift < 4; ++shift) {
    Bytes moved(shift);
    moved = moved + bytes;
    CtDump dump;
    EXPECT_TRUE(walk_ctnetlink(std::span(moved).subspan(shift), kSequence, dump));
    EXPECT_EQ(dump.time_wait, 1u);
    EXPECT_TRUE(dump.done);
  }
}

TEST(ReadConntrack, NothingWithoutTheTracker) {
  std::vector<NotRead> not_read;
  EXPECT_FALSE(read_conntrack(1000, not_read, "/nonexistent").has_value());
  EXPECT_TRUE(not_read.empty());
}

}  // namespace
}  // namespace lastack
