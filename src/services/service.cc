#include "services/service.h"

#include <cstring>

namespace lastack {

Result<SocketId> listen_on(Host& host, Port port, int backlog) {
  const auto refuse = [&](const char* deed, Err error) {
    return tl::unexpected(
        Error{static_cast<int>(error),
              std::string(deed) + " port " + std::to_string(port) + ": " + describe(error)});
  };
  const auto socket = host.open(Host::Family::V6);
  if (!socket) return refuse("cannot open a socket for", socket.error());
  // A server that starts again does not wait for what its predecessor left in TIME_WAIT.
  (void)host.set_option(*socket, Option::reuse_address, 1, Instant{});
  if (const auto bound = host.bind(*socket, {IpAddress{}, port}); !bound) {
    (void)host.close(*socket, Instant{});
    return refuse("cannot bind to", bound.error());
  }
  if (const auto listening = host.listen(*socket, backlog); !listening) {
    (void)host.close(*socket, Instant{});
    return refuse("cannot listen on", listening.error());
  }
  return *socket;
}

std::string describe(Err error) {
  const int number = static_cast<int>(error);
  const char* name = strerrorname_np(number);
  return std::string(std::strerror(number)) + " (" + (name == nullptr ? "?" : name) + ")";
}

}  // namespace lastack
