// Times and durations at the ends of what they can say: nothing overflows. What these tests check most of them only
// UndefinedBehaviorSanitizer can see.
#include "attack/forger.h"
#include "lastack/event_loop.h"

namespace lastack::test {
namespace {

TEST(EndsOfTime, LaterStaysWithinThem) {
  static_assert(later(Instant::max(), 1ns) == Instant::max());
  static_assert(later(Instant(1s), Duration::max()) == Instant::max());
  static_assert(later(Instant::min(), 1s) == Instant::min() + 1s);
  static_assert(later(Instant::min(), -1ns) == Instant::min());
  static_assert(later(Instant::min(), Duration::min()) == Instant::min());
  static_assert(later(Instant::max(), Duration::min()) == Instant(-1ns));
  static_assert(later(Instant::min(), Duration::max()) == Instant(-1ns));
  EXPECT_EQ(later(Instant(1s), -1s), Instant{});
}

TEST(EndsOfTime, OfATimerOfTheLoop) {
  EventLoop loop;
  bool called = false;
  loop.call_after(Duration::max(), [&] { ADD_FAILURE() << "for ever is over"; });
  loop.call_after(Duration::min(), [&] { called = true; });
  ASSERT_TRUE(loop.run_for(10ms));
  EXPECT_TRUE(called);
}

TEST(EndsOfTime, AHostIsLookedAtWhateverTheTime) {
  World w;
  const SocketId listener = w.listen(80);
  const World::Pair pair = w.connect(listener, 80);
  ASSERT_TRUE(w.client.close(pair.client, w.now));
  ASSERT_TRUE(w.server.close(pair.server, w.now));
  w.dial(80);
  w.run_for(1s);
  for (const Instant t : {Instant::min(), Instant{}, w.now, Instant::max()}) {
    for (Host& host : w.hosts) {
      EXPECT_FALSE(host.sockets(t).empty());
      EXPECT_EQ(host.snapshot(t).namespaces.size(), 1u);
    }
  }
}

// The clock has jumped while a segment was on its way: by a century, and that is no round trip.
TEST(EndsOfTime, AJumpOfTheClockIsNoRoundTrip) {
  for (const bool timestamps : {false, true}) {
    World w;
    ASSERT_TRUE(w.client.set("tcp_timestamps", timestamps ? "1" : "0"));
    const SocketId listener = w.listen(80);
    const SocketId c = w.dial(80);
    w.collect();
    w.now += std::chrono::hours(24 * 365 * 100);
    w.run_for(1s);  // both hear of it at once
    // The SYN has timed out meanwhile, and was answered all the same.
    const auto s = w.server.accept(listener);
    if (!s) continue;
    EXPECT_TRUE(w.client.write(c, Bytes(100'000, std::byte{1}), w.now));
    w.collect();
    w.now += std::chrono::hours(24 * 365 * 80);
    w.run_for(10s);
    EXPECT_EQ(HostAudit::check(w.client, w.now), "");
    EXPECT_EQ(HostAudit::check(w.server, w.now), "");
  }
  // As a host of its own sees it: nothing was due in between, as far as it was told.
  Host host({.seed = 1});
  host.add_address(kServerAddress);
  const SocketId s = *host.open();
  EXPECT_FALSE(host.connect(s, {kClientAddress, 80}, Instant(1s)));
  discard(host);
  const Connection& c = *HostAudit::connection(host, s);
  const Endpoint self = *host.local(s), peer{kClientAddress, 80};
  Instant now(std::chrono::hours(24 * 365 * 100));
  TcpSegment answer = with(tcp_flag::kSyn | tcp_flag::kAck, SeqNum(7), c.iss + 1);
  answer.options.sack_permitted = true;
  host.receive(forged(peer, self, answer), now);
  discard(host);
  ASSERT_EQ(host.state(s), TcpState::Established);
  EXPECT_EQ(c.rtt.rto, kMostRto);
  EXPECT_EQ(HostAudit::check(host, now), "");
  // Segments that are lost, and one of them told of by SACK decades later.
  EXPECT_TRUE(host.write(s, Bytes(20'000, std::byte{1}), now));
  discard(host);
  now += std::chrono::hours(24 * 365 * 80);
  TcpSegment sack = with(tcp_flag::kAck, SeqNum(8), c.snd_una);
  sack.options.sack_count = 1;
  sack.options.sack[0] = {c.snd_una + c.mss, c.snd_nxt};
  host.receive(forged(peer, self, sack), now);
  discard(host);
  EXPECT_EQ(HostAudit::check(host, now), "");
  host.receive(forged(peer, self, with(tcp_flag::kAck, SeqNum(8), c.snd_nxt)), Instant::max());
  discard(host);
  host.advance(Instant::max());
  EXPECT_EQ(HostAudit::check(host, Instant::max()), "");
}

TEST(EndsOfTime, MemoryWasLostAtOneOfThem) {
  for (const Instant lost : {Instant::min(), Instant::max()}) {
    Host host({.seed = 1, .lost_memory_at = lost});
    host.add_address(kServerAddress);
    const SocketId s = *host.open();
    EXPECT_FALSE(host.connect(s, {kClientAddress, 80}, Instant(1s)));
    EXPECT_EQ(discard(host), lost == Instant::min() ? 1u : 0u);
    host.advance(Instant(100s));
    static_cast<void>(host.snapshot(Instant(100s)));
  }
}

}  // namespace
}  // namespace lastack::test
