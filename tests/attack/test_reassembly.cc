// What comes out of order, and what somebody may make of it who sends the same numbers twice, or the last first.
#include "attack/forger.h"

namespace lastack::test {
namespace {

using namespace tcp_flag;

struct Came {
  std::uint32_t at;
  const char* data;
};

// What was told by SACK is not replaced by other bytes, so long as no segment covers a whole other one. Each as the
// running kernel (6.18) read it, when the same segments came to it from a TUN device.
TEST(Reassembly, OverlapsAreReadAsLinuxReadsThem) {
  struct Case {
    std::vector<Came> segments;
    const char* read;
  };
  const std::vector<Case> cases = {
      {{{5, "AAAAA"}, {5, "BBBBB"}, {0, "eeeee"}}, "eeeeeAAAAA"},
      {{{5, "AAAAA"}, {6, "BB"}, {0, "eeeee"}}, "eeeeeAAAAA"},
      {{{5, "AAAAA"}, {3, "CCCC"}, {0, "eee"}}, "eeeCCCCAAA"},
      {{{5, "AAAAA"}, {8, "DDDD"}, {0, "eeeee"}}, "eeeeeAAAAADD"},
      {{{5, "AAAAA"}, {5, "FFFFFFF"}, {0, "eeeee"}}, "eeeeeFFFFFFF"},
      {{{5, "AAAAA"}, {4, "FFFFFFF"}, {0, "eeee"}}, "eeeeFFFFFFF"},
      {{{5, "AAAAA"}, {4, "FFFFFF"}, {0, "eeee"}}, "eeeeFFFFFF"},
      {{{5, "AAAAA"}, {0, "eeeeeXX"}}, "eeeeeXXAAA"},
      {{{5, "AAAAA"}, {0, "eeeeeXXXXXXX"}}, "eeeeeXXXXXXX"},
      {{{5, "AAAAA"}, {12, "BBBBB"}, {8, "CCCCCC"}, {0, "eeeee"}}, "eeeeeAAAAACCCCBBB"},
      {{{5, "AAAAA"}, {12, "BB"}, {8, "CCCCCCC"}, {0, "eeeee"}}, "eeeeeAAAAACCCCC"},
      {{{5, "AAAAA"}, {10, "BBBBB"}, {8, "DDDD"}, {0, "eeeee"}}, "eeeeeAAAAABBBBB"},
      {{{5, "AAAAA"}, {10, "BBBBB"}, {10, "DDDDDDD"}, {0, "eeeee"}}, "eeeeeAAAAABBBBBDD"},
  };
  for (const Case& tried : cases) {
    Target t;
    const Connection& c = t.at_server();
    const SeqNum first = c.rcv_nxt;
    for (const Came& s : tried.segments) {
      t.w.server.receive(
          forged(t.client, t.server, with(kAck, first + s.at, c.snd_nxt), bytes_of(s.data)),
          t.w.now);
      discard(t.w.server);
      ASSERT_EQ(HostAudit::check(t.w.server, t.w.now), "") << tried.read;
    }
    Bytes room(100);
    const auto n = t.w.server.read(t.pair.server, room, t.w.now);
    ASSERT_TRUE(n);
    room.resize(*n);
    EXPECT_EQ(room, bytes_of(tried.read)) << tried.read;
    EXPECT_EQ(c.held_beyond, nullptr);
    EXPECT_EQ(c.gaps, nullptr);
    EXPECT_EQ(c.rcv_memory, 0u);
  }
}

// Pieces of one stream in any order, many of them twice and cut elsewhere, through the whole of a small buffer and
// what Linux does when that is full: the stream comes out as it went in.
TEST(Reassembly, AnyOrderMakesTheSameStream) {
  constexpr std::uint64_t kSeed = 20;
  std::mt19937_64 random(kSeed);
  const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
  constexpr std::size_t kLength = 300'000;
  Bytes stream(kLength);
  for (std::byte& b : stream) b = static_cast<std::byte>(random());
  Target t;
  const Connection& c = t.at_server();
  const SeqNum first = c.rcv_nxt;
  Bytes got, room(1 << 16);
  for (int round = 0; round < 60'000 && !c.fin_received; ++round) {
    const auto done = static_cast<std::uint32_t>(c.rcv_nxt - first);
    const std::uint32_t window = std::min<std::uint32_t>(c.receive_window(), kLength - done);
    std::uint32_t at = done;
    if (below(8) != 0) at = done + below(window + 1);
    if (below(10) == 0) at -= std::min(at, below(2000));
    const std::uint32_t length =
        std::min<std::uint32_t>(below(4) == 0 ? 1 + below(40) : 1 + below(3000), kLength - at);
    TcpSegment segment = with(kAck, first + at, c.snd_nxt);
    if (at + length == kLength) segment.flags |= kFin;
    t.w.server.receive(forged(t.client, t.server, segment,
                              Bytes(stream.begin() + at, stream.begin() + at + length)),
                       t.w.now);
    discard(t.w.server);
    ASSERT_EQ(HostAudit::check(t.w.server, t.w.now), "") << "seed " << kSeed << ", round " << round;
    if (below(6) != 0) continue;
    const auto n = t.w.server.read(t.pair.server, room, t.w.now);
    if (n) got.insert(got.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*n));
    discard(t.w.server);
  }
  ASSERT_TRUE(c.fin_received) << "seed " << kSeed << ": " << c.rcv_nxt - first;
  while (const auto n = t.w.server.read(t.pair.server, room, t.w.now)) {
    if (*n == 0) break;
    got.insert(got.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*n));
  }
  EXPECT_EQ(got, stream);
  EXPECT_EQ(c.rcv_memory, 0u);
}

// One byte at the end of the window is one byte, not a window's worth of memory: else who opens connections enough
// has all that the host may have, and gives it back never.
TEST(Reassembly, AByteFarAheadCostsWhatAByteCosts) {
  World w;
  const SocketId listener = w.listen(80, 200);
  constexpr std::size_t kConnections = 100;
  std::vector<World::Pair> pairs;
  for (std::size_t i = 0; i < kConnections; ++i) pairs.push_back(w.connect(listener, 80));
  w.run_for(5s);
  const auto memory = [&] { return HostAudit::impl(w.server).memory; };
  ASSERT_EQ(memory(), 0u);
  for (const World::Pair& pair : pairs) {
    const Connection& c = *HostAudit::connection(w.server, pair.server);
    TcpSegment far = with(kAck, c.rcv_nxt + 60'000, c.snd_nxt);
    far.options.timestamps = Timestamps{c.ts_recent, 0};
    w.server.receive(
        forged(*w.client.local(pair.client), *w.server.local(pair.server), far, bytes_of("x")),
        w.now);
    discard(w.server);
    ASSERT_TRUE(c.gaps);
  }
  EXPECT_LE(memory(), kConnections * 512);
  EXPECT_EQ(HostAudit::check(w.server, w.now), "");
}

// Without memory left what lies beyond a gap goes first, and the stream itself goes on (Linux: tcp_prune_ofo_queue).
TEST(Reassembly, WithoutMemoryWhatIsBeyondAGapGoesFirst) {
  Target t;
  ASSERT_TRUE(t.w.server.set("tcp_mem", "1 2 3"));  // pages
  const Connection& c = t.at_server();
  const SeqNum first = c.rcv_nxt;
  const auto send = [&](std::uint32_t at, std::size_t length) {
    t.w.server.receive(forged(t.client, t.server, with(kAck, first + at, c.snd_nxt),
                              Bytes(length, std::byte{'x'})),
                       t.w.now);
    discard(t.w.server);
    EXPECT_EQ(HostAudit::check(t.w.server, t.w.now), "");
  };
  send(0, 1);
  for (std::uint32_t at = 20'000; at < 40'000; at += 1000) send(at, 1000);
  ASSERT_GE(HostAudit::impl(t.w.server).memory, 3u * 4096);
  send(1, 1000);
  EXPECT_EQ(c.rcv_nxt, first + 1001);
  EXPECT_EQ(c.held_beyond, nullptr);
  EXPECT_EQ(c.gaps, nullptr);
  EXPECT_LT(HostAudit::impl(t.w.server).memory, 2u * 4096);
  // What was given up comes again.
  send(1001, 1000);
  EXPECT_EQ(c.rcv_nxt, first + 2001);
}

}  // namespace
}  // namespace lastack::test
