// What two hosts and the wire between them write into the lifecycle log: all of it, once, in order, and the same bytes
// for the same seed.
#include "lab/lifecycle_recorder.h"

#include <map>
#include <set>
#include <sstream>

#include "report/lifecycle_log.h"
#include "unit/net/wire_pair.h"

namespace lastack::test {
namespace {

struct Log {
  LifecycleHeader header;
  std::vector<LifecycleEvent> events;
};

Log parsed(const std::string& text) {
  Log log;
  LifecycleReader reader;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto event = reader.read(line);
    EXPECT_TRUE(event) << (event ? "" : event.error().message) << '\n' << line;
    if (event && *event) log.events.push_back(**event);
  }
  EXPECT_TRUE(reader.header());
  if (reader.header()) log.header = *reader.header();
  return log;
}

// Connections that end in every way, over a wire that does everything.
std::string story(std::uint64_t seed, const LinkOptions& link) {
  std::string text;
  LifecycleRecorder log({.tool_version = "1",
                         .world = World::Endpoint,
                         .vantage = "both",
                         .seed = seed,
                         .profile = "linux",
                         .zero_at = {},
                         .settings = {{"client tcp_tw_reuse", "1"}},
                         .coverage = {{"segment", Coverage::Complete}}},
                        [&](std::string_view lines) { text += lines; });
  VirtualNetwork net(seed, link);
  log.watch(net);
  Host& client =
      net.add_host({.name = "client", .observer = log.observe("client")}, {kClientAddress});
  Host& server =
      net.add_host({.name = "server", .observer = log.observe("server")}, {kServerAddress});
  EXPECT_TRUE(client.set("ip_local_port_range", "40000 40001"));
  EXPECT_TRUE(client.set("tcp_tw_reuse", "1"));
  const SocketId listener = *server.open();
  EXPECT_TRUE(server.bind(listener, {kServerAddress, 80}));
  EXPECT_TRUE(server.listen(listener, 16));
  const Bytes request(100), answer(5000);
  Bytes room(65536);
  for (int round = 0; round < 12; ++round) {
    const SocketId c = *client.open();
    (void)client.connect(c, {kServerAddress, 80}, net.now());
    net.run_for(5s);
    (void)client.write(c, request, net.now());
    net.run_for(5s);
    const auto s = server.accept(listener);
    if (s) {
      (void)server.write(*s, answer, net.now());
      net.run_for(5s);
      if (round % 3 == 0) (void)server.close(*s, net.now());
    }
    while (client.read(c, room, net.now()).value_or(0) > 0) {
    }
    net.run_for(1s);
    (void)(round % 5 == 4 ? client.abort(c, net.now()) : client.close(c, net.now()));
    net.run_for(2s);
    if (s && round % 3 != 0) {
      while (server.read(*s, room, net.now()).value_or(0) > 0) {
      }
      (void)server.close(*s, net.now());
    }
  }
  net.run_for(3min);
  return text;
}

constexpr LinkOptions kFoul{.delay = 20ms,
                            .jitter = 3ms,
                            .loss = 0.05,
                            .duplicate = 0.05,
                            .reorder = 0.05,
                            .corrupt = 0.03,
                            .replay = 0.02,
                            .replay_delay = 1s};

TEST(LifecycleLog, TheSameSeedGivesTheSameBytes) {
  const std::string once = story(7, kFoul);
  EXPECT_EQ(once, story(7, kFoul));
  EXPECT_NE(once, story(8, kFoul));
  EXPECT_GT(once.size(), 50'000u);
}

TEST(LifecycleLog, WhatIsReadIsWrittenAsItWas) {
  const std::string text = story(3, kFoul);
  LifecycleReader reader;
  std::string again;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto event = reader.read(line);
    ASSERT_TRUE(event) << event.error().message;
    if (*event) {
      append_line(again, **event);
    } else {
      append_line(again, *reader.header());
    }
  }
  EXPECT_EQ(again, text);
}

// A host that does not tell its states: uses are counted by connect() and by SYNs.
TEST(LifecycleLog, UsesAreCountedWithoutStates) {
  std::string text;
  LifecycleRecorder log({}, [&](std::string_view lines) { text += lines; });
  HostObserver& host = *log.observe("kernel", LifecycleRecorder::States::Untold);
  const FourTuple out{{kClientAddress, 6000}, {kServerAddress, 80}};
  const FourTuple in{{kClientAddress, 80}, {kServerAddress, 6000}};
  constexpr std::uint16_t kSyn = 2, kAck = 16, kFin = 1;
  const auto send = [&](const FourTuple& tuple, std::uint32_t seq, int flags) {
    host.sent({}, tuple, {.seq = seq, .flags = static_cast<std::uint16_t>(flags)});
  };
  host.called({}, out, SeenCall::Connect);           // 1
  host.called({}, out, SeenCall::Write);             // 1
  send(out, 100, kSyn);                              // 1
  send(out, 100, kSyn);                              // 1, again
  send(out, 100, kSyn | kAck);                       // 1, a crossing SYN was answered
  send(out, 101, kFin | kAck);                       // 1
  host.called({}, out, SeenCall::Connect);           // 2, with the same number by chance
  send(out, 100, kSyn);                              // 2
  send(out, 300, kSyn);                              // 3, of a program whose calls are not seen
  host.received({}, in, {.seq = 7, .flags = kSyn});  // 0, of none yet
  send(in, 500, kSyn | kAck);                        // 1
  host.called({}, in, SeenCall::Accept);             // 1
  host.received({}, in, {.seq = 9, .flags = kSyn});  // 1
  send(in, 600, kSyn | kAck);                        // 2
  send(in, 600, kSyn | kAck);                        // 2
  std::vector<std::uint32_t> uses;
  for (const LifecycleEvent& e : parsed(text).events) uses.push_back(e.incarnation);
  EXPECT_EQ(uses, (std::vector<std::uint32_t>{1, 1, 1, 1, 1, 1, 2, 2, 3, 0, 1, 1, 1, 2, 2}));
}

// The chain of states of each connection has no gap, begins and ends at rest, and says by which rule.
TEST(LifecycleLog, StatesFollowOneAnotherToTheEnd) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Log log = parsed(story(seed, kFoul));
    std::map<std::pair<std::string, FourTuple>, TcpState> states;
    std::map<std::pair<std::string, FourTuple>, std::uint32_t> uses;
    Instant last{};
    std::string before;
    std::size_t without_rule = 0;
    for (const LifecycleEvent& e : log.events) {
      std::string line;
      append_line(line, e);
      ASSERT_GE(e.at, last) << before << line;
      last = e.at;
      before = line;
      if (e.what != Happening::StateChanged) continue;
      ASSERT_TRUE(e.tuple && e.from && e.to);
      const std::pair key{e.host, *e.tuple};
      TcpState& state = states.try_emplace(key, TcpState::Closed).first->second;
      if (*e.from != TcpState::Listen) {
        EXPECT_EQ(state, *e.from) << e.tuple->to_string();
      }
      state = *e.to;
      EXPECT_FALSE(e.why.empty());
      without_rule += e.rule.empty();
      if (e.tuple->remote.port == 0) continue;
      EXPECT_GE(e.incarnation, std::max(uses[key], 1U));
      uses[key] = e.incarnation;
    }
    EXPECT_EQ(without_rule, 0u);
    std::size_t again = 0;
    for (const auto& [key, n] : uses) again += n > 1;
    EXPECT_GT(again, 0u) << "two ports for twelve connections";
    for (const auto& [key, state] : states) {
      if (key.second.remote.port == 0) continue;
      EXPECT_TRUE(state == TcpState::Closed || state == TcpState::Listen)
          << key.first << ' ' << key.second.to_string() << ' ' << to_string(state);
    }
  }
}

// A number is one segment's from where it is sent to where it arrives; what arrives was sent and not lost.
TEST(LifecycleLog, SegmentsCanBeFollowed) {
  const Log log = parsed(story(5, {.delay = 20ms, .loss = 0.1, .duplicate = 0.1}));
  std::map<std::uint64_t, const LifecycleEvent*> sent;
  std::map<std::uint64_t, int> arrived, dropped, doubled;
  for (const LifecycleEvent& e : log.events) {
    switch (e.what) {
      case Happening::SegmentSent:
        EXPECT_TRUE(sent.emplace(e.segment_id, &e).second);
        break;
      case Happening::SegmentReceived: {
        const auto from = sent.find(e.segment_id);
        ASSERT_NE(from, sent.end()) << e.segment_id;
        const LifecycleEvent& s = *from->second;
        EXPECT_NE(s.host, e.host);
        EXPECT_EQ(s.tuple->local, e.tuple->remote);
        EXPECT_EQ(s.segment->seq, e.segment->seq);
        EXPECT_EQ(s.segment->flags, e.segment->flags);
        EXPECT_EQ(s.segment->length, e.segment->length);
        EXPECT_GE(e.at - s.at, 20ms);
        ++arrived[e.segment_id];
        break;
      }
      case Happening::SegmentDropped:
        ++dropped[e.segment_id];
        break;
      case Happening::SegmentDuplicated:
        ++doubled[e.segment_id];
        break;
      default:
        break;
    }
  }
  EXPECT_GT(dropped.size(), 3u);
  EXPECT_GT(doubled.size(), 3u);
  for (const auto& [id, e] : sent) {
    EXPECT_EQ(arrived[id], 1 - dropped[id] + doubled[id]) << id;
  }
}

TEST(LifecycleLog, TimeWaitIsEnteredOnceAndEndsAfterAMinute) {
  const Log log = parsed(story(1, {.delay = 1ms}));
  std::map<FourTuple, Instant> since;
  std::map<Happening, int> count;
  for (const LifecycleEvent& e : log.events) {
    ++count[e.what];
    if (e.what == Happening::TimeWaitEntered) {
      EXPECT_TRUE(since.emplace(*e.tuple, e.at).second);
    } else if (e.what == Happening::TimeWaitReused || e.what == Happening::TimeWaitEnded) {
      const auto at = since.find(*e.tuple);
      ASSERT_NE(at, since.end());
      if (e.what == Happening::TimeWaitEnded) {
        EXPECT_GE(e.at - at->second, 60s);
        EXPECT_LE(e.at - at->second, 60s + 10ms);
      }
      since.erase(at);
    }
  }
  EXPECT_TRUE(since.empty());
  EXPECT_GT(count[Happening::TimeWaitReused], 0);
  EXPECT_GT(count[Happening::TimeWaitEnded], 0);
  EXPECT_EQ(count[Happening::AppConnect], 12);
  EXPECT_EQ(count[Happening::AppAbort], 2);
}

}  // namespace
}  // namespace lastack::test
