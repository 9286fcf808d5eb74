// U1 to U10: duties of RFC 9293 that it does not number.
#include "conformance/script.h"
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

constexpr const char* kTimeWait = R"(
  passive mss 1460
  close
  > FIN,ACK 1 ack 1
  < ACK 1 ack 2
  < FIN,ACK 1 ack 2
  > ACK 2 ack 2
)";

CONFORMANCE(U1_a_repeated_FIN_is_acknowledged_and_begins_2_MSL_again) {
  Script s(profile);
  s.run(kTimeWait);
  s.run(
      "wait 50s\n< FIN,ACK 1 ack 2\n> ACK 2 ack 2\nwait 50s\ntime_waits 1\n< FIN,ACK 1 ack 2\n> ACK 2 ack 2");
  s.run(profile == Profile::Linux ? "wait 59s\ntime_waits 1\nwait 1s\ntime_waits 0"
                                  : "wait 239s\ntime_waits 1\nwait 1s\ntime_waits 0");
}

CONFORMANCE(U2_a_RST_ends_TIME_WAIT_unless_RFC_1337_is_asked_for) {
  Script plain(profile);
  plain.run(kTimeWait);
  plain.run("< RST 3\nnothing\ntime_waits 1\n< RST 2\nnothing\ntime_waits 0\nstate CLOSED");
  Script kept(profile);
  kept.run("sysctl tcp_rfc1337 1").run(kTimeWait);
  kept.run("< RST 2\nnothing\ntime_waits 1");
}

CONFORMANCE(U3_outside_the_window_an_ACK_for_a_RST_nothing) {
  Script(profile).run(R"(
    passive mss 1460
    < ACK,PSH 1000000+10 ack 1
    > ACK 1 ack 1
    < RST 1000000
    nothing
    state ESTABLISHED
    < RST -1000
    nothing
    state ESTABLISHED
  )");
}

CONFORMANCE(U4_the_exact_number_resets_one_in_the_window_is_challenged) {
  Script(profile).run(R"(
    passive mss 1460
    < RST 2
    > ACK 1 ack 1
    counter TCPChallengeACK 1
    state ESTABLISHED
    < RST 1
    state CLOSED
    read 1 -> ECONNRESET
    counter EstabResets 1
  )");
}

CONFORMANCE(U5_a_SYN_draws_a_challenge_ACK) {
  for (const char* syn :
       {"< SYN 1", "< SYN 5000", "< SYN 1000000", "< SYN -5", "< SYN,ACK 5 ack 1"}) {
    Script s(profile);
    s.run("passive mss 1460");
    s.run(
        std::string(syn) +
        "\n> ACK 1 ack 1\ncounter TCPChallengeACK 1\ncounter TCPSYNChallenge 1\nstate ESTABLISHED");
  }
}

CONFORMANCE(U6_an_open_on_a_four_tuple_in_TIME_WAIT) {
  constexpr const char* kClosed = R"(
    active 40000 mss 1460 ts 500
    close
    > FIN,ACK 1 ack 1
    < ACK 1 ack 2 ts 501
    < FIN,ACK 1 ack 2 ts 502
    > ACK 2 ack 2
    time_waits 1
  )";
  // The port was chosen by the program: with timestamps it may be used again, beyond all that was sent.
  Script again(profile);
  again.run(kClosed).run("connect 40000\n> SYN 65539\ntime_waits 0\ncounter TWRecycled 1");
  // Without timestamps nothing tells old from new: "connection already exists".
  Script never(profile);
  never.run(R"(
    sysctl tcp_timestamps 0
    active 40000 mss 1460
    close
    > FIN,ACK 1 ack 1
    < ACK 1 ack 2
    < FIN,ACK 1 ack 2
    > ACK 2 ack 2
    connect 40000 -> EADDRNOTAVAIL
    time_waits 1
  )");
}

CONFORMANCE(U7_an_abort_in_TIME_WAIT_deletes_the_record) {
  Script s(profile);
  s.run(kTimeWait);
  ASSERT_TRUE(s.host.destroy(s.tuple(), s.now));
  s.run("nothing\ntime_waits 0\nstate CLOSED");
  EXPECT_EQ(s.host.destroy(s.tuple(), s.now).error(), Err::not_connected);
}

CONFORMANCE(U8_who_sends_a_RST_keeps_nothing) {
  does_not_apply("it is allowed, not asked for: like Linux, the endpoint forgets what it resets");
  Script(profile).run(R"(
    passive mss 1460
    set linger 0
    close
    > RST,ACK 1 ack 1
    time_waits 0
    connections 0
    < ACK,PSH 1+10 ack 1
    > RST 1
  )");
}

CONFORMANCE(U9_for_no_connection_a_RST_unless_it_is_one) {
  Script(profile).run(R"(
    < SYN 0
    > RST,ACK 0 ack 1
  )");
  Script s(profile);
  s.run(
      "< ACK,PSH 1+10 ack 77\n> RST 77\n< RST 1\nnothing\n< FIN 5+3\n> RST,ACK 0 ack 9\n< RST,ACK 1 ack 5\nnothing");
}

CONFORMANCE(U10_quiet_for_an_MSL_after_the_loss_of_memory) {
  HostOptions restarted;
  restarted.lost_memory_at = Instant(1000s);
  restarted.msl = 120s;
  Script s({.profile = profile, .v6 = false, .options = restarted});
  s.run(R"(
    listen
    < SYN 0 mss 1460
    nothing
    < ACK,PSH 1+10 ack 1
    nothing
    connect
    nothing
    wait 119s
    nothing
    peer 9000
    < SYN 0 mss 1460
    nothing
    peer 80
    +1s > SYN 0
    peer 9000
    passive mss 1460
  )");
  Script usual(profile);
  usual.run("connect\n> SYN 0");
}

}  // namespace
}  // namespace lastack::test
