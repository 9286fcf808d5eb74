// The doctor in front of an endpoint host: it finds what it would find in a kernel.
#include "lastack/doctor.h"
#include "unit/stack/world.h"

namespace lastack::test {
namespace {

const Finding* find(const Diagnosis& d, const std::string& id) {
  for (const Finding& f : d.findings) {
    if (f.id == id) return &f;
  }
  return nullptr;
}

TEST(Snapshot, PortsBurntByTimeWait) {
  World w;
  ASSERT_TRUE(w.client.set("ip_local_port_range", "40000 40999"));
  ASSERT_TRUE(w.client.set("tcp_tw_reuse", "0"));
  const SocketId at = w.listen(3306);
  for (int i = 0; i < 1000; ++i) {
    const SocketId c = w.dial(3306);
    w.run_for(4ms);
    const auto s = w.server.accept(at);
    ASSERT_TRUE(s) << i;
    ASSERT_TRUE(w.client.close(c, w.now));
    w.run_for(4ms);
    ASSERT_TRUE(w.server.close(*s, w.now));
    w.run_for(4ms);
  }
  const Diagnosis d = diagnose({.earlier = {}, .now = w.client.snapshot(w.now)});
  const Finding* finding = find(d, "ports-exhausted-time-wait");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->subject, "10.0.0.1 -> 10.0.0.2:3306");
  EXPECT_EQ(w.client.time_waits(), 1000u);
}

TEST(Snapshot, CloseWaitThatLeaks) {
  World w({.name = "client", .seed = 1}, {.name = "server", .seed = 2, .most_sockets = 256});
  const SocketId at = w.listen(80);
  for (int i = 0; i < 240; ++i) {
    auto [c, s] = w.connect(at, 80);
    ASSERT_TRUE(w.client.close(c, w.now));
    w.run_for(4ms);
  }
  const Diagnosis d = diagnose({.earlier = {}, .now = w.server.snapshot(w.now)});
  const Finding* finding = find(d, "close-wait-leak");
  ASSERT_NE(finding, nullptr);
  bool counted = false;
  for (const Evidence& e : finding->evidence) {
    counted = counted || (e.name == "close_wait" && std::get<std::int64_t>(e.value) == 240);
  }
  EXPECT_TRUE(counted) << finding->sentence;
}

TEST(Snapshot, SettingsAreThoseInForce) {
  const auto settings = [](HostOptions options) {
    return Host(std::move(options)).snapshot(Instant{1s}).namespaces[0].settings;
  };
  const Settings usual = settings({});
  EXPECT_EQ(usual.ip_local_port_range, (PortRange{32768, 60999}));
  EXPECT_EQ(usual.tcp_tw_reuse, 2);
  EXPECT_EQ(usual.tcp_max_tw_buckets, 262'144);
  EXPECT_EQ(usual.tcp_max_orphans, 65'536);
  EXPECT_EQ(usual.somaxconn, 4096);
  EXPECT_EQ(usual.tcp_max_syn_backlog, 4096);
  EXPECT_EQ(usual.tcp_tw_timeout, std::nullopt) << "60 s, as ever";
  EXPECT_EQ(usual.tcp_ehash_entries, std::nullopt) << "it has no such table";

  EXPECT_EQ(settings({.profile = Profile::Rfc9293}).time_wait_length(), 240s);
  EXPECT_EQ(settings({.time_wait_length = 5s}).time_wait_length(), 5s);
  EXPECT_FALSE(settings({.profile = Profile::Rfc793}).timestamps_on());

  Host host;
  ASSERT_TRUE(host.set("ip_local_reserved_ports", "40000-40010"));
  ASSERT_TRUE(host.set("tcp_max_tw_buckets", "100"));
  const HostSnapshot seen = host.snapshot(Instant{1s});
  EXPECT_EQ(seen.namespaces[0].settings.tcp_max_tw_buckets, 100);
  EXPECT_EQ(seen.namespaces[0].settings.ip_local_reserved_ports.to_string(), "40000-40010");
  EXPECT_TRUE(diagnose({.earlier = {}, .now = seen}).not_read.empty());
}

// What bind() chose is told from what it was told: the former is one pool for all destinations.
TEST(Snapshot, PortsThatBindChoseAreNotHeld) {
  World w;
  ASSERT_TRUE(w.client.set("ip_local_port_range", "40000 40099"));
  w.listen(3306);
  for (const Port port : {Port{0}, Port{40007}}) {
    const auto s = w.client.open();
    ASSERT_TRUE(w.client.bind(*s, {*IpAddress::parse("10.0.0.1"), port}));
    (void)w.client.connect(*s, {*IpAddress::parse("10.0.0.2"), 3306}, w.now);
  }
  w.run_for(50ms);
  const HostSnapshot seen = w.client.snapshot(w.now);
  EXPECT_EQ(seen.namespaces[0].sockets.held_by_bind.to_string(), "40007");
  ASSERT_EQ(seen.namespaces[0].sockets.destinations.size(), 1u);
  EXPECT_EQ(seen.namespaces[0].sockets.destinations[0].ports_taken(), 1u);
}

TEST(Snapshot, AFlatChoiceHasNoCliff) {
  for (const PortChoice choice : {PortChoice::Flat, PortChoice::LinuxWalk}) {
    World w({.name = "client", .seed = 1, .port_choice = choice}, {.name = "server", .seed = 2});
    ASSERT_TRUE(w.client.set("ip_local_port_range", "40000 40199"));
    w.listen(3306);
    for (int i = 0; i < 200; ++i) w.dial(3306);
    w.run_for(50ms);
    const Diagnosis d = diagnose({.earlier = {}, .now = w.client.snapshot(w.now)});
    ASSERT_NE(find(d, "ports-exhausted-established"), nullptr);
    ASSERT_FALSE(d.headroom.empty());
    EXPECT_EQ(d.headroom[0].past_half, choice == PortChoice::LinuxWalk);
  }
}

TEST(Snapshot, AnIdleHostIsHealthy) {
  World w;
  const SocketId at = w.listen(80);
  w.connect(at, 80);
  for (const Host& host : w.hosts) {
    const Diagnosis d = diagnose({.earlier = {}, .now = host.snapshot(w.now)});
    EXPECT_TRUE(d.healthy());
    EXPECT_TRUE(d.looked);
  }
}

// --- How long in which state

Duration in_state(const Host& host, SocketId socket, Instant now) {
  return host.info(socket, now)->in_state;
}
// By state, of a connection or record; listeners apart.
std::optional<Duration> in_state(const Host& host, TcpState state, Instant now) {
  for (const SocketRecord& r : host.sockets(now)) {
    if (r.state == state) return r.in_state;
  }
  ADD_FAILURE() << "none is " << to_string(state);
  return std::nullopt;
}

TEST(Snapshot, HowLongInEachState) {
  World w;
  w.client.advance(w.now);
  w.server.advance(w.now);
  const SocketId at = w.listen(80);
  const Instant listened = w.now;
  const SocketId fresh = *w.client.open();
  EXPECT_EQ(in_state(w.client, fresh, w.now), Duration::zero()) << "it was never in another";
  w.run_for(7s);
  const SocketId c = w.dial(80);
  EXPECT_EQ(in_state(w.client, c, w.now), Duration::zero());
  w.collect();
  w.run_for(500us);
  EXPECT_EQ(in_state(w.client, c, w.now), 500us) << "SYN_SENT";
  w.run_for(1ms);
  const Instant half_open = w.now - 500us;
  EXPECT_EQ(in_state(w.server, TcpState::SynReceived, w.now), w.now - half_open);
  w.run_for(998ms);
  const SocketId s = *w.server.accept(at);
  EXPECT_EQ(in_state(w.client, c, half_open + 1s), 999ms) << "ESTABLISHED, with the SYN,ACK";
  EXPECT_EQ(in_state(w.server, s, half_open + 1s), 998ms) << "with the ACK";
  w.run_for(1h);  // asleep
  EXPECT_EQ(in_state(w.server, TcpState::Established, half_open + 30min), 30min - 2ms);
  const Instant shut = w.now;
  ASSERT_TRUE(w.client.shutdown(c, ShutdownHow::Write, w.now));
  w.collect();
  w.run_for(1500us);
  EXPECT_EQ(in_state(w.server, s, w.now), 500us) << "CLOSE_WAIT";
  EXPECT_EQ(in_state(w.client, c, w.now), 1500us) << "FIN_WAIT_1";
  while (*w.client.state(c) != TcpState::FinWait2 && w.now < shut + 1s) w.run_for(100us);
  const Instant half_closed = w.now - in_state(w.client, c, w.now);
  EXPECT_LE(w.now - half_closed, 100us);
  w.run_for(3s);
  EXPECT_EQ(in_state(w.client, c, half_closed + 3s), 3s) << "FIN_WAIT_2";
  EXPECT_EQ(in_state(w.server, TcpState::CloseWait, shut + 3s), 3s - 1ms);
  const Instant closed = w.now;
  ASSERT_TRUE(w.server.close(s, w.now));
  w.collect();
  w.run_for(500us);
  EXPECT_EQ(in_state(w.server, TcpState::LastAck, w.now), 500us);
  w.run_for(10s);
  // Records keep whole milliseconds.
  const auto resting = in_state(w.client, TcpState::TimeWait, closed + 5s);
  ASSERT_TRUE(resting);
  EXPECT_GE(*resting, 5s - 2ms);
  EXPECT_LE(*resting, 5s - 1ms);
  EXPECT_EQ(in_state(w.client, c, closed + 5s), 5s - 1ms) << "the socket itself is CLOSED";
  EXPECT_EQ(in_state(w.server, TcpState::Listen, w.now), w.now - listened);
}

}  // namespace
}  // namespace lastack::test
