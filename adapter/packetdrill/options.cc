// uapi/linux/tcp.h, asm-generic/socket.h, linux/in.h, linux/in6.h: the numbers. The C library's headers
// cannot be included beside them, and are older than some.
#include "options.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace lastack::packetdrill {
namespace {

constexpr int kTcp = 6, kIp = 0, kIpv6 = 41;
constexpr int kTcpInfo = 11, kTcpQuickAck = 12, kTcpCongestion = 13, kTcpCcInfo = 26, kTcpInq = 36,
              kTcpFastOpenKey = 33;
constexpr int kSoMemInfo = 55, kSoTimestamping = 37, kSoTimestampingNew = 65, kSoZeroCopy = 60;

struct Known {
  int level;
  int number;
  Option option;
};
constexpr Known kKnown[] = {
    {SOL_SOCKET, 2, Option::reuse_address},
    {SOL_SOCKET, 15, Option::reuse_port},
    {SOL_SOCKET, 9, Option::keep_alive},
    {SOL_SOCKET, 10, Option::urgent_inline},  // SO_OOBINLINE
    {SOL_SOCKET, 7, Option::send_buffer},
    {SOL_SOCKET, 18, Option::read_low},
    {kIp, 11, Option::hears_icmp},
    {kIpv6, 25, Option::hears_icmp},
    {SOL_SOCKET, 8, Option::receive_buffer},
    {kTcp, 1, Option::no_delay},
    {kTcp, 2, Option::max_segment},
    {kTcp, 3, Option::cork},
    {kTcp, 4, Option::keep_idle},
    {kTcp, 5, Option::keep_interval},
    {kTcp, 6, Option::keep_count},
    {kTcp, 7, Option::syn_count},
    {kTcp, 8, Option::linger2},
    {kTcp, 9, Option::defer_accept},
    {kTcp, 10, Option::window_clamp},
    {kTcp, kTcpQuickAck, Option::quick_ack},
    {kTcp, 18, Option::user_timeout},
    {kTcp, 23, Option::fast_open},
    {kTcp, 25, Option::not_sent_low},
    {kTcp, 34, Option::fast_open_no_cookie},
    {kIp, 1, Option::traffic_class},
    {kIp, 2, Option::hop_limit},
    {kIp, 24, Option::bind_address_no_port},
    {kIp, 51, Option::local_port_range},
    {kIpv6, 16, Option::hop_limit},
    {kIpv6, 26, Option::v6_only},
    {kIpv6, 67, Option::traffic_class},
};

// Taken and given back, with no effect on this endpoint: it has one route, no raw errors to queue and no
// other sockets to compete with.
constexpr std::pair<int, int> kRemembered[] = {
    {SOL_SOCKET, 5},   // SO_DONTROUTE
    {SOL_SOCKET, 11},  // SO_NO_CHECK
    {SOL_SOCKET, 12},  // SO_PRIORITY
    {SOL_SOCKET, 29},  // SO_TIMESTAMP
    {SOL_SOCKET, 35},  // SO_TIMESTAMPNS
    {SOL_SOCKET, 36},  // SO_MARK
    {SOL_SOCKET, 46},  // SO_BUSY_POLL
    {SOL_SOCKET, 47},  // SO_MAX_PACING_RATE
    {kIp, 8},          // IP_PKTINFO
    {kIp, 12},         // IP_RECVTTL
    {kIp, 13},         // IP_RECVTOS
    {kIp, 19},         // IP_TRANSPARENT
    {kIpv6, 51},       // IPV6_RECVHOPLIMIT
    {kIpv6, 66},       // IPV6_RECVTCLASS
    {kIp, 10},         // IP_MTU_DISCOVER
    {kIp, 15},         // IP_FREEBIND
    {kIpv6, 23},       // IPV6_MTU_DISCOVER
};

const Known* find_known(int level, int number) {
  const auto* const at = std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& k) {
    return k.level == level && k.number == number;
  });
  return at == std::end(kKnown) ? nullptr : at;
}

// struct tcp_info of Linux 6.10 and later, 280 bytes. What is not kept here is 0.
struct LinuxTcpInfo {
  std::uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, app_limited;
  std::uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets;
  std::uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
  std::uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
  std::uint32_t rcv_rtt, rcv_space, total_retrans;
  std::uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
  std::uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
  std::uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
  std::uint32_t delivered, delivered_ce;
  std::uint64_t bytes_sent, bytes_retrans;
  std::uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd, rcv_wnd, rehash;
  std::uint16_t total_rto, total_rto_recoveries;
  std::uint32_t total_rto_time, received_ce;
  std::uint32_t delivered_bytes[6];
  std::uint32_t ecn_mode;
};
static_assert(offsetof(LinuxTcpInfo, snd_cwnd) == 80 && offsetof(LinuxTcpInfo, delivered) == 192);
static_assert(sizeof(LinuxTcpInfo) == 280);

// include/net/tcp_states.h
std::uint8_t linux_state(TcpState state) {
  switch (state) {
    case TcpState::Established:
      return 1;
    case TcpState::SynSent:
      return 2;
    case TcpState::SynReceived:
      return 3;
    case TcpState::FinWait1:
      return 4;
    case TcpState::FinWait2:
      return 5;
    case TcpState::TimeWait:
      return 6;
    case TcpState::Closed:
      return 7;
    case TcpState::CloseWait:
      return 8;
    case TcpState::LastAck:
      return 9;
    case TcpState::Listen:
      return 10;
    case TcpState::Closing:
      return 11;
  }
  return 7;
}

LinuxTcpInfo linux_info(const ConnectionInfo& c) {
  LinuxTcpInfo t{};
  t.state = linux_state(c.state);
  t.ca_state = c.congestion_state;
  t.retransmits = c.retransmits;
  t.probes = c.probes;
  t.backoff = c.backoff;
  t.options = static_cast<std::uint8_t>((c.timestamps ? 1 : 0) | (c.sack ? 2 : 0) |
                                        (c.window_scaling ? 4 : 0) | (c.ecn ? 8 : 0) |
                                        (c.ecn_seen ? 16 : 0) | (c.syn_data ? 32 : 0));
  t.wscale = static_cast<std::uint8_t>((c.send_scale & 15) | (c.receive_scale & 15) << 4);
  t.rto = c.rto;
  t.ato = c.ato;
  t.snd_mss = c.send_mss;
  t.rcv_mss = c.receive_mss;
  t.unacked = c.unacknowledged;
  t.sacked = c.sacked;
  t.lost = c.lost;
  t.retrans = c.retransmitted;
  t.last_data_sent = c.last_data_sent_ms;
  t.last_data_recv = c.last_data_received_ms;
  t.last_ack_recv = c.last_ack_received_ms;
  t.pmtu = c.path_mtu;
  t.rtt = c.rtt;
  t.rttvar = c.rtt_variance;
  t.snd_ssthresh = c.send_threshold;
  t.snd_cwnd = c.send_window;
  t.advmss = c.advertised_mss;
  t.reordering = c.reordering;
  t.total_retrans = c.total_retransmitted;
  t.notsent_bytes = c.not_sent;
  t.min_rtt = c.least_rtt;
  t.delivered = c.delivered;
  t.reord_seen = c.reorderings;
  t.bytes_acked = c.bytes_acked;
  t.snd_wnd = c.peer_window;
  t.rcv_ssthresh = c.receive_threshold;
  t.rcv_rtt = c.receive_rtt;
  t.rcv_space = c.receive_space;
  t.rcv_wnd = c.receive_window;
  t.pacing_rate = c.pacing_rate;
  t.max_pacing_rate = ~std::uint64_t{0};
  t.bytes_received = c.bytes_received;
  t.bytes_sent = c.bytes_sent;
  t.bytes_retrans = c.bytes_resent;
  t.segs_in = c.segments_in;
  t.segs_out = c.segments_out;
  t.data_segs_in = c.data_segments_in;
  t.data_segs_out = c.data_segments_out;
  t.delivered_ce = c.delivered_marked;
  t.dsack_dups = c.duplicates_told;
  t.rcv_ooopack = c.out_of_order;
  t.total_rto = static_cast<std::uint16_t>(c.time_outs);
  t.total_rto_recoveries = static_cast<std::uint16_t>(c.time_out_episodes);
  t.total_rto_time = c.time_outs_ms;
  t.busy_time = c.busy;
  t.rwnd_limited = c.window_limited;
  t.sndbuf_limited = c.buffer_limited;
  return t;
}

int give(const void* what, std::size_t size, void* value, socklen_t* length) {
  const auto n = std::min(static_cast<socklen_t>(size), *length);
  std::memcpy(value, what, n);
  *length = n;
  return 0;
}

int give_int(int what, void* value, socklen_t* length) {
  return give(&what, sizeof what, value, length);
}

int code(Err error) {
  return -static_cast<int>(error);
}

Duration* timeout_of(Descriptor& socket, int level, int number) {
  if (level != SOL_SOCKET) return nullptr;
  if (number == SO_RCVTIMEO) return &socket.receive_timeout;
  if (number == SO_SNDTIMEO) return &socket.send_timeout;
  return nullptr;
}

}  // namespace

ErrorQueue::Progress progress_of(Host& host, const Descriptor& socket, Instant now) {
  ErrorQueue::Progress p;
  p.written = socket.errors.written();
  const std::uint64_t waiting = host.unacknowledged(socket.socket).value_or(0);
  p.acknowledged = p.written - std::min(waiting, p.written);
  const auto info = host.info(socket.socket, now);
  p.sent = p.written - std::min<std::uint64_t>(info ? info->not_sent : 0, p.written);
  p.over = !info || info->state == TcpState::Closed;
  return p;
}

int set_option(Host& host, Descriptor& socket, int level, int option, const void* value,
               socklen_t length, Instant now, const std::string& congestion_control) {
  if (value == nullptr) return -EFAULT;
  if (level == kTcp && option == kTcpCongestion) {
    // One algorithm for all, by the setting.
    const std::string_view name(static_cast<const char*>(value), length);
    return name.substr(0, name.find('\0')) == congestion_control ? 0 : -ENOENT;
  }
  if (level == kTcp && option == kTcpFastOpenKey) {
    const auto set = host.set_fast_open_key(
        socket.socket, {static_cast<const std::byte*>(value), static_cast<std::size_t>(length)});
    return set ? 0 : code(set.error());
  }
  if (Duration* timeout = timeout_of(socket, level, option)) {
    timeval t{};
    if (length < sizeof t) return -EINVAL;
    std::memcpy(&t, value, sizeof t);
    *timeout = std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
    return 0;
  }
  if (level == SOL_SOCKET && option == SO_LINGER) {
    linger l{};
    if (length < sizeof l) return -EINVAL;
    std::memcpy(&l, value, sizeof l);
    const auto set =
        host.set_option(socket.socket, Option::linger, l.l_onoff != 0 ? l.l_linger : -1, now);
    return set ? 0 : code(set.error());
  }
  int number = 0;
  if (length >= sizeof number) {
    std::memcpy(&number, value, sizeof number);
  } else if (level == kIp && length >= 1) {
    // Options of IPv4 may be one byte (ip_sockglue.c).
    number = *static_cast<const unsigned char*>(value);
  } else {
    return -EINVAL;
  }
  if (level == kTcp && option == kTcpInq) {
    if (number != 0 && number != 1) return -EINVAL;
    socket.tells_unread = number == 1;
    return 0;
  }
  if (level == SOL_SOCKET && option == kSoZeroCopy) {
    if (number != 0 && number != 1) return -EINVAL;
    socket.errors.zero_copy = number == 1;
    return 0;
  }
  if (level == SOL_SOCKET && (option == kSoTimestamping || option == kSoTimestampingNew)) {
    return socket.errors.set_stamps(static_cast<std::uint32_t>(number),
                                    host.state(socket.socket).value_or(TcpState::Closed),
                                    progress_of(host, socket, now));
  }
  if (const Known* known = find_known(level, option)) {
    const auto set = host.set_option(socket.socket, known->option, number, now);
    return set ? 0 : code(set.error());
  }
  for (const auto& remembered : kRemembered) {
    if (remembered != std::pair(level, option)) continue;
    socket.remembered[remembered] = number;
    return 0;
  }
  return -ENOPROTOOPT;
}

int get_option(Host& host, Descriptor& socket, int level, int option, void* value,
               socklen_t* length, Instant now, const std::string& congestion_control) {
  if (value == nullptr || length == nullptr) return -EFAULT;
  if (level == kTcp && option == kTcpInfo) {
    const auto info = host.info(socket.socket, now);
    if (!info) return code(info.error());
    const LinuxTcpInfo t = linux_info(*info);
    return give(&t, sizeof t, value, length);
  }
  if (level == kTcp && option == kTcpCcInfo) {
    *length = 0;
    return 0;
  }
  if (level == kTcp && option == kTcpCongestion) {
    constexpr std::size_t kLongest = 16;
    char name[kLongest] = {};
    congestion_control.copy(name, kLongest - 1);
    return give(name, kLongest, value, length);
  }
  if (level == kTcp && option == kTcpInq) {
    return give_int(socket.tells_unread ? 1 : 0, value, length);
  }
  if (const Duration* timeout = timeout_of(socket, level, option)) {
    const timeval t{.tv_sec = *timeout / 1s, .tv_usec = *timeout % 1s / 1us};
    return give(&t, sizeof t, value, length);
  }
  if (level == SOL_SOCKET) {
    switch (option) {
      case SO_LINGER: {
        const auto seconds = host.option(socket.socket, Option::linger);
        if (!seconds) return code(seconds.error());
        const linger l{.l_onoff = *seconds >= 0, .l_linger = std::max(*seconds, 0)};
        return give(&l, sizeof l, value, length);
      }
      case SO_ERROR: {
        const auto error = host.take_error(socket.socket);
        if (!error) return code(error.error());
        return give_int(static_cast<int>(*error), value, length);
      }
      case SO_TYPE:
        return give_int(SOCK_STREAM, value, length);
      case SO_PROTOCOL:
        return give_int(IPPROTO_TCP, value, length);
      case SO_DOMAIN:
        return give_int(socket.family == Host::Family::V4 ? AF_INET : AF_INET6, value, length);
      case SO_ACCEPTCONN:
        return give_int(host.state(socket.socket).value_or(TcpState::Closed) == TcpState::Listen,
                        value, length);
      case kSoZeroCopy:
        return give_int(socket.errors.zero_copy ? 1 : 0, value, length);
      case kSoTimestamping:
      case kSoTimestampingNew: {
        const std::uint32_t stamps[2] = {socket.errors.stamps, 0};  // flags, clock of the device
        return give(stamps, sizeof stamps, value, length);
      }
      case kSoMemInfo: {
        // linux/sock_diag.h: RMEM_ALLOC, RCVBUF, WMEM_ALLOC, SNDBUF, FWD_ALLOC, WMEM_QUEUED, OPTMEM,
        // BACKLOG, DROPS
        const auto number = [](const auto& outcome) {
          return outcome ? static_cast<std::uint32_t>(*outcome) : 0U;
        };
        const std::uint32_t unacknowledged = number(host.unacknowledged(socket.socket));
        const std::uint32_t memory[9] = {number(host.unread(socket.socket)),
                                         number(host.option(socket.socket, Option::receive_buffer)),
                                         unacknowledged,
                                         number(host.option(socket.socket, Option::send_buffer)),
                                         0,
                                         unacknowledged,
                                         0,
                                         0,
                                         0};
        return give(memory, sizeof memory, value, length);
      }
      default:
        break;
    }
  }
  if (const Known* known = find_known(level, option)) {
    const auto number = host.option(socket.socket, known->option);
    return number ? give_int(*number, value, length) : code(number.error());
  }
  for (const auto& remembered : kRemembered) {
    if (remembered == std::pair(level, option)) {
      return give_int(socket.remembered[remembered], value, length);
    }
  }
  return -ENOPROTOOPT;
}

std::optional<Endpoint> from_sockaddr(const sockaddr* address, socklen_t length) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return Endpoint{IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  if (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    IpAddress::Bytes bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return Endpoint{IpAddress::v6(bytes), ntohs(in.sin6_port)};
  }
  return std::nullopt;
}

void to_sockaddr(const Endpoint& endpoint, Host::Family family, sockaddr* address,
                 socklen_t* length) {
  if (address == nullptr || length == nullptr) return;
  if (family == Host::Family::V4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(endpoint.address.v4_value());
    in.sin_port = htons(endpoint.port);
    std::memcpy(address, &in, std::min<std::size_t>(*length, sizeof in));
    *length = sizeof in;
    return;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  std::memcpy(&in.sin6_addr, endpoint.address.bytes().data(), sizeof in.sin6_addr);
  in.sin6_port = htons(endpoint.port);
  std::memcpy(address, &in, std::min<std::size_t>(*length, sizeof in));
  *length = sizeof in;
}

}  // namespace lastack::packetdrill
