// Seeded runs over a wire that delays, loses, doubles, reorders and corrupts, with few ports, so that
// four-tuples are used again all the time. Every byte is delivered once, in order, to the incarnation it was
// sent to, or the connection reports an error; nothing is stuck, nothing leaks, TIME_WAIT ends.
//
// A failure prints the line that repeats it: LASTACK_SEED=<n> test_stack --gtest_filter=Swarm.*
#include <cstdlib>
#include <random>

#include "unit/stack/world.h"

namespace lastack::test {
namespace {

struct Flow {
  SocketId client{}, server{};
  bool accepted = false, client_open = true, server_open = false;
  std::uint32_t number = 0;
  std::size_t size = 0, written = 0, read = 0;
  bool failed = false, got_end = false;
};

// Bytes that tell which flow they belong to, and where in it.
std::byte expected(std::uint32_t flow, std::size_t at) {
  return static_cast<std::byte>((flow * 2654435761U + at * 40503U) >> 7);
}

struct Totals {
  std::size_t bytes = 0, whole = 0, failed = 0, reused = 0;
};

void one_run(std::uint64_t seed, Totals& totals) {
  SCOPED_TRACE("replay: LASTACK_SEED=" + std::to_string(seed) +
               " test_stack --gtest_filter=Swarm.*");
  std::mt19937_64 random(seed);
  World w({.name = "client", .seed = seed}, {.name = "server", .seed = seed + 1});
  ASSERT_TRUE(w.client.set("ip_local_port_range", "40000 40007"));
  ASSERT_TRUE(w.client.set("tcp_tw_reuse", "1"));
  const std::uint64_t loss = random() % 15, doubled = random() % 10, late = random() % 20,
                      corrupt = random() % 5;
  bool faults = true;
  w.fault = [&](Bytes& packet, std::size_t) -> std::vector<Duration> {
    const auto delay = [&] {
      auto d = Duration(static_cast<Duration::rep>(1'000'000 + random() % 2'000'000));
      if (random() % 100 < late) d += std::chrono::milliseconds(random() % 400);
      return d;
    };
    if (!faults) return {1ms};
    if (random() % 100 < loss) return {};
    if (random() % 100 < corrupt) {
      packet[random() % packet.size()] ^= static_cast<std::byte>(1U << (random() % 8));
    }
    if (random() % 100 < doubled) return {delay(), delay()};
    return {delay()};
  };
  const SocketId at = w.listen(80);
  std::map<Port, std::size_t> by_port;  // the flow that has a local port of the client now
  std::vector<Flow> flows;
  Bytes buffer(4096);
  const int count = 12;
  for (int step = 0; step < 4000; ++step) {
    if (static_cast<int>(flows.size()) < count && random() % 8 == 0) {
      const SocketId c = *w.client.open();
      const auto begun = w.client.connect(c, {kServerAddress, 80}, w.now);
      if (!begun && begun.error() == Err::in_progress) {
        Flow flow;
        flow.client = c;
        flow.number = static_cast<std::uint32_t>(flows.size());
        flow.size = random() % 3 == 0 ? 0 : random() % 60'000;
        by_port[w.client.local(c)->port] = flows.size();
        flows.push_back(flow);
      } else {
        ASSERT_TRUE(w.client.close(c, w.now));
      }
    }
    while (const auto s = w.server.accept(at)) {
      const auto remote = w.server.remote(*s);
      if (!remote) {  // over before it was taken
        ASSERT_TRUE(w.server.close(*s, w.now));
        continue;
      }
      Flow& flow = flows[by_port[remote->port]];
      if (flow.accepted) {  // of an earlier incarnation, which its client has given up
        ASSERT_TRUE(w.server.close(*s, w.now));
        continue;
      }
      flow.server = *s;
      flow.accepted = flow.server_open = true;
    }
    for (Flow& flow : flows) {
      if (flow.client_open && !flow.failed) {
        if (flow.written < flow.size) {
          Bytes piece(std::min<std::size_t>(flow.size - flow.written, 1 + random() % 3000));
          for (std::size_t i = 0; i < piece.size(); ++i) {
            piece[i] = expected(flow.number, flow.written + i);
          }
          const auto n = w.client.write(flow.client, piece, w.now);
          if (n) {
            flow.written += *n;
          } else if (n.error() != Err::would_block) {
            flow.failed = true;
          }
        }
        const auto state = w.client.state(flow.client);
        const bool opened = state && *state != TcpState::SynSent;
        if (flow.failed || (flow.written == flow.size && opened)) {
          ASSERT_TRUE(w.client.close(flow.client, w.now));
          flow.client_open = false;
        }
      }
      if (flow.server_open) {
        const auto n = w.server.read(flow.server, buffer, w.now);
        if (n && *n > 0) {
          for (std::size_t i = 0; i < *n; ++i) {
            ASSERT_EQ(buffer[i], expected(flow.number, flow.read + i))
                << "flow " << flow.number << " byte " << flow.read + i;
          }
          flow.read += *n;
        } else if (n || n.error() != Err::would_block) {
          if (n) {
            flow.got_end = true;
            ASSERT_EQ(flow.read, flow.size) << "an end before the end, flow " << flow.number;
          } else {
            flow.failed = true;
          }
          ASSERT_TRUE(w.server.close(flow.server, w.now));
          flow.server_open = false;
        }
      }
    }
    w.run_for(std::chrono::milliseconds(1 + random() % 30));
  }
  // Without faults what is under way comes to its end.
  faults = false;
  for (int i = 0; i < 3000; ++i) {
    while (const auto s = w.server.accept(at)) ASSERT_TRUE(w.server.close(*s, w.now));
    for (Flow& flow : flows) {
      if (flow.client_open) {
        ASSERT_TRUE(w.client.close(flow.client, w.now));
        flow.client_open = false;
      }
      if (!flow.server_open) continue;
      const auto n = w.server.read(flow.server, buffer, w.now);
      if (n && *n > 0) continue;
      if (!n && n.error() == Err::would_block) continue;
      ASSERT_TRUE(w.server.close(flow.server, w.now));
      flow.server_open = false;
    }
    w.run_for(500ms);
  }
  for (const Flow& flow : flows) {
    totals.bytes += flow.read;
    totals.whole += flow.got_end && flow.read == flow.size ? 1 : 0;
    totals.failed += flow.failed ? 1 : 0;
  }
  totals.reused += w.client.counters().TWRecycled;
  EXPECT_EQ(w.client.connections(), 0u) << "stuck";
  EXPECT_EQ(w.server.connections(), 0u) << "stuck";
  EXPECT_EQ(w.client.time_waits() + w.server.time_waits(), 0u) << "TIME_WAIT does not end";
  EXPECT_EQ(w.client.counters().CurrEstab + w.server.counters().CurrEstab, 0u);
}

TEST(Swarm, EveryByteOnceInOrderOrAnError) {
  Totals totals;
  if (const char* seed = std::getenv("LASTACK_SEED")) {
    one_run(std::strtoull(seed, nullptr, 10), totals);
    return;
  }
  for (std::uint64_t seed = 1; seed <= 25 && !HasFailure(); ++seed) one_run(seed, totals);
  // It must have been worth the trouble.
  EXPECT_GT(totals.bytes, 1'000'000u);
  EXPECT_GT(totals.whole, 200u);
  EXPECT_GT(totals.reused, 10u);
}

}  // namespace
}  // namespace lastack::test
