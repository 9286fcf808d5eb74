// Facts 15 to 18 of docs/linux-facts.md, asked of both worlds: the side that connects takes the place of a
// record.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "differential/differential.h"
#include "stack/setting_names.h"

namespace lastack::differential {
namespace {

// Of a range with this one port, so that a record is in the way of the next connection.
void one_port(Differential& d) {
  d.set("ip_local_port_range", "40000 40000");
}

void close_first(Differential& d, const Differential::Open& open) {
  d.close(open.socket);
  Peer(open.peer).out(FIN | ACK).in(ACK).in(FIN | ACK).out(ACK).in_time_wait();
}

// connect() once more, over the same port. What comes of it is compared.
void again(Differential& d, bool works) {
  const Sock s = d.open();
  if (works) {
    d.connect(s).out(SYN).in(SYN | ACK).out(ACK).shows(TcpState::Established);
  } else {
    const Err err = d.connect_to(s, {kThere, 80});
    d.expect(err == Err::address_not_available, "EADDRNOTAVAIL");
  }
}

TEST(Differential, F15_never_without_timestamps) {
  for (const bool of_the_host : {true, false}) {
    differential([&](Differential& d) {
      one_port(d);
      d.set("tcp_tw_reuse", 1);
      d.set("tcp_tw_reuse_delay", 1);
      if (of_the_host) d.set("tcp_timestamps", 0);
      const Sock s = d.open();
      Peer p = d.connect(s);
      p.out(SYN).offer({.timestamps = !of_the_host ? false : true});
      p.in(SYN | ACK).out(ACK);
      close_first(d, {s, p});
      d.wait(50ms);
      again(d, false);
      d.counts("TWRecycled", 0);
    });
  }
}

// The limits of the settings are the kernel's.
TEST(Differential, F16_settings_take_and_refuse_the_same_values) {
  differential([](Differential& d) {
    // Not those of the host, of the device, of vendors; nor one whose limit is another setting, nor one of which the
    // kernel takes 2^32 for 0.
    constexpr std::string_view kNot[] = {"tcp_max_orphans",
                                         "tcp_tw_recycle",
                                         "tcp_tw_timeout",
                                         "rmem_max",
                                         "wmem_max",
                                         "gso_max_size",
                                         "ip_unprivileged_port_start",
                                         "tcp_invalid_ratelimit"};
    std::vector<std::string> names;
    for (const SettingLimits& s : number_settings()) {
      if (std::find(std::begin(kNot), std::end(kNot), s.name) == std::end(kNot)) {
        names.emplace_back(s.name);
      }
    }
    for (const std::string& name : names) {
      for (const char* value : {"-1", "0", "1", "2", "3", "5", "48", "127", "128", "255", "256",
                                "60000", "60001", "65536", "2147483647", "4294967296", "x"}) {
        d.try_set(name, value);
      }
    }
    for (const char* value : {"40000 40001", "0 10", "1 65535", "2000 1000", "5", "40000 65536"}) {
      d.try_set("ip_local_port_range", value);
    }
  });
}

TEST(Differential, F16_modes) {
  for (const int mode : {0, 1, 2}) {
    differential([&](Differential& d) {
      one_port(d);
      d.set("tcp_tw_reuse", mode);
      d.set("tcp_tw_reuse_delay", 20);
      close_first(d, d.connected());
      d.wait(100ms);
      again(d, mode == 1);
      d.counts("TWRecycled", mode == 1 ? 1 : 0);
    });
  }
}

// Both ends are sockets of the host that is asked.
TEST(Differential, F16_modes_over_loopback) {
  for (const int mode : {0, 1, 2}) {
    for (const bool own_address : {false, true}) {
      differential([&](Differential& d) {
        one_port(d);
        d.set("tcp_tw_reuse", mode);
        d.set("tcp_tw_reuse_delay", 20);
        const Endpoint server{own_address ? kHere : kLoopback, 80};
        const Sock listener = d.open();
        d.bind(listener, server);
        d.listen(listener, 10);
        const Sock client = d.open();
        d.connect_to(client, server);
        const Sock accepted = d.accept(listener);
        d.close(client);
        d.wait(20ms);
        d.read(accepted);
        d.close(accepted);
        d.small_records(1);
        d.wait(100ms);
        const bool reuses = mode == 1 || (mode == 2 && !own_address);
        const Err err = d.connect_to(d.open(), server);
        d.expect(err == (reuses ? Err::in_progress : Err::address_not_available),
                 reuses ? "EINPROGRESS" : "EADDRNOTAVAIL");
        d.counts("TWRecycled", reuses ? 1 : 0);
      });
    }
  }
}

TEST(Differential, F16_the_delay) {
  differential([](Differential& d) {
    one_port(d);
    d.set("tcp_tw_reuse", 1);
    for (const char* wrong : {"0", "60001", "-1", "1", "60000"})
      d.try_set("tcp_tw_reuse_delay", wrong);
    d.set("tcp_tw_reuse_delay", 500);
    close_first(d, d.connected());
    d.wait(100ms);
    again(d, false);
    d.wait(500ms);
    again(d, true);
  });
  // The setting is read when a port is chosen.
  differential([](Differential& d) {
    one_port(d);
    d.set("tcp_tw_reuse", 1);
    d.set("tcp_tw_reuse_delay", 60000);
    close_first(d, d.connected());
    d.wait(30ms);
    again(d, false);
    d.set("tcp_tw_reuse_delay", 1);
    again(d, true);
  });
}

TEST(Differential, F16_fin_wait_2_never) {
  differential([](Differential& d) {
    one_port(d);
    d.set("tcp_tw_reuse", 1);
    d.set("tcp_tw_reuse_delay", 1);
    auto [s, p] = d.connected();
    d.close(s);
    p.out(FIN | ACK).in(ACK).shows(TcpState::FinWait2, true);
    d.wait(50ms);
    again(d, false);
    p.in(FIN | ACK).out(ACK).in_time_wait();
    d.wait(50ms);
    again(d, true);
  });
}

TEST(Differential, F17_an_explicit_port_is_reused_whatever_the_settings) {
  differential([](Differential& d) {
    d.set("tcp_tw_reuse", 0);
    d.set("tcp_tw_reuse_delay", 60000);
    for (int round = 0; round < 4; ++round) close_first(d, d.connected(80, 20000));
    d.counts("TWRecycled", 3);
    // In FIN_WAIT_2 as well.
    auto [s, p] = d.connected(80, 20000);
    d.close(s);
    p.out(FIN | ACK).in(ACK).shows(TcpState::FinWait2, true);
    d.connected(80, 20000);
    d.counts("TWRecycled", 5);
  });
}

TEST(Differential, F17_but_not_without_timestamps) {
  differential([](Differential& d) {
    d.set("tcp_timestamps", 0);
    close_first(d, d.connected(80, 20000));
    const Sock s = d.open();
    d.set_option(s, Option::reuse_address, 1);
    d.bind(s, {kHere, 20000});
    d.expect(d.connect_to(s, {kThere, 80}) == Err::address_not_available, "EADDRNOTAVAIL");
  });
}

TEST(Differential, F17_bind_has_to_pass) {
  for (const bool before : {false, true}) {
    for (const bool after : {false, true}) {
      differential([&](Differential& d) {
        close_first(d, d.connected(80, 20000, before));
        const Sock s = d.open();
        if (after) d.set_option(s, Option::reuse_address, 1);
        const Err err = d.bind(s, {kHere, 20000});
        d.expect(err == (before && after ? Err::none : Err::address_in_use), "bind()");
      });
    }
  }
}

TEST(Differential, F18_the_record_is_gone_and_the_numbers_go_on) {
  differential([](Differential& d) {
    one_port(d);
    d.set("tcp_tw_reuse", 1);
    d.set("tcp_tw_reuse_delay", 1);
    auto [s, p] = d.connected();
    d.write(s, 5000);
    p.in(ACK);
    close_first(d, {s, p});
    d.small_records(1);
    d.wait(50ms);
    // The SYN is 65,537 beyond, which the comparison shows.
    again(d, true);
    d.small_records(0);
    d.counts("TWRecycled", 1);
  });
}

// The peer still has the old connection when the new one begins: its answer acknowledges what is none of this
// one, and a RST frees the way (claim A5).
TEST(Differential, F18_a_peer_that_still_has_the_old_connection) {
  differential([](Differential& d) {
    auto [s, p] = d.connected(80, 20000);
    close_first(d, {s, p});
    const Sock fresh = d.open();
    d.set_option(fresh, Option::reuse_address, 1);
    d.bind(fresh, {kHere, 20000});
    Peer q = d.connect(fresh);
    q.out(SYN);
    q.in(ACK, {.seq = -65537, .ack = -65538});
    d.counts("OutRsts", 1);  // and the SYN goes again at the next tick
    d.wait(50ms);
    q.in(SYN | ACK).out(ACK);
  });
}

}  // namespace
}  // namespace lastack::differential
