// The profiles where they differ in what a person sees: claim A5, the two tellings of it and the running kernel;
// claim A9, the quiet time.
#include <algorithm>

#include "conformance/timeline.h"
#include "stack/profile.h"

namespace lastack::test {
namespace {

using enum TcpState;

// The client closes first, and forgets (its TIME_WAIT has length 0); its last ACK is lost, so that the server
// stays in LAST_ACK. Then the client connects again from the same port, at `from_isn` past what the server
// expects, if given.
struct LastAckReuse : ::testing::Test {
  void begin(HostOptions of_server, Duration pause = 20ms) {
    of_server.name = "server";
    of_server.seed = 2;
    HostOptions of_client{.name = "client", .profile = of_server.profile, .seed = 1};
    of_client.time_wait_length = 0s;
    net.emplace(std::move(of_client), std::move(of_server));
    ASSERT_TRUE(net->client().set("tcp_timestamps", "0"));
    ASSERT_TRUE(net->server().set("tcp_timestamps", "0"));
    net->delay = 5ms;
    net->listen();
    const SocketId first = net->dial(40000);
    net->run_for(50ms);
    accepted = net->accept();
    // The last ACK is lost, and so is what the server repeats until the client comes again.
    net->lose = [this](const TimelineSegment&) { return net->server_state(40000) == LastAck; };
    ASSERT_TRUE(net->client().close(first, net->now));
    net->run_for(50ms);
    ASSERT_TRUE(net->server().close(accepted, net->now));
    net->lose = [](const TimelineSegment& s) { return s.from == 0; };
    net->run_for(10ms);
    net->lose = [](const TimelineSegment&) { return true; };
    net->run_for(pause);
    ASSERT_EQ(net->server_state(40000), LastAck);
    ASSERT_EQ(net->client().connections(), 0U);
    net->lose = nullptr;
    net->lines.clear();
    net->origin = net->now;
    again = net->dial(40000);
  }
  // How long until the client is connected; nothing: it never was.
  std::optional<Duration> connected() { return net->run_until_state(again, Established, 10s); }

  std::optional<Timeline> net;
  SocketId accepted{}, again{};
};

// A SYN without anything in its way takes 10 ms here, two trips of 5 ms.

TEST_F(LastAckReuse, The_running_kernel_challenges) {
  begin({.profile = Profile::Linux});
  EXPECT_EQ(connected(), 28ms) << "18 ms more than usual";
  EXPECT_EQ(net->text(),
            "    0.000 client SYN\n"
            "    0.005 server ACK\n"
            "    0.010 client RST\n"
            "    0.018 client SYN\n"
            "    0.023 server SYN,ACK\n"
            "    0.028 client ACK\n");
  EXPECT_EQ(net->server().counters().TCPChallengeACK, 1U);
}

TEST_F(LastAckReuse, A_lost_RST_costs_a_second) {
  begin({.profile = Profile::Linux});
  net->lose = [n = 0](const TimelineSegment& s) mutable { return s.flags == "RST" && n++ == 0; };
  EXPECT_EQ(connected(), 1028ms);
  // The second SYN comes too soon for another challenge ACK; the FIN, repeated, gets the RST in the end.
  EXPECT_EQ(net->text(),
            "    0.000 client SYN\n"
            "    0.005 server ACK\n"
            "    0.010 client RST (lost)\n"
            "    0.018 client SYN\n"
            "    0.182 server FIN,ACK\n"
            "    0.187 client RST\n"
            "    1.018 client SYN\n"
            "    1.023 server SYN,ACK\n"
            "    1.028 client ACK\n");
}

TEST_F(LastAckReuse, RFC_793_outside_the_window_acknowledges) {
  // In 400 ms the clock of initial numbers has left the window.
  begin({.profile = Profile::Rfc793}, 400ms);
  EXPECT_EQ(connected(), 1010ms);
  EXPECT_EQ(net->text(),
            "    0.000 client SYN\n"
            "    0.005 server ACK\n"
            "    0.010 client RST\n"
            "    1.000 client SYN\n"
            "    1.005 server SYN,ACK\n"
            "    1.010 client ACK\n");
}

TEST_F(LastAckReuse, RFC_793_in_the_window_resets) {
  begin({.profile = Profile::Rfc793});
  EXPECT_EQ(connected(), std::nullopt);
  EXPECT_EQ(net->text(),
            "    0.000 client SYN\n"
            "    0.005 server RST,ACK\n");
  EXPECT_EQ(*net->client().take_error(again), Err::connection_refused);
  // The way is free now: the next attempt needs no more than usual.
  net->origin = net->now;
  again = net->dial(40000);
  EXPECT_EQ(connected(), 10ms);
}

TEST_F(LastAckReuse, As_told_the_SYN_is_ignored) {
  begin({.profile = Profile::Rfc793, .syn_answer = SynAnswer::Ignore});
  EXPECT_EQ(connected(), 1010ms);
  EXPECT_EQ(net->text(),
            "    0.000 client SYN\n"
            "    0.182 server FIN,ACK\n"
            "    0.187 client RST\n"
            "    1.000 client SYN\n"
            "    1.005 server SYN,ACK\n"
            "    1.010 client ACK\n");
}

TEST_F(LastAckReuse, As_told_the_SYN_is_ignored_and_the_RST_is_lost) {
  begin({.profile = Profile::Rfc793, .syn_answer = SynAnswer::Ignore});
  net->lose = [n = 0](const TimelineSegment& s) mutable { return s.flags == "RST" && n++ == 0; };
  EXPECT_EQ(connected(), 1010ms) << "the next FIN comes before the next SYN";
  EXPECT_EQ(net->text(),
            "    0.000 client SYN\n"
            "    0.182 server FIN,ACK\n"
            "    0.187 client RST (lost)\n"
            "    0.606 server FIN,ACK\n"
            "    0.611 client RST\n"
            "    1.000 client SYN\n"
            "    1.005 server SYN,ACK\n"
            "    1.010 client ACK\n");
}

TEST_F(LastAckReuse, As_told_the_SYN_is_reset) {
  begin({.profile = Profile::Rfc793, .syn_answer = SynAnswer::Reset}, 400ms);
  EXPECT_EQ(connected(), std::nullopt);
  EXPECT_EQ(net->text(),
            "    0.000 client SYN\n"
            "    0.005 server RST,ACK\n");
}

// Claim A9. A client sends faster than the RFC's clock of initial numbers runs, loses its memory, and connects again
// from the same port; a segment of before is still on its way. How many bytes of the old connection the server
// reads in the new one.
std::size_t old_bytes_in_new_connection(bool quiet) {
  HostOptions of_client{.name = "client", .profile = Profile::Rfc9293, .seed = 1};
  of_client.msl = 30s;
  // The server takes ACKs as RFC 5961 does; Linux's rule of today would refuse these old ones.
  Timeline net(of_client, {.name = "server", .profile = Profile::Rfc9293, .seed = 2});
  EXPECT_TRUE(net.server().set("tcp_timestamps", "0"));
  net.listen();
  const SocketId first = net.dial(40000);
  net.run_for(3ms);
  const SocketId old_end = net.accept();
  // The last segment of the first flight takes 12 s.
  net.hold = [](const TimelineSegment& s) -> std::optional<Duration> {
    if (s.from != 0 || s.length == 0 || s.segment.payload[0] != std::byte{'o'}) return std::nullopt;
    return s.segment.has(tcp_flag::kPsh) ? std::optional<Duration>(12s) : std::nullopt;
  };
  const Bytes before(14'600, std::byte{'o'}), after(20'000, std::byte{'n'});
  EXPECT_EQ(net.client().write(first, before, net.now), before.size());
  net.run_for(1ms);
  // The host forgets everything, but not its secret.
  of_client.observer = &net.client_sees;
  if (quiet) of_client.lost_memory_at = net.now;
  net.client() = Host(of_client);
  net.client().add_address(kClientAddress);
  const Instant restart = net.now;
  EXPECT_TRUE(net.server().abort(old_end, net.now));
  const SocketId second = net.dial(40000);
  net.run_for(quiet ? 31s : 1s);
  EXPECT_EQ(net.client().state(second), Established);
  const SocketId new_end = net.accept();
  EXPECT_EQ(net.client().write(second, std::span(after).first(3000), net.now), 3000U);
  net.run_for(restart + 20s - net.now);
  EXPECT_EQ(net.client().write(second, std::span(after).subspan(3000), net.now), 17'000U);
  net.run_for(5s);
  Bytes got(30'000);
  const auto n = net.server().read(new_end, got, net.now);
  EXPECT_EQ(n, after.size());
  got.resize(n.value_or(0));
  return static_cast<std::size_t>(std::count(got.begin(), got.end(), std::byte{'o'}));
}

TEST(QuietTime, Without_it_old_bytes_are_taken_for_new_ones) {
  EXPECT_GT(old_bytes_in_new_connection(false), 0U);
}

TEST(QuietTime, After_an_MSL_of_silence_none_are_left) {
  EXPECT_EQ(old_bytes_in_new_connection(true), 0U);
}

}  // namespace
}  // namespace lastack::test
