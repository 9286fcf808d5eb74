// RFC 9293, 3.6 and 3.10.7.4: how connections end, and what a RST does.
#include "conformance/script.h"
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

// A record in TIME_WAIT: the host has closed first, everything is acknowledged.
constexpr const char* kTimeWait = R"(
  passive mss 1460
  close
  > FIN,ACK 1 ack 1
  < ACK 1 ack 2
  < FIN,ACK 1 ack 2
  > ACK 2 ack 2
  state TIME_WAIT
)";
constexpr const char* kTimeWaitStamps = R"(
  passive mss 1460 ts 1000
  close
  > FIN,ACK 1 ack 1
  < ACK 1 ack 2 ts 1001
  < FIN,ACK 1 ack 2 ts 1002
  > ACK 2 ack 2 ts */1002
  state TIME_WAIT
)";

CONFORMANCE(MUST_12_a_normal_end_and_an_abort_are_told_apart) {
  Script(profile).run(R"(
    passive mss 1460
    < FIN,ACK 1 ack 1
    drain
    readable yes
    read 10 -> 0
    err no
  )");
  Script(profile).run(R"(
    passive mss 1460
    < RST 1
    err yes
    read 10 -> ECONNRESET
  )");
  Script(profile).run(R"(
    passive mss 1460
    < FIN,ACK 1 ack 1
    < RST,ACK 2 ack 1
    write 10 -> EPIPE
  )");
}

CONFORMANCE(MAY_1_close_ends_both_directions_shutdown_one) {
  Script(profile).run(R"(
    passive mss 1460
    shutdown write
    > FIN,ACK 1 ack 1
    < ACK,PSH 1+100 ack 2
    within 1s > ACK 2 ack 101
    read 100
    write 1 -> EPIPE
    < FIN,ACK 101 ack 2
    > ACK 2 ack 102
    read 1 -> 0
    state TIME_WAIT
  )");
}

CONFORMANCE(SHLD_3_unread_or_late_data_draws_a_RST) {
  Script(profile).run(R"(
    passive mss 1460
    < ACK,PSH 1+100 ack 1
    within 1s > ACK 1 ack 101
    close
    > RST,ACK 1 ack 101
    state CLOSED
    counter TCPAbortOnClose 1
  )");
  Script(profile).run(R"(
    passive mss 1460
    close
    > FIN,ACK 1 ack 1
    < ACK,PSH 1+100 ack 1
    > RST 1
    state CLOSED
    counter TCPAbortOnData 1
  )");
}

CONFORMANCE(MUST_13_the_active_closer_lingers_2_MSL) {
  const Duration two_msl = profile == Profile::Linux ? 60s : 240s;
  Script s(profile);
  s.run(kTimeWait);
  s.run("counter TW 1\ntime_waits 1\nwait " + std::to_string(two_msl / 1s - 1) +
        "s\ntime_waits 1\n" + "wait 1s\ntime_waits 0\nstate CLOSED\nnothing");
  if (profile == Profile::Linux) deviates("as Linux does: an MSL is 30 s there, and not 2 minutes");
}

CONFORMANCE(MAY_2_a_later_SYN_ends_TIME_WAIT_and_an_old_one_leads_back) {
  // A listener takes it, at a number beyond all that was sent before.
  Script taken(profile);
  taken.run(kTimeWait);
  taken.run("< SYN 100000\n> SYN,ACK 65539 ack 100001\nstate SYN_RECEIVED\ntime_waits 0");
  EXPECT_EQ(taken.host_isn() - taken.old_host_isn(), 65539U) << "SYN, FIN, and 65537";
  // It was an old duplicate: the peer, who knows nothing of it, resets, and the record is back.
  Script back(profile);
  back.run(kTimeWait);
  back.run(R"(
    wait 10s
    < SYN 100000
    > SYN,ACK 65539
    < RST 100001
    state TIME_WAIT
    time_waits 1
    nothing
    wait 40s
    time_waits 1
  )");
  back.run(profile == Profile::Linux ? "wait 10s\ntime_waits 0" : "wait 190s\ntime_waits 0");
  // Not later than what came before: never.
  Script old(profile);
  old.run(kTimeWait);
  old.run("< SYN 1\ndrain\nstate TIME_WAIT\ntime_waits 1");
}

CONFORMANCE(SHLD_4_a_newer_timestamp_shortens_TIME_WAIT) {
  Script s(profile);
  s.run(kTimeWaitStamps);
  // The number is older than what came before, the timestamp is newer.
  s.run("wait 1s\n< SYN -50000 ts 2000\n> SYN,ACK 65539 ack -49999\nstate SYN_RECEIVED");
}

CONFORMANCE(SHLD_2_a_RST_may_carry_data) {
  Script(profile).run(R"(
    passive mss 1460
    < RST,ACK 1+20 ack 1
    state CLOSED
    read 10 -> ECONNRESET
  )");
}

CONFORMANCE(MUST_66_RST_and_URG_at_a_closed_window) {
  Script s(profile);
  s.run(R"(
    open
    set receive_buffer 4096
    reconnect
    > SYN 0
    < SYN,ACK 0 ack 1 mss 1000
    > ACK 1 ack 1
  )");
  // Until the window is closed.
  std::uint32_t at = 1, window = 1000;
  for (int i = 0; i < 20 && window > 0; ++i) {
    const std::uint32_t n = std::min(window, 1000U);
    s.run("< ACK,PSH " + std::to_string(at) + "+" + std::to_string(n) +
          " ack 1\nwithin 1s > ACK 1 ack " + std::to_string(at + n));
    at += n;
    window = s.last().window;
  }
  ASSERT_EQ(window, 0U);
  const std::string next = std::to_string(at);
  s.run("read_urgent -> EINVAL\n< ACK,URG " + next +
        " ack 1 urg 5\ndrain\nread_urgent -> EAGAIN\n< RST " + next + "\nstate CLOSED");
}

CONFORMANCE(SHLD_31_out_of_order_data_is_kept) {
  Script(profile).run(R"(
    passive mss 1460
    < ACK 101+100 ack 1
    > ACK 1 ack 1
    < ACK 301+100 ack 1
    > ACK 1 ack 1
    < ACK 1+100 ack 1
    > ACK 1 ack 201
    < ACK,PSH 201+100 ack 1
    > ACK 1 ack 401
    read 500 -> 400
  )");
}

CONFORMANCE(MAY_12_an_ACK_that_is_too_old_is_challenged) {
  Script(profile).run(R"(
    passive mss 1460 win 2000
    write 2000
    drain
    < ACK 1 ack 2001 win 2000
    write 2000
    drain
    < ACK 1 ack 4001 win 2000
    < ACK,PSH 1+10 ack -100000
    > ACK 4001 ack 1
    counter TCPChallengeACK 1
    read 10 -> EAGAIN
  )");
}

}  // namespace
}  // namespace lastack::test
