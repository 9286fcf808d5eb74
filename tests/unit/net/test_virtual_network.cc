// The wire in memory does what its options say, no more, and the same thing every time.
#include <map>

#include "unit/net/allocations.h"
#include "unit/net/wire_pair.h"
#include "wire/tcp_segment.h"

namespace lastack::test {
namespace {

TEST(VirtualNetwork, APacketArrivesAfterTheDelayToTheNanosecond) {
  WirePair w(1, {.delay = 7ms});
  std::vector<std::pair<WireEvent, Instant>> seen;
  w.net.add_tap([&](const WireNote& note) { seen.emplace_back(note.event, note.at); });
  const Instant begun = w.net.now();
  w.dial();
  w.net.run_for(21ms);
  // SYN, SYN,ACK, ACK.
  ASSERT_EQ(seen.size(), 6u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(seen[static_cast<std::size_t>(2 * i)], std::pair(WireEvent::Sent, begun + i * 7ms));
    EXPECT_EQ(seen[static_cast<std::size_t>(2 * i + 1)],
              std::pair(WireEvent::Delivered, begun + (i + 1) * 7ms));
  }
  EXPECT_EQ(w.net.now(), begun + 21ms);
}

// Sends packets that nobody answers, and takes whatever comes.
class Source final : public PacketNode {
 public:
  explicit Source(const IpAddress& address) : address_(address) {}
  void send(std::size_t length, std::uint64_t packets) {
    length_ = length;
    left_ = packets;
    write_ip(bytes_.data(), {.source = address_, .destination = kServerAddress, .protocol = 17},
             length - kIpv4HeaderLength);
    touch();
  }
  void receive(std::span<const std::byte>, Instant) override {}
  std::span<const std::byte> next_packet() override {
    if (left_ == 0) return {};
    --left_;
    return std::span(bytes_).first(length_);
  }
  Instant next_deadline() const override { return Instant::max(); }
  void advance(Instant) override {}
  bool has_address(const IpAddress& address) const override { return address == address_; }

 private:
  IpAddress address_;
  std::array<std::byte, 1500> bytes_{};
  std::size_t length_ = 0;
  std::uint64_t left_ = 0;
};

std::uint64_t hash_of_run(std::uint64_t seed) {
  WirePair w(seed, {.delay = 3ms,
                    .jitter = 2ms,
                    .loss = 0.03,
                    .duplicate = 0.02,
                    .reorder = 0.05,
                    .corrupt = 0.02,
                    .replay = 0.01,
                    .replay_delay = 2s,
                    .rate = 50'000'000});
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&](std::uint64_t v) { hash = (hash ^ v) * 1099511628211ULL; };
  w.net.add_tap([&](const WireNote& note) {
    mix(static_cast<std::uint64_t>(note.event));
    mix(static_cast<std::uint64_t>(note.at.time_since_epoch().count()));
    for (const std::byte b : note.bytes) mix(std::to_integer<std::uint64_t>(b));
  });
  w.transfer(200'000);
  const auto& counts = w.net.counts();
  for (const std::uint64_t n :
       {counts.lost, counts.duplicated, counts.corrupted, counts.reordered, counts.replayed}) {
    EXPECT_GT(n, 0u) << "the run shows what it is meant to show";
  }
  EXPECT_GT(w.server.counters().InErrs + w.client.counters().InErrs, 0u) << "corruption is noticed";
  return hash;
}

TEST(VirtualNetwork, TheSameSeedIsTheSameRunToTheByte) {
  EXPECT_EQ(hash_of_run(5), hash_of_run(5));
  EXPECT_NE(hash_of_run(5), hash_of_run(6));
}

TEST(VirtualNetwork, ChancesComeAsOftenAsToldAndCountsAddUp) {
  WirePair w(9, {.delay = 1ms, .loss = 0.1, .duplicate = 0.2});
  // Bare packets: nothing that is sent again hides what was lost.
  constexpr std::uint64_t kPackets = 20'000;
  Source source(IpAddress::v4(0x0a000009));
  source.send(40, kPackets);
  w.net.attach(source);
  w.net.run_for(10ms);
  const auto& counts = w.net.counts();
  EXPECT_EQ(counts.sent, kPackets);
  EXPECT_EQ(counts.delivered, counts.sent - counts.lost + counts.duplicated);
  // Six standard deviations.
  EXPECT_NEAR(static_cast<double>(counts.lost), kPackets * 0.1, 6 * 42.5);
  EXPECT_NEAR(static_cast<double>(counts.duplicated), (kPackets - 2000) * 0.2, 6 * 60.0);
  EXPECT_EQ(w.net.under_way(), 0u);
}

TEST(VirtualNetwork, APacketViewHasTheSackBlocks) {
  WirePair w(3, {.delay = 1ms, .loss = 0.05});
  std::uint32_t blocks = 0;
  w.net.add_tap([&](const WireNote& note) {
    const auto segment = PacketView::of(note.bytes);
    if (note.event != WireEvent::Sent || note.from != w.net.id(w.server)) return;
    for (std::uint8_t i = 0; i < segment->sack_count; ++i, ++blocks) {
      const SackRange& range = segment->sack[i];
      EXPECT_GT(static_cast<std::int32_t>(range.right - range.left), 0);
      EXPECT_LE(range.right - range.left, 100'000u);
    }
  });
  w.transfer(100'000);
  EXPECT_GT(blocks, 0u);
}

TEST(VirtualNetwork, JitterKeepsTheOrderAndReorderingDoesNot) {
  for (const bool reorder : {false, true}) {
    WirePair w(3, {.delay = 1ms, .jitter = 5ms, .reorder = reorder ? 0.1 : 0.0});
    std::vector<std::uint32_t> order;
    w.net.add_tap([&](const WireNote& note) {
      const auto segment = PacketView::of(note.bytes);
      if (note.event == WireEvent::Delivered && note.from == w.net.id(w.client) &&
          !segment->payload.empty()) {
        order.push_back(segment->seq);
      }
    });
    w.transfer(100'000);
    EXPECT_EQ(std::is_sorted(order.begin(), order.end(),
                             [](std::uint32_t a, std::uint32_t b) {
                               return static_cast<std::int32_t>(a - b) < 0;
                             }),
              !reorder);
  }
}

TEST(VirtualNetwork, ARateIsARate) {
  // 8 Mbit/s: a byte takes a microsecond.
  WirePair w(1, {.delay = 10ms, .rate = 8'000'000, .queue = 1 << 20});
  const Instant begun = w.net.now();
  w.transfer(1'000'000);
  const Duration took = w.net.now() - begun - 10s;  // transfer() waits 10 s for the handshake
  EXPECT_GT(took, 1s);
  EXPECT_LT(took, 1300ms);
  EXPECT_EQ(w.net.counts().queue_full, 0u);
  WirePair narrow(1, {.delay = 10ms, .rate = 8'000'000, .queue = 5000});
  narrow.transfer(300'000);
  EXPECT_GT(narrow.net.counts().queue_full, 0u);
}

TEST(VirtualNetwork, WhatIsTooLongForALinkIsToldByIcmpAndSentShorter) {
  WirePair w(1, {.delay = 1ms, .mtu = 900});
  w.transfer(50'000);
  EXPECT_GT(w.net.counts().too_big, 0u);
  EXPECT_LT(w.net.counts().too_big, 30u) << "once it knows, it sends no more of them";
}

TEST(VirtualNetwork, SuperSegmentsAreCutUnlessTheLinkCarriesThem) {
  for (const bool whole : {false, true}) {
    WirePair w(1, {.delay = 1ms, .whole_segments = whole}, {.gso_max_size = 65000});
    std::size_t longest = 0;
    w.net.add_tap([&](const WireNote& note) { longest = std::max(longest, note.bytes.size()); });
    w.transfer(400'000);
    if (whole) {
      EXPECT_GT(longest, 1500u);
    } else {
      EXPECT_EQ(longest, 1500u);
    }
  }
}

TEST(VirtualNetwork, LinksThatAreNotNamedChangeTogether) {
  VirtualNetwork net(1, {.delay = 1ms});
  Host& a = net.add_host({.name = "a"}, {IpAddress::v4(1)});
  Host& b = net.add_host({.name = "b"}, {IpAddress::v4(2)});
  Host& c = net.add_host({.name = "c"}, {IpAddress::v4(3)});
  net.link(a, c, {.delay = 2ms});
  std::map<std::uint64_t, Instant> sent;
  std::map<NodeId, Duration> took;  // of the first packet to each
  net.add_tap([&](const WireNote& note) {
    if (note.from != net.id(a)) return;
    if (note.event == WireEvent::Sent) sent[note.number] = note.at;
    if (note.event == WireEvent::Delivered) took.try_emplace(note.to, note.at - sent[note.number]);
  });
  // A SYN to each, and to itself.
  const auto syns = [&] {
    took.clear();
    for (const std::uint32_t to : {2U, 3U, 1U})
      (void)a.connect(*a.open(), {IpAddress::v4(to), 80}, net.now());
    net.touch(a);
    net.run_for(100ms);
  };
  using Took = std::map<NodeId, Duration>;
  syns();
  EXPECT_EQ(took, (Took{{net.id(a), 1us}, {net.id(b), 1ms}, {net.id(c), 2ms}}));
  net.set_everywhere({.delay = 7ms});
  syns();
  EXPECT_EQ(took, (Took{{net.id(a), 1us}, {net.id(b), 7ms}, {net.id(c), 2ms}}));
  EXPECT_THROW(net.set_everywhere({.loss = 2}), std::invalid_argument);
}

TEST(VirtualNetwork, AFaultKnowsWhatAPacketIs) {
  WirePair w;
  // The first FIN of the client is held for 3 s and arrives twice; its first data is lost.
  int fins = 0, data = 0;
  w.net.set_fault([&](Passage& passage) {
    const auto segment = passage.segment();
    if (!segment || passage.from() != w.net.id(w.client)) return;
    if (!segment->payload.empty() && data++ == 0) passage.drop();
    if (segment->fin() && fins++ == 0) {
      passage.delay(3s);
      passage.duplicate(1s);
    }
  });
  std::vector<WireEvent> special;
  w.net.add_tap([&](const WireNote& note) {
    if (note.event != WireEvent::Sent && note.event != WireEvent::Delivered) {
      special.push_back(note.event);
    }
  });
  w.transfer(100);
  w.net.run_for(10s);
  EXPECT_EQ(special, (std::vector{WireEvent::Dropped, WireEvent::Duplicated, WireEvent::Delayed}));
}

TEST(VirtualNetwork, AFaultMayAlterAndReject) {
  WirePair w;
  bool alter = true;
  w.net.set_fault([&](Passage& passage) {
    const auto segment = passage.segment();
    if (!segment || passage.from() != w.net.id(w.client)) return;
    if (alter && !segment->payload.empty()) {
      passage.bytes().back() = std::byte{'!'};
      passage.fix_checksums();
    } else if (!alter && segment->syn()) {
      passage.reject(3, 1);  // host unreachable
    }
  });
  const SocketId c = w.dial();
  w.net.run_for(10ms);
  const SocketId s = *w.server.accept(w.listener);
  const Bytes sent(3, std::byte{'.'});
  ASSERT_TRUE(w.client.write(c, sent, w.net.now()));
  w.net.run_for(10ms);
  Bytes got(8);
  ASSERT_EQ(w.server.read(s, got, w.net.now()), 3u);
  EXPECT_EQ(got[2], std::byte{'!'});
  alter = false;
  const SocketId second = w.dial();
  w.net.run_for(10ms);
  EXPECT_EQ(w.client.take_error(second), Err::host_unreachable);
}

TEST(VirtualNetwork, LoopbackStaysWithItsHost) {
  VirtualNetwork net(1);
  const IpAddress loopback = IpAddress::v4(0x7f000001);
  Host& a = net.add_host({}, {loopback, kClientAddress});
  Host& b = net.add_host({}, {loopback, kServerAddress});
  for (Host* host : {&a, &b}) {
    const SocketId listener = *host->open();
    ASSERT_TRUE(host->bind(listener, {IpAddress::v4(0), 80}));
    ASSERT_TRUE(host->listen(listener, 1));
    for (const IpAddress& to : {loopback, host == &a ? kClientAddress : kServerAddress}) {
      const SocketId c = *host->open();
      EXPECT_EQ(host->connect(c, {to, 80}, net.now()).error(), Err::in_progress);
      net.run_for(1ms);
      EXPECT_EQ(host->state(c), TcpState::Established);
      EXPECT_TRUE(host->accept(listener));
    }
  }
}

TEST(VirtualNetwork, AHostThatIsRemovedIsSilentAndItsAddressIsFree) {
  auto w = std::make_unique<WirePair>();
  const SocketId c = w->dial();
  w->net.run_for(500us);
  w->net.remove(w->server);
  w->net.run_for(10ms);
  EXPECT_EQ(w->net.counts().gone, 1u);
  EXPECT_EQ(w->client.connections(), 1u) << "it tries on";
  Host& again = w->net.add_host({}, {kServerAddress});
  w->net.run_for(10s);
  EXPECT_EQ(w->client.take_error(c), Err::connection_refused);
  EXPECT_EQ(again.counters().OutRsts, 1u);
}

TEST(VirtualNetwork, HandlersAndIdleness) {
  WirePair w;
  int accepted = 0;
  w.net.on_event(w.server, [&](SocketId socket) {
    if (socket == w.listener) {
      while (const auto s = w.server.accept(w.listener)) {
        ++accepted;
        EXPECT_TRUE(w.server.close(*s, w.net.now()));
      }
    }
  });
  const SocketId c = w.dial();
  EXPECT_FALSE(w.net.run_until_idle(w.net.now() + 30ms)) << "the client has not closed";
  EXPECT_EQ(accepted, 1);
  ASSERT_TRUE(w.client.close(c, w.net.now()));
  const Instant closed = w.net.now();
  EXPECT_TRUE(w.net.run_until_idle());
  EXPECT_EQ(w.server.time_waits(), 0u);
  EXPECT_GE(w.net.now() - closed, 60s);
  EXPECT_LT(w.net.now() - closed, 61s);
}

TEST(VirtualNetwork, InjectedPacketsComeFromNowhere) {
  WirePair w;
  TcpSegment syn;
  syn.source = 7;
  syn.destination = 80;
  syn.flags = tcp_flag::kSyn;
  Bytes packet(40);
  const IpAddress stranger = IpAddress::v4(0x0a000063);
  write_ip(packet.data(), {.source = stranger, .destination = kServerAddress}, 20);
  write_tcp_header(packet.data() + 20, syn);
  write_tcp_checksum(std::span(packet).subspan(20), stranger, kServerAddress);
  w.net.inject(packet, 5ms);
  w.net.run_for(10ms);
  EXPECT_EQ(w.server.counters().InSegs, 1u);
  EXPECT_EQ(w.net.counts().unroutable, 1u) << "nobody takes the SYN,ACK";
}

TEST(VirtualNetwork, NothingIsAllocatedForAPacketInSteadyState) {
  VirtualNetwork net(1, {.delay = 1ms,
                         .jitter = 1ms,
                         .loss = 0.01,
                         .duplicate = 0.01,
                         .reorder = 0.01,
                         .corrupt = 0.01,
                         .replay = 0.01,
                         .replay_delay = 10ms,
                         .rate = 1'000'000'000});
  Source source(kClientAddress), sink(kServerAddress);
  net.attach(source);
  net.attach(sink);
  const auto send = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      source.send(i % 3 == 0 ? 1500 : 40, 5);
      net.run_for(100us);
    }
  };
  send(20'000);
  const std::size_t before = allocations();
  send(20'000);
  EXPECT_EQ(allocations() - before, 0u);
  EXPECT_GT(net.counts().sent, 100'000u);
}

// What a function has captured, which is there as long as the function is.
struct Captured {
  std::shared_ptr<int> kept = std::make_shared<int>();
  std::weak_ptr<int> seen = kept;
};

TEST(VirtualNetwork, AFaultMayTakeItsOwnPlace) {
  WirePair w;
  Captured c;
  int first = 0, second = 0;
  w.net.set_fault([&, seen = c.seen, kept = std::move(c.kept)](Passage& passage) {
    ++first;
    w.net.set_fault([&](Passage&) { ++second; });
    EXPECT_FALSE(seen.expired()) << "it is still at work";
    passage.drop();
  });
  w.dial();
  w.net.run_for(10s);
  EXPECT_EQ(first, 1);
  EXPECT_GT(second, 1);
  EXPECT_TRUE(c.seen.expired());
}

TEST(VirtualNetwork, AHandlerMayTakeItsOwnPlace) {
  WirePair w;
  Captured c;
  int calls = 0;
  w.net.on_event(w.client, [&, seen = c.seen, kept = std::move(c.kept)](SocketId) {
    ++calls;
    w.net.on_event(w.client, {});
    EXPECT_FALSE(seen.expired()) << "it is still at work";
  });
  w.dial();
  w.dial();
  w.net.run_for(10s);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(w.client.next_event()) << "what it did not take is still there";
  EXPECT_TRUE(c.seen.expired());
}

TEST(VirtualNetwork, AFaultMayTakeTheSenderOut) {
  VirtualNetwork net(1);
  Host& a = net.add_host({.gso_max_size = 65000}, {kClientAddress});
  net.add_host({}, {kServerAddress});
  int seen = 0;
  net.set_fault([&](Passage&) {
    ++seen;
    net.remove(a);
  });
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(a.connect(*a.open(), {kServerAddress, 80}, net.now()));
  }
  net.run_for(10s);
  EXPECT_EQ(seen, 1);
}

TEST(VirtualNetwork, ANodeHasOneDriver) {
  VirtualNetwork one(1), two(2);
  Source source(kClientAddress);
  one.attach(source);
  EXPECT_THROW(two.attach(source), std::invalid_argument);
  EXPECT_THROW(one.attach(source), std::invalid_argument);
  EXPECT_NE(one.id(source), NodeId::None);
  one.detach(source);
  two.attach(source);
  EXPECT_NE(two.id(source), NodeId::None);
  two.detach(source);
}

// Delays come from scripts and fuzzers: the ends of time are times, too.
TEST(VirtualNetwork, DelaysSaturate) {
  WirePair w;
  bool first = true;
  w.net.set_fault([&](Passage& passage) {
    if (std::exchange(first, false)) {
      passage.delay(Duration::max());
      passage.delay(1s);
      passage.duplicate(Duration::max());
      return;
    }
    passage.delay(Duration::min());
    passage.delay(-1s);
    passage.duplicate(-5s);
    passage.duplicate(Duration::min());
  });
  Bytes packet(40);
  write_ip(packet.data(), {.source = kServerAddress, .destination = kClientAddress}, 20);
  for (const Duration after : {Duration::max(), Duration::min(), Duration(-1)}) {
    w.net.inject(packet, after);
  }
  const SocketId c = w.dial();
  w.net.run_for(10s);
  EXPECT_EQ(w.client.state(c), TcpState::Established) << "by the SYN that was sent again";
  EXPECT_EQ(w.net.under_way(), 3u) << "two copies and what was injected, for ever";
}

// Nobody is looked at whom nothing has happened to.
TEST(VirtualNetwork, AStepIsOfThoseWhomItConcerns) {
  class Clock final : public PacketNode {
   public:
    explicit Clock(Duration every) : every_(every) {}
    void receive(std::span<const std::byte>, Instant) override {}
    std::span<const std::byte> next_packet() override { return {}; }
    Instant next_deadline() const override { return due_; }
    void advance(Instant now) override { due_ = later(now, every_); }
    void pump(Instant) override { ++pumped; }
    bool has_address(const IpAddress&) const override { return false; }
    int pumped = 0;

   private:
    Duration every_;
    Instant due_{1s};
  };
  VirtualNetwork net(1);
  Clock busy(1ms), idle(Duration::max());
  net.attach(busy);
  net.attach(idle);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(net.step());
  EXPECT_GE(busy.pumped, 100);
  EXPECT_LE(idle.pumped, 2);
  net.detach(busy);
  net.detach(idle);
}

}  // namespace
}  // namespace lastack::test
