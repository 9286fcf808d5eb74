// Facts 19 to 22 of docs/linux-facts.md, asked of both worlds: the choice of a local port. The ports themselves
// depend on a secret of each world; what is compared is which ones may come, in which order of parities, what a
// full range answers, and which counters move.
#include <gtest/gtest.h>

#include <set>

#include "differential/differential.h"

namespace lastack::differential {
namespace {

void range(Differential& d, int low, int high) {
  d.set("ip_local_port_range", std::to_string(low) + ' ' + std::to_string(high));
}

// What both worlds said, by parity.
void expect_parity(Differential& d, Sock s, int parity, int i) {
  for (const int world : {0, 1}) {
    d.expect(d.port(s, world) % 2 == parity,
             "connection " + std::to_string(i) + " of world " + std::to_string(world) +
                 " has the other parity: port " + std::to_string(d.port(s, world)));
  }
}

Sock dial(Differential& d, Err expected, Port to = 80) {
  const Sock s = d.open();
  const Err err = d.connect_to(s, {kThere, to});
  d.expect(err == expected, "another answer than errno " + std::to_string(static_cast<int>(err)));
  return s;
}
Sock bind_zero(Differential& d, Err expected, const IpAddress& address = kHere) {
  const Sock s = d.open();
  d.expect(d.bind(s, {address, 0}) == expected, "another answer of bind()");
  return s;
}

TEST(Differential, F19_the_parity_of_the_low_end_first) {
  for (const int low : {40000, 40001}) {
    for (const int ports : {1, 2, 3, 7, 20}) {
      differential([&](Differential& d) {
        range(d, low, low + ports - 1);
        for (int i = 0; i < ports && !d.failed(); ++i) {
          // With an odd number of places the last port is met only by a walk that begins before it: what connect()
          // answers is a matter of luck, and of parity only as long as it gets one.
          if (ports % 2 != 0 && ports > 1) break;
          const Sock s = dial(d, Err::in_progress);
          if (ports % 2 == 0) expect_parity(d, s, i < ports / 2 ? low % 2 : 1 - low % 2, i);
        }
        const Sock one_more = d.open();
        d.connect_to(one_more, {kThere, 80});
      });
    }
  }
}

TEST(Differential, F19_reserved_and_bound_ports_are_passed_over) {
  differential([](Differential& d) {
    range(d, 40000, 40019);
    d.set("ip_local_reserved_ports", "40003,40010-40011");
    d.listen_at(40006);
    const Sock bound = d.open();
    d.bind(bound, {kLoopback, 40007});
    std::array<std::set<Port>, 2> taken;
    for (int i = 0; i < 15 && !d.failed(); ++i) {
      const Sock s = dial(d, Err::in_progress);
      for (const int world : {0, 1})
        taken[static_cast<std::size_t>(world)].insert(d.port(s, world));
    }
    d.expect(taken[0] == taken[1], "the same ports in the end");
    for (const Port skipped : std::initializer_list<Port>{40003, 40010, 40011, 40006, 40007}) {
      d.expect(!taken[0].contains(skipped),
               "a port that is passed over: " + std::to_string(skipped));
    }
    dial(d, Err::address_not_available);
    // Reserved ports may be asked for.
    const Sock s = d.open();
    d.expect(d.bind(s, {kHere, 40003}) == Err::none, "bind() to a reserved port");
    // A port that was bound is free again with its socket.
    d.close(bound);
    dial(d, Err::in_progress);
  });
}

TEST(Differential, F19_the_four_tuple_decides) {
  differential([](Differential& d) {
    range(d, 40000, 40000);
    dial(d, Err::in_progress);
    dial(d, Err::address_not_available);
    dial(d, Err::in_progress, 81);
    const Sock s = d.open();
    d.expect(d.connect_to(s, {IpAddress::v4(0x0a4d0003), 80}) == Err::in_progress, "EINPROGRESS");
  });
}

TEST(Differential, F20_two_names_and_no_counter) {
  differential([](Differential& d) {
    range(d, 40000, 40009);
    for (int i = 0; i < 10; ++i) dial(d, Err::in_progress);
    // The comparison has every counter: none moves in either world.
    dial(d, Err::address_not_available);
    bind_zero(d, Err::address_in_use);
    dial(d, Err::in_progress, 81);
  });
}

TEST(Differential, F20_ports_taken_by_time_wait) {
  differential([](Differential& d) {
    range(d, 40000, 40003);
    d.set("tcp_tw_reuse", 0);
    for (int i = 0; i < 4 && !d.failed(); ++i) {
      auto [s, p] = d.connected();
      d.close(s);
      p.out(FIN | ACK).in(ACK).in(FIN | ACK).out(ACK).in_time_wait();
    }
    dial(d, Err::address_not_available);
    bind_zero(d, Err::address_in_use);
  });
}

TEST(Differential, F20_a_range_of_ones_own_knows_no_parity) {
  differential([](Differential& d) {
    range(d, 40000, 40039);
    std::array<int, 2> odd{};
    for (int i = 0; i < 20 && !d.failed(); ++i) {
      const Sock s = d.open();
      d.set_option(s, Option::local_port_range, static_cast<int>(40039U << 16 | 40000U));
      d.connect_to(s, {kThere, 80});
      for (const int world : {0, 1}) odd[static_cast<std::size_t>(world)] += d.port(s, world) % 2;
    }
    for (const int n : odd) d.expect(n > 0 && n < 20, "ports of both parities");
  });
}

TEST(Differential, F21_bind_before_connect_takes_one_pool) {
  differential([](Differential& d) {
    range(d, 40000, 40009);
    for (Port i = 0; i < 10 && !d.failed(); ++i) {
      const Sock s = bind_zero(d, Err::none);
      d.expect(d.connect_to(s, {kThere, static_cast<Port>(80 + i)}) == Err::in_progress,
               "EINPROGRESS");
    }
    bind_zero(d, Err::address_in_use);
    dial(d, Err::address_not_available);
  });
  differential([](Differential& d) {
    range(d, 40000, 40009);
    for (Port i = 0; i < 50 && !d.failed(); ++i) {
      const Sock s = d.open();
      d.set_option(s, Option::bind_address_no_port, 1);
      d.bind(s, {kHere, 0});
      d.expect(d.connect_to(s, {kThere, static_cast<Port>(80 + i % 10)}) == Err::in_progress,
               "EINPROGRESS");
    }
  });
}

TEST(Differential, F22_bind_to_port_zero_takes_the_other_parity_first) {
  for (const int low : {40000, 40001}) {
    differential([&](Differential& d) {
      range(d, low, low + 19);
      for (int i = 0; i < 20 && !d.failed(); ++i) {
        expect_parity(d, bind_zero(d, Err::none), i < 10 ? 1 - low % 2 : low % 2, i);
      }
      bind_zero(d, Err::address_in_use);
      bind_zero(d, Err::none, kLoopback);
    });
  }
}

TEST(Differential, F22_a_range_of_ones_own) {
  struct Own {
    unsigned low, high;
    Err set, connects, binds;
  };
  for (const Own& own : {Own{40013, 40013, Err::none, Err::in_progress, Err::none},
                         Own{40015, 0, Err::none, Err::in_progress, Err::none},
                         Own{0, 40002, Err::none, Err::in_progress, Err::none},
                         Own{40013, 40012, Err::invalid, Err::in_progress, Err::none},
                         Own{50000, 50010, Err::none, Err::in_progress, Err::none},
                         Own{30000, 40001, Err::none, Err::in_progress, Err::none}}) {
    differential([&](Differential& d) {
      range(d, 40000, 40019);
      for (const bool binds : {false, true}) {
        std::array<std::set<Port>, 2> taken;
        for (int i = 0; i < 3 && !d.failed(); ++i) {
          const Sock s = d.open();
          const Err set =
              d.set_option(s, Option::local_port_range, static_cast<int>(own.high << 16 | own.low));
          d.expect(set == own.set, "setsockopt(): errno " + std::to_string(static_cast<int>(set)));
          d.option(s, Option::local_port_range);
          const Endpoint to{kThere, 80};
          if (binds) {
            d.bind(s, {kHere, 0});
          } else {
            d.connect_to(s, to);
          }
          for (const int world : {0, 1}) {
            const Port port = d.port(s, world);
            const Port low = own.set == Err::none && own.low >= 40000 && own.low <= 40019
                                 ? static_cast<Port>(own.low)
                                 : 40000;
            const Port high = own.set == Err::none && own.high >= 40000 && own.high <= 40019
                                  ? static_cast<Port>(own.high)
                                  : 40019;
            d.expect(port == 0 || (port >= low && port <= high), "a port outside of the range");
          }
        }
      }
    });
  }
}

}  // namespace
}  // namespace lastack::differential
