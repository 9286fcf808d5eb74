// Every call of the host, on a socket in any state, with any argument: it answers, and the host is in order afterwards.
// Under the sanitizers (./dev test asan) nothing overflows either.
#include <limits>

#include "attack/forger.h"

namespace lastack::test {
namespace {

using Prepare = SocketId (*)(World&);

SocketId fresh(World& w) {
  return *w.server.open();
}
SocketId bound(World& w) {
  const SocketId s = fresh(w);
  EXPECT_TRUE(w.server.bind(s, {IpAddress::v4(0), 1000}));
  return s;
}
SocketId listening(World& w) {
  const SocketId s = w.listen(80);
  w.dial(80);  // someone waits to be accepted
  w.run_for(10ms);
  return s;
}
SocketId connecting(World& w) {
  const SocketId s = fresh(w);
  w.fault = [](const Bytes&, std::size_t) { return std::vector<Duration>{}; };
  EXPECT_FALSE(w.server.connect(s, {kClientAddress, 9}, w.now));
  return s;
}
World::Pair pair(World& w) {
  const auto both = w.connect(w.listen(80), 80);
  EXPECT_TRUE(w.client.write(both.client, bytes_of("hello"), w.now));
  w.run_for(10ms);
  return both;
}
SocketId established(World& w) {
  return pair(w).server;
}
SocketId half_closed(World& w) {
  const SocketId s = pair(w).server;
  EXPECT_TRUE(w.server.shutdown(s, ShutdownHow::Write, w.now));
  w.run_for(10ms);
  return s;
}
SocketId close_wait(World& w) {
  const auto both = pair(w);
  EXPECT_TRUE(w.client.close(both.client, w.now));
  w.run_for(10ms);
  return both.server;
}
SocketId time_wait(World& w) {
  const auto both = pair(w);
  EXPECT_TRUE(w.server.shutdown(both.server, ShutdownHow::Both, w.now));
  w.run_for(10ms);
  EXPECT_TRUE(w.client.shutdown(both.client, ShutdownHow::Write, w.now));
  w.run_for(10ms);
  return both.server;
}
SocketId reset(World& w) {
  const auto both = pair(w);
  EXPECT_TRUE(w.client.abort(both.client, w.now));
  w.run_for(10ms);
  return both.server;
}
SocketId refused(World& w) {
  const SocketId s = fresh(w);
  EXPECT_FALSE(w.server.connect(s, {kClientAddress, 9}, w.now));
  w.run_for(10ms);
  return s;
}

constexpr std::array<Prepare, 11> kStates = {fresh,
                                             bound,
                                             listening,
                                             connecting,
                                             established,
                                             half_closed,
                                             close_wait,
                                             time_wait,
                                             reset,
                                             refused,
                                             [](World&) { return SocketId{0xfffffff}; }};

const std::array<Instant, 5> kTimes = {Instant::min(), Instant{}, Instant(1s), Instant(100h),
                                       Instant::max()};
constexpr std::array<int, 10> kValues = {0,
                                         1,
                                         -1,
                                         2,
                                         87,
                                         88,
                                         32767,
                                         65536,
                                         std::numeric_limits<int>::max(),
                                         std::numeric_limits<int>::min()};

// One call, chosen by number; false when there are no more.
bool call(World& w, SocketId s, std::size_t which, std::mt19937_64& random) {
  Host& h = w.server;
  const Instant at = kTimes[random() % kTimes.size()];
  Bytes buffer(random() % 3000);
  const std::array<Endpoint, 6> endpoints = {Endpoint{kClientAddress, 80},
                                             {IpAddress::v4(0), 0},
                                             {IpAddress(), 0},
                                             {IpAddress::v4(0xffffffff), 1},
                                             {*IpAddress::parse("ff02::1"), 65535},
                                             {kServerAddress, 80}};
  const Endpoint& endpoint = endpoints[random() % endpoints.size()];
  const int value = kValues[random() % kValues.size()];
  switch (which) {
    case 0:
      h.bind(s, endpoint);
      return true;
    case 1:
      h.listen(s, value);
      return true;
    case 2:
      h.connect(s, endpoint, at);
      return true;
    case 3:
      h.accept(s);
      return true;
    case 4:
      h.read(s, buffer, at, (random() & 1) != 0);
      return true;
    case 5:
      h.read(s, {}, at);
      return true;
    case 6:
      h.write(s, buffer, at, (random() & 1) != 0, (random() & 1) != 0);
      return true;
    case 7:
      h.write(s, {}, at);
      return true;
    case 8:
      h.shutdown(s, static_cast<ShutdownHow>(random() % 3), at);
      return true;
    case 9:
      h.close(s, at);
      return true;
    case 10:
      h.abort(s, at);
      return true;
    case 11:
      for (int o = 0; o <= static_cast<int>(Option::fast_open_no_cookie); ++o) {
        h.set_option(s, static_cast<Option>(o), kValues[random() % kValues.size()], at);
      }
      return true;
    case 12:
      for (int o = 0; o <= static_cast<int>(Option::fast_open_no_cookie); ++o)
        h.option(s, static_cast<Option>(o));
      return true;
    case 13:
      h.take_error(s);
      h.local(s);
      h.remote(s);
      h.state(s);
      h.unread(s);
      h.unacknowledged(s);
      h.readiness(s);
      return true;
    case 14:
      h.info(s, at);
      h.snapshot(at);
      return true;
    case 15:
      h.advance(at);
      return true;
    case 16:
      h.receive(buffer, at);
      h.receive({}, at);
      return true;
    case 17:
      h.destroy({endpoint, endpoints[random() % endpoints.size()]}, at);
      return true;
    case 18:
      for (const char* name :
           {"tcp_rmem", "tcp_wmem", "tcp_mem", "tcp_fin_timeout", "", "nothing"}) {
        const std::string number = std::to_string(value);
        static_cast<void>(h.set(name, number));
        static_cast<void>(h.set(name, number + " " + number + " " + number));
      }
      return true;
    default:
      return false;
  }
}

TEST(PublicCalls, AnyCallInAnyState) {
  std::mt19937_64 random(11);
  for (std::size_t state = 0; state < kStates.size(); ++state) {
    for (std::size_t which = 0; which < 19; ++which) {
      World w;
      const SocketId s = kStates[state](w);
      ASSERT_TRUE(call(w, s, which, random));
      discard(w.server);
      const Instant now = HostAudit::impl(w.server).now;
      w.server.advance(now);
      discard(w.server);
      EXPECT_EQ(HostAudit::check(w.server, now), "") << "state " << state << ", call " << which;
    }
  }
}

TEST(PublicCalls, ManyInARow) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    World w;
    std::vector<SocketId> sockets = {kStates[random() % kStates.size()](w)};
    for (int step = 0; step < 40 && !HasFailure(); ++step) {
      if (random() % 4 == 0) {
        if (const auto s = w.server.open()) sockets.push_back(*s);
      }
      call(w, sockets[random() % sockets.size()], random() % 19, random);
      discard(w.server);
      const Instant now = HostAudit::impl(w.server).now;
      w.server.advance(now);
      discard(w.server);
      EXPECT_EQ(HostAudit::check(w.server, now), "") << step;
    }
  }
}

}  // namespace
}  // namespace lastack::test
