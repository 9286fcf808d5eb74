// What Linux does with segments and calls that are odd in the state they meet: found by playing every kind of
// them in every state on the running kernel (tests/packetdrill has scripts of the same, for both).
#include "conformance/script.h"

namespace lastack::test {
namespace {

void linux_does(const char* lines) {
  Script(Profile::Linux).run(lines);
}

TEST(LinuxStates, AYoungConnectionHasNoOldAcks) {
  linux_does(R"(
    passive mss 1460
    < ACK 1 ack 0
    > ACK 1 ack 1
    state ESTABLISHED
  )");
}

TEST(LinuxStates, AFinBehindAGapIsTold) {
  linux_does(R"(
    passive mss 1460 sackok
    < FIN,ACK 101 ack 1
    > ACK 1 ack 1 sack 101-102
    < ACK,PSH 1+100 ack 1
    > ACK 1 ack 102
    state CLOSE_WAIT
  )");
}

TEST(LinuxStates, AfterTheFinWhatBeginsBeyondItIsIgnoredAndWhatReachesOverItIsReset) {
  linux_does(R"(
    passive mss 1460
    < FIN,ACK 1 ack 1
    within 1s > ACK 1 ack 2
    < ACK,PSH 2+100 ack 1
    nothing
    state CLOSE_WAIT
    < ACK,PSH 1+100 ack 1
    > RST 1
    err yes
  )");
}

TEST(LinuxStates, ShutForReadingNewDataIsReset) {
  linux_does(R"(
    passive mss 1460
    shutdown both
    > FIN,ACK 1 ack 1
    < ACK,PSH 1+10 ack 2
    > RST 2
    error ECONNRESET
  )");
}

TEST(LinuxStates, HalfOpenAResetHasToBeExact) {
  linux_does(R"(
    listen 5
    < SYN 0 mss 1460
    > SYN,ACK 0 ack 1
    < RST 10
    > ACK 1 ack 1
    < ACK 1 ack 1
    accept
    state ESTABLISHED
  )");
}

TEST(LinuxStates, HalfOpenAWrongAckIsResetAndChangesNothing) {
  linux_does(R"(
    listen 5
    < SYN 0 mss 1460
    > SYN,ACK 0 ack 1
    < SYN,ACK 1 ack 101
    > RST 101
    < ACK 1 ack 1
    accept
  )");
}

TEST(LinuxStates, SoftErrorsAreToldOnce) {
  linux_does(R"(
    passive mss 1460
    < icmp host_unreachable 1
    error EHOSTUNREACH
    err no
    state ESTABLISHED
  )");
}

TEST(LinuxStates, LingerZeroSendsNothingOnceBothFinsAreOut) {
  linux_does(R"(
    passive mss 1460
    shutdown write
    > FIN,ACK 1 ack 1
    < FIN,ACK 1 ack 1
    > ACK 2 ack 2
    state CLOSING
    set linger 0
    close
    nothing
  )");
}

TEST(LinuxStates, AnAckThatHasWaitedLongGoesWithTheNextSegment) {
  linux_does(R"(
    passive mss 1460
    set quick_ack 0
    < ACK,PSH 1+100 ack 1
    wait 20ms
    < ACK,PSH 101+100 ack 1
    nothing
    +20ms > ACK 1 ack 201
    wait 50ms
    set quick_ack 0
    < ACK,PSH 201+100 ack 1
    wait 32ms
    < ACK,PSH 301+100 ack 1
    > ACK 1 ack 401
  )");
}

// Where the clock stands still meanwhile, as it does here.
TEST(LinuxStates, WhatWasRepeatedLastIsNotOlderThanWhatWasSentBefore) {
  linux_does(R"(
    listen 5
    < SYN 0 mss 1000 sackok
    > SYN,ACK 0 ack 1
    wait 20ms
    < ACK 1 ack 1
    accept
    write 30000
    drain
    wait 20ms
    < ACK 1 ack 3001
    drain
    < ACK 1 ack 3001 sack 4001-5001
    drain
    < ACK 1 ack 3001 sack 4001-6001
    drain
    < ACK 1 ack 3001 sack 4001-7001
    > ACK 3001+1000 ack 1
    drain
    wait 20ms
    < ACK 1 ack 3001 sack 4001-17001
    drain
    counter RetransSegs 1
  )");
}

TEST(LinuxStates, WithoutEcnAMarkIsSeenInEstablishedOnly) {
  Script s(Profile::Linux);
  s.run(R"(
    passive mss 1000
    shutdown write
    > FIN,ACK 1 ack 1
    < ACK,PSH 1+500 ack 2 ecn ce
    > ACK 2 ack 501
  )");
  EXPECT_FALSE(s.host.info(s.socket, s.now)->ecn_seen);
}

TEST(LinuxStates, ABackOffOutlivesTheLastAck) {
  Script s(Profile::Linux);
  s.run(R"(
    passive mss 1000
    < FIN,ACK 1 ack 1
    within 1s > ACK 1 ack 2
    shutdown write
    > FIN,ACK 1 ack 2
    within 1s > FIN,ACK 1 ack 2
    within 2s > FIN,ACK 1 ack 2
    < ACK 2 ack 2
    state CLOSED
  )");
  EXPECT_EQ(s.host.info(s.socket, s.now)->backoff, 2U);
}

TEST(LinuxStates, WhereTwoSynsHaveCrossedTimestampsTakeTheirPartOnceTheConnectionIsThere) {
  Script s(Profile::Linux);
  s.run(R"(
    connect
    > SYN 0
    < SYN 0 mss 1000 ts 100
    > SYN,ACK 0 ack 1
  )");
  EXPECT_EQ(s.host.info(s.socket, s.now)->advertised_mss, 1460U);
  s.run("< ACK 1 ack 1 ts 110");
  EXPECT_EQ(s.host.info(s.socket, s.now)->advertised_mss, 1448U);
}

// Three short segments, and only their first number comes again: what the device still has is not taken along.
TEST(LinuxStates, WhatGoesAgainTakesAlongWhatFollowsButNotWhatTheDeviceHolds) {
  for (const bool holds : {false, true}) {
    HostOptions options;
    options.device_holds_last_packet = holds;
    Script s({.profile = Profile::Linux, .v6 = false, .options = options});
    s.run(R"(
      sysctl tcp_early_retrans 0
      passive mss 1000
      set no_delay 1
      write 500 -> 500
      > ACK,PSH 1+500 ack 1
      write 100 -> 100
      > ACK,PSH 501+100 ack 1
      write 100 -> 100
      > ACK,PSH 601+100 ack 1
    )");
    s.run(holds ? "within 1s > ACK,PSH 1+600 ack 1" : "within 1s > ACK,PSH 1+700 ack 1");
    s.run("within 1s > ACK,PSH 1+700 ack 1");
  }
}

// The congestion window cuts the last super-segment (of two here; the script sees them cut) short. It waits for the rest of the window where an ACK is about to come.
TEST(LinuxStates, AShortSuperSegmentWaitsOnlyForAnAckThatIsNear) {
  for (const bool near : {false, true}) {
    HostOptions options;
    options.gso_max_size = 65535;
    Script s({.profile = Profile::Linux, .v6 = false, .options = options});
    s.run(R"(
      listen
      < SYN 0 mss 1000 win 30000
      > SYN,ACK 0 ack 1
      +60ms < ACK 1 ack 1
      accept
      set no_delay 1
      write 1000 -> 1000
      > ACK 1+1000 ack 1
    )");
    s.run(near ? "wait 59500us" : "wait 50ms");
    s.run(R"(
      write 20000 -> 20000
      > ACK 1001+1000 ack 1
      > ACK 2001+1000 ack 1
      > ACK 3001+1000 ack 1
      > ACK 4001+1000 ack 1
      > ACK 5001+1000 ack 1
      > ACK 6001+1000 ack 1
      > ACK 7001+1000 ack 1
      > ACK 8001+1000 ack 1
    )");
    s.run(near ? "nothing" : "> ACK 9001+1000 ack 1");
  }
}

// Five segments are taken for lost, one goes again, and its ACK tells that it was only late: all is undone. The second was
// lost after all, which Linux's RACK does not see any more.
TEST(LinuxStates, WhatAnUndoneRecoveryDidNotSendAgainIsForgottenWhenAskedTo) {
  for (const bool forgets : {false, true}) {
    HostOptions options;
    options.rack_forgets_undone = forgets;
    Script s({.profile = Profile::Linux, .v6 = false, .options = options});
    s.run(R"(
      sysctl tcp_early_retrans 0
      listen
      < SYN 0 mss 1000 sackok ts 100
      > SYN,ACK 0 ack 1
      +40ms < ACK 1 ack 1 ts 110
      accept
      write 5000 -> 5000
      > ACK 1+988 ack 1
      > ACK 989+988 ack 1
      > ACK 1977+988 ack 1
      > ACK 2965+988 ack 1
      > ACK 3953+988 ack 1
      > ACK,PSH 4941+60 ack 1
    )");
    const std::string late = "/" + std::to_string(s.last().options.timestamps->value);
    s.run("+45ms < ACK 1 ack 1 ts 120" + late + " sack 4941-5001");
    s.run("within 20ms > ACK 1+988 ack 1");
    s.run("+1ms < ACK 1 ack 989 ts 130" + late + " sack 4941-5001");
    s.run(forgets ? "wait 100ms\nnothing" : "> ACK 989+988 ack 1\ndrain");
    if (forgets) s.run("within 1s > ACK 989+988 ack 1\ndrain");
  }
}

}  // namespace
}  // namespace lastack::test
