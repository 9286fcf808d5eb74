// RFC 9293, 3.8.4.
#include "conformance/script.h"
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

CONFORMANCE(MAY_5_keep_alives_find_a_dead_peer) {
  Script(profile).run(R"(
    passive mss 1460
    set keep_alive 1
    set keep_idle 100
    set keep_interval 10
    set keep_count 3
    within 100s > ACK 0 ack 1
    +10s > ACK 0 ack 1
    +10s > ACK 0 ack 1
    counter TCPKeepAlive 3
    +10s > RST,ACK 1 ack 1
    state CLOSED
    read 1 -> ETIMEDOUT
    counter TCPAbortOnTimeout 1
  )");
}

CONFORMANCE(MUST_24_they_are_switched_for_each_connection) {
  Script(profile).run(R"(
    passive mss 1460
    set keep_alive 1
    set keep_idle 100
    set keep_alive 0
    wait 1000s
    nothing
    set keep_alive 1
    within 101s > ACK 0 ack 1
  )");
}

CONFORMANCE(MUST_25_off_by_default) {
  Script(profile).run("passive mss 1460\nwait 10d\nnothing\nstate ESTABLISHED");
}

CONFORMANCE(MUST_26_only_when_nothing_was_heard) {
  Script(profile).run(R"(
    passive mss 1460
    set keep_alive 1
    set keep_idle 100
    wait 90s
    < ACK,PSH 1+10 ack 1
    within 1s > ACK 1 ack 11
    wait 90s
    nothing
    wait 8s
    nothing
    within 3s > ACK 0 ack 11
  )");
}

CONFORMANCE(MUST_27_the_interval_can_be_set) {
  Script(profile).run(R"(
    passive mss 1460
    set keep_alive 1
    set keep_idle 7
    wait 6s
    nothing
    within 2s > ACK 0 ack 1
  )");
  Script(profile).run(R"(
    sysctl tcp_keepalive_time 33
    passive mss 1460
    set keep_alive 1
    wait 32s
    nothing
    within 2s > ACK 0 ack 1
  )");
}

CONFORMANCE(MUST_28_two_hours_by_default) {
  Script(profile).run(R"(
    passive mss 1460
    set keep_alive 1
    wait 7199s
    nothing
    within 2s > ACK 0 ack 1
  )");
}

CONFORMANCE(MUST_29_one_lost_probe_is_not_death) {
  Script(profile).run(R"(
    passive mss 1460
    set keep_alive 1
    set keep_idle 100
    set keep_interval 10
    within 101s > ACK 0 ack 1
    +10s > ACK 0 ack 1
    < ACK 1 ack 1
    state ESTABLISHED
    wait 98s
    nothing
    within 3s > ACK 0 ack 1
  )");
}

CONFORMANCE(SHLD_12_they_carry_no_data) {
  Script s(profile);
  s.run("passive mss 1460\nset keep_alive 1\nset keep_idle 1\nwithin 2s > ACK 0 ack 1");
  EXPECT_TRUE(s.last().payload.empty());
}

CONFORMANCE(MAY_6_a_byte_of_data_is_not_offered) {
  does_not_apply("it is allowed, not asked for; Linux has none either");
  Script s(profile);
  s.run("passive mss 1460\nset keep_alive 1\nset keep_idle 1\nwithin 2s > ACK 0 ack 1");
}

}  // namespace
}  // namespace lastack::test
