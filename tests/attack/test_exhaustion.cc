// Peers that make a connection costly, and the limits of a host: reassembly, tiny segments, SACK, windows that never
// open, orphans, memory, descriptors.
#include <set>

#include "attack/forger.h"

namespace lastack::test {
namespace {

using namespace tcp_flag;

// SegmentSmack (CVE-2018-5390): one byte in two, as far as the window goes.
TEST(Reassembly, PiecesAreBounded) {
  Target t;
  ASSERT_TRUE(t.w.server.set("tcp_rmem", "4096 1048576 6291456"));
  const Connection& c = t.at_server();
  const SeqNum first = c.rcv_nxt;
  for (std::uint32_t i = 0; i < 30'000; ++i) {
    t.w.server.receive(
        forged(t.client, t.server, with(kAck, first + 1 + 2 * i, c.snd_nxt), bytes_of("x")),
        t.w.now);
    discard(t.w.server);
  }
  ASSERT_TRUE(c.gaps);
  EXPECT_LE(c.gaps->size(), 4096u);
  EXPECT_EQ(HostAudit::check(t.w.server, t.w.now), "");
  // The stream itself goes on.
  const Bytes data(20'000, std::byte{'x'});
  EXPECT_EQ(t.w.client.write(t.pair.client, data, t.w.now), data.size());
  t.w.run_for(2s);
  EXPECT_GE(*t.w.server.unread(t.pair.server), data.size());
}

// CVE-2019-11478: a peer that takes only tiny segments would have a note kept of every few bytes.
TEST(TinySegments, TheScoreboardIsBounded) {
  Target t;
  World& w = t.w;
  const Endpoint self{kServerAddress, 80};
  const Endpoint peer{IpAddress::v4(0x0a000077), 5555};
  TcpSegment syn = with(kSyn, SeqNum(1));
  syn.options.mss = 1;  // and less is not to be had
  syn.options.sack_permitted = true;
  syn.options.window_scale = 14;
  w.server.receive(forged(peer, self, syn), w.now);
  discard(w.server);
  const ConnectionTable& table = HostAudit::impl(w.server).connections;
  const auto index = table.find({self, peer});
  ASSERT_NE(index, ConnectionTable::kNone);
  const Connection& c = table[index];
  w.server.receive(forged(peer, self, with(kAck, SeqNum(2), c.snd_nxt)), w.now);
  const auto s = w.server.accept(t.listener);
  ASSERT_TRUE(s);
  EXPECT_GE(send_mss(c), 8u);
  EXPECT_LE(c.mss, 48u);
  const Bytes data(1 << 20, std::byte{1});
  std::uint32_t most = 0;
  const auto round = [&](const TcpSegment& ack) {
    w.server.write(*s, data, w.now);
    discard(w.server);
    w.server.receive(forged(peer, self, ack), w.now);
    discard(w.server);
    w.now += 1ms;
    w.server.advance(w.now);
    discard(w.server);
    most = std::max(most, c.sent.size());
    EXPECT_EQ(HostAudit::check(w.server, w.now), "");
  };
  // First the peer has the congestion window grow, then it keeps the first segment waiting for ever and tells of all
  // that comes after it by SACK.
  TcpSegment ack = with(kAck, SeqNum(2));
  for (int i = 0; i < 40 && !HasFailure(); ++i) {
    ack.ack = c.snd_nxt;
    round(ack);
  }
  for (int i = 0; i < 100 && !HasFailure(); ++i) {
    ack.ack = c.snd_una;
    ack.options.sack_count = 1;
    ack.options.sack[0] = {c.snd_una + c.mss, c.snd_nxt};
    round(ack);
  }
  // The largest buffer is 4 MiB; twice that, and something, in pieces that count for a kilobyte each.
  EXPECT_LE(most, 9000u);
  EXPECT_GT(most, 1000u) << "nothing was tried";
}

// CVE-2019-11477: SACK blocks that cut super-segments to pieces, again and again.
TEST(Sack, BlocksAtEveryPlaceKeepTheCounts) {
  World w({.name = "client", .seed = 1}, {.name = "server", .seed = 2, .gso_max_size = 65536});
  EXPECT_TRUE(w.server.set("tcp_timestamps", "0"));
  const SocketId listener = w.listen(80);
  const Endpoint self{kServerAddress, 80};
  const Endpoint peer{IpAddress::v4(0x0a000077), 5555};
  TcpSegment syn = with(kSyn, SeqNum(1));
  syn.options.mss = 48;
  syn.options.sack_permitted = true;
  syn.options.window_scale = 10;
  w.server.receive(forged(peer, self, syn), w.now);
  discard(w.server);
  const ConnectionTable& table = HostAudit::impl(w.server).connections;
  const auto index = table.find({self, peer});
  ASSERT_NE(index, ConnectionTable::kNone);
  const Connection& c = table[index];
  w.server.receive(forged(peer, self, with(kAck, SeqNum(2), c.snd_nxt)), w.now);
  const auto s = w.server.accept(listener);
  ASSERT_TRUE(s);
  std::mt19937_64 random(9);
  for (int round = 0; round < 5000; ++round) {
    if (round % 10 == 0) w.server.write(*s, Bytes(60'000, std::byte{2}), w.now);
    TcpSegment ack = with(kAck, SeqNum(2), c.snd_una);
    const auto out = static_cast<std::uint32_t>(c.snd_nxt - c.snd_una);
    if (random() % 8 == 0 && out > 0)
      ack.ack = c.snd_una + static_cast<std::uint32_t>(random() % out);
    ack.options.sack_count = 4;
    for (SackBlock& b : ack.options.sack) {
      const auto left = static_cast<std::uint32_t>(random() % (out + 2));
      b = {c.snd_una + left, c.snd_una + left + static_cast<std::uint32_t>(random() % 200)};
    }
    w.server.receive(forged(peer, self, ack), w.now);
    discard(w.server);
    if (round % 20 == 0) {
      w.now += 50ms;
      w.server.advance(w.now);
      discard(w.server);
    }
    ASSERT_EQ(HostAudit::check(w.server, w.now), "") << round;
    if (w.server.state(*s) == TcpState::Closed) break;
  }
}

// ACKs of what has not arrived make the window grow, but no further than what was sent; ACKs of what was not sent
// are challenged.
TEST(OptimisticAcks, OfWhatWasNotSentCountForNothing) {
  Target t;
  const Connection& c = t.at_server();
  const std::uint32_t before = c.congestion.cwnd;
  for (std::uint32_t i = 1; i < 5000; ++i) {
    t.w.server.receive(forged(t.client, t.server, with(kAck, c.rcv_nxt, c.snd_nxt + i * 1460)),
                       t.w.now);
    discard(t.w.server);
  }
  EXPECT_EQ(c.congestion.cwnd, before);
  EXPECT_TRUE(t.open());
  // Divided ACKs (one for each byte) grow it no faster than whole ones.
  EXPECT_TRUE(t.w.server.write(t.pair.server, Bytes(1460, std::byte{1}), t.w.now));
  discard(t.w.server);
  for (std::uint32_t i = 1; i <= 1460; ++i) {
    t.w.server.receive(forged(t.client, t.server, with(kAck, c.rcv_nxt, c.snd_una + 1)), t.w.now);
    discard(t.w.server);
  }
  EXPECT_LE(c.congestion.cwnd, before + 1);
}

// A peer that never opens its window keeps an orphan for as long as it answers; there are not many such.
TEST(ZeroWindow, OrphansAreBounded) {
  World w;
  ASSERT_TRUE(w.server.set("tcp_max_orphans", "10"));
  const SocketId listener = w.listen(80, 200);
  const Endpoint self{kServerAddress, 80};
  for (std::uint32_t i = 0; i < 60; ++i) {
    const Endpoint peer{IpAddress::v4(0x0a000077), static_cast<Port>(5000 + i)};
    w.server.receive(forged(peer, self, with(kSyn, SeqNum(1), {}, 0)), w.now);
    const ConnectionTable& table = HostAudit::impl(w.server).connections;
    const auto index = table.find({self, peer});
    ASSERT_NE(index, ConnectionTable::kNone);
    w.server.receive(forged(peer, self, with(kAck, SeqNum(2), table[index].snd_nxt, 0)), w.now);
    const auto s = w.server.accept(listener);
    ASSERT_TRUE(s);
    EXPECT_TRUE(w.server.write(*s, Bytes(100, std::byte{1}), w.now));
    EXPECT_TRUE(w.server.close(*s, w.now));
    discard(w.server);
  }
  EXPECT_EQ(w.server.snapshot(w.now).namespaces[0].totals.orphan, 10u);
  EXPECT_EQ(w.server.counters().TCPAbortOnMemory, 50u);
  // Those that are left probe, and give up where nobody answers.
  w.run_for(30min);
  EXPECT_EQ(w.server.connections(), 0u);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
}

TEST(Limits, MemoryOfAllConnectionsTogether) {
  World w;
  constexpr std::uint64_t kMost = 500;  // pages: 2 MiB
  ASSERT_TRUE(w.server.set("tcp_mem", "200 400 500"));
  EXPECT_FALSE(w.server.set("tcp_mem", "1 2"));
  const SocketId listener = w.listen(80, 200);
  std::vector<World::Pair> pairs;
  for (int i = 0; i < 100; ++i) pairs.push_back(w.connect(listener, 80));
  const Bytes data(100'000, std::byte{3});
  for (int round = 0; round < 20; ++round) {
    for (const World::Pair& pair : pairs) w.client.write(pair.client, data, w.now);
    w.run_for(200ms);
    // Nobody reads. What arrives in order at an empty buffer is always taken, so that everybody can go on.
    const HostSnapshot now = w.server.snapshot(w.now);
    EXPECT_LE(now.namespaces[0].totals.mem_pages, kMost + 2 * pairs.size());
    EXPECT_EQ(now.tcp_mem_pages[2], kMost);
    ASSERT_EQ(HostAudit::check(w.server, w.now), "");
  }
  EXPECT_GT(w.server.counters().TCPMemoryPressures, 0u);
  // All is read in the end.
  std::size_t sent = 0, read = 0;
  for (const World::Pair& pair : pairs) {
    sent += static_cast<std::size_t>(HostAudit::connection(w.client, pair.client)->write_seq -
                                     HostAudit::connection(w.client, pair.client)->iss) -
            1;
  }
  Bytes buffer(1 << 16);
  for (int round = 0; round < 4000 && read < sent; ++round) {
    for (const World::Pair& pair : pairs) {
      while (const auto n = w.server.read(pair.server, buffer, w.now)) {
        if (*n == 0) break;
        read += *n;
      }
    }
    w.run_for(100ms);
  }
  EXPECT_EQ(read, sent);
  w.run_for(10s);
  EXPECT_EQ(w.server.snapshot(w.now).namespaces[0].totals.mem_pages, 0u);
}

TEST(Limits, DescriptorsAreOfferedBackWhenClosed) {
  World w({.name = "client", .seed = 1}, {.name = "server", .seed = 2, .most_sockets = 4});
  const SocketId listener = w.listen(80, 10);
  std::vector<SocketId> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(w.dial(80));
  w.run_for(50ms);
  std::vector<SocketId> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(*w.server.accept(listener));
  for (int i = 0; i < 1000; ++i) {
    const auto more = w.server.accept(listener);
    ASSERT_FALSE(more);
    ASSERT_EQ(more.error(), Err::too_many_files);
  }
  // Who could not be accepted waits, and is not lost.
  ASSERT_TRUE(w.server.close(servers[0], w.now));
  EXPECT_TRUE(w.server.accept(listener));
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
}

// A number is not given out again, though all of them are of one place.
TEST(Limits, AnOldNumberNamesNothing) {
  Host host;
  std::set<SocketId> old;
  for (int i = 0; i < 100'000; ++i) {
    const SocketId s = *host.open();
    ASSERT_EQ(socket_slot(s), 0u);
    ASSERT_TRUE(host.close(s, Instant{}));
    ASSERT_FALSE(host.state(s));
    ASSERT_TRUE(old.insert(s).second) << i;
  }
}

// A listener whose user never accepts: what it holds is bounded by its backlog, whoever comes.
TEST(Listener, ThatIsNeverServed) {
  World w;
  const SocketId listener = w.listen(80, 8);
  for (int i = 0; i < 200; ++i) w.dial(80);
  w.run_for(400s);
  EXPECT_LE(HostAudit::impl(w.server).connections.live(), 8u + 1 + 8 + 1);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
  ASSERT_TRUE(w.server.close(listener, w.now));
  w.run_for(100s);
  EXPECT_EQ(HostAudit::impl(w.server).connections.live(), 0u);
}

}  // namespace
}  // namespace lastack::test
