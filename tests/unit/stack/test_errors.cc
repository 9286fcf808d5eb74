// Every call in every state has an answer (claim D9): POSIX's.
#include <limits>

#include "unit/stack/world.h"

namespace lastack::test {
namespace {

template <class T>
Err err(const Outcome<T>& outcome) {
  return outcome ? Err::none : outcome.error();
}

TEST(Errors, OfANumberThatIsNoSocket) {
  Host host;
  const SocketId none{12345};
  Bytes buffer(4);
  EXPECT_EQ(err(host.bind(none, {kClientAddress, 1})), Err::bad_descriptor);
  EXPECT_EQ(err(host.listen(none, 1)), Err::bad_descriptor);
  EXPECT_EQ(err(host.connect(none, {kClientAddress, 1}, Instant{})), Err::bad_descriptor);
  EXPECT_EQ(err(host.accept(none)), Err::bad_descriptor);
  EXPECT_EQ(err(host.read(none, buffer, Instant{})), Err::bad_descriptor);
  EXPECT_EQ(err(host.write(none, buffer, Instant{})), Err::bad_descriptor);
  EXPECT_EQ(err(host.shutdown(none, ShutdownHow::Both, Instant{})), Err::bad_descriptor);
  EXPECT_EQ(err(host.close(none, Instant{})), Err::bad_descriptor);
  const SocketId once = *host.open();
  EXPECT_TRUE(host.close(once, Instant{}));
  EXPECT_EQ(err(host.close(once, Instant{})), Err::bad_descriptor);
}

TEST(Errors, OfAFreshSocket) {
  World w;
  const SocketId s = *w.client.open();
  Bytes buffer(4);
  EXPECT_EQ(err(w.client.read(s, buffer, w.now)), Err::not_connected);
  EXPECT_EQ(err(w.client.write(s, buffer, w.now)), Err::broken_pipe);
  EXPECT_EQ(err(w.client.shutdown(s, ShutdownHow::Write, w.now)), Err::not_connected);
  EXPECT_EQ(err(w.client.accept(s)), Err::invalid);
  EXPECT_EQ(err(w.client.remote(s)), Err::not_connected);
  EXPECT_EQ(err(w.client.bind(s, {kServerAddress, 1})), Err::address_not_available) << "not ours";
  EXPECT_EQ(err(w.client.bind(s, {*IpAddress::parse("::1"), 1})), Err::family_not_supported);
  EXPECT_TRUE(w.client.bind(s, {kClientAddress, 1000}));
  EXPECT_EQ(err(w.client.bind(s, {kClientAddress, 1001})), Err::invalid) << "bound already";
  EXPECT_EQ(err(w.client.connect(s, {IpAddress::v4(0xe0000001), 1}, w.now)),
            Err::network_unreachable)
      << "MUST-46: nobody connects to a group";
}

TEST(Errors, OfConnect) {
  World w;
  const SocketId refused = w.dial(81);
  EXPECT_EQ(err(w.client.connect(refused, {kServerAddress, 81}, w.now)), Err::already);
  Bytes buffer(4);
  EXPECT_EQ(err(w.client.read(refused, buffer, w.now)), Err::would_block);
  w.run_for(100ms);
  EXPECT_EQ(w.client.take_error(refused), Err::connection_refused);
  EXPECT_EQ(w.client.take_error(refused), Err::none) << "told once";
  w.fault = [](const Bytes&, std::size_t) { return std::vector<Duration>{}; };
  const SocketId unheard = w.dial(80);
  w.run_for(200s);
  EXPECT_EQ(w.client.take_error(unheard), Err::timed_out);
  EXPECT_GE(w.client.counters().TCPSynRetrans, 6u);
  EXPECT_EQ(w.client.counters().AttemptFails, 2u);
}

TEST(Errors, WithoutALocalPortConnectSaysSo) {
  World w;
  ASSERT_TRUE(w.client.set("ip_local_port_range", "40000 40009"));
  const SocketId at = w.listen(80);
  std::vector<SocketId> open;
  for (int i = 0; i < 10; ++i) open.push_back(w.connect(at, 80).client);
  const SocketId eleventh = *w.client.open();
  EXPECT_EQ(err(w.client.connect(eleventh, {kServerAddress, 80}, w.now)),
            Err::address_not_available);
  EXPECT_EQ(w.client.ports_exhausted(), 1u);
  // Another destination has ports of its own (linux-facts 19).
  w.listen(81);
  EXPECT_EQ(err(w.client.connect(eleventh, {kServerAddress, 81}, w.now)), Err::in_progress);
}

TEST(Errors, OfAConnectionThatWasReset) {
  World w;
  const SocketId at = w.listen(80);
  auto [c, s] = w.connect(at, 80);
  ASSERT_TRUE(w.server.abort(s, w.now));
  w.run_for(50ms);
  Bytes buffer(4);
  EXPECT_TRUE(w.client.readiness(c).error);
  EXPECT_EQ(err(w.client.read(c, buffer, w.now)), Err::connection_reset);
  EXPECT_EQ(w.client.read(c, buffer, w.now), 0u);
  EXPECT_EQ(err(w.client.write(c, buffer, w.now)), Err::broken_pipe);
}

TEST(Errors, InfoTellsHowItEndedAndWhoClosedFirst) {
  World w;
  const SocketId at = w.listen(80);
  const auto info = [&](Host& host, SocketId s) { return *host.info(s, w.now); };
  auto [c, s] = w.connect(at, 80);
  EXPECT_EQ(info(w.client, c).closed_first, WhoClosed::Nobody);
  ASSERT_TRUE(w.client.shutdown(c, ShutdownHow::Write, w.now));
  w.run_for(50ms);
  EXPECT_EQ(info(w.client, c).closed_first, WhoClosed::Here);
  EXPECT_EQ(info(w.server, s).closed_first, WhoClosed::There);
  ASSERT_TRUE(w.server.shutdown(s, ShutdownHow::Write, w.now));
  w.run_for(50ms);
  EXPECT_EQ(info(w.client, c).closed_first, WhoClosed::Here);
  EXPECT_EQ(info(w.server, s).ended_by, Err::none);

  auto [c2, s2] = w.connect(at, 80);
  ASSERT_TRUE(w.client.shutdown(c2, ShutdownHow::Write, w.now));
  ASSERT_TRUE(w.server.shutdown(s2, ShutdownHow::Write, w.now));
  w.run_for(50ms);
  EXPECT_EQ(info(w.client, c2).closed_first, WhoClosed::Both);

  auto [c3, s3] = w.connect(at, 80);
  ASSERT_TRUE(w.server.abort(s3, w.now));
  w.run_for(50ms);
  EXPECT_EQ(w.client.take_error(c3), Err::connection_reset);
  EXPECT_EQ(info(w.client, c3).ended_by, Err::connection_reset) << "told already, and still known";
}

TEST(Errors, TooManySockets) {
  Host host({.most_sockets = 3});
  std::vector<SocketId> open;
  for (int i = 0; i < 3; ++i) open.push_back(*host.open());
  EXPECT_EQ(err(host.open()), Err::too_many_files);
  ASSERT_TRUE(host.close(open[1], Instant{}));
  EXPECT_TRUE(host.open());
}

// The table of all options is docs/errors.md, beside the kernel's; here is what has no kernel.
TEST(Errors, OptionsThatAreNone) {
  Host host;
  const SocketId v4 = *host.open(), v6 = *host.open(Host::Family::V6);
  for (const int number : {static_cast<int>(Option::fast_open_no_cookie) + 1, 200, 255}) {
    const auto none = static_cast<Option>(number);
    EXPECT_EQ(err(host.set_option(v4, none, 1, Instant{})), Err::unknown_option);
    EXPECT_EQ(err(host.option(v4, none)), Err::unknown_option);
  }
  EXPECT_EQ(to_string(Err::unknown_option), "ENOPROTOOPT");
  EXPECT_EQ(err(host.set_option(v4, Option::v6_only, 1, Instant{})), Err::unknown_option);
  EXPECT_EQ(err(host.option(v4, Option::v6_only)), Err::unknown_option);
  EXPECT_TRUE(host.set_option(v6, Option::v6_only, 1, Instant{}));
}

TEST(Errors, ANegativeLingerIsForEver) {
  Host host;
  const SocketId s = *host.open();
  EXPECT_EQ(host.option(s, Option::linger), -1);
  ASSERT_TRUE(host.set_option(s, Option::linger, -7, Instant{}));
  EXPECT_EQ(host.option(s, Option::linger), std::numeric_limits<int>::max());
  ASSERT_TRUE(host.set_option(s, Option::linger, -1, Instant{}));
  EXPECT_EQ(host.option(s, Option::linger), -1);
}

}  // namespace
}  // namespace lastack::test
