// How connections end, seen from both sides: every path through the diagram of tcp/connection.h.
#include "unit/stack/world.h"

namespace lastack::test {
namespace {

TEST(Closing, TheSideThatClosesFirstIsLeftInTimeWait) {
  for (const bool client_first : {true, false}) {
    World w;
    const SocketId at = w.listen(80);
    auto [c, s] = w.connect(at, 80);
    Host& first = client_first ? w.client : w.server;
    Host& second = client_first ? w.server : w.client;
    const SocketId of_first = client_first ? c : s, of_second = client_first ? s : c;
    ASSERT_TRUE(first.close(of_first, w.now));
    w.run_for(100ms);
    EXPECT_EQ(second.state(of_second), TcpState::CloseWait);
    std::array<std::byte, 8> buffer;
    EXPECT_EQ(second.read(of_second, buffer, w.now), 0u) << "the end";
    ASSERT_TRUE(second.close(of_second, w.now));
    w.run_for(100ms);
    EXPECT_EQ(first.time_waits(), 1u);
    EXPECT_EQ(second.time_waits(), 0u) << "LAST_ACK ends in CLOSED";
    EXPECT_EQ(first.counters().TW, 1u);
    EXPECT_EQ(first.connections() + second.connections(), 0u);
    w.run_for(59s);
    EXPECT_EQ(first.time_waits(), 1u);
    w.run_for(1s);
    EXPECT_EQ(first.time_waits(), 0u);
  }
}

TEST(Closing, BothAtOnceMeetInClosing) {
  World w;
  const SocketId at = w.listen(80);
  auto [c, s] = w.connect(at, 80);
  ASSERT_TRUE(w.client.close(c, w.now));
  ASSERT_TRUE(w.server.close(s, w.now));
  w.run_for(100ms);
  EXPECT_EQ(w.client.time_waits(), 1u);
  EXPECT_EQ(w.server.time_waits(), 1u);
}

TEST(Closing, HalfClosedDataStillFlows) {
  World w;
  const SocketId at = w.listen(80);
  auto [c, s] = w.connect(at, 80);
  ASSERT_TRUE(w.client.shutdown(c, ShutdownHow::Write, w.now));
  w.run_for(50ms);
  EXPECT_EQ(w.client.state(c), TcpState::FinWait2);
  const Bytes data = bytes_of("still here");
  EXPECT_EQ(w.server.write(s, data, w.now), data.size());
  w.run_for(50ms);
  Bytes buffer(64);
  EXPECT_EQ(w.client.read(c, buffer, w.now), data.size());
  EXPECT_EQ(w.client.write(c, data, w.now).error(), Err::broken_pipe);
  // linux-facts 8: no limit while the socket is open.
  w.run_for(300s);
  EXPECT_EQ(w.client.state(c), TcpState::FinWait2);
}

TEST(Closing, UnreadDataResets) {
  World w;
  const SocketId at = w.listen(80);
  auto [c, s] = w.connect(at, 80);
  ASSERT_TRUE(w.server.write(s, bytes_of("x"), w.now));
  w.run_for(50ms);
  ASSERT_TRUE(w.client.close(c, w.now));
  w.run_for(50ms);
  EXPECT_EQ(w.client.counters().TCPAbortOnClose, 1u);
  std::array<std::byte, 8> buffer;
  EXPECT_EQ(w.server.read(s, buffer, w.now).error(), Err::connection_reset);
  EXPECT_EQ(w.client.time_waits() + w.server.time_waits(), 0u);
}

TEST(Closing, LingerZeroResets) {
  World w;
  const SocketId at = w.listen(80);
  auto [c, s] = w.connect(at, 80);
  ASSERT_TRUE(w.client.set_option(c, Option::linger, 0, w.now));
  ASSERT_TRUE(w.client.close(c, w.now));
  w.run_for(50ms);
  EXPECT_EQ(w.client.counters().TCPAbortOnData, 1u);
  std::array<std::byte, 8> buffer;
  EXPECT_EQ(w.server.read(s, buffer, w.now).error(), Err::connection_reset);
  EXPECT_EQ(w.client.time_waits() + w.server.time_waits(), 0u);
}

// linux-facts 4, 6, 7.
TEST(Closing, AnOrphanInFinWait2HasALimit) {
  struct Case {
    const char* timeout;
    Duration gone_after;
  };
  for (const Case& c : {Case{"3", 4s}, Case{"30", 31s}, Case{"61", 3s}, Case{"70", 22s}}) {
    World w;
    ASSERT_TRUE(w.client.set("tcp_fin_timeout", c.timeout));
    const SocketId at = w.listen(80);
    const auto pair = w.connect(at, 80);
    ASSERT_TRUE(w.client.close(pair.client, w.now));
    w.run_for(c.gone_after / 2);
    EXPECT_EQ(w.client.time_waits() + w.client.connections(), 1u) << c.timeout;
    w.run_for(c.gone_after / 2 + 1s);
    EXPECT_EQ(w.client.time_waits() + w.client.connections(), 0u) << c.timeout;
  }
}

TEST(Closing, AFullTableRefusesTheRecord) {
  World w;
  ASSERT_TRUE(w.client.set("tcp_max_tw_buckets", "5"));
  const SocketId at = w.listen(80);
  for (int i = 0; i < 8; ++i) {
    auto [c, s] = w.connect(at, 80);
    ASSERT_TRUE(w.client.close(c, w.now));
    w.run_for(20ms);
    ASSERT_TRUE(w.server.close(s, w.now));
    w.run_for(20ms);
  }
  EXPECT_EQ(w.client.time_waits(), 5u);
  EXPECT_EQ(w.client.counters().TCPTimeWaitOverflow, 3u);
  EXPECT_EQ(w.client.counters().TW, 5u);
}

// linux-facts 13: the listener takes the SYN on a four-tuple in TIME_WAIT, 65,537 on.
TEST(Closing, AServersRecordMakesRoomForTheSameClient) {
  World w;
  const SocketId at = w.listen(80);
  SeqNum last;
  for (int round = 0; round < 20; ++round) {
    w.sent.clear();
    w.capture = true;
    auto [c, s] = w.connect(at, 80, Port{40000});
    ASSERT_EQ(w.client.state(c), TcpState::Established) << round;
    for (const auto& [from, packet] : w.sent) {
      const TcpSegment segment = segment_of(packet);
      if (from == 1 && segment.syn()) {
        if (round > 0) {
          EXPECT_EQ(segment.seq, last + 65537);
        }
        last = segment.seq + 2;  // the SYN and the FIN
      }
    }
    ASSERT_TRUE(w.server.close(s, w.now));
    w.run_for(20ms);
    ASSERT_TRUE(w.client.close(c, w.now));
    w.run_for(20ms);
    ASSERT_EQ(w.server.time_waits(), 1u);
    // Timestamps have a clock of a millisecond.
    w.run_for(5ms);
  }
}

// Claim A5, as RFC 9293 and today's kernels have it: a SYN to a peer in LAST_ACK.
TEST(Closing, ASynToLastAckEndsTheOldConnectionAndOpensTheNew) {
  World w;
  const SocketId at = w.listen(80);
  auto [c, s] = w.connect(at, 80, Port{40000});
  // The client's last ACK is lost, and the client forgets all it knew.
  ASSERT_TRUE(w.client.close(c, w.now));
  w.run_for(20ms);
  w.fault = [](const Bytes&, std::size_t from) {
    return from == 0 ? std::vector<Duration>{} : std::vector<Duration>{1ms};
  };
  ASSERT_TRUE(w.server.close(s, w.now));
  w.run_for(5ms);
  EXPECT_EQ(w.server.connections(), 1u) << "LAST_ACK";
  Host fresh({.name = "client", .seed = 77});
  fresh.add_address(kClientAddress);
  w.client = std::move(fresh);
  w.fault = nullptr;
  const SocketId again = w.dial(80, Port{40000});
  w.run_for(2s);
  EXPECT_EQ(w.client.state(again), TcpState::Established);
}

// A port whose record was taken over is not free again with the new connection, nor with its record: only when that one
// has rested. With few ports that have, connect() still finds one.
TEST(Closing, APortTakenOverRestsAnew) {
  HostOptions options{.name = "client", .seed = 1};
  options.settings.ip_local_port_range = PortRange{40000, 40009};
  options.settings.tcp_tw_reuse = 1;
  World w(options);
  const SocketId at = w.listen(80);
  // Nine connections in 1.08 s, so that one of ten ports has rested each time.
  for (int i = 0; i < 300; ++i) {
    const SocketId c = *w.client.open();
    const auto begun = w.client.connect(c, {kServerAddress, 80}, w.now);
    ASSERT_EQ(begun.error(), Err::in_progress) << "connection " << i;
    w.run_for(10ms);
    const SocketId s = *w.server.accept(at);
    ASSERT_TRUE(w.client.close(c, w.now));
    w.run_for(10ms);
    ASSERT_TRUE(w.server.close(s, w.now));
    w.run_for(100ms);
  }
  EXPECT_EQ(w.client.counters().TWRecycled, 290u);
  EXPECT_EQ(w.client.ports_exhausted(), 0u);
}

// Ports that have rested while nobody might use them again are to be had as soon as somebody may.
TEST(Closing, PortsThatHaveRestedAreToBeHadOnceReuseIsAllowed) {
  HostOptions options{.name = "client", .seed = 1};
  options.settings.ip_local_port_range = PortRange{40000, 40009};
  options.settings.tcp_tw_reuse = 0;
  World w(options);
  const SocketId at = w.listen(80);
  const auto one_more = [&] {
    const SocketId c = *w.client.open();
    const auto begun = w.client.connect(c, {kServerAddress, 80}, w.now);
    if (begun.error() != Err::in_progress) return begun.error();
    w.run_for(10ms);
    const SocketId s = *w.server.accept(at);
    EXPECT_TRUE(w.client.close(c, w.now));
    w.run_for(10ms);
    EXPECT_TRUE(w.server.close(s, w.now));
    w.run_for(10ms);
    return Err::none;
  };
  for (int i = 0; i < 10; ++i) ASSERT_EQ(one_more(), Err::none) << "connection " << i;
  w.run_for(5s);
  EXPECT_EQ(one_more(), Err::address_not_available);
  ASSERT_TRUE(w.client.set("tcp_tw_reuse", "1"));
  for (int i = 0; i < 10; ++i) ASSERT_EQ(one_more(), Err::none) << "connection " << i;
  EXPECT_EQ(w.client.counters().TWRecycled, 10u);
  EXPECT_EQ(one_more(), Err::address_not_available) << "none has rested";
  ASSERT_TRUE(w.client.set("tcp_tw_reuse", "0"));
  w.run_for(5s);
  EXPECT_EQ(one_more(), Err::address_not_available);
}

// A record is over, and before anybody has told the host of the time a SYN comes: what the SYN brings about is not told as
// something that the end of that record did.
TEST(Closing, WhatIsOverIsToldBeforeTheSegmentThatComesLater) {
  struct Told : HostObserver {
    std::vector<std::string> events;
    void received(Instant, const FourTuple&, const SeenSegment& s) override {
      events.emplace_back(s.syn() ? "SYN" : "another segment");
    }
    void timer_fired(Instant, const FourTuple&, SeenTimer timer) override {
      events.emplace_back(to_string(timer));
    }
    void state_changed(Instant, const FourTuple&, TcpState from, TcpState to, SeenEnd) override {
      events.push_back(std::string(to_string(from)) + " to " + std::string(to_string(to)));
    }
  } told;
  World w({.name = "client", .seed = 1}, {.name = "server", .seed = 2, .observer = &told});
  const SocketId at = w.listen(80);
  const World::Pair pair = w.connect(at, 80);
  ASSERT_TRUE(w.server.close(pair.server, w.now));
  w.run_for(10ms);
  ASSERT_TRUE(w.client.close(pair.client, w.now));
  w.run_for(10ms);
  ASSERT_EQ(w.server.time_waits(), 1u);

  told.events.clear();
  w.now += 61s;
  w.dial(80);
  w.server.receive(w.client.next_packet(), w.now);
  EXPECT_EQ(told.events,
            (std::vector<std::string>{std::string(to_string(SeenTimer::TimeWait)),
                                      "TIME_WAIT to CLOSED", "SYN", "LISTEN to SYN_RECEIVED"}));
}

}  // namespace
}  // namespace lastack::test
