// RFC 9293, 3.9.2 and 3.8.6.3: ICMP errors, and when ACKs are sent.
#include "conformance/script.h"
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

CONFORMANCE(MUST_47_soft_errors_can_be_learned) {
  Script s(profile);
  s.run("passive mss 1000\nwrite 100\ndrain\n< icmp host_unreachable 1\nstate ESTABLISHED\nerr no");
  EXPECT_EQ(s.host.info(s.socket, s.now)->soft_error, Err::host_unreachable);
  s.run("< ACK 1 ack 101");
}

CONFORMANCE(MUST_54_errors_reach_their_connection) {
  Script(profile).run(R"(
    connect
    > SYN 0
    < icmp port_unreachable 0
    state CLOSED
    error ECONNREFUSED
    counter AttemptFails 1
  )");
  Script(profile).run(R"(
    connect
    > SYN 0
    < icmp port_unreachable 5000
    state SYN_SENT
    counter OutOfWindowIcmps 1
  )");
  Script({.profile = profile, .v6 = true, .options = {}}).run(R"(
    connect
    > SYN 0
    < icmp port_unreachable 0
    state CLOSED
    error ECONNREFUSED
  )");
}

CONFORMANCE(MUST_54_each_kind_has_its_error_and_an_attempt_at_a_listener_its_rule) {
  struct Kind {
    const char* name;
    const char* error;
    bool ends_attempt;  // at a listener: as the running kernel does it
    bool hard;
  };
  for (const Kind& k : {Kind{"network_unreachable", "ENETUNREACH", true, false},
                        Kind{"host_unreachable", "EHOSTUNREACH", true, false},
                        Kind{"protocol_unreachable", "ENOPROTOOPT", false, true},
                        Kind{"port_unreachable", "ECONNREFUSED", false, true},
                        Kind{"prohibited", "EHOSTUNREACH", false, false},
                        Kind{"time_exceeded", "EHOSTUNREACH", true, false},
                        Kind{"parameter_problem", "EPROTO", true, false}}) {
    SCOPED_TRACE(k.name);
    const std::string icmp = "< icmp " + std::string(k.name) + " 0\n";
    const bool linux_like = profile == Profile::Linux;
    Script(profile).run(
        "connect\n> SYN 0\n" + icmp +
        (linux_like || k.hard ? "state CLOSED\nerror " + std::string(k.error) : "state SYN_SENT"));
    Script(profile).run(
        "listen\n< SYN 0\n> SYN,ACK 0\n" + icmp +
        ((linux_like ? k.ends_attempt : k.hard) ? "state LISTEN" : "state SYN_RECEIVED"));
  }
}

CONFORMANCE(MUST_55_source_quench_is_ignored) {
  Script s(profile);
  s.run("passive mss 1000\nwrite 100\ndrain\n< icmp source_quench 1\nstate ESTABLISHED\nnothing");
  EXPECT_EQ(s.host.info(s.socket, s.now)->soft_error, Err::none);
  EXPECT_EQ(s.host.info(s.socket, s.now)->send_window, 10U);
  Script(profile).run("connect\n> SYN 0\n< icmp source_quench 0\nstate SYN_SENT");
}

CONFORMANCE(MUST_56_soft_errors_end_nothing) {
  for (const char* soft :
       {"network_unreachable", "host_unreachable", "time_exceeded", "parameter_problem"}) {
    Script s(profile);
    s.run("passive mss 1000\nwrite 100\ndrain");
    s.run("< icmp " + std::string(soft) + " 1\nstate ESTABLISHED");
    Script opening(profile);
    opening.run("connect\n> SYN 0\n< icmp " + std::string(soft) + " 0");
    opening.run(profile == Profile::Linux ? "state CLOSED" : "state SYN_SENT\nerr no");
  }
  if (profile == Profile::Linux) {
    deviates(
        "as Linux does: in SYN_SENT any error ends the attempt, so that the next address is tried soon");
  }
}

CONFORMANCE(SHLD_25_they_are_told_at_the_end) {
  Script(profile).run(R"(
    passive mss 1000
    sysctl tcp_retries2 3
    write 100
    drain
    < icmp host_unreachable 1
    wait 100s
    drain
    state CLOSED
    read 1 -> EHOSTUNREACH
  )");
}

CONFORMANCE(SHLD_26_hard_errors_end_it) {
  Script s(profile);
  s.run("passive mss 1000\nwrite 100\ndrain\n< icmp protocol_unreachable 1");
  if (profile == Profile::Linux) {
    deviates(
        "as Linux does: of a connection that is there they are taken as soft, as RFC 5461 describes");
    s.run("state ESTABLISHED");
  } else {
    s.run("state CLOSED\nread 1 -> ENOPROTOOPT");
  }
  Script(profile).run(
      "connect\n> SYN 0\n< icmp protocol_unreachable 0\nstate CLOSED\nerror ENOPROTOOPT");
}

CONFORMANCE(MUST_48_the_traffic_class_can_be_chosen) {
  Script s(profile);
  s.run("passive mss 1000\nset traffic_class 184\nwrite 10\n> ACK,PSH 1+10");
  EXPECT_EQ(*s.host.option(s.socket, Option::traffic_class), 184);
}

CONFORMANCE(MUST_58_one_ACK_for_several_segments) {
  Script(profile).run(R"(
    passive mss 1000
    set quick_ack 0
    < ACK 1+1000 ack 1
    nothing
    < ACK 1001+1000 ack 1
    read 2000
    > ACK 1 ack 2001
    nothing
  )");
}

CONFORMANCE(MUST_59_what_was_held_back_is_worked_off_first) {
  Script(profile).run(R"(
    passive mss 1000
    < ACK 1001+1000 ack 1
    > ACK 1 ack 1
    < ACK 2001+1000 ack 1
    > ACK 1 ack 1
    < ACK 3001+1000 ack 1
    > ACK 1 ack 1
    < ACK 1+1000 ack 1
    > ACK 1 ack 4001
    nothing
  )");
}

CONFORMANCE(MUST_40_an_ACK_waits_less_than_half_a_second) {
  Script s(profile);
  s.run("passive mss 1000\nset quick_ack 0\n< ACK,PSH 1+10 ack 1\nnothing");
  const Instant before = s.now;
  s.run("within 10s > ACK 1 ack 11");
  EXPECT_LT(s.now - before, 500ms);
}

// While the window cannot keep its size the ACK waits for the user to read (Linux: __tcp_ack_snd_check).
CONFORMANCE(SHLD_19_every_second_full_segment) {
  Script s(profile);
  s.run("passive mss 1000\nset quick_ack 0");
  for (int i = 0; i < 10; ++i) {
    const int at = 1 + 2000 * i;
    s.run("< ACK " + std::to_string(at) + "+1000 ack 1\n< ACK " + std::to_string(at + 1000) +
          "+1000 ack 1\nread 2000\n> ACK 1 ack " + std::to_string(at + 2000));
  }
}

}  // namespace
}  // namespace lastack::test
