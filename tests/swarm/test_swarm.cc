// The swarm in CI: a few seconds of it, and the proof that its invariants bite (claims A3 and B3). `./dev swarm`
// runs it for as long as one likes.
//
// A failure prints the line that repeats it. LASTACK_SWARM_RUNS=<n>: more runs.
#include <gtest/gtest.h>

#include <cstdlib>

#include "swarm/swarm.h"

namespace lastack::test {
namespace {

std::uint64_t runs(std::uint64_t usual) {
  const char* wanted = std::getenv("LASTACK_SWARM_RUNS");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : usual;
}

TEST(Swarm, EveryByteOnceInOrderOrAnError) {
  SwarmStats stats;
  for (std::uint64_t seed = 1; seed <= runs(60); ++seed) {
    ASSERT_EQ(run_swarm(seed, stats), "") << "replay: ./dev swarm --seed " << seed;
  }
  // It must have been worth the trouble.
  EXPECT_GT(stats.bytes, 1'000'000u);
  EXPECT_GT(stats.whole, 200u);
  EXPECT_GT(stats.exposed, 100u);
  EXPECT_GT(stats.recycled, 10u);
  EXPECT_GT(stats.paws, 100u);
  std::printf("%s\n", stats.to_string().c_str());
}

// One port, so that each connection takes the four-tuple of the one before, on a wire that brings old segments
// late and twice. All connections end in good order.
SwarmPlan one_port(std::uint64_t seed) {
  SwarmPlan plan;
  plan.wire.delay = 1ms;
  plan.wire.jitter = 500us;
  plan.wire.late = 10;
  plan.wire.latest = 400ms;
  plan.wire.replay = 20;
  plan.wire.lifetime = 2s;
  plan.aborts = false;
  plan.vary_settings = false;
  plan.ports = 1;
  plan.most_open = 2;
  plan.steps = 400;
  plan.tick = 2ms;
  for (std::size_t h = 0; h < 2; ++h) plan.hosts[h].seed = seed * 2 + h;
  return plan;
}

struct Found {
  SwarmStats stats;
  std::string complaint;
  std::uint64_t seed = 0;
};
// Until something is delivered that belongs to an earlier connection, or `most` runs.
Found old_duplicates(bool time_wait, bool timestamps, std::uint64_t most) {
  Found outcome;
  for (std::uint64_t seed = 1; seed <= most; ++seed) {
    SwarmPlan plan = one_port(seed);
    plan.time_wait = time_wait;
    plan.timestamps = timestamps;
    for (std::size_t h = 0; h < 2; ++h) {
      if (!time_wait) {
        plan.hosts[h].time_wait_length = Duration::zero();
        // As the RFCs have it. Linux takes no ACK older than the connection's first byte since 6.7, and with it no
        // old duplicate.
        plan.hosts[h].profile = Profile::Rfc9293;
      }
      plan.settings[h].emplace_back("tcp_timestamps", timestamps ? "1" : "0");
      // No cookies: they would let one handshake make two connections.
      plan.settings[h].emplace_back("tcp_syncookies", "0");
    }
    // With TIME_WAIT a port comes back after a minute only.
    if (time_wait) plan.ports = 4;
    // A server's TIME_WAIT is ended by the client that comes again with a number that is not later: the SYN is
    // answered, and that answer draws a RST (RFC 1337; claim A8). Without this setting the swarm finds old duplicates
    // in the connection that follows.
    plan.settings[1].emplace_back("tcp_rfc1337", "1");
    Choices choices(seed);
    outcome.complaint = run_swarm(plan, choices, outcome.stats);
    if (!outcome.complaint.empty() || outcome.stats.permitted > 0) {
      outcome.seed = seed;
      break;
    }
  }
  return outcome;
}

// Claim A3: without TIME_WAIT, and without timestamps, an old duplicate gets into a new connection.
TEST(Swarm, WithoutProtectionAnOldDuplicateIsDelivered) {
  const Found bare = old_duplicates(false, false, 200);
  EXPECT_EQ(bare.complaint, "");
  EXPECT_GT(bare.stats.permitted, 0u) << bare.stats.to_string();
}

// ... TIME_WAIT alone keeps it out,
TEST(Swarm, TimeWaitKeepsOldDuplicatesOut) {
  const Found kept = old_duplicates(true, false, runs(20));
  EXPECT_EQ(kept.complaint, "");
  EXPECT_EQ(kept.stats.permitted, 0u) << kept.stats.last_permitted;
  EXPECT_GT(kept.stats.whole, 50u);
}

// ... and so do timestamps alone: PAWS is the second guard (claim B3).
TEST(Swarm, TimestampsKeepOldDuplicatesOut) {
  const Found kept = old_duplicates(false, true, runs(150));
  EXPECT_EQ(kept.complaint, "");
  EXPECT_EQ(kept.stats.permitted, 0u) << kept.stats.last_permitted;
  EXPECT_GT(kept.stats.exposed, 150u);
  EXPECT_GT(kept.stats.paws, 100u);
}

}  // namespace
}  // namespace lastack::test
