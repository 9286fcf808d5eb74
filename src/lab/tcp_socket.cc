#include "lab/tcp_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace lastack {
namespace {

#ifndef IP_BIND_ADDRESS_NO_PORT
constexpr int IP_BIND_ADDRESS_NO_PORT = 24;
#endif

tl::unexpected<Error> failed(const char* deed, const Endpoint& endpoint) {
  return tl::unexpected(system_error(errno, deed + (" " + endpoint.to_string())));
}

}  // namespace

SocketAddress socket_address(const Endpoint& endpoint, bool mapped) {
  SocketAddress address;
  if (endpoint.address.is_v4() && !mapped) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    in.sin_addr.s_addr = htonl(endpoint.address.v4_value());
    std::memcpy(&address.storage, &in, sizeof in);
    address.length = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.bytes().data(), 16);
    std::memcpy(&address.storage, &in, sizeof in);
    address.length = sizeof in;
  }
  return address;
}

Endpoint endpoint_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &storage, sizeof in);
    return {IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &storage, sizeof in);
    IpAddress::Bytes bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
  }
  return {IpAddress::v4(0), 0};
}

Endpoint local_endpoint(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) storage = {};
  return endpoint_of(storage);
}

Result<UniqueFd> start_connect(const KernelConnectOptions& options) {
  const bool v4 = options.destination.address.is_v4() && !options.mapped;
  UniqueFd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected(system_error(errno, "cannot open a socket"));

  if (options.source_port == SourcePort::BindZeroNoPort) {
    const int on = 1;
    if (setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) {
      return tl::unexpected(system_error(errno, "no IP_BIND_ADDRESS_NO_PORT (Linux 4.2)"));
    }
  }
  if (options.source_port != SourcePort::Connect || !options.source.is_unspecified()) {
    if (options.source_port == SourcePort::Connect) {
      // An address only: the port is left to connect().
      const int on = 1;
      setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    }
    const Endpoint local{options.source, 0};
    const SocketAddress address = socket_address(local, options.mapped);
    if (bind(fd.get(), address.get(), address.length) != 0) return failed("cannot bind to", local);
  }
  const SocketAddress address = socket_address(options.destination, options.mapped);
  if (connect(fd.get(), address.get(), address.length) != 0 && errno != EINPROGRESS) {
    return failed("cannot connect to", options.destination);
  }
  return fd;
}

void close_socket(UniqueFd socket, CloseHow how) {
  if (how == CloseHow::Reset) {
    const linger zero{1, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &zero, sizeof zero);
  } else if (how == CloseHow::Vanish) {
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on);
  }
}

Result<UniqueFd> start_listen(const Endpoint& local, int backlog) {
  const int family = local.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected(system_error(errno, "cannot open a socket"));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const SocketAddress address = socket_address(local);
  if (bind(fd.get(), address.get(), address.length) != 0) return failed("cannot bind to", local);
  if (listen(fd.get(), backlog) != 0) return failed("cannot listen on", local);
  return fd;
}

}  // namespace lastack
