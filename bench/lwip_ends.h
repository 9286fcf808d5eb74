// Both ends of connections in Debian's lwIP, in one thread: what bench_connections.cc compares with. Its
// headers stay in the one file, since they define names of the C library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lastack::bench {

// lwIP has one set of global lists, so there is one of these in a process.
//
// Debian builds lwIP for a system with threads (NO_SYS 0, core locking), with malloc() for its pools, without
// a loopback interface, without statistics. lwip_init() in place of tcpip_init() starts no thread and leaves
// the core lock unset, so that its raw API runs here as in a NO_SYS build; what remains of it is one
// uncontended mutex around each allocation. Packets take a queue of our own, copied once, as
// netif_loop_output() does.
class LwipEnds {
 public:
  enum class Ports { Chosen, Bound };  // by tcp_new_port(), or by the caller with tcp_bind()

  LwipEnds();
  // Opens, sends one byte each way, and closes, the client first. False: no port, or something is missing.
  bool cycle(Ports ports);
  std::size_t time_waits() const;
  // Forgets the newest, until so many are left.
  void keep(std::size_t most);
};

}  // namespace lastack::bench
