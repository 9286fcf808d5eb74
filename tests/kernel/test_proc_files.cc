// What /proc says of sockets, counters, settings and conntrack, held against what the test made happen.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "kernel/conntrack.h"
#include "kernel/file.h"
#include "kernel/proc_net.h"
#include "kernel/proc_net_tcp.h"
#include "kernel/settings_read.h"
#include "kernel/system_limits.h"
#include "private_test.h"

namespace lastack {
namespace {

constexpr const char* kHere = "/proc/thread-self/net";

std::vector<SocketRecord> rows() {
  std::vector<SocketRecord> all;
  const auto done = for_each_tcp_row(kHere, [&](const SocketRecord& r) { all.push_back(r); });
  EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  return all;
}

std::uint64_t inode_of(const UniqueFd& fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd.get(), &status), 0);
  return status.st_ino;
}

Endpoint endpoint_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    return {IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  sockaddr_in6 in{};
  std::memcpy(&in, &address, sizeof in);
  IpAddress::Bytes bytes{};
  std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
  return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
}

sockaddr_storage address_of(const Endpoint& endpoint, int family) {
  sockaddr_storage address{};
  if (family == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    in.sin_addr.s_addr = htonl(endpoint.address.v4_value());
    std::memcpy(&address, &in, sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.bytes().data(), 16);
    std::memcpy(&address, &in, sizeof in);
  }
  return address;
}

Endpoint local_of(const UniqueFd& fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  return endpoint_of(address);
}

UniqueFd listen_on(int family, const Endpoint& endpoint, int backlog = 8) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = address_of(endpoint, family);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), backlog), 0);
  return fd;
}

UniqueFd connect_to(int family, const Endpoint& endpoint) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = address_of(endpoint, family);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0)
      << std::strerror(errno);
  return fd;
}

struct Pair {
  UniqueFd client;
  UniqueFd server;
  FourTuple tuple;  // as the client sees it
};

Pair connect_pair(int family, const UniqueFd& listener, const Endpoint& to) {
  Pair pair;
  pair.client = connect_to(family, to);
  pair.server = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(pair.server);
  pair.tuple = {local_of(pair.client), to};
  return pair;
}

FourTuple reversed(const FourTuple& tuple) {
  return {tuple.remote, tuple.local};
}

// Waits until the peer's FIN has arrived.
void wait_for_end(const UniqueFd& fd) {
  pollfd wait{fd.get(), POLLRDHUP, 0};
  EXPECT_EQ(::poll(&wait, 1, 5000), 1);
}

// The one row with this four-tuple, once it is in this state: packets on lo take a moment.
SocketRecord row_of(const FourTuple& tuple, TcpState state) {
  std::vector<SocketRecord> found;
  for (int i = 0; i < 500; ++i) {
    found = rows();
    std::erase_if(found, [&](const SocketRecord& r) { return r.tuple != tuple; });
    if (found.size() == 1 && found[0].state == state) return found[0];
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ADD_FAILURE() << tuple.to_string() << ": " << found.size() << " rows, state "
                << (found.empty() ? "none" : to_string(found[0].state)) << ", expected "
                << to_string(state);
  return {};
}

struct Family {
  const char* name;
  int family;
  IpAddress address;
};

class TcpRows : public ::testing::TestWithParam<Family> {};

TEST_P(TcpRows, AreThoseThatWereMade) {
  const Family& f = GetParam();
  RUN_IN_PRIVATE_NAMESPACE(
      {}, ([&] {
        ASSERT_TRUE(rows().empty());
        const UniqueFd listener = listen_on(f.family, {f.address, 0});
        const Endpoint service = local_of(listener);

        // Two that nobody has accepted.
        {
          const UniqueFd one = connect_to(f.family, service);
          const UniqueFd two = connect_to(f.family, service);
          const SocketRecord waiting =
              row_of(reversed({local_of(one), service}), TcpState::Established);
          EXPECT_EQ(waiting.inode, 0u);
          const auto all = rows();
          EXPECT_EQ(all.size(), 5u);
          const auto l = std::ranges::find(all, TcpState::Listen, &SocketRecord::state);
          ASSERT_NE(l, all.end());
          EXPECT_EQ(l->tuple.local, service);
          EXPECT_EQ(l->inode, inode_of(listener));
          EXPECT_EQ(l->receive_queue, 2u);
          EXPECT_EQ(l->uid, ::getuid());
        }
        const UniqueFd first(::accept(listener.get(), nullptr, nullptr));
        const UniqueFd second(::accept(listener.get(), nullptr, nullptr));

        // An established one, with five bytes that nobody reads.
        const Pair live = connect_pair(f.family, listener, service);
        ASSERT_EQ(::send(live.client.get(), "12345", 5, 0), 5);
        pollfd readable{live.server.get(), POLLIN, 0};
        ASSERT_EQ(::poll(&readable, 1, 5000), 1);
        const SocketRecord client = row_of(live.tuple, TcpState::Established);
        EXPECT_EQ(client.inode, inode_of(live.client));
        EXPECT_FALSE(client.compact);
        const SocketRecord server = row_of(reversed(live.tuple), TcpState::Established);
        EXPECT_EQ(server.inode, inode_of(live.server));
        EXPECT_EQ(server.receive_queue, 5u);

        // The client closes first: TIME_WAIT on its side.
        Pair closed = connect_pair(f.family, listener, service);
        closed.client.reset();
        wait_for_end(closed.server);
        closed.server.reset();
        const SocketRecord time_wait = row_of(closed.tuple, TcpState::TimeWait);
        EXPECT_TRUE(time_wait.compact);
        EXPECT_EQ(time_wait.timer, TimerKind::TimeWait);
        EXPECT_EQ(time_wait.inode, 0u);
        EXPECT_GT(time_wait.timer_remaining, 30s);
        EXPECT_LE(time_wait.timer_remaining, 61s);

        // The client is gone, the server has not closed: a small FIN_WAIT_2 record and a CLOSE_WAIT.
        Pair half = connect_pair(f.family, listener, service);
        half.client.reset();
        wait_for_end(half.server);
        const SocketRecord orphan = row_of(half.tuple, TcpState::FinWait2);
        EXPECT_TRUE(orphan.compact);
        EXPECT_EQ(orphan.inode, 0u);
        const SocketRecord close_wait = row_of(reversed(half.tuple), TcpState::CloseWait);
        EXPECT_EQ(close_wait.inode, inode_of(half.server));

        // Shut down only: a full socket in FIN_WAIT_2.
        const Pair shut = connect_pair(f.family, listener, service);
        ASSERT_EQ(::shutdown(shut.client.get(), SHUT_WR), 0);
        wait_for_end(shut.server);
        const SocketRecord full = row_of(shut.tuple, TcpState::FinWait2);
        EXPECT_FALSE(full.compact);
        EXPECT_EQ(full.inode, inode_of(shut.client));

        // The same through the counters of the namespace.
        Counters counters;
        SocketTotals totals;
        std::vector<NotRead> not_read;
        ASSERT_TRUE(read_counters(kHere, counters, totals, not_read));
        EXPECT_TRUE(not_read.empty());
        EXPECT_EQ(counters.ActiveOpens, 6u);
        EXPECT_EQ(counters.PassiveOpens, 6u);
        const auto all = rows();
        EXPECT_EQ(totals.tw, static_cast<std::uint64_t>(
                                 std::ranges::count(all, true, &SocketRecord::compact)));
      }));
}

INSTANTIATE_TEST_SUITE_P(Families, TcpRows,
                         ::testing::Values(Family{"IPv4", AF_INET, IpAddress::v4(0x7f000001)},
                                           Family{"IPv6", AF_INET6, *IpAddress::parse("::1")},
                                           Family{"IPv4ThroughAnIPv6Socket", AF_INET6,
                                                  *IpAddress::parse("::ffff:127.0.0.1")}),
                         [](const auto& param_info) { return std::string(param_info.param.name); });

TEST(TcpRowsOfAnother, AreReadThroughItsProcess) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    const Neighbour neighbour([] {
      ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
      static const UniqueFd listener = listen_on(AF_INET, {IpAddress::v4(0), 4711});
    });
    EXPECT_TRUE(rows().empty());
    std::vector<SocketRecord> theirs;
    const std::string proc_net = "/proc/" + std::to_string(neighbour.pid()) + "/net";
    ASSERT_TRUE(
        for_each_tcp_row(proc_net, [&](const auto& r) { theirs.push_back(r); }).has_value());
    ASSERT_EQ(theirs.size(), 1u);
    EXPECT_EQ(theirs[0].tuple.local.port, 4711);
    EXPECT_EQ(theirs[0].state, TcpState::Listen);
  });
}

TEST(TcpRowsOfAnother, NoSuchProcessIsAnError) {
  EXPECT_FALSE(for_each_tcp_row("/proc/2147483632/net", [](const auto&) {}).has_value());
}

TEST(SettingsOfANamespace, AllThatAreThereAreRead) {
  NamespaceOptions options;
  options.sysctls = {{"net.ipv4.tcp_tw_reuse", "1"},
                     {"net.ipv4.tcp_timestamps", "0"},
                     {"net.ipv4.tcp_fin_timeout", "-5"},  // not range-checked (linux-facts 6)
                     {"net.ipv4.ip_local_port_range", "1024 65535"}};
  RUN_IN_PRIVATE_NAMESPACE(options, [] {
    Settings settings;
    std::vector<NotRead> not_read;
    read_settings(settings, not_read);
    EXPECT_TRUE(not_read.empty());
    EXPECT_EQ(settings.tcp_tw_reuse, 1);
    EXPECT_EQ(settings.tcp_timestamps, 0);
    EXPECT_FALSE(settings.timestamps_on());
    EXPECT_EQ(settings.tcp_fin_timeout, -5);
    EXPECT_EQ(settings.ip_local_port_range, (PortRange{1024, 65535}));
    // What belongs to the whole host shows in the initial namespace only.
    EXPECT_FALSE(settings.tcp_max_orphans.has_value());
    HostSnapshot host;
    read_system(host);
    EXPECT_EQ(host.tcp_mem_pages, (std::array<std::uint64_t, 3>{}));
    EXPECT_TRUE(host.not_read.empty());
  });
}

// A list beyond a page: the kernel gives it to the first read() alone.
TEST(SettingsOfANamespace, ALongListOfReservedPorts) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    PortSet ports;
    for (unsigned p = 20'000; p < 40'000; p += 2) ports.insert(static_cast<Port>(p));
    const auto fd = open_file("/proc/sys/net/ipv4/ip_local_reserved_ports", O_WRONLY);
    ASSERT_TRUE(fd.has_value());
    const std::string text = ports.to_string();
    ASSERT_GT(text.size(), 50'000u);
    // Written in pieces that end between two ports; the kernel adds them up.
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = std::min(at + 3000, text.size());
      if (end < text.size()) end = text.rfind(',', end);
      const auto n = ::write(fd->get(), text.data() + at, end - at);
      ASSERT_EQ(n, static_cast<ssize_t>(end - at)) << std::strerror(errno);
      at = end < text.size() ? end + 1 : end;
    }
    Settings settings;
    std::vector<NotRead> not_read;
    read_settings(settings, not_read);
    EXPECT_TRUE(not_read.empty());
    EXPECT_EQ(settings.ip_local_reserved_ports.size(), 10'000u);
    EXPECT_EQ(settings.ip_local_reserved_ports, ports);
  });
}

// Netlink attributes, written by hand: an entry is put into conntrack's table without any packet.
class Attributes {
 public:
  template <class T>
  void put(std::uint16_t type, const T& value) {
    const std::size_t start = begin(type);
    append(value);
    end(start);
  }
  std::size_t begin(std::uint16_t type) {
    const std::size_t start = bytes_.size();
    append(nlattr{0, type});
    return start;
  }
  void end(std::size_t start) {
    const auto length = static_cast<std::uint16_t>(bytes_.size() - start);
    std::memcpy(bytes_.data() + start, &length, sizeof length);
    bytes_.resize((bytes_.size() + 3) & ~std::size_t{3});
  }
  template <class T>
  void append(const T& value) {
    const auto* from = reinterpret_cast<const char*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof value);
  }
  std::vector<char>& bytes() { return bytes_; }

 private:
  std::vector<char> bytes_;
};

void put_tuple(Attributes& a, std::uint16_t type, std::uint32_t source, std::uint32_t destination,
               Port source_port, Port destination_port) {
  const auto tuple = a.begin(type | NLA_F_NESTED);
  const auto ip = a.begin(CTA_TUPLE_IP | NLA_F_NESTED);
  a.put(CTA_IP_V4_SRC, htonl(source));
  a.put(CTA_IP_V4_DST, htonl(destination));
  a.end(ip);
  const auto proto = a.begin(CTA_TUPLE_PROTO | NLA_F_NESTED);
  a.put(CTA_PROTO_NUM, std::uint8_t{IPPROTO_TCP});
  a.put(CTA_PROTO_SRC_PORT, htons(source_port));
  a.put(CTA_PROTO_DST_PORT, htons(destination_port));
  a.end(proto);
  a.end(tuple);
}

// 0 or an errno.
int insert_entry(int netlink, Port port, std::uint8_t state) {
  Attributes a;
  nlmsghdr header{};
  header.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  header.nlmsg_seq = port;
  a.append(header);
  a.append(nfgenmsg{AF_INET, NFNETLINK_V0, 0});
  put_tuple(a, CTA_TUPLE_ORIG, 0x0a000001, 0x0a000002, port, 80);
  put_tuple(a, CTA_TUPLE_REPLY, 0x0a000002, 0x0a000001, 80, port);
  a.put(CTA_TIMEOUT, htonl(100));
  a.put(CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
  const auto info = a.begin(CTA_PROTOINFO | NLA_F_NESTED);
  const auto tcp = a.begin(CTA_PROTOINFO_TCP | NLA_F_NESTED);
  a.put(CTA_PROTOINFO_TCP_STATE, state);
  a.end(tcp);
  a.end(info);
  const auto length = static_cast<std::uint32_t>(a.bytes().size());
  std::memcpy(a.bytes().data(), &length, sizeof length);
  if (::send(netlink, a.bytes().data(), a.bytes().size(), 0) < 0) return errno;
  std::array<char, 4096> answer;
  const ssize_t n = ::recv(netlink, answer.data(), answer.size(), 0);
  if (n < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(int))) return EBADMSG;
  int error = 0;
  std::memcpy(&error, answer.data() + sizeof(nlmsghdr), sizeof error);
  return -error;
}

TEST(ConntrackOfANamespace, CountsItsEntriesAndThoseInTimeWait) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    std::vector<NotRead> not_read;
    if (::access("/proc/sys/net/netfilter/nf_conntrack_count", F_OK) != 0) {
      GTEST_SKIP() << "conntrack is not there, or shows only in the initial namespace";
    }
    EXPECT_FALSE(read_conntrack(1000, not_read).has_value());  // no entry yet
    const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!netlink) GTEST_SKIP() << "no netfilter socket: " << std::strerror(errno);
    constexpr std::uint8_t kEstablished = 3;
    constexpr std::uint8_t kTimeWait = 7;
    if (const int error = insert_entry(netlink.get(), 40'000, kTimeWait); error != 0) {
      GTEST_SKIP() << "conntrack takes no entry: " << std::strerror(error);
    }
    for (Port port = 40'001; port < 41'000; ++port) {
      ASSERT_EQ(insert_entry(netlink.get(), port, port % 10 == 0 ? kTimeWait : kEstablished), 0);
    }
    const auto conntrack = read_conntrack(1000, not_read);
    ASSERT_TRUE(conntrack.has_value());
    EXPECT_TRUE(not_read.empty());
    EXPECT_EQ(conntrack->count, 1000u);
    EXPECT_EQ(conntrack->time_wait, 100u);
    EXPECT_TRUE(conntrack->max.has_value());

    const auto not_walked = read_conntrack(999, not_read);
    ASSERT_TRUE(not_walked.has_value());
    EXPECT_EQ(not_walked->count, 1000u);
    EXPECT_FALSE(not_walked->time_wait.has_value());
    ASSERT_EQ(not_read.size(), 1u);
    EXPECT_EQ(not_read[0].what, "conntrack's entries in TIME_WAIT");
  });
}

}  // namespace
}  // namespace lastack
