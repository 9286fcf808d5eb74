// A server that answers every byte it gets with a byte, and whose habit of closing can be chosen: good
// and bad servers of incidents.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "lab/tcp_socket.h"
#include "lastack/time.h"

namespace lastack {

struct ServerOptions {
  std::vector<Endpoint> listen_on;
  int backlog = 4096;
  enum class Closes {
    AfterPeer,   // when the peer has closed: TIME_WAIT is the peer's
    AfterReply,  // first, right after its first answer: TIME_WAIT is here
    Never,       // leaves connections in CLOSE_WAIT for ever: a leak
  } closes = Closes::AfterPeer;
  CloseHow how = CloseHow::Close;
  bool accepts = true;  // false: lets the accept queue fill
};

struct ServerCounts {
  std::uint64_t accepted = 0;
  std::uint64_t replies = 0;
  std::uint64_t closed = 0;
  std::uint64_t open = 0;
  std::map<int, std::uint64_t> errors;  // errno of accept(), read() and write()
};

// One thread, one epoll. Descriptors running out are survived: it looks again after a tenth of a second.
class EchoServer {
 public:
  static Result<EchoServer> start(const ServerOptions& options);

  // Handles what has happened, waiting at most `longest` for something to happen.
  void poll(Duration longest);
  // For ever: for a process of its own, which somebody else ends.
  [[noreturn]] void serve();

  const ServerCounts& counts() const { return counts_; }

 private:
  EchoServer(const ServerOptions& options, UniqueFd epoll)
      : options_(options), epoll_(std::move(epoll)) {}
  void accept_from(int listener);
  void answer(int fd);
  void drop(int fd, CloseHow how);
  void arm_listeners(bool armed);

  ServerOptions options_;
  UniqueFd epoll_;
  std::vector<UniqueFd> listeners_;
  std::vector<UniqueFd> connections_;  // by descriptor
  std::vector<bool> replied_;          // by descriptor; only of interest to AfterReply
  bool armed_ = true;
  Instant rearm_at_{};
  ServerCounts counts_;
};

}  // namespace lastack
