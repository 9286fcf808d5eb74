// Nothing cries wolf.
#include <gtest/gtest.h>

#include "lastack/report.h"
#include "synthetic.h"

namespace lastack {
namespace {

using namespace synthetic;

TEST(Healthy, an_idle_host_has_no_finding_at_all) {
  const Diagnosis d =
      diagnose(host(usual_settings(), [](Census& c) { c.add_listener(listener("0.0.0.0", 22)); }));
  EXPECT_TRUE(d.findings.empty());
  EXPECT_TRUE(d.healthy());
  EXPECT_NE(to_text(d).find("healthy"), std::string::npos);
}

TEST(Healthy, a_busy_server_has_notices_at_most) {
  const Diagnosis d = diagnose(host(usual_settings(), [](Census& c) {
    c.add_listener(listener("0.0.0.0", 443));
    for (Port i = 0; i < 30000; ++i) {
      c.add(time_wait("10.0.0.1", 443, i % 2 == 0 ? "10.0.0.9" : "10.0.0.8",
                      static_cast<Port>(20000 + i), i * 2ms));
    }
    for (Port i = 0; i < 2000; ++i) {
      c.add(
          socket("10.0.0.1", 443, "10.0.0.7", static_cast<Port>(20000 + i), TcpState::Established));
    }
    for (Port i = 0; i < 20; ++i) {
      c.add(socket("10.0.0.1", 443, "10.0.0.6", static_cast<Port>(20000 + i), TcpState::CloseWait));
      c.add(
          socket("10.0.0.1", 443, "10.0.0.5", static_cast<Port>(20000 + i), TcpState::LastAck, 0));
      c.add(
          socket("10.0.0.1", 443, "10.0.0.4", static_cast<Port>(20000 + i), TcpState::FinWait2, 0));
    }
    // And its own connections to a database, well within what the range carries.
    short_connections(c, "10.0.0.1", "10.0.1.1", 5432, 100, 60s);
  }));
  EXPECT_TRUE(d.healthy()) << to_text(d);
}

TEST(Healthy, a_burst_of_a_moment_is_no_trend) {
  const Diagnosis d = diagnose(host(usual_settings(), [](Census& c) {
    for (Port i = 0; i < 1500; ++i)
      c.add(time_wait("10.0.0.1", static_cast<Port>(32768 + 2 * i), "10.0.0.2", 80, i * 1ms));
  }));
  EXPECT_TRUE(d.healthy()) << to_text(d);
}

// What has only begun, and would end within a minute: said, but not as a certainty.
TEST(Healthy, a_fast_beginning_is_a_warning) {
  const Diagnosis d = diagnose(host(usual_settings(), [](Census& c) {
    for (Port i = 0; i < 3000; ++i)
      c.add(time_wait("10.0.0.1", static_cast<Port>(32768 + 2 * i), "10.0.0.2", 80, i * 1ms));
  }));
  ASSERT_FALSE(d.findings.empty());
  EXPECT_EQ(d.findings[0].id, "ports-exhausting-time-wait");
  EXPECT_EQ(d.worst(), Severity::Warning);
}

// A narrower range than the assumed one would make any number here wrong, so it must not pass in silence.
TEST(Healthy, an_unknown_range_of_ports_is_said) {
  Settings unknown;
  const Diagnosis d = diagnose(
      host(unknown, [](Census& c) { short_connections(c, "10.0.0.1", "10.0.0.2", 80, 50, 60s); }));
  EXPECT_TRUE(d.guessed);
  EXPECT_NE(to_text(d).find("as far as could be seen"), std::string::npos);
  EXPECT_NE(to_text(d).find("the range of local ports"), std::string::npos);
}

TEST(Healthy, nothing_read_is_not_healthy) {
  Observation o = host(usual_settings(), [](Census&) {});
  ns(o).sockets_read = false;
  const Diagnosis d = diagnose(o);
  EXPECT_FALSE(d.looked);
  EXPECT_EQ(to_text(d).find("healthy"), std::string::npos);
}

}  // namespace
}  // namespace lastack
