#include "doctor/text.h"

#include <gtest/gtest.h>

#include "lastack/report.h"
#include "synthetic.h"

namespace lastack {
namespace {

TEST(Text, numbers_as_people_read_them) {
  EXPECT_EQ(grouped(std::uint64_t{0}), "0");
  EXPECT_EQ(grouped(std::uint64_t{999}), "999");
  EXPECT_EQ(grouped(std::uint64_t{27310}), "27,310");
  EXPECT_EQ(grouped(std::int64_t{-1234567}), "-1,234,567");
  EXPECT_EQ(percent(0.967), "96.7 %");
  EXPECT_EQ(percent(0.03), "3 %");
  EXPECT_EQ(percent(0.99996), "99.9 %");
  EXPECT_EQ(percent(1), "100 %");
  EXPECT_EQ(percent(0), "0 %");
  EXPECT_EQ(percent(0.0004), "less than 0.1 %");
  EXPECT_EQ(rate(668.4), "668/s");
  EXPECT_EQ(rate(2.25), "2.2/s");
  EXPECT_EQ(rate(0.05), "3.0/min");
  EXPECT_EQ(span(0.058), "58 ms");
  EXPECT_EQ(span(40.2), "40 s");
  EXPECT_EQ(span(11520), "3 h 12 min");
  EXPECT_EQ(bytes(1'200'000), "1.2 MB");
  EXPECT_EQ(plural(1, "port"), "1 port");
  EXPECT_EQ(plural(2, "port"), "2 ports");
}

// A program may call itself anything; a page is not a place for its escape sequences.
TEST(Page, names_from_outside_do_not_act_on_the_terminal) {
  using namespace synthetic;
  Observation o = host(usual_settings(), [](Census& c) {
    SocketRecord l = listener("0.0.0.0", 8080);
    l.receive_queue = 500;
    l.inode = 7;
    c.add_listener(l);
  });
  o.now.processes[0].command = "\x1b[2Jevil\n";
  o.now.hostname = "h\x07";
  const std::string page = to_text(diagnose(o));
  EXPECT_NE(page.find("evil"), std::string::npos);
  for (const char c : page) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
}

TEST(Page, keeps_to_its_width_except_for_commands) {
  using namespace synthetic;
  const PortRange range{40000, 40999};
  const Diagnosis d = diagnose(host(usual_settings(range), [&](Census& c) {
    for (Port i = 0; i < 1000; ++i)
      c.add(time_wait("10.0.0.1", static_cast<Port>(40000 + i), "10.0.0.2", 80, 10s));
  }));
  const std::string page = to_text(d, {.width = 80});
  std::size_t start = 0;
  while (start < page.size()) {
    const std::size_t end = page.find('\n', start);
    const std::string line = page.substr(start, end - start);
    const bool command = line.find("sysctl") != std::string::npos ||
                         line.find("ss -K") != std::string::npos || line.starts_with("lastack ");
    if (!command) {
      EXPECT_LE(line.size(), 84U) << line;  // UTF-8 dots in the title take two bytes
    }
    start = end + 1;
  }
}

TEST(Page, colours_only_when_asked) {
  using namespace synthetic;
  const PortRange range{40000, 40999};
  const Diagnosis d = diagnose(host(usual_settings(range), [&](Census& c) {
    for (Port i = 0; i < 1000; ++i)
      c.add(time_wait("10.0.0.1", static_cast<Port>(40000 + i), "10.0.0.2", 80, 10s));
  }));
  EXPECT_EQ(to_text(d).find('\x1b'), std::string::npos);
  EXPECT_NE(to_text(d, {.color = true}).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace lastack
