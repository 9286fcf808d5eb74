// Ranges, reserved ports, and who may bind what.
#include <gtest/gtest.h>

#include "ports/local_port_rules.h"

namespace lastack {
namespace {

TEST(LocalPortRules, BySysctlNames) {
  Settings s;
  EXPECT_EQ(LocalPortRules::from(s).range, (PortRange{32768, 60999}));
  EXPECT_EQ(LocalPortRules::from(s).unprivileged_start, 1024u);
  s.ip_local_port_range = PortRange{1024, 65535};
  s.ip_local_reserved_ports.insert(8080);
  s.ip_unprivileged_port_start = 80;
  const LocalPortRules rules = LocalPortRules::from(s);
  EXPECT_EQ(rules.range, (PortRange{1024, 65535}));
  EXPECT_TRUE(rules.reserved.contains(8080));
  EXPECT_EQ(rules.unprivileged_start, 80u);
}

TEST(LocalPortRules, UnprivilegedPorts) {
  LocalPortRules rules;
  EXPECT_FALSE(may_bind(rules, 1023, false));
  EXPECT_EQ(may_bind(rules, 1023, false).error(), PortError::PermissionDenied);
  EXPECT_EQ(errno_of(PortError::PermissionDenied), EACCES);
  EXPECT_TRUE(may_bind(rules, 1023, true));
  EXPECT_TRUE(may_bind(rules, 1024, false));
  EXPECT_TRUE(may_bind(rules, 0, false));
  rules.unprivileged_start = 0;
  EXPECT_TRUE(may_bind(rules, 1, false));
  rules.unprivileged_start = 65536;
  EXPECT_FALSE(may_bind(rules, 65535, false));
}

TEST(LocalPortRules, F22_a_socket_may_have_a_range_of_its_own) {
  const LocalPortRules rules;  // 32768 to 60999
  EXPECT_FALSE(range_to_choose_from(rules, {}).own);
  const auto range = [&](std::optional<Port> low, std::optional<Port> high) {
    const auto r = range_to_choose_from(rules, {low, high});
    EXPECT_TRUE(r.own);
    return r.range;
  };
  EXPECT_EQ(range(40'000, 50'000), (PortRange{40'000, 50'000}));
  EXPECT_EQ(range(40'000, {}), (PortRange{40'000, 60'999}));
  EXPECT_EQ(range({}, 40'000), (PortRange{32'768, 40'000}));
  EXPECT_EQ(range(1'000, 65'000), (PortRange{32'768, 60'999}))
      << "outside of the host's: not heeded";
  EXPECT_EQ(range(50'000, 40'000), (PortRange{50'000, 60'999}));
}

}  // namespace
}  // namespace lastack
