// What the workloads do with TCP sockets: open, connect, and the four ways to leave a connection.
#pragma once

#include <sys/socket.h>

#include "lab/unique_fd.h"
#include "lastack/four_tuple.h"
#include "lastack/result.h"

namespace lastack {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// `mapped`: an IPv4 endpoint as an IPv6 socket writes it, ::ffff:a.b.c.d.
SocketAddress socket_address(const Endpoint& endpoint, bool mapped = false);
// Nothing but 0.0.0.0:0 for an address family that is not IP.
Endpoint endpoint_of(const sockaddr_storage& storage);
Endpoint local_endpoint(int fd);

// How a program chooses its local port.
enum class SourcePort {
  Connect,   // connect() chooses: the four-tuple has to be free
  BindZero,  // bind(source, 0) first: the port has to be free for every destination (linux-facts 21)
  BindZeroNoPort,  // the same with IP_BIND_ADDRESS_NO_PORT: connect() chooses after all
};

struct KernelConnectOptions {
  IpAddress source;  // unspecified: the kernel chooses
  Endpoint destination;
  SourcePort source_port = SourcePort::Connect;
  bool mapped = false;  // an IPv6 socket for IPv4
};

// A non-blocking socket on which connect() has been called: connected, or on its way. `number` of the
// error is connect()'s or bind()'s errno.
Result<UniqueFd> start_connect(const KernelConnectOptions& options);

enum class CloseHow {
  Close,     // close(): a FIN, or a RST if something was left unread
  Shutdown,  // shutdown(SHUT_WR), and close() once the peer has closed too
  Reset,     // SO_LINGER with zero time: a RST, and no TIME_WAIT (linux-facts 10)
  Vanish,    // not a word, as after a crash of the host; needs CAP_NET_ADMIN (TCP_REPAIR)
};
// Shutdown behaves as Close here; waiting for the peer is the caller's part.
void close_socket(UniqueFd socket, CloseHow how);

// A listening, non-blocking socket with SO_REUSEADDR.
Result<UniqueFd> start_listen(const Endpoint& local, int backlog);

}  // namespace lastack
