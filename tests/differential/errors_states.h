// The states of a socket in which every call is tried (claim D9), and how to bring a socket of a world there. The peer is
// played by hand: it says what is needed and nothing else.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "differential/world.h"

namespace lastack::differential {

// One world, its time, and a peer at kThere.
class Play {
 public:
  Play(World& world, Instant now);

  // --- Sockets of the host
  Handle fresh();
  // connect()ed to a peer that has not answered.
  Handle connecting();
  // Accepted, or connect()ed; the handshake is over.
  Handle accepted();
  Handle connected();

  // --- What the peer of a socket says next. Numbers are those that are due.
  void say(Handle socket, std::uint16_t flags, std::size_t length = 0);
  // As say(ACK), but of what came before the last byte or FIN.
  void say_without_acknowledging(Handle socket, std::uint16_t flags);
  // An ICMP error about what the host has sent last.
  void icmp(Handle socket, std::uint8_t type, std::uint8_t code);
  void shutdown(Handle socket, ShutdownHow how) { (void)world_.shutdown(socket, how, now_); }
  void write(Handle socket, std::size_t length) { (void)world_.write(socket, length, now_); }
  void option(Handle socket, Option option, int value) {
    (void)world_.set_option(socket, option, value, now_);
  }
  Outcome<std::size_t> read(Handle socket, std::size_t most) {
    return world_.read(socket, most, now_);
  }
  void wait(Duration duration);

  World& world() { return world_; }
  Instant now() const { return now_; }

 private:
  struct Talk {
    Handle socket = -1;
    FourTuple tuple;  // from the peer's side
    std::uint32_t next = 1000;
    std::uint32_t due = 0;  // what it acknowledges
    Bytes last;             // of the host
  };
  void listen();
  void take();
  void send(Talk& talk, std::uint16_t flags, std::size_t length, std::uint32_t ack);
  Talk& talk(Handle socket);

  World& world_;
  Instant now_;
  Handle listener_ = -1;
  Port next_port_ = 20000;
  std::vector<Talk> talks_;
};

struct State {
  std::string name;
  std::string how;
  std::function<Handle(Play&)> make;
  Duration wait{};  // after all are made
};
const std::vector<State>& states();

}  // namespace lastack::differential
