// A tiny language for conversations with one host, a line a segment, in virtual time. The test plays the peer.
//
//   passive mss 1460 ts 100       a connection that the peer opened: SYN, SYN,ACK, ACK, and accept()
//   < ACK,PSH 1+100 ack 1         the peer sends 100 bytes, numbers counted from the SYNs
//   > ACK 1 ack 101               and the host must have answered with this, and nothing else
//   close
//   > FIN,ACK 1 ack 101
//   +200ms > FIN,ACK 1 ack 101    after 200 ms, and not before
//   counter RetransSegs 1
//
// Lines
//   listen [BACKLOG] | accept [-> ERR] | passive OPTIONS | active [PORT] OPTIONS | connect [PORT] [-> ERR]
//   write N [urgent|more] [-> N|ERR] | read N [peek] [-> N|ERR] | shutdown read|write|both | close | abort
//   read_urgent -> ok|ERR | mark yes|no | unread N
//   set OPTION VALUE | sysctl NAME VALUE...
//   < FLAGS SEQ[+LENGTH] [ack N] FIELDS    > FLAGS SEQ[+LENGTH] [ack N] FIELDS
//   < icmp KIND SEQ [mtu N]       an ICMP error about the host's segment with that number
//   wait TIME                     time passes, and the host does what is due
//   +TIME LINE                    the same, then the line
//   within TIME > ...             time passes until the host sends something, at most so long
//   nothing                       the host has sent nothing more (also checked before every `<` and at the end)
//   drain                         whatever the host has sent is passed over
//   state STATE | counter NAME N | time_waits N | connections N | error ERR
//   doubts N                      how often the path was doubted (R1)
//   readable yes|no, writable, urgent, hup, rdhup, err    as poll() has them
//   peer PORT                     another peer: numbers and ports of its own
//   isn N                         the peer's next SYN counts from there
//
// FIELDS: win N · mss N · wscale N · sackok · ts VALUE[/ECHO] · sack A-B[,C-D] · urg N · from ADDRESS ·
// to ADDRESS · ecn none|ect0|ect1|ce. In `<` the echo is the host's last timestamp unless given. In `>` only what is named is looked
// at (`ts */5` names the echo only); flags (but for PSH), numbers and lengths always are. Data must be what was written, at its place.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/recorder.h"
#include "lastack/host.h"
#include "wire/tcp_segment.h"

namespace lastack::test {

struct Setup {
  Profile profile = Profile::Linux;
  bool v6 = false;
  HostOptions options{};
};

class Script {
 public:
  explicit Script(Profile profile)
      : Script(Setup{.profile = profile, .v6 = false, .options = {}}) {}
  explicit Script(Setup setup);
  // Whatever the host has sent and nobody has asked about is a failure.
  ~Script();

  Script& run(std::string_view lines);

 private:
  std::unique_ptr<Recorder> sees_ = std::make_unique<Recorder>();

 public:
  Host host;
  Instant now{std::chrono::seconds(1000)};
  SocketId socket{};
  SocketId listener{};

  // The host's ISN towards the present peer, and the last one before it.
  std::uint32_t host_isn() const;
  std::uint32_t old_host_isn() const;
  // Of the segment that the last `>` looked at.
  const TcpSegment& last() const { return last_; }
  FourTuple tuple() const;

 private:
  struct Peer {
    std::uint32_t isn = 70'000;
    std::optional<std::uint32_t> host_isn{};
    std::uint32_t old_host_isn = 0;
    std::uint32_t last_stamp = 0;
    std::uint16_t window = 65535;  // of its segments, until another is given
    std::uint32_t read = 1;        // the number of the byte that the user reads next
    std::uint32_t written = 1;     // and writes next
    Port host_port = 80;
  };
  struct Sent {
    std::vector<std::byte> packet;
    Instant at;
  };
  struct Words;

  void line(std::string_view text);
  void segment_in(Words& words);
  void segment_out(Words& words);
  void icmp_in(Words& words);
  void open_passive(Words& words);
  void open_active(Words& words);
  void collect();
  void pass(Duration duration);
  void pass_until_sent(Duration most);
  void expect_nothing();
  void fail(const std::string& why);
  Peer& peer() { return peers_[port_]; }
  IpAddress address(bool of_host) const;
  std::string name_of(const TcpSegment& segment) const;
  template <class T>
  void outcome(const char* what, const Outcome<T>& result, const std::string& wanted);

  bool v6_ = false;
  Port port_ = 9000;  // of the peer
  std::map<Port, Peer> peers_;
  std::deque<Sent> sent_;
  TcpSegment last_;
  std::vector<std::byte> last_packet_;
  std::string at_;  // the line being run
  bool failed_ = false;
};

}  // namespace lastack::test
