// Listeners: queues, cookies, and who gets a SYN.
#include "unit/stack/world.h"

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

}  // namespace
}  // namespace lastack::test
