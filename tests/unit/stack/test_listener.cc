// Listeners: queues, cookies, and who gets a SYN.
#include <set>

#include "attack/forger.h"

namespace lastack::test {
namespace {

TEST(Listener, AFullAcceptQueueHoldsTheHandshakeBack) {
  World w;
  // With cookies nothing would be kept of those that have to wait.
  ASSERT_TRUE(w.server.set("tcp_syncookies", "0"));
  const SocketId at = w.listen(80, 2);
  std::vector<SocketId> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(w.dial(80));
  w.run_for(100ms);
  EXPECT_GT(w.server.counters().ListenOverflows + w.server.counters().TCPReqQFullDrop, 0u);
  int accepted = 0;
  for (int round = 0; round < 20; ++round) {
    while (w.server.accept(at)) ++accepted;
    w.run_for(2s);
  }
  EXPECT_EQ(accepted, 6) << "they come through once there is room";
}

TEST(Listener, CookiesTakeOverWhenTheSynQueueIsFull) {
  World w;
  const SocketId at = w.listen(80, 8);
  // A flood of SYNs that nobody answers.
  for (std::uint32_t i = 0; i < 50; ++i) {
    TcpSegment syn;
    syn.source = static_cast<Port>(1024 + i);
    syn.destination = 80;
    syn.seq = SeqNum(i * 1000);
    syn.flags = tcp_flag::kSyn;
    syn.options.mss = 1460;
    Bytes packet(20 + header_length(syn.options));
    const IpAddress stranger = IpAddress::v4(0x0a000100 + i);
    write_ip(packet.data(), {.source = stranger, .destination = kServerAddress},
             packet.size() - 20);
    write_tcp_header(packet.data() + 20, syn);
    write_tcp_checksum(std::span(packet).subspan(20), stranger, kServerAddress);
    w.server.receive(packet, w.now);
  }
  EXPECT_GT(w.server.counters().SyncookiesSent, 0u);
  EXPECT_LE(w.server.connections(), 9u) << "nothing is kept for a cookie";
  const SocketId c = w.dial(80);
  w.run_for(50ms);
  EXPECT_EQ(w.client.state(c), TcpState::Established);
  const auto s = w.server.accept(at);
  ASSERT_TRUE(s);
  EXPECT_EQ(w.server.counters().SyncookiesRecv, 1u);
  // What was agreed upon came back in the timestamp.
  EXPECT_TRUE(w.server.info(*s, w.now)->sack);
  EXPECT_TRUE(w.server.info(*s, w.now)->window_scaling);
  const Bytes data = bytes_of("hello");
  EXPECT_EQ(w.client.write(c, data, w.now), data.size());
  w.run_for(50ms);
  Bytes buffer(16);
  EXPECT_EQ(w.server.read(*s, buffer, w.now), data.size());
}

TEST(Listener, ClosingItResetsWhoWaits) {
  World w;
  const SocketId at = w.listen(80);
  const SocketId c = w.dial(80);
  w.run_for(50ms);
  ASSERT_TRUE(w.server.close(at, w.now));
  w.run_for(50ms);
  Bytes buffer(4);
  const auto read = w.client.read(c, buffer, w.now);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), Err::connection_reset);
  EXPECT_EQ(w.server.connections(), 0u);
}

TEST(Listener, TheNearerAddressWins) {
  World w;
  const SocketId all = *w.server.open();
  ASSERT_TRUE(w.server.set_option(all, Option::reuse_port, 1, w.now));
  ASSERT_TRUE(w.server.bind(all, {IpAddress::v4(0), 80}));
  ASSERT_TRUE(w.server.listen(all, 8));
  const SocketId one = *w.server.open();
  ASSERT_TRUE(w.server.set_option(one, Option::reuse_port, 1, w.now));
  ASSERT_TRUE(w.server.bind(one, {kServerAddress, 80}));
  ASSERT_TRUE(w.server.listen(one, 8));
  w.dial(80);
  w.run_for(50ms);
  EXPECT_FALSE(w.server.accept(all));
  EXPECT_TRUE(w.server.accept(one));
}

// Of several at one address the four-tuple chooses: always the same one, all of them in the end, and none that is closed.
TEST(Listener, SeveralOfOneAddressShareWhatComes) {
  World w;
  constexpr std::size_t kListeners = 100;
  std::vector<SocketId> listeners;
  for (std::size_t i = 0; i < kListeners; ++i) {
    const SocketId s = *w.server.open();
    ASSERT_TRUE(w.server.set_option(s, Option::reuse_port, 1, w.now));
    ASSERT_TRUE(w.server.bind(s, {kServerAddress, 80}));
    ASSERT_TRUE(w.server.listen(s, 100));
    listeners.push_back(s);
  }
  const auto shake_hands = [&](std::uint32_t first, std::uint32_t n) {
    const ConnectionTable& table = HostAudit::impl(w.server).connections;
    for (std::uint32_t i = first; i < first + n; ++i) {
      const Endpoint self{kServerAddress, 80}, peer{IpAddress::v4(0x0a000100 + i), 5000};
      w.server.receive(forged(peer, self, with(tcp_flag::kSyn, SeqNum(1))), w.now);
      const auto index = table.find({self, peer});
      ASSERT_NE(index, ConnectionTable::kNone);
      w.server.receive(forged(peer, self, with(tcp_flag::kAck, SeqNum(2), table[index].snd_nxt)),
                       w.now);
      discard(w.server);
    }
  };
  const auto accepted = [&](SocketId at) {
    std::size_t n = 0;
    while (w.server.accept(at)) ++n;
    return n;
  };
  shake_hands(0, 2000);
  for (const SocketId s : listeners) EXPECT_GT(accepted(s), 0u);
  // The first, the last, and one between.
  for (const std::size_t i : {std::size_t{0}, kListeners / 2, kListeners - 1}) {
    ASSERT_TRUE(w.server.close(listeners[i], w.now));
    discard(w.server);
    listeners[i] = SocketId{};
  }
  shake_hands(2000, 2000);
  std::size_t all = 0;
  for (const SocketId s : listeners) {
    if (s == SocketId{}) continue;
    const std::size_t n = accepted(s);
    EXPECT_GT(n, 0u);
    all += n;
  }
  EXPECT_EQ(all, 2000u);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
}

TEST(Listener, OfBothFamiliesAndOfOne) {
  const IpAddress six = *IpAddress::parse("fd00::1"), any_six = *IpAddress::parse("::");
  const IpAddress peer_six = *IpAddress::parse("fd00::2");
  World w;
  w.server.add_address(six);
  std::map<Port, SocketId> at;
  const auto listen = [&](const IpAddress& address, Port port, bool v6_only) {
    const auto family = address.is_v4() ? Host::Family::V4 : Host::Family::V6;
    const SocketId s = *w.server.open(family);
    if (v6_only) {
      EXPECT_TRUE(w.server.set_option(s, Option::v6_only, 1, w.now));
    }
    EXPECT_TRUE(w.server.set_option(s, Option::reuse_port, 1, w.now));
    EXPECT_TRUE(w.server.bind(s, {address, port}));
    EXPECT_TRUE(w.server.listen(s, 8));
    return s;
  };
  // Whether a SYN to `port` of an address is answered by a SYN,ACK, and whose it is.
  const auto half_open = [&](SocketId s) {
    const Socket* socket = HostAudit::impl(w.server).find(s);
    return HostAudit::impl(w.server).listeners[socket->listener - 1]->half_open;
  };
  const auto syn = [&](bool v4, Port port, Port from) {
    const Endpoint peer{v4 ? kClientAddress : peer_six, from};
    w.server.receive(
        forged(peer, {v4 ? kServerAddress : six, port}, with(tcp_flag::kSyn, SeqNum(1))), w.now);
    discard(w.server);
  };
  const SocketId both = listen(any_six, 80, false);
  syn(true, 80, 1);
  syn(false, 80, 2);
  EXPECT_EQ(half_open(both), 2u);
  const SocketId only = listen(any_six, 81, true);
  syn(true, 81, 1);
  syn(false, 81, 2);
  EXPECT_EQ(half_open(only), 1u);
  // One of its own family before one for both.
  const SocketId four = listen(IpAddress::v4(0), 81, false);
  syn(true, 81, 3);
  syn(false, 81, 4);
  EXPECT_EQ(half_open(four), 1u);
  EXPECT_EQ(half_open(only), 2u);
  ASSERT_TRUE(w.server.close(four, w.now));
  discard(w.server);
  syn(true, 81, 5);
  EXPECT_EQ(half_open(only), 2u);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
}

// As many as there are ports, each with one half open: what listen(), a SYN and close() cost does not depend on the
// others, else this takes minutes.
TEST(Listener, ManyCostNoMoreThanFew) {
  World w;
  ASSERT_TRUE(w.server.set("ip_unprivileged_port_start", "0"));
  constexpr std::uint32_t kPorts = 60'000;
  std::vector<SocketId> listeners;
  for (std::uint32_t i = 1; i <= kPorts; ++i) listeners.push_back(w.listen(static_cast<Port>(i)));
  const auto syns = [&](std::uint32_t step) {
    for (std::uint32_t i = 1; i <= kPorts; i += step) {
      w.server.receive(forged({kClientAddress, 5000}, {kServerAddress, static_cast<Port>(i)},
                              with(tcp_flag::kSyn, SeqNum(1))),
                       w.now);
      discard(w.server);
    }
  };
  syns(1);
  EXPECT_EQ(w.server.connections(), kPorts);
  // A place that is free is taken again.
  for (std::uint32_t i = 1; i <= kPorts; i += 3) {
    ASSERT_TRUE(w.server.close(listeners[i - 1], w.now));
    listeners[i - 1] = w.listen(static_cast<Port>(i));
  }
  EXPECT_EQ(HostAudit::impl(w.server).listeners.size(), kPorts);
  EXPECT_EQ(w.server.connections(), kPorts * 2 / 3);
  syns(3);
  EXPECT_EQ(w.server.connections(), kPorts);
  for (const SocketId s : listeners) ASSERT_TRUE(w.server.close(s, w.now));
  EXPECT_EQ(w.server.connections(), 0u);
  EXPECT_EQ(HostAudit::check_empty(w.server), "");
}

}  // namespace
}  // namespace lastack::test
