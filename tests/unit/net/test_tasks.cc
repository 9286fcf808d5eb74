// Coroutines over a host: what is awaited ends, with the right outcome, at the right time.
#include <stdexcept>

#include "unit/net/node_pair.h"

namespace lastack::test {
namespace {

TEST(Tasks, EchoOfMoreThanTheBuffersHold) {
  NodePair w({.delay = 2ms, .loss = 0.02});
  ASSERT_TRUE(w.server.serve(w.at, echo));
  std::vector<std::byte> sent(3'000'000), got(sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 40503 >> 7);
  bool ended = false;
  w.client.spawn([&]() -> Task<> {
    auto c = co_await w.client.connect(w.at);
    EXPECT_TRUE(c);
    if (!c) co_return;
    // Both at once, or the buffers in between would fill up and nothing would move.
    const Job writing = w.client.spawn([&]() -> Task<> {
      EXPECT_TRUE(co_await c->write(sent));
      EXPECT_TRUE(c->shutdown(ShutdownHow::Write));
    });
    const auto n = co_await c->read_full(got);
    EXPECT_EQ(n, got.size());
    std::array<std::byte, 1> more;
    EXPECT_EQ(co_await c->read(more), 0u) << "the end";
    co_await writing.ended();
    ended = true;
  });
  w.net.run_for(600s);
  EXPECT_TRUE(ended);
  EXPECT_TRUE(got == sent);
  EXPECT_EQ(w.client.tasks(), 0u);
  EXPECT_EQ(w.server.tasks(), 1u) << "the listening";
  EXPECT_EQ(w.client.host().connections() + w.server.host().connections(), 0u);
}

TEST(Tasks, ErrorsOfConnectAreValues) {
  NodePair w;
  ASSERT_TRUE(w.client.host().set("ip_local_port_range", "40000 40000"));
  std::vector<Err> errors;
  w.client.spawn([&]() -> Task<> {
    const auto refused = co_await w.client.connect({"10.0.0.2"_ip, 81});
    errors.push_back(refused ? Err::none : refused.error());
    const Instant begun = w.client.now();
    const auto nobody = co_await w.client.connect({"10.0.0.9"_ip, 81}).within(3s);
    errors.push_back(nobody ? Err::none : nobody.error());
    EXPECT_EQ(w.client.now() - begun, 3s);
    const auto no_group = co_await w.client.connect({"224.0.0.1"_ip, 81});
    errors.push_back(no_group ? Err::none : no_group.error());
    const auto not_ours = co_await w.client.connect(w.at, {.from = Endpoint{"10.0.0.7"_ip, 0}});
    errors.push_back(not_ours ? Err::none : not_ours.error());
    auto listener = w.server.listen(w.at);
    EXPECT_TRUE(listener);
    const auto first = co_await w.client.connect(w.at);
    errors.push_back(first ? Err::none : first.error());
    const auto second = co_await w.client.connect(w.at);
    errors.push_back(second ? Err::none : second.error());
  });
  w.net.run_for(60s);
  EXPECT_EQ(errors,
            (std::vector{Err::connection_refused, Err::timed_out, Err::network_unreachable,
                         Err::address_not_available, Err::none, Err::address_not_available}));
  EXPECT_EQ(w.client.host().ports_exhausted(), 1u);
  EXPECT_EQ(w.client.tasks(), 0u);
  w.net.run_for(600s);
  EXPECT_EQ(w.client.host().connections(), 0u) << "what was not connected is closed";
}

TEST(Tasks, SleepsEndToTheNanosecondInOrder) {
  NodePair w;
  std::vector<int> order;
  const Instant begun = w.net.now();
  for (const int ms : {30, 10, 20, 10}) {
    w.client.spawn([&, ms]() -> Task<> {
      co_await w.client.sleep_for(std::chrono::milliseconds(ms));
      EXPECT_EQ(w.client.now() - begun, std::chrono::milliseconds(ms));
      order.push_back(ms);
    });
  }
  w.net.run_for(25ms);
  EXPECT_EQ(order, (std::vector{10, 10, 20}));
  EXPECT_TRUE(w.net.run_until_idle());
  EXPECT_EQ(order.size(), 4u);
  EXPECT_EQ(w.net.now() - begun, 30ms) << "idle is idle";
}

TEST(Tasks, WithinEndsAReadAndTheNextOneGetsWhatComes) {
  NodePair w;
  std::string got;
  ASSERT_TRUE(w.server.serve(w.at, [&](TcpStream c) -> Task<> {
    std::array<char, 10> buffer;
    const auto n = co_await c.read(buffer).within(100ms);
    EXPECT_EQ(n, tl::unexpected(Err::timed_out));
    const auto again = co_await c.read(buffer).within(100s);
    EXPECT_TRUE(again);
    got.assign(buffer.data(), again.value_or(0));
  }));
  w.client.spawn([&]() -> Task<> {
    auto c = co_await w.client.connect(w.at);
    co_await w.client.sleep_for(1s);
    EXPECT_TRUE(co_await c->write("head ", std::as_bytes(std::span("body", 4))));
  });
  w.net.run_for(5s);
  EXPECT_EQ(got, "head body");
}

TEST(Tasks, APeekLeavesWhatItShows) {
  NodePair w;
  std::string peeked, got;
  ASSERT_TRUE(w.server.serve(w.at, [&](TcpStream c) -> Task<> {
    std::array<std::byte, 10> buffer;
    const auto n = co_await c.peek(buffer);
    peeked = text_of(std::span(buffer).first(n.value_or(0)));
    const auto m = co_await c.read(buffer);
    got = text_of(std::span(buffer).first(m.value_or(0)));
  }));
  w.client.spawn([&]() -> Task<> {
    auto c = co_await w.client.connect(w.at);
    co_await c->write("once");
  });
  w.net.run_for(1s);
  EXPECT_EQ(peeked, "once");
  EXPECT_EQ(got, "once");
}

Task<int> half(int n) {
  if (n % 2 != 0) throw std::invalid_argument("odd");
  co_return n / 2;
}

TEST(Tasks, ValuesAndExceptionsGoToWhoeverAwaits) {
  NodePair w;
  int got = 0;
  bool caught = false;
  w.client.spawn([&]() -> Task<> {
    got = co_await half(42);
    try {
      co_await half(3);
    } catch (const std::invalid_argument&) {
      caught = true;
    }
  });
  w.net.run_for(1ms);
  EXPECT_EQ(got, 21);
  EXPECT_TRUE(caught);
}

TEST(Tasks, WhatASpawnedTaskThrowsComesOutOfTheRunOrGoesToTheHandler) {
  NodePair w;
  const auto thrower = [&](Node& on) -> Task<> {
    co_await on.sleep_for(1ms);
    throw std::runtime_error("lost?");
  };
  w.client.spawn(thrower(w.client));
  w.server.spawn(thrower(w.server));
  EXPECT_THROW(w.net.run_for(1s), std::runtime_error);
  EXPECT_THROW(w.net.run_for(1s), std::runtime_error) << "the other one";
  w.net.run_for(1s);
  int told = 0;
  w.client.on_failure([&](std::exception_ptr) { ++told; });
  w.client.spawn(thrower(w.client));
  w.net.run_for(1s);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(w.client.tasks() + w.server.tasks(), 0u);
}

TEST(Tasks, FinishLosesNothingThatThePeerHasNotRead) {
  for (const bool orderly : {false, true}) {
    NodePair w;
    std::size_t got = 0;
    Err how = Err::none;
    ASSERT_TRUE(w.server.serve(w.at, [&](TcpStream c) -> Task<> {
      const std::vector<std::byte> answer(50'000);
      EXPECT_TRUE(co_await c.write(answer));
      // The client's second request is never read.
      if (orderly) {
        co_await std::move(c).finish().within(5s);
      } else {
        co_await w.server.sleep_for(100ms);
      }
    }));
    w.client.spawn([&]() -> Task<> {
      auto c = co_await w.client.connect(w.at);
      co_await c->write("first, second");
      co_await w.client.sleep_for(1s);
      std::array<std::byte, 1000> buffer;
      for (;;) {
        const auto n = co_await c->read(buffer);
        if (!n) how = n.error();
        if (!n || *n == 0) co_return;
        got += *n;
      }
    });
    w.net.run_for(20s);
    if (orderly) {
      EXPECT_EQ(got, 50'000u);
      EXPECT_EQ(how, Err::none);
    } else {
      EXPECT_EQ(how, Err::connection_reset) << "close() with unread data (RFC 2525, 2.17)";
    }
  }
}

TEST(Tasks, CloseLingeringWaitsForTheAcknowledgement) {
  for (const bool lost : {false, true}) {
    NodePair w({.delay = 50ms});
    auto listener = w.server.listen(w.at);
    ASSERT_TRUE(listener);
    Duration took{};
    Outcome<void> how;
    w.client.spawn([&]() -> Task<> {
      auto c = co_await w.client.connect(w.at, ConnectOptions{}.set(Option::linger, 3));
      EXPECT_TRUE(c);
      if (lost) w.net.link(w.client, w.server, {.down = true});
      co_await c->write("goodbye");
      const Instant begun = w.client.now();
      how = co_await c->close_lingering();
      took = w.client.now() - begun;
    });
    w.net.run_for(20s);
    if (lost) {
      EXPECT_EQ(took, 3s);
      EXPECT_EQ(how, tl::unexpected(Err::timed_out));
    } else {
      EXPECT_GE(took, 100ms);
      EXPECT_LT(took, 200ms);
      EXPECT_TRUE(how);
    }
  }
}

TEST(Tasks, AServerWithoutSocketsWaitsForOthersToEnd) {
  NodePair w({}, {.most_sockets = 5});
  ASSERT_TRUE(w.server.serve(w.at, [&](TcpStream c) -> Task<> {
    co_await w.server.sleep_for(1s);
    EXPECT_TRUE(co_await c.write("served"));
  }));
  Node& many = w.net.add_node({}, {"10.0.0.3"_ip});
  int served = 0;
  for (int i = 0; i < 12; ++i) {
    many.spawn([&]() -> Task<> {
      auto c = co_await many.connect(w.at);
      std::array<std::byte, 10> buffer;
      if (c && (co_await c->read_full(buffer)) == 6u) ++served;
    });
  }
  w.net.run_for(30s);
  EXPECT_EQ(served, 12);
}

TEST(Tasks, ForEverIsLong) {
  NodePair w;
  bool slept = false, woken = false;
  w.client.spawn([&]() -> Task<> {
    co_await w.client.sleep_for(Duration::max());
    slept = true;
  });
  w.client.spawn([&]() -> Task<> {
    co_await w.client.sleep_for(1h);
    woken = true;
  });
  w.net.run_for(Duration::max());  // until nothing will happen any more
  EXPECT_TRUE(woken);
  EXPECT_FALSE(slept);
  EXPECT_EQ(w.client.now() - Instant(1s), 1h);
}

TEST(Tasks, LiteralsAreWhatParseGives) {
  EXPECT_EQ("10.20.30.255"_ip, *IpAddress::parse("10.20.30.255"));
  EXPECT_EQ("::"_ip, IpAddress());
  EXPECT_EQ("::1"_ip, *IpAddress::parse("::1"));
  EXPECT_EQ("2001:db8::1:2"_ip, *IpAddress::parse("2001:db8::1:2"));
  EXPECT_EQ("1:2:3:4:5:6:7:8"_ip, *IpAddress::parse("1:2:3:4:5:6:7:8"));
  EXPECT_EQ("fe80::"_ip, *IpAddress::parse("fe80::"));
}

}  // namespace
}  // namespace lastack::test
