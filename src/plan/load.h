// What a host is asked to carry: the question that `lastack plan` answers. Plain data, no I/O.
//
// Connections come evenly, `rate` a second, and are spread evenly over sources x destinations. The ports of each pair
// (source address; destination address and port) are its own (claim B4).
#pragma once

#include <cstdint>
#include <optional>

#include "lastack/port_set.h"
#include "lastack/settings.h"
#include "lastack/time.h"

namespace lastack {

// How the connecting program comes to its local port (linux-facts 17, 19 to 22).
enum class PortSource : std::uint8_t {
  Connect,   // connect() chooses: for each pair alone, one parity of the range after the other
  OwnRange,  // the same with IP_LOCAL_PORT_RANGE: in steps of one, so without the cliff
  Explicit,  // the program does, with bind() and SO_REUSEADDR: TIME_WAIT is no obstacle, given timestamps
  BindZero,  // bind(address, 0) does: one pool for all destinations of a source address
};

struct Load {
  double rate = 0;                 // new connections a second, all pairs together; more than 0
  std::uint32_t sources = 1;       // local addresses, 1 and up
  std::uint32_t destinations = 1;  // addresses and ports, 1 and up
  Duration lifetime{};             // from connect() to close()
  Duration round_trip{};           // the closing handshake takes one; part of `lifetime` is another
  bool peer_closes_first = false;
  PortSource source_port = PortSource::Connect;
  // Without a value: Linux's default. Of these, the port range, what is reserved of it, tcp_tw_reuse and its delay,
  // tcp_timestamps, tcp_tw_timeout, tcp_max_tw_buckets and nf_conntrack_max with its time-outs are used.
  Settings settings{};
  PortSet held{};               // by bind() anywhere in the namespace
  bool peer_timestamps = true;  // the other end agrees on them
  bool loopback = false;        // 127.0.0.0/8 or ::1: tcp_tw_reuse 2 counts
  // Soft RLIMIT_NOFILE of the process that connects; 1,024 is what a login shell or a service gets without asking.
  std::uint64_t descriptors = 1024;
  bool descriptors_assumed = true;

  double pairs() const { return static_cast<double>(sources) * destinations; }
};

}  // namespace lastack
