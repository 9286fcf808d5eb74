#include "differential/errors_states.h"

#include <algorithm>

#include "wire/icmp_error.h"
#include "wire/tcp_segment.h"

namespace lastack::differential {
namespace {

constexpr std::uint16_t FIN = tcp_flag::kFin, SYN = tcp_flag::kSyn, RST = tcp_flag::kRst,
                        ACK = tcp_flag::kAck;
constexpr Port kService = 80;

}  // namespace

Play::Play(World& world, Instant now) : world_(world), now_(now) {}

void Play::wait(Duration duration) {
  now_ += duration;
  world_.advance(now_);
  take();
}

// What the host has sent, each to the talk it belongs to.
void Play::take() {
  for (Bytes& packet : world_.sent()) {
    const auto ip = parse_ip(packet);
    if (!ip) continue;
    const auto segment = parse_tcp(ip->payload, ip->header, Checksum::Trust);
    if (!segment) continue;
    for (Talk& t : talks_) {
      if (t.tuple.local.port != segment->destination) continue;
      t.tuple.remote = {ip->header.source, segment->source};
      const SeqNum end = segment->end();
      if (t.last.empty() || end > SeqNum(t.due)) t.due = end.value();
      t.last = std::move(packet);
      break;
    }
  }
}

Play::Talk& Play::talk(Handle socket) {
  return *std::find_if(talks_.begin(), talks_.end(),
                       [&](const Talk& t) { return t.socket == socket; });
}

void Play::send(Talk& t, std::uint16_t flags, std::size_t length, std::uint32_t ack) {
  TcpSegment segment;
  segment.source = t.tuple.local.port;
  segment.destination = t.tuple.remote.port;
  segment.seq = SeqNum(t.next);
  segment.flags = flags;
  if ((flags & ACK) != 0) segment.ack = SeqNum(ack);
  segment.window = 60000;
  if ((flags & SYN) != 0) segment.options.mss = 1460;
  const std::size_t tcp = header_length(segment.options);
  Bytes packet(kIpv4HeaderLength + tcp + length, std::byte{'p'});
  write_ip(packet.data(), {.source = t.tuple.local.address, .destination = t.tuple.remote.address},
           tcp + length);
  write_tcp_header(packet.data() + kIpv4HeaderLength, segment);
  write_tcp_checksum(std::span(packet).subspan(kIpv4HeaderLength), t.tuple.local.address,
                     t.tuple.remote.address);
  t.next += static_cast<std::uint32_t>(length) + ((flags & (SYN | FIN)) != 0 ? 1 : 0);
  world_.receive(packet, now_);
  take();
}

void Play::say(Handle socket, std::uint16_t flags, std::size_t length) {
  take();
  Talk& t = talk(socket);
  send(t, flags, length, t.due);
}

void Play::say_without_acknowledging(Handle socket, std::uint16_t flags) {
  take();
  Talk& t = talk(socket);
  send(t, flags, 0, t.due - 1);
}

void Play::icmp(Handle socket, std::uint8_t type, std::uint8_t code) {
  take();
  std::array<std::byte, kMostIcmpError> error;
  const std::size_t n = write_icmp_error(error.data(), talk(socket).last, kThere, type, code, 0);
  world_.receive(std::span(error).first(n), now_);
}

Handle Play::fresh() {
  return world_.open(false).value();
}

Handle Play::connecting() {
  Talk t;
  t.socket = fresh();
  t.tuple = {{kThere, next_port_++}, {kHere, 0}};
  talks_.push_back(t);
  (void)world_.connect(t.socket, t.tuple.local, now_);
  take();
  return t.socket;
}

Handle Play::connected() {
  const Handle socket = connecting();
  say(socket, SYN | ACK);
  return socket;
}

Handle Play::accepted() {
  if (listener_ < 0) {
    listener_ = fresh();
    (void)world_.set_option(listener_, Option::reuse_address, 1, now_);
    (void)world_.bind(listener_, {kHere, kService});
    (void)world_.listen(listener_, 1024);
  }
  Talk t;
  t.tuple = {{kThere, next_port_++}, {kHere, kService}};
  talks_.push_back(t);
  send(talks_.back(), SYN, 0, 0);
  send(talks_.back(), ACK, 0, talks_.back().due);
  talks_.back().socket = world_.accept(listener_).value_or(-1);
  return talks_.back().socket;
}

const std::vector<State>& states() {
  static const std::vector<State> all = {
      {"unconnected", "socket()", [](Play& p) { return p.fresh(); }},
      {"bound", "bind()",
       [](Play& p) {
         const Handle s = p.fresh();
         (void)p.world().bind(s, {kHere, 0});
         return s;
       }},
      {"LISTEN", "listen()",
       [](Play& p) {
         const Handle s = p.fresh();
         (void)p.world().listen(s, 5);
         return s;
       }},
      {"SYN_SENT", "connect(), no answer yet", [](Play& p) { return p.connecting(); }},
      {"SYN_RECEIVED", "connect(), and a SYN without an ACK came: a simultaneous open",
       [](Play& p) {
         const Handle s = p.connecting();
         p.say(s, SYN);
         return s;
       }},
      {"connected", "connect() not blocking, its SYN,ACK has come: the program does not know yet",
       [](Play& p) { return p.connected(); }},
      {"ESTABLISHED", "accept()", [](Play& p) { return p.accepted(); }},
      {"ESTABLISHED, unread data", "10 bytes have come",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, ACK, 10);
         return s;
       }},
      {"ESTABLISHED, SHUT_RD", "shutdown(SHUT_RD)",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Read);
         return s;
       }},
      {"ESTABLISHED, SHUT_RD, unread data", "shutdown(SHUT_RD), and then 10 bytes came",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Read);
         p.say(s, ACK, 10);
         return s;
       }},
      {"FIN_WAIT_1", "shutdown(SHUT_WR), the FIN is not acknowledged",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Write);
         return s;
       }},
      {"FIN_WAIT_2", "shutdown(SHUT_WR), the FIN is acknowledged",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Write);
         p.say(s, ACK);
         return s;
       }},
      {"FIN_WAIT_2, SHUT_RDWR", "shutdown(SHUT_RDWR), the FIN is acknowledged",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Both);
         p.say(s, ACK);
         return s;
       }},
      {"CLOSE_WAIT", "a FIN has come",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, FIN | ACK);
         return s;
       }},
      {"CLOSE_WAIT, unread data", "10 bytes and a FIN have come",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, FIN | ACK, 10);
         return s;
       }},
      {"CLOSING", "shutdown(SHUT_WR), and a FIN came that does not acknowledge ours",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Write);
         p.say_without_acknowledging(s, FIN | ACK);
         return s;
       }},
      {"LAST_ACK", "a FIN came, then shutdown(SHUT_WR)",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, FIN | ACK);
         p.shutdown(s, ShutdownHow::Write);
         return s;
       }},
      {"TIME_WAIT", "shutdown(SHUT_WR), acknowledged, then a FIN came; the socket is still open",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Write);
         p.say(s, ACK);
         p.say(s, FIN | ACK);
         return s;
       }},
      {"closed by the last ACK", "LAST_ACK, and the acknowledgement has come",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, FIN | ACK);
         p.shutdown(s, ShutdownHow::Write);
         p.say(s, ACK);
         return s;
       }},
      {"reset", "ESTABLISHED, then a RST",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, RST);
         return s;
       }},
      {"reset, unread data", "10 bytes have come, then a RST",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, ACK, 10);
         p.say(s, RST);
         return s;
       }},
      {"reset in FIN_WAIT_2", "shutdown(SHUT_WR), acknowledged, then a RST",
       [](Play& p) {
         const Handle s = p.accepted();
         p.shutdown(s, ShutdownHow::Write);
         p.say(s, ACK);
         p.say(s, RST);
         return s;
       }},
      {"reset in CLOSE_WAIT", "a FIN came, then a RST",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, FIN | ACK);
         p.say(s, RST);
         return s;
       }},
      {"reset in LAST_ACK", "a FIN came, then shutdown(SHUT_WR), then a RST",
       [](Play& p) {
         const Handle s = p.accepted();
         p.say(s, FIN | ACK);
         p.shutdown(s, ShutdownHow::Write);
         p.say(s, RST);
         return s;
       }},
      {"refused", "connect(), a RST came",
       [](Play& p) {
         const Handle s = p.connecting();
         p.say(s, RST | ACK);
         return s;
       }},
      {"reset in SYN_RECEIVED", "a simultaneous open, then a RST",
       [](Play& p) {
         const Handle s = p.connecting();
         p.say(s, SYN);
         p.say(s, RST | ACK);
         return s;
       }},
      {"unreachable", "connect(), ICMP 3/1: host unreachable",
       [](Play& p) {
         const Handle s = p.connecting();
         p.icmp(s, 3, 1);
         return s;
       }},
      {"port unreachable", "connect(), ICMP 3/3",
       [](Play& p) {
         const Handle s = p.connecting();
         p.icmp(s, 3, 3);
         return s;
       }},
      {"ESTABLISHED, ICMP", "ICMP 3/1 about data of an ESTABLISHED connection: a soft error",
       [](Play& p) {
         const Handle s = p.accepted();
         p.write(s, 10);
         p.icmp(s, 3, 1);
         return s;
       }},
      {"timed out", "10 bytes not acknowledged, TCP_USER_TIMEOUT of 100 ms is over",
       [](Play& p) {
         const Handle s = p.accepted();
         p.option(s, Option::user_timeout, 100);
         p.write(s, 10);
         return s;
       },
       1500ms},
      {"timed out after ICMP", "the same, and ICMP 3/1 had come",
       [](Play& p) {
         const Handle s = p.accepted();
         p.option(s, Option::user_timeout, 100);
         p.write(s, 10);
         p.icmp(s, 3, 1);
         return s;
       },
       1500ms},
      {"connect() timed out", "no answer, TCP_USER_TIMEOUT of 100 ms is over",
       [](Play& p) {
         const Handle s = p.fresh();
         p.option(s, Option::user_timeout, 100);
         (void)p.world().connect(s, {kThere, 9}, p.now());
         return s;
       },
       1500ms},
      {"closed", "close()",
       [](Play& p) {
         const Handle s = p.accepted();
         (void)p.world().close(s, p.now());
         return s;
       }},
  };
  return all;
}

}  // namespace lastack::differential
