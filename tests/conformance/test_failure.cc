// RFC 9293, 3.8.1 to 3.8.3 and 3.8.6: retransmission, congestion, windows, and when to give up.
#include "conformance/script.h"
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

// A connection whose round trip is 100 ms.
constexpr const char* kSlow = R"(
  listen
  < SYN 0 mss 1000
  > SYN,ACK 0 ack 1
  wait 100ms
  < ACK 1 ack 1
  accept
)";

CONFORMANCE(MUST_18_the_time_out_doubles_and_Karn_is_kept) {
  Script s(profile);
  s.run(kSlow);
  s.run(R"(
    write 100
    > ACK,PSH 1+100
    wait 299ms
    nothing
    +1ms > ACK,PSH 1+100
    wait 599ms
    nothing
    +1ms > ACK,PSH 1+100
    +1200ms > ACK,PSH 1+100
    counter RetransSegs 3
    < ACK 1 ack 101
  )");
  // Karn: the answer to something that was sent four times measures nothing.
  EXPECT_EQ(s.host.info(s.socket, s.now)->rtt, 100'000U);
}

CONFORMANCE(MUST_19_slow_start_and_congestion_avoidance) {
  Script s(profile);
  s.run(kSlow);
  s.run("sysctl tcp_congestion_control reno\nset send_buffer 400000\nwrite 60000\ndrain");
  const auto window = [&] { return s.host.info(s.socket, s.now)->send_window; };
  EXPECT_EQ(window(), 10U) << "RFC 6928";
  s.run("wait 100ms\n< ACK 1 ack 2001\ndrain");
  EXPECT_EQ(window(), 12U) << "one more for each segment acknowledged";
  s.run("< ACK 1 ack 6001\ndrain");
  EXPECT_EQ(window(), 16U);
  // A time-out begins anew with one segment, and from half of what was in flight on it grows by one in a
  // round trip.
  s.run("within 2s > ACK 6001+1000\ndrain");
  EXPECT_EQ(window(), 1U);
  const std::uint32_t threshold = s.host.info(s.socket, s.now)->send_threshold;
  EXPECT_EQ(threshold, 8U);
}

CONFORMANCE(MUST_20_R1_doubts_the_path_and_R2_closes) {
  Script s(profile);
  s.run(kSlow);
  s.run(R"(
    sysctl tcp_retries2 5
    write 100
    > ACK,PSH 1+100
    within 1s > ACK,PSH 1+100
    within 1s > ACK,PSH 1+100
    within 2s > ACK,PSH 1+100
    doubts 0
    within 4s > ACK,PSH 1+100
    doubts 1
    state ESTABLISHED
    wait 60s
    drain
    state CLOSED
    counter TCPAbortOnTimeout 1
    read 1 -> ETIMEDOUT
  )");
}

CONFORMANCE(MUST_21_R2_can_be_set_for_a_connection) {
  Script s(profile);
  s.run(kSlow);
  s.run(R"(
    set user_timeout 5000
    write 100
    wait 4500ms
    drain
    state ESTABLISHED
    wait 3s
    drain
    state CLOSED
    read 1 -> ETIMEDOUT
  )");
}

CONFORMANCE(MUST_22_SYNs_have_R1_and_R2_too) {
  Script(profile).run(R"(
    open
    set syn_count 2
    reconnect
    > SYN 0
    +1s > SYN 0
    +1s > SYN 0
    drain
    state SYN_SENT
    doubts 1
    wait 60s
    drain
    state CLOSED
    error ETIMEDOUT
    counter TCPTimeouts 6
  )");  // 7 s after the first, as Linux bounds the time too
}

CONFORMANCE(MUST_23_R2_of_a_SYN) {
  // Either direction, with nobody there.
  Script active(profile);
  active.run("connect\nwait 120s\ndrain\nstate SYN_SENT\nwait 60s\ndrain");
  Script passive(profile);
  passive.run("listen\n< SYN 0 mss 1000\nwait 60s\ndrain\nstate SYN_RECEIVED\nwait 120s\ndrain");
  if (profile == Profile::Linux) {
    deviates("as Linux does: 131 s for a SYN, 63 s for a SYN,ACK");
    active.run("state CLOSED\nerror ETIMEDOUT");
    passive.run("state LISTEN");
  } else {
    active.run("state SYN_SENT\nwait 300s\ndrain\nstate CLOSED\nerror ETIMEDOUT");
    passive.run("state SYN_RECEIVED\nwait 120s\ndrain\nstate LISTEN");
  }
}

CONFORMANCE(SHLD_9_the_user_can_see_trouble) {
  deviates(
      "as Linux does: nothing wakes the user before R2; the count of retransmissions can be asked for");
  Script s(profile);
  s.run(kSlow);
  s.run("write 100\nwait 5s\ndrain");
  EXPECT_GE(s.host.info(s.socket, s.now)->retransmits, 3U);
  s.run("readable no\nerr no");
}

CONFORMANCE(SHLD_10_R1_is_three_retransmissions_or_more) {
  Script s(profile);
  s.run(kSlow);
  s.run(R"(
    write 100
    > ACK,PSH 1+100
    within 1s > ACK,PSH 1+100
    within 1s > ACK,PSH 1+100
    within 2s > ACK,PSH 1+100
    doubts 0
    wait 30s
    drain
    state ESTABLISHED
  )");
}

CONFORMANCE(SHLD_11_R2_is_100_s_or_more) {
  Script s(profile);
  s.run(kSlow);
  s.run(
      "write 100\nwait 900s\ndrain\nstate ESTABLISHED\nwait 300s\ndrain\nstate CLOSED\nread 1 -> ETIMEDOUT");
}

CONFORMANCE(MUST_34_a_window_that_shrinks_does_no_harm) {
  Script s(profile);
  s.run(R"(
    passive mss 1000 win 4000
    write 4000
    > ACK 1+1000
    > ACK 1001+1000
    > ACK 2001+1000
    > ACK,PSH 3001+1000
    < ACK 1 ack 1001 win 500
    nothing
    write 1000
    nothing
    < ACK 1 ack 4001 win 4000
    > ACK,PSH 4001+1000
    state ESTABLISHED
  )");
}

CONFORMANCE(SHLD_14_an_offered_window_is_not_taken_back) {
  Script s(profile);
  s.run(
      "open\nset receive_buffer 20000\nreconnect\n> SYN 0\n< SYN,ACK 0 ack 1 mss 1000\n> ACK 1 ack 1");
  std::uint32_t right = 0;
  for (int i = 0; i < 9; ++i) {
    s.run("< ACK,PSH " + std::to_string(1 + 1000 * i) + "+1000 ack 1\nwithin 1s > ACK 1 ack " +
          std::to_string(1001 + 1000 * i));
    const std::uint32_t edge = static_cast<std::uint32_t>(1001 + 1000 * i) + s.last().window;
    EXPECT_GE(edge, right);
    right = edge;
  }
}

CONFORMANCE(MUST_35_a_closed_window_is_probed) {
  Script s(profile);
  s.run(kSlow);
  s.run(R"(
    < ACK 1 ack 1 win 0
    write 100
    nothing
    within 1s > ACK 0 ack 1
    < ACK 1 ack 1 win 1000
    > ACK,PSH 1+100 ack 1
  )");
}

CONFORMANCE(MUST_36_however_long_it_stays_closed) {
  Script s(profile);
  s.run(kSlow);
  s.run("< ACK 1 ack 1 win 0\nwrite 100");
  for (int i = 0; i < 200; ++i) s.run("within 121s > ACK 0 ack 1\n< ACK 1 ack 1 win 0");
  EXPECT_GT(s.now - Instant(1000s), std::chrono::hours(5));
  s.run("state ESTABLISHED\n< ACK 1 ack 1 win 1000\n> ACK,PSH 1+100");
}

CONFORMANCE(MUST_37_it_stays_open_while_probes_are_answered) {
  Script answered(profile);
  answered.run(kSlow).run("sysctl tcp_retries2 4\n< ACK 1 ack 1 win 0\nwrite 100");
  for (int i = 0; i < 20; ++i) answered.run("within 121s > ACK 0 ack 1\n< ACK 1 ack 1 win 0");
  answered.run("state ESTABLISHED");
  Script silent(profile);
  silent.run(kSlow).run(
      "sysctl tcp_retries2 4\n< ACK 1 ack 1 win 0\nwrite 100\nwait 1000s\ndrain\nstate CLOSED\n"
      "read 1 -> ETIMEDOUT");
}

CONFORMANCE(SHLD_29_the_first_probe_goes_after_a_time_out) {
  Script s(profile);
  s.run(kSlow).run("< ACK 1 ack 1 win 0\nwrite 100\nwait 299ms\nnothing\n+1ms > ACK 0 ack 1");
}

CONFORMANCE(SHLD_30_the_next_ones_at_growing_distances) {
  Script s(profile);
  s.run(kSlow).run(R"(
    < ACK 1 ack 1 win 0
    write 100
    +300ms > ACK 0 ack 1
    wait 599ms
    nothing
    +1ms > ACK 0 ack 1
    wait 1199ms
    nothing
    +1ms > ACK 0 ack 1
  )");
}

CONFORMANCE(MUST_38_no_silly_segments) {
  Script(profile).run(R"(
    passive mss 1000 win 3000
    write 10000
    > ACK 1+1000
    > ACK 1001+1000
    > ACK 2001+1000
    < ACK 1 ack 3001 win 100
    nothing
    < ACK 1 ack 3001 win 900
    nothing
    < ACK 1 ack 3001 win 1000
    > ACK 3001+1000
  )");
}

CONFORMANCE(MUST_39_no_silly_window) {
  // The buffer is full; a few bytes are read, and the window stays closed until a segment's worth is free.
  Script s(profile);
  s.run(R"(
    open
    set receive_buffer 8192
    reconnect
    > SYN 0
    < SYN,ACK 0 ack 1 mss 1000
    > ACK 1 ack 1
    < ACK 1+1000 ack 1
    drain
    < ACK 1001+1000 ack 1
    drain
    < ACK 2001+1000 ack 1
    drain
    < ACK 3001+1000 ack 1
    drain
    read 50
    nothing
    read 3950
    drain
  )");
  s.run("< ACK,PSH 4001+10 ack 1\nwithin 1s > ACK 1 ack 4011");
  EXPECT_GE(s.last().window, 1000U);
}

}  // namespace
}  // namespace lastack::test
