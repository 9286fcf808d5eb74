// Idle connections are packed away, and come back as they were.
#include <cstring>
#include <random>

#include "stack/asleep.h"
#include "unit/stack/world.h"

namespace lastack::test {
namespace {

bool same(const ControlBlock& a, const ControlBlock& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

TEST(Asleep, WakesAsItWas) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::array<std::byte, sizeof(ControlBlock)> bytes;
    std::memcpy(bytes.data(), &kFreshBlock, sizeof bytes);
    for (std::uint64_t n = random() % 900; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    // Whatever the bytes are, they are nothing but bytes here.
    ControlBlock before, after;
    std::memcpy(&before, bytes.data(), sizeof before);
    wake(put_to_sleep(before).get(), after);
    EXPECT_TRUE(same(before, after));
  }
}

class Idle : public ::testing::Test {
 protected:
  World w;
  SocketId at = w.listen(80);
  World::Pair pair = w.connect(at, 80);

  std::string exchange(const std::string& text) {
    EXPECT_EQ(w.client.write(pair.client, bytes_of(text), w.now), text.size());
    w.run_for(10ms);
    Bytes got(100);
    const auto n = w.server.read(pair.server, got, w.now);
    EXPECT_TRUE(n);
    return {reinterpret_cast<const char*>(got.data()), n.value_or(0)};
  }
};

TEST_F(Idle, DataArrivesAfterSleep) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(exchange("one of many"), "one of many");
    w.run_for(30s);
  }
  EXPECT_EQ(w.server.counters().InErrs, 0u);
  EXPECT_EQ(w.client.counters().RetransSegs, 0u);
}

TEST_F(Idle, AsleepItIsInTheSnapshot) {
  exchange("x");
  w.run_for(30s);
  const HostSnapshot before = w.server.snapshot(w.now);
  EXPECT_EQ(*w.server.state(pair.server), TcpState::Established);  // which wakes it
  const HostSnapshot after = w.server.snapshot(w.now);
  EXPECT_EQ(before.namespaces[0].sockets.states, after.namespaces[0].sockets.states);
}

TEST_F(Idle, KeepAliveFindsItAsleep) {
  ASSERT_TRUE(w.client.set_option(pair.client, Option::keep_alive, 1, w.now));
  ASSERT_TRUE(w.client.set_option(pair.client, Option::keep_idle, 60, w.now));
  ASSERT_TRUE(w.client.set_option(pair.client, Option::keep_interval, 10, w.now));
  w.run_for(200s);
  EXPECT_EQ(w.client.counters().TCPKeepAlive, 3u);
  EXPECT_EQ(*w.client.state(pair.client), TcpState::Established);
}

TEST_F(Idle, ClosesFromSleep) {
  w.run_for(30s);
  ASSERT_TRUE(w.client.close(pair.client, w.now));
  w.run_for(30s);
  EXPECT_EQ(*w.server.state(pair.server), TcpState::CloseWait);
  w.run_for(30s);
  ASSERT_TRUE(w.server.close(pair.server, w.now));
  w.run_for(10ms);
  EXPECT_EQ(w.client.connections() + w.server.connections(), 0u);
}

TEST_F(Idle, ResetsFromSleep) {
  w.run_for(30s);
  ASSERT_TRUE(w.client.abort(pair.client, w.now));
  w.run_for(10ms);
  EXPECT_EQ(*w.server.take_error(pair.server), Err::connection_reset);
}

}  // namespace
}  // namespace lastack::test
