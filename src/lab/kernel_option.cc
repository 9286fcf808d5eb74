#include "lab/kernel_option.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <string_view>

namespace lastack {
namespace {

#ifndef IP_BIND_ADDRESS_NO_PORT
constexpr int IP_BIND_ADDRESS_NO_PORT = 24;
#endif
#ifndef IP_LOCAL_PORT_RANGE
constexpr int IP_LOCAL_PORT_RANGE = 51;
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
constexpr int TCP_FASTOPEN_NO_COOKIE = 34;
#endif

struct SocketOption {
  int level = 0;
  int name = 0;
};
SocketOption number_of(Option option) {
  switch (option) {
    case Option::reuse_address:
      return {SOL_SOCKET, SO_REUSEADDR};
    case Option::reuse_port:
      return {SOL_SOCKET, SO_REUSEPORT};
    case Option::keep_alive:
      return {SOL_SOCKET, SO_KEEPALIVE};
    case Option::linger:
      return {SOL_SOCKET, SO_LINGER};
    case Option::send_buffer:
      return {SOL_SOCKET, SO_SNDBUF};
    case Option::receive_buffer:
      return {SOL_SOCKET, SO_RCVBUF};
    case Option::read_low:
      return {SOL_SOCKET, SO_RCVLOWAT};
    case Option::no_delay:
      return {IPPROTO_TCP, TCP_NODELAY};
    case Option::cork:
      return {IPPROTO_TCP, TCP_CORK};
    case Option::max_segment:
      return {IPPROTO_TCP, TCP_MAXSEG};
    case Option::keep_idle:
      return {IPPROTO_TCP, TCP_KEEPIDLE};
    case Option::keep_interval:
      return {IPPROTO_TCP, TCP_KEEPINTVL};
    case Option::keep_count:
      return {IPPROTO_TCP, TCP_KEEPCNT};
    case Option::syn_count:
      return {IPPROTO_TCP, TCP_SYNCNT};
    case Option::linger2:
      return {IPPROTO_TCP, TCP_LINGER2};
    case Option::defer_accept:
      return {IPPROTO_TCP, TCP_DEFER_ACCEPT};
    case Option::window_clamp:
      return {IPPROTO_TCP, TCP_WINDOW_CLAMP};
    case Option::quick_ack:
      return {IPPROTO_TCP, TCP_QUICKACK};
    case Option::user_timeout:
      return {IPPROTO_TCP, TCP_USER_TIMEOUT};
    case Option::not_sent_low:
      return {IPPROTO_TCP, TCP_NOTSENT_LOWAT};
    case Option::v6_only:
      return {IPPROTO_IPV6, IPV6_V6ONLY};
    case Option::bind_address_no_port:
      return {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT};
    case Option::local_port_range:
      return {IPPROTO_IP, IP_LOCAL_PORT_RANGE};
    case Option::urgent_inline:
      return {SOL_SOCKET, SO_OOBINLINE};
    case Option::traffic_class:
      return {IPPROTO_IP, IP_TOS};
    case Option::hop_limit:
      return {IPPROTO_IP, IP_TTL};
    case Option::hears_icmp:
      return {IPPROTO_IP, IP_RECVERR};
    case Option::fast_open:
      return {IPPROTO_TCP, TCP_FASTOPEN};
    case Option::fast_open_no_cookie:
      return {IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE};
  }
  return {SOL_SOCKET, 0x7ffe};  // none
}

}  // namespace

int set_kernel_option(int fd, Option option, int value) {
  const SocketOption number = number_of(option);
  if (option == Option::linger) {
    const linger how{value != -1 ? 1 : 0, value};
    return setsockopt(fd, number.level, number.name, &how, sizeof how);
  }
  return setsockopt(fd, number.level, number.name, &value, sizeof value);
}

int get_kernel_option(int fd, Option option, int& value) {
  const SocketOption number = number_of(option);
  if (option == Option::linger) {
    linger how{};
    socklen_t length = sizeof how;
    if (getsockopt(fd, number.level, number.name, &how, &length) != 0) return -1;
    value = how.l_onoff != 0 ? how.l_linger : -1;
    return 0;
  }
  value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, number.level, number.name, &value, &length);
}

void use_cubic(int fd) {
  constexpr std::string_view kCubic = "cubic";
  (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kCubic.data(), kCubic.size());
}

Readiness kernel_readiness(int fd) {
  pollfd entry{fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
  Readiness ready;
  if (fd < 0 || poll(&entry, 1, 0) < 0) {
    ready.error = true;
    return ready;
  }
  ready.readable = (entry.revents & POLLIN) != 0;
  ready.writable = (entry.revents & POLLOUT) != 0;
  ready.hung_up = (entry.revents & POLLHUP) != 0;
  ready.read_hung_up = (entry.revents & POLLRDHUP) != 0;
  ready.error = (entry.revents & POLLERR) != 0;
  ready.urgent = (entry.revents & POLLPRI) != 0;
  return ready;
}

}  // namespace lastack
