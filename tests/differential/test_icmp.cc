// ICMP errors: every type and code of both families, in each state in which they mean something else.
#include <gtest/gtest.h>

#include "differential/differential.h"

namespace lastack::differential {
namespace {

using namespace tcp_flag;

struct Message {
  std::uint8_t type, code;
};

// With one code and one type beyond what is known. "Too big" is path MTU discovery, and not here.
std::vector<Message> messages(bool v6) {
  std::vector<Message> all;
  const auto add = [&](std::uint8_t type, std::uint8_t codes) {
    for (std::uint8_t code = 0; code <= codes; ++code) {
      if (v6 || type != 3 || code != 4) all.push_back({type, code});
    }
  };
  if (v6) {
    add(1, 8);
    add(3, 1);
    add(4, 2);
    add(5, 0);
  } else {
    add(3, 16);
    add(4, 0);
    add(11, 1);
    add(12, 1);
    add(13, 0);
  }
  return all;
}

Sock listener_of(Differential& d, bool v6) {
  const Sock listener = d.open(v6);
  d.bind(listener, {v6 ? kHereV6 : kHere, 80});
  d.listen(listener, 128);
  return listener;
}

class Icmp : public ::testing::TestWithParam<bool> {};

TEST_P(Icmp, ForASynAndAfter) {
  const bool v6 = GetParam();
  differential([&](Differential& d) {
    for (const Message& m : messages(v6)) {
      const Sock s = d.open(v6);
      Peer p = d.connect(s, 80, v6);
      p.out(SYN).icmp(m.type, m.code);
      d.error(s);
      d.close(s);
      if (d.state(p)) p.in(RST | ACK).gone();
    }
  });
}

TEST_P(Icmp, ForAnAttemptAtAListener) {
  const bool v6 = GetParam();
  differential([&](Differential& d) {
    listener_of(d, v6);
    Port from = 40000;
    for (const Message& m : messages(v6)) {
      Peer p = d.peer(from++, 80, {}, v6);
      p.in(SYN).out(SYN | ACK).icmp(m.type, m.code);
      if (d.state(p)) p.in(RST).gone();
    }
  });
}

TEST_P(Icmp, ForDataThatWasSent) {
  const bool v6 = GetParam();
  differential([&](Differential& d) {
    const Sock listener = listener_of(d, v6);
    Port from = 40000;
    for (const Message& m : messages(v6)) {
      Peer p = d.peer(from++, 80, {}, v6);
      p.handshake();
      const Sock s = d.accept(listener);
      d.write(s, 10);
      p.out(ACK).icmp(m.type, m.code).shows(TcpState::Established);
      d.error(s);
      p.in(RST | ACK).gone();
      d.error(s);
      d.close(s);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Family, Icmp, ::testing::Bool(),
                         [](const auto& v6) { return v6.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace lastack::differential
