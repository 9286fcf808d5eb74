// Floods: of SYNs, of connections left in TIME_WAIT, of segments for nobody. What they cost is bounded, and those who
// mean well get through.
#include "attack/forger.h"

namespace lastack::test {
namespace {

using namespace tcp_flag;

Endpoint stranger(std::uint32_t i) {
  return {IpAddress::v4(0xc0000000 + i / 50'000), static_cast<Port>(1024 + i % 50'000)};
}

TcpSegment a_syn(std::uint32_t i) {
  TcpSegment s = with(kSyn, SeqNum(i * 2654435761U));
  s.options.mss = 1460;
  return s;
}

TEST(SynFlood, WithCookiesEveryHonestClientGetsThrough) {
  World w;
  const SocketId listener = w.listen(80, 64);
  const Endpoint server{kServerAddress, 80};
  std::uint32_t sent = 0;
  int served = 0;
  for (int client = 0; client < 50; ++client) {
    for (int i = 0; i < 1000; ++i, ++sent) {
      w.server.receive(forged(stranger(sent), server, a_syn(sent)), w.now);
    }
    discard(w.server);
    const SocketId c = w.dial(80);
    w.run_for(20ms);
    if (w.client.state(c) != TcpState::Established) continue;
    const auto s = w.server.accept(listener);
    if (!s) continue;
    EXPECT_TRUE(w.client.write(c, bytes_of("hello"), w.now));
    w.run_for(20ms);
    if (w.server.unread(*s) == 5u) ++served;
    // Nothing is kept of a SYN that was answered with a cookie.
    EXPECT_LE(HostAudit::impl(w.server).connections.live(), 64u + 2 + 50) << client;
  }
  EXPECT_EQ(served, 50);
  EXPECT_GT(w.server.counters().SyncookiesSent, 45'000u);
}

TEST(SynFlood, WithoutCookiesMemoryIsBoundedAndItPasses) {
  World w;
  ASSERT_TRUE(w.server.set("tcp_syncookies", "0"));
  const SocketId listener = w.listen(80, 64);
  const Endpoint server{kServerAddress, 80};
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    w.server.receive(forged(stranger(i), server, a_syn(i)), w.now);
    discard(w.server);
  }
  EXPECT_LE(HostAudit::impl(w.server).connections.live(), 64u + 2);
  EXPECT_GT(w.server.counters().TCPReqQFullDrop, 49'000u);
  // Those half open are given up after their retransmissions, and then there is room again.
  w.run_for(120s);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
  const SocketId c = w.dial(80);
  w.run_for(100ms);
  EXPECT_EQ(w.client.state(c), TcpState::Established);
  EXPECT_TRUE(w.server.accept(listener));
}

// A cookie cannot be guessed: 24 bits and a minute, and only while one is out at all.
TEST(SynFlood, GuessedCookiesOpenNothing) {
  World w;
  w.listen(80, 4);
  const Endpoint server{kServerAddress, 80};
  std::mt19937_64 random(5);
  const auto guess = [&](std::uint32_t i) {
    w.server.receive(forged(stranger(i), server,
                            with(kAck, SeqNum(static_cast<std::uint32_t>(random())),
                                 SeqNum(static_cast<std::uint32_t>(random())))),
                     w.now);
    discard(w.server);
  };
  for (std::uint32_t i = 0; i < 20'000; ++i) guess(i);
  // None was sent: nobody looks.
  EXPECT_EQ(w.server.counters().SyncookiesFailed, 0u);
  for (std::uint32_t i = 0; i < 20; ++i) {
    w.server.receive(forged(stranger(i), server, a_syn(i)), w.now);
  }
  discard(w.server);
  for (std::uint32_t i = 100'000; i < 160'000; ++i) guess(i);
  EXPECT_EQ(w.server.counters().SyncookiesRecv, 0u);
  EXPECT_EQ(w.server.counters().SyncookiesFailed, 60'000u);
}

// A peer that has this host close first, again and again, fills the table and no more.
TEST(TimeWaitFlood, EndsAtTheLimit) {
  World w;
  ASSERT_TRUE(w.server.set("tcp_max_tw_buckets", "100"));
  const SocketId listener = w.listen(80);
  for (int i = 0; i < 400; ++i) {
    const auto [c, s] = w.connect(listener, 80);
    ASSERT_TRUE(w.server.close(s, w.now));
    w.run_for(5ms);
    ASSERT_TRUE(w.client.close(c, w.now));
    w.run_for(5ms);
  }
  EXPECT_EQ(w.server.time_waits(), 100u);
  // Some came again on a four-tuple that was in the table, and took its record over.
  EXPECT_EQ(w.server.counters().TW + w.server.counters().TCPTimeWaitOverflow, 400u);
  EXPECT_GT(w.server.counters().TCPTimeWaitOverflow, 250u);
  EXPECT_EQ(w.server.connections(), 0u);
  w.run_for(61s);
  EXPECT_EQ(w.server.time_waits(), 0u);
}

// A SYN on a TIME_WAIT is neither counted against the backlog nor answered with a cookie, since its number has to be
// above the old one. (The running kernel, 6.18, with a backlog of 8 and 400 such: 400 in SYN_RECEIVED, no cookie, no
// drop.) What bounds them is the number of records.
TEST(TimeWaitFlood, ReopenedOnesAreBoundedByTheRecords) {
  World w;
  ASSERT_TRUE(w.server.set("tcp_max_tw_buckets", "50"));
  const SocketId listener = w.listen(80, 8);
  const Endpoint self{kServerAddress, 80};
  const ConnectionTable& table = HostAudit::impl(w.server).connections;
  constexpr std::uint32_t kTried = 80;
  const auto peer = [](std::uint32_t i) {
    return Endpoint{IpAddress::v4(0x0a000077), static_cast<Port>(5000 + i)};
  };
  for (std::uint32_t i = 0; i < kTried; ++i) {
    w.server.receive(forged(peer(i), self, with(kSyn, SeqNum(1))), w.now);
    const auto index = table.find({self, peer(i)});
    ASSERT_NE(index, ConnectionTable::kNone);
    const SeqNum next = table[index].snd_nxt;
    w.server.receive(forged(peer(i), self, with(kAck, SeqNum(2), next)), w.now);
    const auto s = w.server.accept(listener);
    ASSERT_TRUE(s);
    ASSERT_TRUE(w.server.close(*s, w.now));
    w.server.receive(forged(peer(i), self, with(kFin | kAck, SeqNum(2), next + 1)), w.now);
    discard(w.server);
  }
  ASSERT_EQ(w.server.time_waits(), 50u);
  for (std::uint32_t i = 0; i < kTried; ++i) {
    w.server.receive(forged(peer(i), self, with(kSyn, SeqNum(500'000))), w.now);
    discard(w.server);
  }
  EXPECT_EQ(w.server.time_waits(), 0u);
  std::uint32_t half_open = 0;
  for (std::uint32_t i = 0; i < kTried; ++i) {
    if (table.find({self, peer(i)}) != ConnectionTable::kNone) ++half_open;
  }
  EXPECT_EQ(half_open, 50u) << "the others were answered with a cookie";
  EXPECT_EQ(w.server.counters().SyncookiesSent, kTried - 50);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
  w.run_for(300s);
  EXPECT_EQ(table.live(), 1u);
}

// Whoever knows the hash can make every look-up long. It is keyed: tuples that meet under one key do not under another.
TEST(HashFlood, CollisionsAreNotTransferable) {
  const SecretKey known{1, 2}, secret{3, 4};
  const auto slot = [](const SecretKey& key, const FourTuple& tuple) {
    return hash_tuple(key, tuple) & 1023;
  };
  std::vector<FourTuple> meet;
  for (std::uint32_t i = 0; meet.size() < 300; ++i) {
    const FourTuple tuple{{kServerAddress, 80}, stranger(i)};
    if (slot(known, tuple) == 0) meet.push_back(tuple);
  }
  std::map<std::uint64_t, int> slots;
  for (const FourTuple& tuple : meet) ++slots[slot(secret, tuple)];
  int most = 0;
  for (const auto& [at, n] : slots) most = std::max(most, n);
  EXPECT_LE(most, 6);
}

TEST(ClosedPort, AnswersOnceAtMostAndKeepsNothing) {
  World w;
  const Endpoint closed{kServerAddress, 81};
  std::size_t answers = 0;
  for (std::uint32_t i = 0; i < 30'000; ++i) {
    static constexpr std::array<std::uint16_t, 6> kFlags = {kAck, kFin | kAck, kSyn,
                                                            kRst, kRst | kAck, 0};
    const std::uint16_t flags = kFlags[i % 6];
    w.server.receive(forged(stranger(i), closed, with(flags, SeqNum(i), SeqNum(i * 7))), w.now);
    const std::size_t n = discard(w.server);
    EXPECT_EQ(n, (flags & kRst) != 0 ? 0u : 1u) << flags;
    answers += n;
  }
  EXPECT_EQ(answers, 20'000u);
  EXPECT_EQ(HostAudit::impl(w.server).connections.live(), 0u);
  // Nobody takes what is sent: the queue of packets is bounded as well.
  for (std::uint32_t i = 0; i < 400'000; ++i) {
    w.server.receive(forged(stranger(i), closed, with(kAck, SeqNum(i), SeqNum(i))), w.now);
  }
  EXPECT_GT(HostAudit::impl(w.server).out.dropped(), 0u);
}

// Two ends whose numbers have been driven apart must not answer each other for ever (RFC 5961, 10; Linux:
// tcp_invalid_ratelimit).
TEST(AckStorm, DiesOut) {
  Target t;
  // Data that the other never sent, to both: each acknowledges what the other does not know.
  const Bytes payload = bytes_of("forged");
  t.w.client.receive(
      forged(t.server, t.client, with(kAck, t.at_client().rcv_nxt, t.at_client().snd_nxt), payload),
      t.w.now);
  t.w.server.receive(
      forged(t.client, t.server, with(kAck, t.at_server().rcv_nxt, t.at_server().snd_nxt), payload),
      t.w.now);
  t.w.capture = true;
  t.w.run_for(10s);
  const std::size_t storm = t.w.sent.size();
  EXPECT_LE(storm, 45u) << "two a second and end";
  t.w.sent.clear();
  // Now with something to send, which is never acknowledged.
  EXPECT_TRUE(t.w.client.write(t.pair.client, bytes_of("x"), t.w.now));
  t.w.run_for(10s);
  EXPECT_LE(t.w.sent.size(), 100u);
}

}  // namespace
}  // namespace lastack::test
