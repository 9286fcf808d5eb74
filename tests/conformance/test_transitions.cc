// Every change of state that the diagram has, each made to happen. What was seen is written down by the recorder;
// tables.cc makes docs/transitions.md of it.
#include "conformance/script.h"

namespace lastack::test {
namespace {

constexpr Profile kLinux = Profile::Linux;
constexpr Profile kRfc793 = Profile::Rfc793;
constexpr Profile kRfc9293 = Profile::Rfc9293;

const std::string kFinWait1 = "passive mss 1000\nclose\n> FIN,ACK 1 ack 1\nstate FIN_WAIT_1\n";
// The socket stays open.
const std::string kFinWait1Open =
    "passive mss 1000\nshutdown write\n> FIN,ACK 1 ack 1\nstate FIN_WAIT_1\n";
const std::string kFinWait2 = kFinWait1 + "< ACK 1 ack 2\nstate FIN_WAIT_2\n";
const std::string kFinWait2Open = kFinWait1Open + "< ACK 1 ack 2\nstate FIN_WAIT_2\n";
const std::string kCloseWait = "passive mss 1000\n< FIN,ACK 1 ack 1\ndrain\nstate CLOSE_WAIT\n";
const std::string kClosing = kFinWait1 + "< FIN,ACK 1 ack 1\n> ACK 2 ack 2\nstate CLOSING\n";
const std::string kClosingOpen =
    kFinWait1Open + "< FIN,ACK 1 ack 1\n> ACK 2 ack 2\nstate CLOSING\n";
const std::string kLastAck = kCloseWait + "close\n> FIN,ACK 1 ack 2\nstate LAST_ACK\n";
const std::string kLastAckOpen = kCloseWait + "shutdown write\n> FIN,ACK 1 ack 2\nstate LAST_ACK\n";
const std::string kTimeWait =
    kFinWait2 + "< FIN,ACK 1 ack 2\n> ACK 2 ack 2\nstate TIME_WAIT\ntime_waits 1\n";
const std::string kCrossed =
    "connect 40000\n> SYN 0\n< SYN 0 mss 1000\n> SYN,ACK 0 ack 1\nstate SYN_RECEIVED\n";

void go(const std::string& lines, Profile profile = kLinux) {
  SCOPED_TRACE(lines);
  Script(profile).run(lines);
}

TEST(Transitions, Closed_is_left_by_listen_and_connect) {
  go("listen");
  go("connect\n> SYN 0\nstate SYN_SENT");
}

TEST(Transitions, Listen_is_left_only_by_a_SYN_or_close) {
  go("listen\n< SYN 0\n> SYN,ACK 0 ack 1\nstate SYN_RECEIVED");
  go("listen\nclose listener\nconnections 0");
  {
    Script s(kLinux);
    s.run("listen");
    EXPECT_EQ(s.host.connect(s.listener, {IpAddress::v4(0x0a000002), 80}, s.now).error(),
              Err::is_connected);
    const std::byte one{};
    EXPECT_EQ(s.host.write(s.listener, {&one, 1}, s.now).error(), Err::broken_pipe);
    EXPECT_TRUE(s.host.shutdown(s.listener, ShutdownHow::Read, s.now));
    s.run("< SYN 0\n> RST,ACK 0 ack 1");
  }
  // With a cookie there is no SYN_RECEIVED.
  go("sysctl tcp_syncookies 2\nlisten\n< SYN 0\n> SYN,ACK 0 ack 1\n< ACK 1 ack 1\nstate ESTABLISHED");
  go("sysctl tcp_syncookies 2\nlisten\n< SYN 0\n> SYN,ACK 0 ack 1\n< ACK,PSH 1+10 ack 1\ndrain\nstate ESTABLISHED");
  go("sysctl tcp_syncookies 2\nlisten\n< SYN 0\n> SYN,ACK 0 ack 1\n< FIN,ACK 1 ack 1\ndrain\nstate CLOSE_WAIT");
}

TEST(Transitions, Out_of_SYN_SENT) {
  const std::string begun = "connect 40000\n> SYN 0\n";
  go(begun + "< SYN,ACK 0 ack 1\n> ACK 1 ack 1\nstate ESTABLISHED");
  go(begun + "< SYN,FIN,ACK 0 ack 1\ndrain\nstate CLOSE_WAIT");
  go(kCrossed);
  go(begun + "< RST,ACK 0 ack 1\nstate CLOSED\nerror ECONNREFUSED");
  go(begun + "close\nstate CLOSED\nconnections 0");
  go(begun + "shutdown write\nstate CLOSED");
  go(begun + "abort\nstate CLOSED\nconnections 0");
  go(begun + "wait 300s\ndrain\nstate CLOSED\nerror ETIMEDOUT");
  go(begun + "< icmp port_unreachable 0\nstate CLOSED\nerror ECONNREFUSED");
  // Neither a SYN,ACK for something else nor a RST without an ACK does anything.
  go(begun +
     "< RST 0\nstate SYN_SENT\n< SYN,ACK 0 ack 2\n> RST 2\nstate SYN_SENT\n< RST,ACK 0 ack 2\nstate SYN_SENT");
}

TEST(Transitions, Out_of_SYN_RECEIVED_after_a_passive_open) {
  const std::string begun = "listen\n< SYN 0 mss 1000\n> SYN,ACK 0 ack 1\n";
  go(begun + "< ACK 1 ack 1\nstate ESTABLISHED\naccept");
  go(begun + "< ACK,PSH 1+10 ack 1\ndrain\nstate ESTABLISHED\naccept\nread 10");
  go(begun + "< FIN,ACK 1 ack 1\ndrain\nstate CLOSE_WAIT\naccept\nread 1 -> 0");
  go(begun + "< FIN,ACK 11 ack 1\ndrain\nstate ESTABLISHED");
  go(begun + "< RST 1\nstate LISTEN\nconnections 0");
  go(begun + "< SYN 2\n> RST,ACK 0 ack 3\nstate LISTEN");
  go(begun + "wait 120s\ndrain\nstate LISTEN\nconnections 0");
  go(begun + "close listener\nstate CLOSED\nconnections 0");
  go(begun + "< icmp host_unreachable 0\nstate LISTEN\nconnections 0");
  // Three wait in a queue of two, as Linux counts; the fourth finds no room.
  for (const char* last : {"ACK 1", "ACK,PSH 1+10", "FIN,ACK 1"}) {
    go("sysctl tcp_abort_on_overflow 1\nlisten 2\n"
       "peer 9000\n< SYN 0\n> SYN,ACK 0\n< ACK 1 ack 1\npeer 9001\n< SYN 0\n> SYN,ACK 0\n< ACK 1 ack 1\n"
       "peer 9002\n< SYN 0\n> SYN,ACK 0\npeer 9003\n< SYN 0\n> SYN,ACK 0\n"
       "peer 9002\n< ACK 1 ack 1\nstate ESTABLISHED\npeer 9003\n< " +
       std::string(last) + " ack 1\n> RST 1\nstate LISTEN");
  }
  // The FIN before the handshake's ACK: without an ACK of its own it is not looked at; with one it is both.
  go(begun + "< FIN 1\nnothing\nstate SYN_RECEIVED\n< FIN,ACK 1 ack 1\ndrain\nstate CLOSE_WAIT");
}

TEST(Transitions, Out_of_SYN_RECEIVED_after_SYNs_that_crossed) {
  go(kCrossed + "< SYN,ACK 0 ack 1\ndrain\nstate ESTABLISHED");
  go(kCrossed + "< ACK 1 ack 1\nstate ESTABLISHED");
  go(kCrossed + "< RST 1\nstate CLOSED");
  go(kCrossed + "< SYN 5\n> RST,ACK 0 ack 6\nstate CLOSED", kRfc793);
  go(kCrossed +
     "close\ndrain\nstate FIN_WAIT_1\n< ACK 1 ack 1\ndrain\n< ACK 1 ack 2\nstate FIN_WAIT_2");
  // As long as the socket is open Linux keeps the FIN until the handshake is over.
  go(kCrossed +
     "shutdown write\nnothing\nstate SYN_RECEIVED\n< ACK 1 ack 1\n> FIN,ACK 1 ack 1\nstate FIN_WAIT_1");
  go(kCrossed + "abort\n> RST,ACK 1 ack 1\nstate CLOSED");
  go(kCrossed + "wait 300s\ndrain\nstate CLOSED\nerror ETIMEDOUT");
  go(kCrossed + "< icmp port_unreachable 0\nstate CLOSED");
}

TEST(Transitions, Out_of_SYN_RECEIVED_back_to_TIME_WAIT) {
  go(kTimeWait +
     "< SYN 100000\n> SYN,ACK 65539\nstate SYN_RECEIVED\n< RST 100001\nstate TIME_WAIT\ntime_waits 1");
  go(kTimeWait +
     "< SYN 100000\n> SYN,ACK 65539\n< SYN 100005\n> RST,ACK 0 ack 100006\nstate TIME_WAIT\ntime_waits 1");
  go(kTimeWait +
     "< SYN 100000\n> SYN,ACK 65539\n< icmp host_unreachable 0\nstate TIME_WAIT\ntime_waits 1");
  for (const char* last : {"ACK 100001", "ACK,PSH 100001+10", "FIN,ACK 100001"}) {
    go("sysctl tcp_abort_on_overflow 1\nlisten 2\npeer 9003\n" + kTimeWait +
       "peer 9000\n< SYN 0\n> SYN,ACK 0\n< ACK 1 ack 1\npeer 9001\n< SYN 0\n> SYN,ACK 0\n< ACK 1 ack 1\n"
       "peer 9002\n< SYN 0\n> SYN,ACK 0\npeer 9003\n< SYN 100000\n> SYN,ACK 65539\n"
       "peer 9002\n< ACK 1 ack 1\nstate ESTABLISHED\npeer 9003\n< " +
       std::string(last) + " ack 1\n> RST 1\nstate TIME_WAIT\ntime_waits 1");
  }
  // Nothing is left of 2 MSL by then.
  for (const char* last : {"ACK 100001", "ACK,PSH 100001+10", "FIN,ACK 100001"}) {
    go("sysctl tcp_abort_on_overflow 1\nlisten 2\npeer 9003\n" + kTimeWait +
       "wait 59500ms\n"
       "peer 9000\n< SYN 0\n> SYN,ACK 0\n< ACK 1 ack 1\npeer 9001\n< SYN 0\n> SYN,ACK 0\n< ACK 1 ack 1\n"
       "peer 9002\n< SYN 0\n> SYN,ACK 0\npeer 9003\n< SYN 100000\n> SYN,ACK 65539\n"
       "peer 9002\n< ACK 1 ack 1\nstate ESTABLISHED\npeer 9003\nwait 700ms\n< " +
       std::string(last) + " ack 1\n> RST 1\nstate CLOSED\ntime_waits 0");
  }
  // Nobody answers the SYN,ACK: what is left of 2 MSL goes on, if anything is.
  HostOptions longer;
  longer.msl = 120s;
  Script({.profile = kLinux, .v6 = false, .options = longer})
      .run(
          kTimeWait +
          "< SYN 100000\nwait 100s\ndrain\nstate TIME_WAIT\ntime_waits 1\nwait 140s\ntime_waits 0");
}

TEST(Transitions, Out_of_ESTABLISHED) {
  const std::string up = "passive mss 1000\nstate ESTABLISHED\n";
  go(kFinWait1);
  go(kFinWait1Open);
  go(up + "set linger 0\nclose\n> RST,ACK 1 ack 1\nstate CLOSED");
  go(up + "abort\n> RST,ACK 1 ack 1\nstate CLOSED");
  go(kCloseWait);
  go(up + "< RST 1\nstate CLOSED\nread 1 -> ECONNRESET");
  go(up + "< SYN 5\n> RST,ACK 0 ack 6\nstate CLOSED\nread 1 -> ECONNRESET", kRfc793);
  go(up + "sysctl tcp_retries2 3\nwrite 10\nwait 100s\ndrain\nstate CLOSED\nread 1 -> ETIMEDOUT");
  go(up +
     "set keep_alive 1\nset keep_idle 1\nset keep_interval 1\nset keep_count 1\nwait 10s\ndrain\nstate CLOSED");
  go(up + "write 10\ndrain\n< icmp port_unreachable 1\nstate CLOSED\nread 1 -> ECONNREFUSED",
     kRfc9293);
  // FIN with data; and a FIN beyond a gap, which is not the end yet.
  go(up + "< FIN,ACK,PSH 1+10 ack 1\ndrain\nstate CLOSE_WAIT\nread 20 -> 10\nread 1 -> 0");
  go(up +
     "< FIN,ACK 11 ack 1\n> ACK 1 ack 1\nstate ESTABLISHED\n< ACK,PSH 1+10 ack 1\n> ACK 1 ack 12\nstate CLOSE_WAIT");
}

TEST(Transitions, Out_of_FIN_WAIT_1) {
  go(kFinWait2);
  go(kFinWait1Open + "< ACK,PSH 1+10 ack 2\ndrain\nstate FIN_WAIT_2\nread 10");
  go(kClosing);
  go(kFinWait1 + "< FIN,ACK 1 ack 2\n> ACK 2 ack 2\nstate TIME_WAIT\ntime_waits 1");
  // The FIN has come before what precedes it.
  go(kFinWait1Open + "< FIN,ACK 11 ack 2\ndrain\nstate FIN_WAIT_2");
  go(kFinWait1Open +
     "< FIN,ACK 11 ack 1\n> ACK 2 ack 1\n< ACK,PSH 1+10 ack 1\ndrain\nstate CLOSING\nread 10");
  go(kFinWait1Open +
     "< FIN,ACK 11 ack 1\n> ACK 2 ack 1\n< ACK,PSH 1+10 ack 2\ndrain\nstate TIME_WAIT\nread 10");
  go(kFinWait1 + "< RST 1\nstate CLOSED");
  go(kFinWait1 + "< SYN 5\n> RST,ACK 0 ack 6\nstate CLOSED", kRfc793);
  go(kFinWait1 + "< ACK,PSH 1+10 ack 1\n> RST 1\nstate CLOSED");
  go(kFinWait1 + "< FIN,ACK,PSH 1+10 ack 1\n> RST 1\nstate CLOSED");
  go("passive mss 1000\nset linger2 -1\nclose\n> FIN,ACK 1 ack 1\n< ACK 1 ack 2\n> RST 2\nstate CLOSED\ncounter TCPAbortOnData 1");
  go(kFinWait1Open + "abort\n> RST,ACK 2 ack 1\nstate CLOSED");
  go(kFinWait1Open + "set linger 0\nclose\n> RST,ACK 2 ack 1\nstate CLOSED");
  go(kFinWait1 + "wait 1000s\ndrain\nstate CLOSED");
  go(kFinWait1 + "< icmp port_unreachable 1\nstate CLOSED", kRfc9293);
}

TEST(Transitions, Out_of_FIN_WAIT_2) {
  go(kTimeWait);
  go(kFinWait2Open + "< FIN,ACK 1 ack 2\n> ACK 2 ack 2\nstate TIME_WAIT");
  go(kFinWait2Open +
     "< FIN,ACK 11 ack 2\n> ACK 2 ack 1\n< ACK,PSH 1+10 ack 2\n> ACK 2 ack 12\nstate TIME_WAIT\nread 10");
  go("sysctl tcp_max_tw_buckets 0\n" + kFinWait2Open +
     "< FIN,ACK 1 ack 2\n> ACK 2 ack 2\nstate CLOSED\ncounter TCPTimeWaitOverflow 1");
  go(kFinWait2Open + "< RST 1\nstate CLOSED");
  go(kFinWait2 + "< RST 1\nstate CLOSED");
  go(kFinWait2 + "< SYN 5\n> RST,ACK 0 ack 6\nstate CLOSED");
  go(kFinWait2 + "< ACK,PSH 1+10 ack 2\n> RST 2\nstate CLOSED");
  go(kFinWait2 + "< FIN,ACK,PSH 1+10 ack 2\n> RST 2\nstate CLOSED");
  go(kFinWait2Open + "set linger2 -1\nclose\n> RST,ACK 2 ack 1\nstate CLOSED");
  go(kFinWait2Open +
     "sysctl tcp_max_tw_buckets 0\nclose\nstate CLOSED\ncounter TCPTimeWaitOverflow 1");
  go(kFinWait2Open + "abort\n> RST,ACK 2 ack 1\nstate CLOSED");
  {
    Script s(kLinux);
    s.run(kFinWait2);
    EXPECT_TRUE(s.host.destroy(s.tuple(), s.now));
  }
  // A port that the program chose: the record of FIN_WAIT_2 makes room (linux-facts 17).
  go("active 40000 mss 1000 ts 5\nclose\n> FIN,ACK 1\n< ACK 1 ack 2 ts 6\nstate FIN_WAIT_2\nconnect 40000\n> SYN 65539\nstate SYN_SENT");
  go(kFinWait2Open +
     "set keep_alive 1\nset keep_idle 1\nset keep_interval 1\nset keep_count 1\nwait 10s\ndrain\nstate CLOSED");
  go(kFinWait2 + "wait 59s\nstate FIN_WAIT_2\nwait 3s\nstate CLOSED\nnothing");
  // For ever, as the RFC has it.
  go(kFinWait2 + "wait 10000s\nstate FIN_WAIT_2", kRfc9293);
}

TEST(Transitions, Out_of_CLOSE_WAIT) {
  go(kLastAck);
  go(kLastAckOpen);
  go(kCloseWait + "< ACK,PSH 1+100 ack 1\n> RST 1\nstate CLOSED");
  go(kCloseWait + "< FIN,ACK,PSH 1+100 ack 1\n> RST 1\nstate CLOSED");
  go(kCloseWait + "set linger 0\nclose\n> RST,ACK 1 ack 2\nstate CLOSED");
  go(kCloseWait + "abort\n> RST,ACK 1 ack 2\nstate CLOSED");
  go(kCloseWait + "< RST 2\nstate CLOSED\nwrite 1 -> EPIPE");
  go(kCloseWait + "< SYN 6\n> RST,ACK 0 ack 7\nstate CLOSED", kRfc793);
  go(kCloseWait +
     "sysctl tcp_retries2 3\nwrite 10\nwait 100s\ndrain\nstate CLOSED\nread 1 -> 0\nwrite 1 -> ETIMEDOUT");
  go(kCloseWait +
     "set keep_alive 1\nset keep_idle 1\nset keep_interval 1\nset keep_count 1\nwait 10s\ndrain\nstate CLOSED");
  go(kCloseWait + "write 10\ndrain\n< icmp port_unreachable 1\nstate CLOSED", kRfc9293);
}

TEST(Transitions, Out_of_CLOSING) {
  go(kClosing + "< ACK 2 ack 2\nstate TIME_WAIT\ntime_waits 1");
  go(kClosing + "< FIN,ACK 1 ack 2\ndrain\nstate TIME_WAIT\ntime_waits 1");
  go(kClosing + "< ACK,PSH 1+1 ack 2\ndrain\nstate TIME_WAIT\ntime_waits 1");
  go("sysctl tcp_max_tw_buckets 0\n" + kClosing +
     "< ACK 2 ack 2\nstate CLOSED\ncounter TCPTimeWaitOverflow 1");
  go(kClosing + "< ACK,PSH 1+100 ack 1\n> RST 1\nstate CLOSED");
  go(kClosing + "< FIN,ACK,PSH 1+100 ack 1\n> RST 1\nstate CLOSED");
  go(kClosing + "< RST 2\nstate CLOSED");
  go(kClosing + "< SYN 6\n> RST,ACK 0 ack 7\nstate CLOSED", kRfc793);
  // RFC 9293, 3.10.5, and Linux: with both FINs out there is nothing left to reset.
  go(kClosingOpen + "abort\nnothing\nstate CLOSED");
  go(kClosingOpen + "set linger 0\nclose\nnothing\nstate CLOSED");
  go(kClosing + "wait 1000s\ndrain\nstate CLOSED");
  go(kClosing + "< icmp port_unreachable 1\nstate CLOSED", kRfc9293);
  HostOptions none;
  none.time_wait_length = 0s;
  Script({.profile = kLinux, .v6 = false, .options = none})
      .run(kClosing + "< ACK 2 ack 2\nstate CLOSED\ntime_waits 0");
}

TEST(Transitions, Out_of_LAST_ACK) {
  go(kLastAck + "< ACK 2 ack 2\nstate CLOSED\ntime_waits 0");
  go(kLastAck + "< FIN,ACK 1 ack 2\nstate CLOSED\ntime_waits 0");
  go("passive mss 1000\n< FIN,ACK,PSH 1+10 ack 1\ndrain\nread 10\nclose\n> FIN,ACK 1 ack 12\n< ACK,PSH 2+10 ack 2\nstate CLOSED");
  go(kLastAck + "< RST 2\nstate CLOSED");
  go(kLastAck + "< SYN 6\n> RST,ACK 0 ack 7\nstate CLOSED", kRfc793);
  // RFC 9293, 3.10.5, and Linux: with both FINs out there is nothing left to reset.
  go(kLastAckOpen + "abort\nnothing\nstate CLOSED");
  go(kLastAckOpen + "set linger 0\nclose\nnothing\nstate CLOSED");
  go(kLastAck + "wait 1000s\ndrain\nstate CLOSED\ntime_waits 0");
  go(kLastAck + "< icmp port_unreachable 1\nstate CLOSED", kRfc9293);
}

TEST(Transitions, Out_of_a_full_table) {
  HostOptions evicting;
  evicting.evict_oldest_time_wait = true;
  const std::string next =
      "peer 9001\n< SYN 0\n> SYN,ACK 0\n< ACK 1 ack 1\naccept\nclose\n> FIN,ACK 1\n< FIN,ACK 1 ack 2\n"
      "> ACK 2\nstate TIME_WAIT\npeer 9000\nstate CLOSED\ntime_waits 1\ncounter TCPTimeWaitOverflow 0";
  Script({.profile = kLinux, .v6 = false, .options = evicting})
      .run("sysctl tcp_max_tw_buckets 1\n" + kTimeWait + next);
  Script({.profile = kLinux, .v6 = false, .options = evicting})
      .run("sysctl tcp_max_tw_buckets 1\n" + kFinWait2 + next);
}

TEST(Transitions, Out_of_TIME_WAIT) {
  go(kTimeWait + "wait 59s\nstate TIME_WAIT\nwait 1s\nstate CLOSED");
  go(kTimeWait + "< RST 2\nstate CLOSED");
  go(kTimeWait +
     "< SYN 100000\n> SYN,ACK 65539\nstate SYN_RECEIVED\n< ACK 100001 ack 1\nstate ESTABLISHED");
  go(kTimeWait + "< SYN 2\n> RST,ACK 0 ack 3\nstate CLOSED", kRfc793);
  go("active 40000 mss 1000 ts 5\nclose\n> FIN,ACK 1\n< FIN,ACK 1 ack 2 ts 6\n> ACK 2 ack 2\nstate TIME_WAIT\nconnect 40000\n> SYN 65539");
  {
    Script s(kLinux);
    s.run(kTimeWait);
    EXPECT_TRUE(s.host.destroy(s.tuple(), s.now));
    s.run("state CLOSED");
  }
}

}  // namespace
}  // namespace lastack::test
