// RFC 5961: somebody off the path guesses numbers. RST and SYN inside the window, data with any acknowledgement,
// and what challenge ACKs give away (CVE-2016-5696).
#include "attack/forger.h"

namespace lastack::test {
namespace {

using namespace tcp_flag;

// 3.2: of all RSTs only the one with exactly the next number counts; those inside the window are challenged.
TEST(BlindReset, InsideTheWindowIsNotEnough) {
  Target t;
  std::mt19937_64 random(1);
  const Connection& c = t.at_server();
  const std::uint32_t window = c.receive_window();
  ASSERT_GT(window, 10'000u);
  std::size_t answers = 0;
  for (int i = 0; i < 50'000; ++i) {
    const SeqNum seq = c.rcv_nxt + 1 + static_cast<std::uint32_t>(random() % (window - 1));
    t.w.server.receive(forged(t.client, t.server, with(kRst, seq)), t.w.now);
    answers += discard(t.w.server);
  }
  EXPECT_TRUE(t.open());
  // One in 500 ms, not 50,000.
  EXPECT_EQ(answers, 1u);
  EXPECT_EQ(t.w.server.counters().TCPChallengeACK, 1u);
  t.w.server.receive(forged(t.client, t.server, with(kRst, c.rcv_nxt)), t.w.now);
  EXPECT_EQ(t.w.server.state(t.pair.server), TcpState::Closed);
}

// What a blind RST is worth: with RFC 5961 one number in 2^32, without it the whole window.
TEST(BlindReset, TheChanceOfAGuess) {
  const auto killed = [](Profile profile) {
    std::mt19937_64 random(7);
    int hits = 0;
    World w({.name = "client", .profile = profile, .seed = 1},
            {.name = "server", .profile = profile, .seed = 2});
    const SocketId listener = w.listen(80);
    auto pair = w.connect(listener, 80);
    for (int i = 0; i < 200'000; ++i) {
      const Endpoint client = *w.client.local(pair.client), server = *w.server.local(pair.server);
      w.server.receive(
          forged(client, server, with(kRst, SeqNum(static_cast<std::uint32_t>(random())))), w.now);
      if (w.server.state(pair.server) == TcpState::Established) continue;
      ++hits;
      EXPECT_TRUE(w.client.abort(pair.client, w.now));
      EXPECT_TRUE(w.server.close(pair.server, w.now));
      w.run_for(10ms);
      pair = w.connect(listener, 80);
    }
    return hits;
  };
  EXPECT_EQ(killed(Profile::Linux), 0);
  // A window of some 64,000 in 2^32: one in 67,000 guesses.
  const int without = killed(Profile::Rfc793);
  EXPECT_GT(without, 0);
  EXPECT_LT(without, 15);
}

// 4.2: a SYN never resets.
TEST(BlindSyn, IsChallenged) {
  Target t;
  std::mt19937_64 random(2);
  std::size_t answers = 0;
  for (int i = 0; i < 20'000; ++i) {
    const SeqNum seq = (i % 2) != 0
                           ? t.at_server().rcv_nxt + static_cast<std::uint32_t>(random() % 60'000)
                           : SeqNum(static_cast<std::uint32_t>(random()));
    t.w.server.receive(forged(t.client, t.server, with(kSyn, seq)), t.w.now);
    answers += discard(t.w.server);
  }
  EXPECT_TRUE(t.open());
  EXPECT_EQ(answers, 1u);
}

// 5.2: data counts only with an acknowledgement from the last window: one in 2^32 / 65,535 or so.
TEST(BlindData, NeedsAnAcknowledgementOfTheLastWindow) {
  Target t;
  std::mt19937_64 random(3);
  const Bytes payload = bytes_of("evil");
  int taken = 0;
  constexpr int kTries = 120'000;
  for (int i = 0; i < kTries; ++i) {
    const Connection& c = t.at_server();
    const auto ack = SeqNum(static_cast<std::uint32_t>(random()));
    const std::size_t before = *t.w.server.unread(t.pair.server);
    t.w.server.receive(forged(t.client, t.server, with(kAck, c.rcv_nxt, ack), payload), t.w.now);
    if (*t.w.server.unread(t.pair.server) > before) ++taken;
    discard(t.w.server);
  }
  EXPECT_EQ(t.w.server.state(t.pair.server), TcpState::Established);
  // About 2 for a window of 65,535.
  EXPECT_LT(taken, 15);
  // And none without an ACK at all.
  const std::size_t before = *t.w.server.unread(t.pair.server);
  t.w.server.receive(forged(t.client, t.server, with(0, t.at_server().rcv_nxt), payload), t.w.now);
  EXPECT_EQ(*t.w.server.unread(t.pair.server), before);
}

// Timestamps are another 32 bits to guess.
TEST(BlindData, WithoutATimestampOfTheRightTimeIsDropped) {
  Target t(true);
  const Connection& c = t.at_server();
  TcpSegment s = with(kAck, c.rcv_nxt, c.snd_nxt);
  s.options.timestamps = Timestamps{c.ts_recent - 1000, 0};
  t.w.server.receive(forged(t.client, t.server, s, bytes_of("evil")), t.w.now);
  EXPECT_EQ(t.w.server.unread(t.pair.server), 0u);
  EXPECT_EQ(t.w.server.counters().PAWSEstab, 1u);
}

// CVE-2016-5696: what one connection is answered must not depend on another.
TEST(ChallengeAcks, OfOneConnectionSayNothingOfAnother) {
  World w;
  const SocketId listener = w.listen(80);
  const auto victim = w.connect(listener, 80);
  const auto own = w.connect(listener, 80);
  const auto challenge = [&](const World::Pair& pair) {
    const Connection& c = *HostAudit::connection(w.server, pair.server);
    w.server.receive(forged(c.tuple.remote, c.tuple.local, with(kRst, c.rcv_nxt + 1)), w.now);
    return discard(w.server);
  };
  for (int i = 0; i < 1000; ++i) challenge(victim);
  EXPECT_EQ(challenge(own), 1u);
}

// Where the host has a limit, how much of it is left is not for others to count.
TEST(ChallengeAcks, TheLimitOfTheHostIsNotTold) {
  std::map<std::size_t, int> seen;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    World w({.name = "client", .seed = seed}, {.name = "server", .seed = seed + 1000});
    ASSERT_TRUE(w.server.set("tcp_challenge_ack_limit", "40"));
    const SocketId listener = w.listen(80, 200);
    std::vector<World::Pair> pairs;
    for (int i = 0; i < 80; ++i) pairs.push_back(w.connect(listener, 80));
    std::size_t answers = 0;
    for (const World::Pair& pair : pairs) {
      const Connection& c = *HostAudit::connection(w.server, pair.server);
      w.server.receive(forged(c.tuple.remote, c.tuple.local, with(kRst, c.rcv_nxt + 1)), w.now);
      answers += discard(w.server);
    }
    EXPECT_GE(answers, 20u);
    EXPECT_LT(answers, 60u);
    ++seen[answers];
  }
  EXPECT_GT(seen.size(), 8u);
}

// RFC 1337: an old segment meets TIME_WAIT, is answered, and the answer draws a RST from the other end, which has
// forgotten. Only tcp_rfc1337 keeps the record.
TEST(TimeWaitAssassination, IsWhatRfc1337Prevents) {
  for (const bool rfc1337 : {false, true}) {
    Target t;
    ASSERT_TRUE(t.w.client.set("tcp_rfc1337", rfc1337 ? "1" : "0"));
    ASSERT_TRUE(t.w.client.close(t.pair.client, t.w.now));
    t.w.run_for(20ms);
    ASSERT_TRUE(t.w.server.close(t.pair.server, t.w.now));
    t.w.run_for(20ms);
    ASSERT_EQ(t.w.client.time_waits(), 1u);
    ASSERT_EQ(t.w.server.connections(), 0u);
    const auto record = HostAudit::impl(t.w.client).waits.find({t.client, t.server});
    ASSERT_TRUE(record);
    // An old duplicate of the server's.
    t.w.client.receive(forged(t.server, t.client, with(kAck, record->rcv_nxt - 5, record->snd_nxt),
                              bytes_of("old!")),
                       t.w.now);
    t.w.run_for(50ms);
    EXPECT_EQ(t.w.client.time_waits(), rfc1337 ? 1u : 0u);
  }
}

TEST(TimeWaitAssassination, BlindlyNeedsTheExactNumber) {
  Target t;
  ASSERT_TRUE(t.w.client.close(t.pair.client, t.w.now));
  t.w.run_for(20ms);
  ASSERT_TRUE(t.w.server.close(t.pair.server, t.w.now));
  t.w.run_for(20ms);
  const auto record = HostAudit::impl(t.w.client).waits.find({t.client, t.server});
  ASSERT_TRUE(record);
  for (std::uint32_t i = 1; i < 50'000; ++i) {
    t.w.client.receive(forged(t.server, t.client, with(kRst, record->rcv_nxt + i)), t.w.now);
    t.w.client.receive(forged(t.server, t.client, with(kRst, record->rcv_nxt - i)), t.w.now);
  }
  EXPECT_EQ(t.w.client.time_waits(), 1u);
  EXPECT_EQ(discard(t.w.client), 0u);
}

// RFC 5927: ICMP that a stranger has made up.
TEST(BlindIcmp, NeedsANumberThatIsOnItsWayAndEndsNothing) {
  Target t;
  std::mt19937_64 random(4);
  for (int i = 0; i < 20'000; ++i) {
    t.w.client.receive(forged_icmp(t.client, t.server, 3, static_cast<std::uint8_t>(random() % 16),
                                   SeqNum(static_cast<std::uint32_t>(random())), 68),
                       t.w.now);
  }
  EXPECT_TRUE(t.open());
  EXPECT_EQ(t.at_client().path_mtu, 1500);
  EXPECT_GT(t.w.client.counters().OutOfWindowIcmps, 19'000u);
  // Even one with the right number is only a hint (MUST-56).
  for (const std::uint8_t code : std::array<std::uint8_t, 5>{0, 1, 2, 3, 13}) {
    t.w.client.receive(forged_icmp(t.client, t.server, 3, code, t.at_client().snd_nxt), t.w.now);
  }
  EXPECT_TRUE(t.open());
  // No path is as narrow as an IPv4 header: it stops at 552, and data goes on.
  t.w.client.receive(forged_icmp(t.client, t.server, 3, 4, t.at_client().snd_una, 1), t.w.now);
  EXPECT_EQ(t.at_client().path_mtu, 552);
  const Bytes data(3000, std::byte{7});
  EXPECT_EQ(t.w.client.write(t.pair.client, data, t.w.now), data.size());
  t.w.run_for(500ms);
  EXPECT_EQ(t.w.server.unread(t.pair.server), data.size());
}

// ICMP of the other family is no ICMP: in IPv4 only protocol 1 is, though its contents be right.
TEST(BlindIcmp, OfTheOtherFamilyIsNotHeard) {
  for (const std::uint8_t protocol : {kProtocolIcmpV6, kProtocolIcmp}) {
    World w;
    const SocketId s = *w.client.open();
    EXPECT_FALSE(w.client.connect(s, {kServerAddress, 80}, w.now));
    discard(w.client);
    const Connection& c = *HostAudit::connection(w.client, s);
    Bytes error = forged_icmp(*w.client.local(s), {kServerAddress, 80}, 3, 3, c.iss);
    write_ip(error.data(),
             {.source = kServerAddress, .destination = kClientAddress, .protocol = protocol},
             error.size() - 20);
    w.client.receive(error, w.now);
    const bool heard = w.client.state(s) == TcpState::Closed;
    EXPECT_EQ(heard, protocol == kProtocolIcmp);
  }
}

// Nobody else has a loopback address, nor none or a group's; the others of 0/8 and of 240/4 are answered like any (each
// as the running kernel, 6.18, answers a SYN from a TUN device, with and without rp_filter; RFC 1122, 3.2.1.3).
TEST(ForgedSource, IsAnsweredWhereLinuxAnswersIt) {
  struct Case {
    const char* source;
    bool answered;
  };
  for (const Case& tried :
       {Case{"0.0.0.0", false}, Case{"0.0.0.1", true}, Case{"127.0.0.1", false},
        Case{"127.1.2.3", false}, Case{"192.0.2.9", true}, Case{"224.0.0.1", false},
        Case{"240.0.0.1", true}, Case{"255.255.255.254", true}, Case{"255.255.255.255", false}}) {
    World w;
    w.listen(80);
    for (const Port port : {Port{80}, Port{99}}) {
      w.server.receive(forged({*IpAddress::parse(tried.source), 5000}, {kServerAddress, port},
                              with(kSyn, SeqNum(1))),
                       w.now);
      EXPECT_EQ(discard(w.server), tried.answered ? 1u : 0u) << tried.source << " to " << port;
    }
  }
  World w;
  w.server.add_address(*IpAddress::parse("fd00::1"));
  const SocketId s = *w.server.open(Host::Family::V6);
  ASSERT_TRUE(w.server.bind(s, {*IpAddress::parse("::"), 80}));
  ASSERT_TRUE(w.server.listen(s, 10));
  for (const char* source : {"::1", "ff02::1", "fd00::2"}) {
    w.server.receive(forged({*IpAddress::parse(source), 5000}, {*IpAddress::parse("fd00::1"), 80},
                            with(kSyn, SeqNum(1))),
                     w.now);
    EXPECT_EQ(discard(w.server), std::string_view(source) == "fd00::2" ? 1u : 0u) << source;
  }
}

// A host that has a loopback address of its own may speak from it to another of its own.
TEST(ForgedSource, ALoopbackAddressOfItsOwnIsNone) {
  World w;
  w.server.add_address(*IpAddress::parse("127.0.0.1"));
  w.listen(80);
  w.server.receive(
      forged({*IpAddress::parse("127.0.0.1"), 5000}, {kServerAddress, 80}, with(kSyn, SeqNum(1))),
      w.now);
  EXPECT_EQ(discard(w.server), 1u);
}

}  // namespace
}  // namespace lastack::test
