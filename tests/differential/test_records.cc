// Facts 11 to 14 of docs/linux-facts.md, asked of both worlds: a segment meets the small record. Every kind of
// segment meets a record of its own.
#include <gtest/gtest.h>

#include "differential/differential.h"

namespace lastack::differential {
namespace {

struct Case {
  std::uint16_t flags;
  With with;
};

// What may come: each flag alone and with others, before, at and after the number that is due, with data, with
// an ACK that is old or too new, and with timestamps from the past, equal and none.
std::vector<Case> segments() {
  std::vector<Case> all;
  for (const std::uint16_t flags :
       {std::uint16_t{0}, ACK, FIN, std::uint16_t(FIN | ACK), SYN, std::uint16_t(SYN | ACK),
        std::uint16_t(SYN | FIN), RST, std::uint16_t(RST | ACK), std::uint16_t(RST | SYN)}) {
    for (const std::int64_t seq : {-70000, -1, 0, 1, 100, 60000, 70000}) {
      for (const std::size_t length : {0U, 1U, 20U}) {
        all.push_back({flags, {.seq = seq, .length = length}});
      }
    }
    for (const std::int64_t ts : {-50, -2, -1, 100}) {
      for (const std::int64_t seq : {-1, 0, 1}) {
        all.push_back({flags, {.seq = seq, .ts = ts}});
      }
      all.push_back({flags, {.length = 5, .ts = ts}});
    }
    for (const std::int64_t seq : {-1, 0, 1}) {
      all.push_back({flags, {.seq = seq, .timestamps = false}});
    }
    for (const std::int64_t ack : {-2, -1, 1, 100000}) {
      all.push_back({flags, {.ack = ack}});
    }
  }
  return all;
}

// Many records in one namespace, each with its segment.
template <class Make>
void meet(const Make& make, bool listens,
          std::vector<std::pair<std::string, std::int64_t>> settings, const Offer& offer = {}) {
  std::vector<Case> all = segments();
  // A listener drops a SYN with a FIN, and Linux has given the record up by then: the documented deviation, which
  // ends a script.
  if (listens) std::erase_if(all, [](const Case& c) { return c.flags == (SYN | FIN); });
  constexpr std::size_t kAtOnce = 60;
  for (std::size_t from = 0; from < all.size(); from += kAtOnce) {
    differential([&](Differential& d) {
      for (const auto& [name, value] : settings) d.set(name, value);
      d.set("tcp_max_tw_buckets", 100000);
      const Sock listener = d.listen_at(80, 1000);
      std::vector<Peer> peers;
      for (std::size_t i = from; i < std::min(all.size(), from + kAtOnce) && !d.failed(); ++i) {
        auto [s, p] = d.established(listener, static_cast<Port>(10000 + i), 80, offer);
        make(d, s, p);
        peers.push_back(p);
      }
      if (!listens) d.close(listener);
      for (std::size_t i = 0; i < peers.size(); ++i) {
        const Case& c = all[from + i];
        peers[i].in(c.flags, c.with);
      }
    });
  }
}

void leave_fin_wait_2(Differential& d, Sock s, Peer& p) {
  d.close(s);
  p.out(FIN | ACK).in(ACK).shows(TcpState::FinWait2, true);
}
void leave_time_wait(Differential& d, Sock s, Peer& p) {
  d.close(s);
  p.out(FIN | ACK).in(ACK).in(FIN | ACK).out(ACK).in_time_wait();
}

TEST(Differential, F11_every_segment_meets_fin_wait_2) {
  meet(leave_fin_wait_2, true, {});
}
TEST(Differential, F11_every_segment_meets_fin_wait_2_without_timestamps) {
  meet(leave_fin_wait_2, true, {}, {.timestamps = false});
}
TEST(Differential, F11_every_segment_meets_fin_wait_2_with_no_listener) {
  meet(leave_fin_wait_2, false, {});
}
TEST(Differential, F12_every_segment_meets_time_wait) {
  meet(leave_time_wait, false, {});
}
TEST(Differential, F12_every_segment_meets_time_wait_without_timestamps) {
  meet(leave_time_wait, false, {}, {.timestamps = false});
}
TEST(Differential, F12_every_segment_meets_time_wait_with_tcp_rfc1337) {
  meet(leave_time_wait, false, {{"tcp_rfc1337", 1}});
}
TEST(Differential, F13_every_segment_meets_time_wait_and_a_listener) {
  meet(leave_time_wait, true, {});
}
TEST(Differential, F13_every_segment_meets_time_wait_and_a_listener_without_timestamps) {
  meet(leave_time_wait, true, {}, {.timestamps = false});
}

TEST(Differential, F11_answers_are_limited) {
  differential([](Differential& d) {
    const Sock listener = d.listen_at(80);
    auto [s, p] = d.established(listener);
    leave_fin_wait_2(d, s, p);
    p.in(ACK, {.seq = -100}).out(ACK);
    p.in(ACK, {.seq = -100}).nothing();
    d.counts("TCPACKSkippedFinWait2", 1);
    // Data is no part of an endless exchange of ACKs.
    p.in(ACK, {.seq = -100, .length = 5}).out(ACK);
    d.wait(600ms);
    p.in(ACK, {.seq = -100}).out(ACK);
    p.in(RST).gone();
    d.counts("TWKilled", 0);
  });
}

TEST(Differential, F12_a_reset_ends_it_unless_tcp_rfc1337) {
  for (const int rfc1337 : {0, 1}) {
    differential([&](Differential& d) {
      d.set("tcp_rfc1337", rfc1337);
      const Sock listener = d.listen_at(80);
      auto [s, p] = d.established(listener);
      leave_time_wait(d, s, p);
      p.in(RST, {.seq = 100}).nothing().in_time_wait();
      p.in(RST, {.seq = -1}).nothing().in_time_wait();
      p.in(RST).nothing();
      if (rfc1337 == 0) {
        p.gone();
      } else {
        p.in_time_wait();
      }
      d.counts("TWKilled", 0);
    });
  }
}

TEST(Differential, F12_an_empty_ack_begins_the_60_s_anew) {
  differential([](Differential& d) {
    const Sock listener = d.listen_at(80);
    auto [s, p] = d.established(listener);
    auto [t, q] = d.established(listener, 40001);
    leave_time_wait(d, s, p);
    leave_time_wait(d, t, q);
    d.wait(1500ms);
    p.in(ACK).nothing().in_time_wait();
    q.in(RST, {.seq = 5}).in_time_wait();  // and this one does not: the rows have both
    p.in(FIN | ACK, {.seq = -1}).out(ACK).in_time_wait();
    d.wait(1s);
    q.in(SYN, {.seq = -1000, .ts = -1000});
  });
}

TEST(Differential, F13_a_listener_takes_a_later_syn) {
  for (const bool timestamps : {true, false}) {
    differential([&](Differential& d) {
      const Sock listener = d.listen_at(80);
      auto [s, p] = d.established(listener, 40000, 80, {.timestamps = timestamps});
      for (int round = 0; round < 5; ++round) {
        leave_time_wait(d, s, p);
        // 65,537 beyond what was sent last, which the comparison shows.
        p.again(timestamps && round % 2 == 0 ? -100'000 : 1000, 5).handshake();
        p.shows(TcpState::Established);
        s = d.accept(listener);
      }
      d.counts("TWRecycled", 0);
    });
  }
}

TEST(Differential, F13_an_earlier_syn_draws_an_ack) {
  differential([](Differential& d) {
    const Sock listener = d.listen_at(80);
    auto [s, p] = d.established(listener);
    leave_time_wait(d, s, p);
    p.again(-100, -50).in(SYN).out(ACK).in_time_wait();
    d.counts("PAWSTimewait", 1);
  });
  differential([](Differential& d) {
    const Sock listener = d.listen_at(80);
    auto [s, p] = d.established(listener, 40000, 80, {.timestamps = false});
    leave_time_wait(d, s, p);
    p.again(-100).in(SYN).out(ACK).in_time_wait();
  });
}

// The one deviation here: MAY-2 of RFC 9293, which Linux has not (docs/differential.md).
TEST(Differential, F13_the_endpoint_returns_to_time_wait_after_an_old_duplicate) {
  differential([](Differential& d) {
    const Sock listener = d.listen_at(80);
    auto [s, p] = d.established(listener);
    leave_time_wait(d, s, p);
    p.again(1000, 50).in(SYN).out(SYN | ACK).shows(TcpState::SynReceived);
    p.in(RST);
    if (!d.failed() && d.deviation().empty()) d.expect(false, "the endpoint's record to come back");
  });
}

TEST(Differential, F13_without_a_listener_it_draws_an_ack) {
  differential([](Differential& d) {
    const Sock listener = d.listen_at(80);
    auto [s, p] = d.established(listener);
    leave_time_wait(d, s, p);
    d.close(listener);
    p.again(1000, 50).in(SYN).in_time_wait();
  });
}

TEST(Differential, F14_a_timestamp_from_the_past) {
  differential([](Differential& d) {
    const Sock listener = d.listen_at(80);
    auto [s, p] = d.established(listener);
    leave_time_wait(d, s, p);
    p.in(ACK, {.ts = -100}).out(ACK).in_time_wait();
    p.in(ACK, {.ts = -100}).nothing();
    p.in(RST, {.ts = -100}).in_time_wait();
    d.counts("PAWSTimewait", 3);
  });
}

}  // namespace
}  // namespace lastack::differential
