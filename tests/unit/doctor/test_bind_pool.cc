// Who binds before connecting is told by parity; who does not must not be accused.
#include <gtest/gtest.h>

#include "synthetic.h"

namespace lastack {
namespace {

using namespace synthetic;

// Ports as bind(address, 0) takes them: the second parity first, each for one destination only.
void bound(Census& c, std::uint32_t per_destination, std::uint32_t destinations, PortRange range) {
  std::uint32_t next = 0;
  const std::uint32_t half = range.size() / 2;
  for (std::uint32_t n = 0; n < per_destination; ++n) {
    for (std::uint32_t d = 0; d < destinations; ++d, ++next) {
      const std::uint32_t offset = next < half ? 2 * next + 1 : 2 * (next - half);
      c.add(time_wait("10.0.0.1", static_cast<Port>(range.low + offset), "10.0.0.2",
                      static_cast<Port>(3306 + d), 5s));
    }
  }
}

TEST(BindPool, is_seen_at_every_filling) {
  const PortRange range{40000, 43999};
  for (const std::uint32_t per_destination : {50U, 500U, 999U, 1200U, 1900U}) {
    const Diagnosis d = diagnose(
        host(usual_settings(range), [&](Census& c) { bound(c, per_destination, 2, range); }));
    const Finding* f = find(d, "bind-before-connect");
    ASSERT_NE(f, nullptr) << per_destination;
    EXPECT_EQ(number(*f, "ports_taken"), 2 * per_destination);
    EXPECT_EQ(number(*f, "destinations"), 2);
  }
}

TEST(BindPool, plain_connections_are_not_accused) {
  const PortRange range{40000, 43999};
  for (const double rate : {10.0, 30.0, 50.0, 64.0}) {
    const Diagnosis d = diagnose(host(usual_settings(range), [&](Census& c) {
      short_connections(c, "10.0.0.1", "10.0.0.2", 3306, rate, 60s, range);
      short_connections(c, "10.0.0.1", "10.0.0.2", 3307, rate, 60s, range);
    }));
    EXPECT_EQ(find(d, "bind-before-connect"), nullptr) << rate;
  }
}

TEST(BindPool, ports_of_every_parity_come_from_the_program_itself) {
  const Diagnosis d = diagnose(host(usual_settings(), [](Census& c) {
    for (Port p = 40000; p < 45000; ++p) c.add(time_wait("10.0.0.1", p, "10.0.0.2", 80, 5s));
  }));
  EXPECT_EQ(find(d, "bind-before-connect"), nullptr);
  EXPECT_EQ(find(d, "connect-cost-cliff"), nullptr);
}

}  // namespace
}  // namespace lastack
