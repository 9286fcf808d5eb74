// The oldest services of TCP, still the best peers for a test of one: echo (RFC 862), discard (RFC 863) and the
// character generator (RFC 864).
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "services/service.h"

namespace lastack {

struct ServiceCounts {
  std::uint64_t accepted = 0;
  std::uint64_t open = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t failed = 0;  // connections that ended with an error
};

class PlainService final : public SocketOwner {
 public:
  enum class Kind : std::uint8_t { Echo, Discard, Chargen };

  PlainService(Kind kind, Host& host, SocketEvents& events)
      : kind_(kind), host_(host), events_(events) {}
  Result<void> listen(Port port);
  void on_event(SocketId socket, Instant now) override;
  // Accepts those that were left waiting when the host had no socket for them (HostOptions::most_sockets), which no
  // event tells. To be called every second or so; what ends here does it too.
  void look_again(Instant now);
  // A RST to every peer: what is open ends now.
  void end_all(Instant now);
  const ServiceCounts& counts() const { return counts_; }

 private:
  struct Session {
    std::vector<std::byte> rest;  // of an echo: read, not written yet
    std::size_t at = 0;           // in it; in the pattern of chargen
    bool ended = false;           // the peer has said all it had to say
  };
  void accept(Instant now);
  // Whether the session goes on.
  bool go_on(SocketId socket, Session& session, Instant now);
  bool echo(SocketId socket, Session& session, Instant now);
  bool discard(SocketId socket, Instant now);
  bool generate(SocketId socket, Session& session, Instant now);
  bool failed() {
    ++counts_.failed;
    return false;
  }

  Kind kind_;
  Host& host_;
  SocketEvents& events_;
  SocketId listener_{};
  std::unordered_map<SocketId, Session> sessions_;
  ServiceCounts counts_;
  bool held_back_ = false;
};

}  // namespace lastack
