// The doctor in front of an endpoint host: it cannot tell it from a kernel.
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

}  // namespace
}  // namespace lastack::test
