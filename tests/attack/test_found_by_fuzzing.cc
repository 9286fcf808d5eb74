// What the fuzzers and the swarm have found, one by one.
#include "attack/forger.h"
#include "tcp/receive.h"

namespace lastack::test {
namespace {

using namespace tcp_flag;

// An IPv6 packet with an address that means IPv4 had a source of one family and a destination of the other.
TEST(Found, AMappedAddressIsNoAddressOfAPacket) {
  Bytes packet(40 + 20);
  const IpAddress us = *IpAddress::parse("fd00::1");
  write_ip(packet.data(), {.source = *IpAddress::parse("fd00::2"), .destination = us}, 20);
  const auto mapped = IpAddress::v4(0x0a000001).bytes();
  std::memcpy(packet.data() + 8, mapped.data(), mapped.size());
  EXPECT_EQ(parse_ip(packet).error(), WireError::MappedAddress);
}

// An MSS of 1 and a shorter path: the MSS less the timestamps went below zero.
TEST(Found, APathThatShrinksDoesNotUndercutTheLeastMss) {
  World w;
  const SocketId listener = w.listen(80);
  const Endpoint self{kServerAddress, 80}, peer{IpAddress::v4(0x0a000077), 5555};
  TcpSegment syn = with(kSyn, SeqNum(1));
  syn.options.mss = 1;
  syn.options.timestamps = Timestamps{100, 0};
  w.server.receive(forged(peer, self, syn), w.now);
  const ConnectionTable& table = HostAudit::impl(w.server).connections;
  const Connection& c = table[table.find({self, peer})];
  TcpSegment ack = with(kAck, SeqNum(2), c.snd_nxt);
  ack.options.timestamps = Timestamps{101, 0};
  w.server.receive(forged(peer, self, ack), w.now);
  w.server.receive(forged_icmp(self, peer, 3, 4, c.snd_una, 600), w.now);
  EXPECT_EQ(c.mss, 48);
  EXPECT_LE(send_mss(c), 48u);
  const auto s = w.server.accept(listener);
  ASSERT_TRUE(s);
  EXPECT_TRUE(w.server.write(*s, Bytes(5000, std::byte{1}), w.now));
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
}

// RFC 9293, 3.10.7.4: after the FIN the text of a segment is ignored. It was read.
TEST(Found, NothingComesAfterTheFin) {
  Target t;
  const Connection& c = t.at_server();
  t.w.server.receive(
      forged(t.client, t.server, with(kAck | kFin, c.rcv_nxt, c.snd_nxt), bytes_of("last")),
      t.w.now);
  ASSERT_EQ(t.w.server.state(t.pair.server), TcpState::CloseWait);
  const SeqNum end = c.rcv_nxt;
  t.w.server.receive(forged(t.client, t.server, with(kAck, end, c.snd_nxt), bytes_of("more")),
                     t.w.now);
  EXPECT_EQ(c.rcv_nxt, end);
  EXPECT_EQ(t.w.server.unread(t.pair.server), 4u);
}

// A FIN beyond a gap, and data beyond that: when the gap closed the FIN was jumped over.
TEST(Found, AFinBeyondAGapEndsTheStreamWhateverComesBehindIt) {
  Target t;
  const Connection& c = t.at_server();
  const SeqNum first = c.rcv_nxt;
  const auto send = [&](std::uint16_t flags, std::uint32_t at, const std::string& text) {
    t.w.server.receive(
        forged(t.client, t.server, with(flags, first + at, c.snd_nxt), bytes_of(text)), t.w.now);
  };
  send(kAck | kFin, 2, "cd");
  send(kAck, 4, "efgh");
  send(kAck, 1, "bcdef");
  EXPECT_EQ(HostAudit::check(t.w.server, t.w.now), "");
  send(kAck, 0, "ab");
  EXPECT_EQ(t.w.server.state(t.pair.server), TcpState::CloseWait);
  EXPECT_EQ(t.w.server.unread(t.pair.server), 4u);
  EXPECT_EQ(c.rcv_nxt, first + 5);
}

// The ACK of the FIN came with a FIN that lay beyond a gap: an orphan waited in FIN_WAIT_2 without a limit.
TEST(Found, FinWait2WithAFinBeyondAGapHasItsLimit) {
  Target t;
  // Closed only afterwards: a FIN beyond a gap that comes after close() draws a RST.
  ASSERT_TRUE(t.w.server.shutdown(t.pair.server, ShutdownHow::Write, t.w.now));
  const ConnectionTable& table = HostAudit::impl(t.w.server).connections;
  const Connection& c = table[table.find({t.server, t.client})];
  t.w.server.receive(forged(t.client, t.server, with(kAck | kFin, c.rcv_nxt + 10, c.snd_nxt)),
                     t.w.now);
  discard(t.w.server);
  ASSERT_EQ(c.state, TcpState::FinWait2);
  ASSERT_TRUE(t.w.server.close(t.pair.server, t.w.now));
  t.w.fault = [](const Bytes&, std::size_t) { return std::vector<Duration>{}; };
  EXPECT_EQ(t.w.server.connections() + t.w.server.time_waits(), 1u);
  t.w.run_for(200s);
  EXPECT_EQ(t.w.server.connections() + t.w.server.time_waits(), 0u);
}

// IP_BIND_ADDRESS_NO_PORT leaves the port to connect(): a listener without one was none, and worse.
TEST(Found, AListenerHasAPortWhateverTheOption) {
  World w;
  const SocketId s = *w.server.open();
  ASSERT_TRUE(w.server.set_option(s, Option::bind_address_no_port, 1, w.now));
  ASSERT_TRUE(w.server.bind(s, {kServerAddress, 0}));
  ASSERT_TRUE(w.server.listen(s, 4));
  EXPECT_NE(w.server.local(s)->port, 0);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
}

// A keep-alive is a segment without data below the window: it was reported as an empty duplicate (RFC 2883).
TEST(Found, AKeepAliveIsNoDuplicate) {
  Target t;
  t.w.capture = true;
  t.w.server.receive(
      forged(t.client, t.server, with(kAck, t.at_server().rcv_nxt - 1, t.at_server().snd_nxt)),
      t.w.now);
  t.w.run_for(1ms);
  ASSERT_FALSE(t.w.sent.empty());
  EXPECT_EQ(segment_of(t.w.sent.back().second).options.sack_count, 0);
}

// tcp_keepalive_time 0: each time-out set the next for the same moment, and the clock stood still.
TEST(Found, KeepAliveAfterNoTimeAtAllLetsTimePass) {
  Target t;
  ASSERT_TRUE(t.w.server.set("tcp_keepalive_time", "0"));
  ASSERT_TRUE(t.w.server.set_option(t.pair.server, Option::keep_alive, 1, t.w.now));
  const Instant begun = t.w.now;
  t.w.run_for(10s);
  EXPECT_GE(t.w.now - begun, 10s);
  EXPECT_GE(t.w.server.counters().TCPKeepAlive, 1u);
  EXPECT_TRUE(t.open());
}

}  // namespace
}  // namespace lastack::test
