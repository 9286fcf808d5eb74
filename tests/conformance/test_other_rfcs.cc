// The other documents that the endpoint goes by.
#include <set>

#include "conformance/script.h"
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

// --- RFC 7323

CONFORMANCE(RFC_7323_PAWS_drops_what_has_an_old_timestamp) {
  Script(profile).run(R"(
    passive mss 1000 ts 1000
    < ACK,PSH 1+10 ack 1 ts 2000
    drain
    wait 5s
    < ACK,PSH 11+10 ack 1 ts 1500
    > ACK 1 ack 11 ts */2000
    counter PAWSEstab 1
    read 20 -> 10
    < ACK,PSH 11+10 ack 1 ts 2001
    within 1s > ACK 1 ack 21
  )");
}

CONFORMANCE(RFC_7323_the_timestamp_clock_may_wrap) {
  Script(profile).run(R"(
    passive mss 1000 ts 4294967290
    < ACK,PSH 1+10 ack 1 ts 4294967295
    drain
    < ACK,PSH 11+10 ack 1 ts 5
    drain
    read 20
    < ACK,PSH 21+10 ack 1 ts 4294967290
    > ACK 1 ack 21
    counter PAWSEstab 1
  )");
  // After 24 days without a segment an older one is no sign of age any more.
  Script(profile).run(R"(
    passive mss 1000 ts 1000
    wait 25d
    < ACK,PSH 1+10 ack 1 ts 500
    drain
    read 10
    counter PAWSEstab 0
  )");
}

CONFORMANCE(RFC_7323_our_own_clock_may_wrap) {
  // 2^32 ms are 49.7 days: a connection lives through it, round trips and all.
  HostOptions options;
  options.seed = 11;
  Script s({.profile = profile, .v6 = false, .options = options});
  s.run("sysctl tcp_timestamps 2");  // the clock as it is
  s.now = Instant(std::chrono::milliseconds((std::int64_t{1} << 32) - 500));
  s.run("passive mss 1000 ts 7\nwrite 10\n> ACK,PSH 1+10\nwait 100ms\n< ACK 1 ack 11 ts 8\n");
  const std::uint32_t before = s.last().options.timestamps->value;
  s.run("wait 600ms\nwrite 10\n> ACK,PSH 11+10\nwait 100ms\n< ACK 1 ack 21 ts 9");
  EXPECT_LT(s.last().options.timestamps->value, before) << "it has wrapped";
  EXPECT_LT(s.host.info(s.socket, s.now)->rtt, 150'000U);
  s.run(
      "close\n> FIN,ACK 21\n< ACK 1 ack 22 ts 10\n< FIN,ACK 1 ack 22 ts 11\n> ACK 22 ack 2\ntime_waits 1");
}

CONFORMANCE(RFC_7323_windows_are_scaled_but_not_in_SYNs) {
  Script s(profile);
  s.run(R"(
    passive mss 1000 wscale 7 win 20
    < ACK 1 ack 1 win 20
    write 5000
    > ACK 1+1000
    > ACK 1001+1000
    nothing
  )");
  Script off(profile);
  off.run("listen\n< SYN 0 mss 1000\n> SYN,ACK 0 ack 1");
  EXPECT_FALSE(off.last().options.window_scale) << "only when the peer offers it";
}

CONFORMANCE(RFC_7323_sequence_numbers_may_wrap) {
  Script s(profile);
  s.run("isn 4294966000\npassive mss 1000");
  for (int i = 0; i < 5; ++i) {
    s.run("< ACK,PSH " + std::to_string(1 + 1000 * i) + "+1000 ack 1\nwithin 1s > ACK 1 ack " +
          std::to_string(1001 + 1000 * i) + "\nread 1000");
  }
  s.run("< FIN,ACK 5001 ack 1\nwithin 1s > ACK 1 ack 5002\nread 1 -> 0");
}

CONFORMANCE(RFC_7323_the_clock_may_be_far_in_the_future) {
  Script s(profile);
  s.now = Instant(std::chrono::hours(24 * 365 * 180));
  s.run(R"(
    passive mss 1000 ts 7
    write 10
    > ACK,PSH 1+10
    within 2s > ACK,PSH 1+10
    < ACK 1 ack 11 ts 8
    close
    > FIN,ACK 11
    < ACK 1 ack 12 ts 9
    < FIN,ACK 1 ack 12 ts 9
    > ACK 12 ack 2
    time_waits 1
    wait 241s
    time_waits 0
  )");
}

// --- RFC 2018, 6675

CONFORMANCE(RFC_2018_the_newest_block_comes_first) {
  Script(profile).run(R"(
    passive mss 1000 sackok
    < ACK 1001+100 ack 1
    > ACK 1 ack 1 sack 1001-1101
    < ACK 3001+100 ack 1
    > ACK 1 ack 1 sack 3001-3101,1001-1101
    < ACK 2001+100 ack 1
    > ACK 1 ack 1 sack 2001-2101,3001-3101,1001-1101
    < ACK 1101+100 ack 1
    within 1ms > ACK 1 ack 1 sack 1001-1201,2001-2101,3001-3101
  )");
}

CONFORMANCE(RFC_2018_blocks_do_not_count_in_the_segment_size_that_is_told) {
  Script s(profile);
  s.run(R"(
    passive mss 1000 sackok
    < ACK,PSH 501+200 ack 1
    > ACK 1 ack 1 sack 501-701
  )");
  EXPECT_EQ(s.host.info(s.socket, s.now)->send_mss, 1000U);
  EXPECT_EQ(s.host.option(s.socket, Option::max_segment), 1000);
  s.run(R"(
    write 1000 -> 1000
    > ACK 1+988 ack 1 sack 501-701
    > ACK 989+12 ack 1 sack 501-701
  )");
}

CONFORMANCE(RFC_2018_the_ACK_of_a_FIN_behind_a_gap_has_its_block_still) {
  // As Linux sends it, where the FIN takes the state on: tests/packetdrill/fin-wait-2-fin-gap-filled.pkt.
  Script(profile).run(R"(
    passive mss 1000 sackok
    shutdown write
    > FIN,ACK 1 ack 1
    < ACK 1 ack 2
    < FIN,ACK 501 ack 2
    > ACK 2 ack 1 sack 501-502
    < ACK 1+500 ack 2
    > ACK 2 ack 502 sack 501-502
  )");
  Script established(profile);
  established.run(R"(
    passive mss 1000 sackok
    < FIN,ACK 501 ack 1
    > ACK 1 ack 1 sack 501-502
    < ACK 1+500 ack 1
    > ACK 1 ack 502
  )");
  EXPECT_EQ(established.last().options.sack_count, 0);
  // Nor of data that has come twice, when the FIN comes with it.
  Script twice(profile);
  twice.run(R"(
    passive mss 1000 sackok
    < ACK,PSH 1+100 ack 1
    > ACK 1 ack 101
    < FIN,ACK 1+100 ack 1
    within 50ms > ACK 1 ack 102
  )");
  EXPECT_EQ(twice.last().options.sack_count, 0);
}

CONFORMANCE(RFC_2018_nothing_is_told_that_was_not_agreed_upon) {
  Script s(profile);
  s.run("passive mss 1000\n< ACK 1001+100 ack 1\n> ACK 1 ack 1");
  EXPECT_EQ(s.last().options.sack_count, 0);
}

constexpr const char* kFlight = R"(
  listen
  < SYN 0 mss 1000 sackok
  > SYN,ACK 0 ack 1
  wait 100ms
  < ACK 1 ack 1
  accept
  write 10000
  > ACK 1+1000
  > ACK 1001+1000
  > ACK 2001+1000
  > ACK 3001+1000
  > ACK 4001+1000
  > ACK 5001+1000
  > ACK 6001+1000
  > ACK 7001+1000
  > ACK 8001+1000
  > ACK,PSH 9001+1000
  wait 100ms
)";

CONFORMANCE(RFC_6675_what_lies_below_three_SACKed_segments_goes_again) {
  Script s(profile);
  s.run(kFlight).run(R"(
    < ACK 1 ack 1 sack 1001-2001
    < ACK 1 ack 1 sack 1001-3001
    < ACK 1 ack 1 sack 1001-4001
    > ACK 1+1000
    < ACK 1 ack 1 sack 1001-4001,5001-6001
    drain
    < ACK 1 ack 1 sack 1001-4001,5001-7001
    drain
    < ACK 1 ack 1 sack 1001-4001,5001-8001
    drain
    counter RetransSegs 2                # the two holes, and nothing else
    < ACK 1 ack 10001
  )");
}

// --- RFC 5681, 6582

CONFORMANCE(RFC_5681_the_third_duplicate_ACK_sends_again) {
  Script s(profile);
  s.run(R"(
    sysctl tcp_congestion_control reno
    sysctl tcp_early_retrans 0
    listen
    < SYN 0 mss 1000
    > SYN,ACK 0 ack 1
    wait 100ms
    < ACK 1 ack 1
    accept
    write 10000
    drain
    wait 100ms
    < ACK 1 ack 1
    < ACK 1 ack 1
    nothing
    < ACK 1 ack 1
    > ACK 1+1000
    counter RetransSegs 1
  )");
  EXPECT_EQ(s.host.info(s.socket, s.now)->send_threshold, 5U) << "half of what was in flight";
}

CONFORMANCE(RFC_896_a_full_piece_uses_the_window_to_its_end) {
  // tests/packetdrill/push-one-rest-of-window.pkt
  HostOptions options;
  options.gso_max_size = 65535;
  Script({.profile = profile, .v6 = false, .options = options}).run(R"(
    listen
    < SYN 0 mss 1000 win 5000
    > SYN,ACK 0 ack 1
    wait 100ms
    < ACK 1 ack 1 win 5000
    accept
    write 200
    > ACK,PSH 1+200
    < ACK,PSH 1+10 ack 1 win 5000
    drain
    < ACK,PSH 11+10 ack 1 win 1900
    drain
    write 6000
    > ACK 201+1000
    > ACK,PSH 1201+700
  )");
}

CONFORMANCE(RFC_5681_after_idleness_it_begins_anew) {
  Script s(profile);
  s.run(R"(
    listen
    < SYN 0 mss 1000
    > SYN,ACK 0 ack 1
    wait 100ms
    < ACK 1 ack 1
    accept
    set send_buffer 400000
    write 10000
    drain
    wait 100ms
    < ACK 1 ack 10001
    write 20000
    drain
    wait 100ms
    < ACK 1 ack 30001
  )");
  EXPECT_GT(s.host.info(s.socket, s.now)->send_window, 20U);
  s.run("wait 60s\nwrite 30000\ndrain");
  EXPECT_EQ(s.host.info(s.socket, s.now)->send_window, 10U);
}

CONFORMANCE(RFC_6928_two_lost_SYNs_begin_with_one_segment) {
  const auto window_after = [&](int lost) {
    Script s(profile);
    s.run("connect\n> SYN 0");
    for (int i = 0; i < lost; ++i) s.run("+1s > SYN 0");
    s.run("wait 10ms\n< SYN,ACK 0 ack 1 mss 1000\n> ACK 1 ack 1\nconnected");
    return s.host.info(s.socket, s.now)->send_window;
  };
  EXPECT_GT(window_after(0), 1U);
  EXPECT_EQ(window_after(1), window_after(0));
  EXPECT_EQ(window_after(2), 1U);
  // And of the side that answered.
  Script passive(profile);
  passive.run(R"(
    listen
    < SYN 0 mss 1000
    > SYN,ACK 0 ack 1
    within 2s > SYN,ACK 0 ack 1
    within 4s > SYN,ACK 0 ack 1
    wait 10ms
    < ACK 1 ack 1
    accept
  )");
  EXPECT_EQ(passive.host.info(passive.socket, passive.now)->send_window, 1U);
}

CONFORMANCE(RFC_6928_but_not_when_the_first_was_only_late) {
  Script s(profile);
  s.run("connect\n> SYN 0");
  ASSERT_TRUE(s.last().options.timestamps);
  const std::uint32_t first = s.last().options.timestamps->value;
  s.run("+1s > SYN 0\n+1s > SYN 0\nwait 10ms");
  s.run("< SYN,ACK 0 ack 1 mss 1000 ts 5/" + std::to_string(first));
  s.run("> ACK 1 ack 1\nconnected");
  EXPECT_GT(s.host.info(s.socket, s.now)->send_window, 1U);
}

CONFORMANCE(RFC_6582_a_partial_ACK_sends_the_next_hole) {
  Script s(profile);
  s.run(R"(
    sysctl tcp_early_retrans 0
    listen
    < SYN 0 mss 1000
    > SYN,ACK 0 ack 1
    wait 100ms
    < ACK 1 ack 1
    accept
    write 10000
    drain
    wait 100ms
    < ACK 1 ack 1
    < ACK 1 ack 1
    < ACK 1 ack 1
    > ACK 1+1000
    < ACK 1 ack 4001
    > ACK 4001+1000
    drain
  )");
}

CONFORMANCE(RFC_9438_less_is_given_up_than_half) {
  Script s(profile);
  s.run("sysctl tcp_congestion_control cubic").run(kFlight).run(R"(
    < ACK 1 ack 1 sack 1001-2001
    < ACK 1 ack 1 sack 1001-3001
    < ACK 1 ack 1 sack 1001-4001
    > ACK 1+1000
    drain
  )");
  EXPECT_EQ(s.host.info(s.socket, s.now)->send_threshold, 7U) << "0.7 of 10";
}

// --- RFC 6298

CONFORMANCE(RFC_6298_a_second_before_there_is_a_sample) {
  Script(profile).run("connect\n> SYN 0\nwait 999ms\nnothing\n+1ms > SYN 0");
}

CONFORMANCE(RFC_6298_the_time_out_follows_the_round_trip) {
  for (const int ms : {10, 500, 2000}) {
    Script s(profile);
    s.run("listen\n< SYN 0 mss 1000\n> SYN,ACK 0 ack 1\nwait " + std::to_string(ms) +
          "ms\ndrain\n< ACK 1 ack 1\naccept");
    const auto info = *s.host.info(s.socket, s.now);
    if (ms < 1000) {
      EXPECT_NEAR(info.rtt, ms * 1000, 1000);
    }
    EXPECT_GE(info.rto, info.rtt);
    EXPECT_GE(info.rto, 200'000U);
  }
}

// --- RFC 5961

CONFORMANCE(RFC_5961_challenge_ACKs_are_rationed_for_a_connection) {
  Script(profile).run(R"(
    passive mss 1000
    < RST 2
    > ACK 1 ack 1
    < RST 3
    nothing
    < SYN 4
    nothing
    counter TCPChallengeACK 1
    wait 500ms
    < RST 3
    > ACK 1 ack 1
    counter TCPChallengeACK 2
    state ESTABLISHED
  )");
}

CONFORMANCE(RFC_5961_and_for_a_host_when_asked_to) {
  Script s(profile);
  s.run("sysctl tcp_challenge_ack_limit 3\nlisten");
  int sent = 0;
  for (int i = 0; i < 10; ++i) {
    s.run("peer " + std::to_string(9000 + i) + "\npassive mss 1000");
    const std::uint64_t before = s.host.counters().TCPChallengeACK;
    s.run("< RST 2");
    sent += s.host.counters().TCPChallengeACK > before ? 1 : 0;
    s.run("drain");
  }
  EXPECT_EQ(sent, 3);
}

CONFORMANCE(RFC_5961_blind_data_needs_a_good_ACK) {
  Script(profile).run(R"(
    passive mss 1000
    < ACK,PSH 1+10 ack 500000
    > ACK 1 ack 1
    read 10 -> EAGAIN
    < ACK,PSH 1+10 ack -200000
    drain
    read 10 -> EAGAIN
  )");
}

// --- RFC 6191, 1337

constexpr const char* kTimeWaitStamps = R"(
  passive mss 1460 ts 1000
  close
  > FIN,ACK 1 ack 1
  < ACK 1 ack 2 ts 1001
  < FIN,ACK 1 ack 2 ts 1002
  > ACK 2 ack 2 ts */1002
)";

CONFORMANCE(RFC_6191_an_older_timestamp_keeps_a_SYN_out) {
  Script s(profile);
  s.run(kTimeWaitStamps);
  s.run("wait 1s\n< SYN 100000 ts 900\ndrain\nstate TIME_WAIT\ntime_waits 1");
  Script newer(profile);
  newer.run(kTimeWaitStamps);
  newer.run("wait 1s\n< SYN 100000 ts 1003\n> SYN,ACK 65539 ack 100001\nstate SYN_RECEIVED");
}

CONFORMANCE(RFC_1337_a_RST_does_not_end_TIME_WAIT_when_asked_to) {
  Script s(profile);
  s.run("sysctl tcp_rfc1337 1").run(kTimeWaitStamps);
  for (int i = 0; i < 5; ++i) s.run("< RST 2 ts 1003\nnothing\ntime_waits 1");
  // Old data draws an ACK, as ever, which draws a RST of a peer that knows of nothing: the record stays.
  s.run("< ACK,PSH 1+1 ack 2 ts 1003\n> ACK 2 ack 2\n< RST 2\nnothing\ntime_waits 1");
}

// --- RFC 6056, 6528

CONFORMANCE(RFC_6056_ports_are_not_in_a_row_and_differ_by_seed) {
  std::set<Port> first;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    HostOptions options;
    options.seed = seed;
    Script s({.profile = profile, .v6 = false, .options = options});
    std::vector<Port> ports;
    for (int i = 0; i < 5; ++i) {
      s.run("connect\ndrain");
      ports.push_back(s.tuple().local.port);
    }
    int in_a_row = 0;
    for (std::size_t i = 1; i < ports.size(); ++i) in_a_row += ports[i] == ports[i - 1] + 1 ? 1 : 0;
    EXPECT_LT(in_a_row, 4);
    first.insert(ports[0]);
  }
  EXPECT_GT(first.size(), 15U);
}

CONFORMANCE(RFC_6528_numbers_of_one_four_tuple_grow) {
  HostOptions options;
  options.seed = 3;
  Script s({.profile = profile, .v6 = false, .options = options});
  const Duration tick = profile == Profile::Linux ? 64ns : 4us;
  s.run("connect 40000\n> SYN 0\nclose\nwait 1s\nconnect 40000\n> SYN " +
        std::to_string(1s / tick));
}

// --- RFC 1122

CONFORMANCE(RFC_1122_data_and_FIN_in_one_segment) {
  Script(profile).run(R"(
    passive mss 1000
    < FIN,ACK,PSH 1+100 ack 1
    within 1s > ACK 1 ack 102
    state CLOSE_WAIT
    read 200 -> 100
    read 200 -> 0
  )");
}

// --- RFC 3168

CONFORMANCE(RFC_3168_a_mark_is_told_until_the_peer_says_that_it_has_heard) {
  Script(profile).run(R"(
    sysctl tcp_ecn 1
    listen
    < SYN,ECE,CWR 0 mss 1000 win 10000
    > SYN,ACK,ECE 0 ack 1 ecn none
    < ACK 1 ack 1
    accept
    < ACK,PSH 1+500 ack 1 ecn ect0
    within 1s > ACK 1 ack 501
    < ACK,PSH 501+500 ack 1 ecn ce
    > ACK,ECE 1 ack 1001
    < ACK,PSH 1001+500 ack 1 ecn ect0
    within 1s > ACK,ECE 1 ack 1501
    < ACK,PSH,CWR 1501+500 ack 1 ecn ect0
    > ACK 1 ack 2001
  )");
}

CONFORMANCE(RFC_3168_one_reduction_for_a_window_and_CWR_once) {
  Script s(profile);
  s.run(R"(
    sysctl tcp_ecn 1
    listen
    < SYN,ECE,CWR 0 mss 1000 win 20000
    > SYN,ACK,ECE 0 ack 1
    < ACK 1 ack 1
    accept
    write 4000 -> 4000
    > ACK 1+1000 ack 1 ecn ect0
    > ACK 1001+1000 ack 1 ecn ect0
    > ACK 2001+1000 ack 1 ecn ect0
    > ACK 3001+1000 ack 1 ecn ect0
    +50ms < ACK,ECE 1 ack 1001
  )");
  const std::uint32_t reduced = s.host.info(s.socket, s.now)->send_threshold;
  EXPECT_LT(reduced, 10U);
  s.run(R"(
    < ACK,ECE 1 ack 4001
    write 1000 -> 1000
    > ACK,PSH,CWR 4001+1000 ack 1 ecn ect0
    write 1000 -> 1000
    > ACK 5001+1000 ack 1 ecn ect0
  )");
  EXPECT_EQ(s.host.info(s.socket, s.now)->send_threshold, reduced);
}

CONFORMANCE(RFC_3168_what_is_sent_again_and_pure_ACKs_are_not_capable) {
  Script(profile).run(R"(
    sysctl tcp_ecn 1
    listen
    < SYN,ECE,CWR 0 mss 1000 win 10000 sackok
    > SYN,ACK,ECE 0 ack 1
    < ACK 1 ack 1
    accept
    write 1000 -> 1000
    > ACK 1+1000 ack 1 ecn ect0
    within 2s > ACK 1+1000 ack 1 ecn none
    < ACK 1 ack 1001
    < ACK,PSH 1+500 ack 1001
    within 1s > ACK 1001 ack 501 ecn none
  )");
}

CONFORMANCE(RFC_3168_without_ECN_a_mark_is_told_to_the_user_only) {
  Script s(profile);
  const auto seen = [&s] { return s.host.info(s.socket, s.now)->ecn_seen; };
  s.run(R"(
    passive mss 1000
    < ACK 1 ack 1
  )");
  EXPECT_FALSE(seen());
  s.run("< ACK 1 ack 1 ecn ect0");
  EXPECT_TRUE(seen());
  s.run(R"(
    < ACK,PSH 1+500 ack 1 ecn ce
    within 1s > ACK 1 ack 501
  )");
}

// --- RFC 8200, 4443

CONFORMANCE(RFC_8200_a_connection_over_IPv6) {
  Script({.profile = profile, .v6 = true, .options = {}}).run(R"(
    active mss 1440
    write 2000
    > ACK 1+1440
    > ACK,PSH 1441+560
    < ACK,PSH 1+50 ack 2001
    within 1s > ACK 2001 ack 51
    read 50
    < FIN,ACK 51 ack 2001
    within 1s > ACK 2001 ack 52
    close
    > FIN,ACK 2001 ack 52
    < ACK 52 ack 2002
    state CLOSED
    time_waits 0
  )");
}

CONFORMANCE(RFC_4443_packet_too_big_and_unreachable) {
  Script({.profile = profile, .v6 = true, .options = {}}).run(R"(
    passive mss 1440
    write 2880
    > ACK 1+1440
    > ACK,PSH 1441+1440
    < icmp too_big 1 mtu 1280
    > ACK 1+1220
    drain
  )");
  Script({.profile = profile, .v6 = true, .options = {}}).run(R"(
    passive mss 1440
    write 10
    drain
    < icmp network_unreachable 1
    state ESTABLISHED
  )");
}

// --- RFC 4987

CONFORMANCE(RFC_4987_cookies_when_the_queue_is_full) {
  Script s(profile);
  s.run("sysctl tcp_syncookies 2\nlisten 2");
  for (int i = 0; i < 50; ++i) {
    s.run("peer " + std::to_string(9000 + i) + "\n< SYN 0 mss 1000\n> SYN,ACK 0 ack 1");
  }
  EXPECT_LE(s.host.connections(), 1U) << "nothing is kept but the listener";
  s.run(
      "counter SyncookiesSent 50\npeer 9007\n< ACK 1 ack 1\naccept\nstate ESTABLISHED\nwrite 2000\n> ACK 1+536\ndrain");
  s.run(
      "counter SyncookiesRecv 1\npeer 9008\n< ACK 1 ack 77\n> RST 77\ncounter SyncookiesFailed 1");
}

// --- RFC 6093, 5482, 1191

CONFORMANCE(RFC_6093_the_pointer_is_behind_the_last_urgent_byte) {
  Script(profile).run(R"(
    passive mss 1000
    write 10 urgent
    > ACK,PSH,URG 1+10 urg 10
  )");
}

CONFORMANCE(RFC_6093_the_urgent_byte_is_fetched_apart_or_in_line) {
  Script(profile).run(R"(
    passive mss 1000
    read_urgent -> EINVAL
    < ACK,URG 1 ack 1 urg 3              # announced, and not there yet
    urgent no
    read_urgent -> EAGAIN
    < ACK,PSH 1+3 ack 1
    drain
    urgent yes
    read_urgent
    read_urgent -> EINVAL
    read 10 -> 2
    skip
    readable no
    read 10 -> EAGAIN                    # the byte alone is nothing to read
    < ACK,URG,PSH 4+1 ack 1 urg 1
    drain
    readable no
    urgent yes
    < ACK,URG,PSH 5+1 ack 1 urg 1        # one mark only: the byte before it is lost
    drain
    read_urgent
    < FIN,ACK 6 ack 1
    drain
    read 10 -> 0
  )");
  Script(profile).run(R"(
    passive mss 1000
    set urgent_inline 1
    < ACK,URG,PSH 1+10 ack 1 urg 6
    drain
    read_urgent -> EINVAL
    read 100 -> 5
    mark yes
    read 100 -> 5
    mark no
  )");
}

CONFORMANCE(RFC_5482_a_user_time_out) {
  Script s(profile);
  s.run(R"(
    passive mss 1000
    set user_timeout 10000
    write 100
    wait 9s
    drain
    state ESTABLISHED
    wait 10s
    drain
    state CLOSED
    read 1 -> ETIMEDOUT
  )");
}

CONFORMANCE(RFC_1191_a_narrower_path_makes_shorter_segments) {
  Script(profile).run(R"(
    passive mss 1460
    write 2920
    > ACK 1+1460
    > ACK,PSH 1461+1460
    < icmp too_big 1 mtu 1000
    > ACK 1+960
    drain
    < ACK 1 ack 2921
    write 2000
    > ACK 2921+960
    drain
  )");
}

}  // namespace
}  // namespace lastack::test
