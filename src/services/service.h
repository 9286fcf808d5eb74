// What the services of a host share: each socket has one owner, who hears its events. They know a Host and the time
// that they are told, no device and no loop, so that they run in memory and in virtual time as well.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "lastack/host.h"
#include "lastack/result.h"

namespace lastack {

class SocketOwner {
 public:
  virtual ~SocketOwner() = default;
  // Something may have changed about this socket of theirs.
  virtual void on_event(SocketId socket, Instant now) = 0;
};

// Host::next_event() names a socket; this finds whose it is.
class SocketEvents {
 public:
  void own(SocketId socket, SocketOwner& owner) { owners_[socket] = &owner; }
  // Before the socket is closed: its number may soon be another's.
  void release(SocketId socket) { owners_.erase(socket); }
  void on_event(SocketId socket, Instant now) {
    const auto found = owners_.find(socket);
    if (found != owners_.end()) found->second->on_event(socket, now);
  }

 private:
  std::unordered_map<SocketId, SocketOwner*> owners_;
};

// A listening socket for all addresses of both families, as far as the host has them: an IPv6 socket takes IPv4 as
// well (linux: bindv6only 0).
Result<SocketId> listen_on(Host& host, Port port, int backlog);
// "connection refused (ECONNREFUSED)".
std::string describe(Err error);

}  // namespace lastack
