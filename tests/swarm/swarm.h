// A run of the swarm: two hosts with many connections over a hostile wire, with so few ports that four-tuples are
// used again all the time, all of it decided by one seed (or by a fuzzer's input).
//
// What must hold:
//   - every byte is delivered once, in order, to the incarnation it was sent to, or the connection reports an
//     error; an end of file comes only where the peer has put it;
//   - the hosts are in order after every step (tests/audit); counters say what was seen on the wire;
//   - without faults everything comes to its end, and then nothing is left: no connection, record, port, socket.
//
// What TCP cannot promise is not asked for. Without timestamps nothing but TIME_WAIT keeps a segment of an earlier
// incarnation out. So in a run without them a corruption is permitted, and counted, if the incarnation began while
// a segment of an earlier one on the same four-tuple could still be on the wire, and that was not a TIME_WAIT
// overrun by the endpoint: the earlier one had ended by a reset, by a time-out, with a full table
// (tcp_max_tw_buckets), with TIME_WAIT switched off, or its record was ended by a RST (which tcp_rfc1337 prevents). With timestamps a corruption is permitted only where the two
// incarnations are of the same tick of that clock. A SYN cookie is kept by the network, which may hand it in more
// than once: what a second connection from one handshake does to the first is permitted, too.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lastack/host.h"
#include "swarm/choices.h"
#include "swarm/wire.h"

namespace lastack::test {

struct SwarmPlan {
  WirePlan wire;
  HostOptions hosts[2];
  std::vector<std::pair<std::string, std::string>> settings[2];
  bool timestamps = true;        // both hosts, all the time
  bool some_timestamps = false;  // one of them
  bool time_wait = true;         // and 60 s of it
  bool guarded = true;           // tcp_max_tw_buckets is large
  bool aborts = true;            // users who reset, or close with data unread
  bool vary_settings = true;     // while it runs
  std::uint32_t ports = 4;
  std::uint32_t steps = 600;
  std::uint32_t most_open = 12;    // connections at once
  std::uint32_t longest = 60'000;  // bytes each way
  Duration tick = 10ms;
  bool v6 = false;         // some
  bool both_ways = false;  // the second host connects as well
  bool simultaneous = false;
  int backlog = 16;

  // Everything by the dice.
  static SwarmPlan any(Choices& choices);
  bool timestamps_ever() const;
};

struct SwarmStats {
  std::uint64_t runs = 0;
  std::uint64_t connections = 0;     // begun
  std::uint64_t established = 0;     // both ends have had each other
  std::uint64_t reincarnations = 0;  // on a four-tuple that was there before
  std::uint64_t exposed = 0;         // of those, while old segments could be on the wire
  std::uint64_t whole = 0;           // all bytes each way, and the ends of file
  std::uint64_t errors = 0;
  std::uint64_t ghosts =
      0;  // accepted, and nobody had opened them: old duplicates of a whole handshake
  std::uint64_t permitted = 0;  // corruptions that TCP cannot prevent
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0, lost = 0, replayed = 0, corrupted = 0;
  std::uint64_t recycled = 0;
  std::uint64_t paws = 0;
  std::uint64_t resets = 0;

  std::string last_permitted;

  void add(const SwarmStats& other);
  std::string to_string() const;
};

// What is wrong, or nothing.
std::string run_swarm(const SwarmPlan& plan, Choices& choices, SwarmStats& stats);
// The run of a seed: its plan is made from it as well.
std::string run_swarm(std::uint64_t seed, SwarmStats& stats);

}  // namespace lastack::test
