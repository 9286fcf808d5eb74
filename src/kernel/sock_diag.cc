#include "kernel/sock_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <vector>

namespace lastack {

namespace {

// Larger buffers do not help: the kernel fills at most 32 KiB a datagram.
constexpr std::size_t kDatagram = 32768;

std::optional<TcpState> state_of(std::uint8_t kernel_state) {
  // include/net/tcp_states.h
  switch (kernel_state) {
    case 1:
      return TcpState::Established;
    case 2:
      return TcpState::SynSent;
    case 3:
      return TcpState::SynReceived;
    case 4:
      return TcpState::FinWait1;
    case 5:
      return TcpState::FinWait2;
    case 6:
      return TcpState::TimeWait;
    case 7:
      return TcpState::Closed;
    case 8:
      return TcpState::CloseWait;
    case 9:
      return TcpState::LastAck;
    case 10:
      return TcpState::Listen;
    case 11:
      return TcpState::Closing;
    case 12:
      return TcpState::SynReceived;  // a request socket
    default:
      return std::nullopt;
  }
}

TimerKind timer_of(std::uint8_t timer) {
  switch (timer) {
    case 1:
      return TimerKind::Retransmit;
    case 2:
      return TimerKind::KeepAlive;
    case 3:
      return TimerKind::TimeWait;
    case 4:
      return TimerKind::ZeroWindowProbe;
    default:
      return TimerKind::None;
  }
}

IpAddress address_of(std::uint8_t family, const void* words) {
  if (family == AF_INET) {
    std::uint32_t v4 = 0;
    std::memcpy(&v4, words, sizeof v4);
    return IpAddress::v4(ntohl(v4));
  }
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), words, bytes.size());
  return IpAddress::v6(bytes);
}

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

// The kernel's filter: each operation jumps `yes` bytes ahead if it holds and `no` if not; to leave at
// the very end accepts the socket, beyond it refuses.
std::vector<std::byte> filter_for(const DiagRequest& request) {
  std::vector<inet_diag_bc_op> ops;
  constexpr std::uint8_t kOp = sizeof(inet_diag_bc_op);
  const auto refuse_from = [](std::size_t bytes_left) {
    return static_cast<std::uint16_t>(bytes_left + kOp);
  };
  // Sizes to the end: a port test is two operations of two words each, the bind test two words.
  std::size_t left = (request.local_port ? std::size_t{4} * kOp : 0) +
                     (request.bound_only ? std::size_t{2} * kOp : 0);
  if (request.local_port) {
    for (const std::uint8_t code : {INET_DIAG_BC_S_GE, INET_DIAG_BC_S_LE}) {
      ops.push_back({code, 2 * kOp, refuse_from(left)});
      ops.push_back({INET_DIAG_BC_NOP, 0, *request.local_port});
      left -= std::size_t{2} * kOp;
    }
  }
  if (request.bound_only) {
    // "Was its port chosen by the kernel?" Yes: on to a jump that refuses. No: past it, accepted.
    ops.push_back({INET_DIAG_BC_AUTO, kOp, 2 * kOp});
    ops.push_back({INET_DIAG_BC_JMP, kOp, 2 * kOp});
  }
  std::vector<std::byte> out;
  for (const inet_diag_bc_op& op : ops) append(out, op);
  return out;
}

void append_filter(std::vector<std::byte>& message, const DiagRequest& request) {
  const std::vector<std::byte> filter = filter_for(request);
  if (!filter.empty()) {
    append(message, nlattr{static_cast<std::uint16_t>(sizeof(nlattr) + filter.size()),
                           INET_DIAG_REQ_BYTECODE});
    message.insert(message.end(), filter.begin(), filter.end());
  }
  const auto length = static_cast<std::uint32_t>(message.size());
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
}

constexpr std::uint16_t kDumpFlags = NLM_F_REQUEST | NLM_F_DUMP;
std::uint8_t extensions(const DiagRequest& request) {
  return request.details ? 1U << (INET_DIAG_INFO - 1) : 0;
}

// The older request names no family and gets both in one walk; the newer one takes a walk each.
std::vector<std::byte> request_for_both(const DiagRequest& request, std::uint32_t sequence) {
  std::vector<std::byte> message;
  append(message, nlmsghdr{0, TCPDIAG_GETSOCK, kDumpFlags, sequence, 0});
  inet_diag_req body{};
  body.idiag_family = AF_INET;
  body.idiag_ext = extensions(request);
  body.idiag_states = request.states;
  append(message, body);
  append_filter(message, request);
  return message;
}

std::vector<std::byte> request_for(std::uint8_t family, const DiagRequest& request,
                                   std::uint32_t sequence) {
  std::vector<std::byte> message;
  append(message, nlmsghdr{0, SOCK_DIAG_BY_FAMILY, kDumpFlags, sequence, 0});
  inet_diag_req_v2 body{};
  body.sdiag_family = family;
  body.sdiag_protocol = IPPROTO_TCP;
  body.idiag_ext = extensions(request);
  body.idiag_states = request.states;
  append(message, body);
  append_filter(message, request);
  return message;
}

void read_info(std::span<const std::byte> payload, DiagRow& row) {
  tcp_info info{};  // an old kernel sends less, a new one more
  if (payload.size() < offsetof(tcp_info, tcpi_last_ack_recv) + sizeof info.tcpi_last_ack_recv)
    return;
  std::memcpy(&info, payload.data(), std::min(payload.size(), sizeof info));
  row.has_details = true;
  row.details.timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0;
  row.details.since_data_sent = std::chrono::milliseconds(info.tcpi_last_data_sent);
  row.details.since_data_received = std::chrono::milliseconds(info.tcpi_last_data_recv);
  row.details.since_ack_received = std::chrono::milliseconds(info.tcpi_last_ack_recv);
}

void read_attributes(std::span<const std::byte> attributes, DiagRow& row) {
  while (attributes.size() >= sizeof(nlattr)) {
    nlattr header;
    std::memcpy(&header, attributes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > attributes.size()) return;
    const auto payload = attributes.subspan(sizeof header, header.nla_len - sizeof header);
    switch (header.nla_type & NLA_TYPE_MASK) {
      case INET_DIAG_INFO:
        read_info(payload, row);
        break;
      case INET_DIAG_SKV6ONLY:
        row.socket.v6_only = !payload.empty() && payload[0] != std::byte{0};
        break;
      default:
        break;
    }
    attributes =
        attributes.subspan(std::min<std::size_t>(attributes.size(), NLA_ALIGN(header.nla_len)));
  }
}

// False for a row that is not of a TCP socket we can make sense of.
bool read_row(std::span<const std::byte> payload, DiagRow& row) {
  inet_diag_msg m;
  if (payload.size() < sizeof m) return false;
  std::memcpy(&m, payload.data(), sizeof m);
  if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6) return false;
  const auto state = state_of(m.idiag_state);
  if (!state) return false;
  SocketRecord& s = row.socket;
  s.tuple.local = {address_of(m.idiag_family, m.id.idiag_src), ntohs(m.id.idiag_sport)};
  s.tuple.remote = {address_of(m.idiag_family, m.id.idiag_dst), ntohs(m.id.idiag_dport)};
  s.state = *state;
  s.timer = timer_of(m.idiag_timer);
  s.compact = s.timer == TimerKind::TimeWait;
  s.v6_only = false;
  s.timer_remaining = std::chrono::milliseconds(m.idiag_expires);
  s.receive_queue = m.idiag_rqueue;
  s.send_queue = m.idiag_wqueue;
  s.uid = m.idiag_uid;
  s.inode = m.idiag_inode;
  s.cookie = std::uint64_t{m.id.idiag_cookie[1]} << 32 | m.id.idiag_cookie[0];
  if (s.cookie == ~std::uint64_t{0}) s.cookie = 0;  // INET_DIAG_NOCOOKIE
  row.bound_inactive = *state == TcpState::Closed;
  row.has_details = false;
  // A small record's row ends with the fixed part; only full sockets have attributes.
  if (!s.compact && payload.size() > NLMSG_ALIGN(sizeof m)) {
    read_attributes(payload.subspan(NLMSG_ALIGN(sizeof m)), row);
  }
  return true;
}

// What a message says of an error: a negated errno. Nothing else comes from a kernel.
int errno_of(std::int32_t error) {
  constexpr std::int32_t kMostErrno = 4095;  // MAX_ERRNO
  return error < 0 && error >= -kMostErrno ? -error : EPROTO;
}

}  // namespace

DiagParse parse_diag(std::span<const std::byte> datagram, std::uint32_t sequence,
                     const DiagVisitor& visit) {
  DiagParse result;
  DiagRow row;
  while (!datagram.empty()) {
    nlmsghdr header;
    if (datagram.size() < sizeof header) {
      return {DiagStatus::Failed, EBADMSG, result.interrupted};
    }
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) {
      return {DiagStatus::Failed, EBADMSG, result.interrupted};
    }
    const auto payload =
        datagram.subspan(NLMSG_HDRLEN, header.nlmsg_len - std::size_t{NLMSG_HDRLEN});
    datagram = datagram.subspan(
        std::min<std::size_t>(datagram.size(), NLMSG_ALIGN(std::size_t{header.nlmsg_len})));
    if (header.nlmsg_seq != sequence) continue;
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) result.interrupted = true;

    if (header.nlmsg_type == NLMSG_DONE) {
      // Since 4.12 a dump that failed midway says so in its last message.
      std::int32_t error = 0;
      if (payload.size() >= sizeof error) std::memcpy(&error, payload.data(), sizeof error);
      if (error < 0) return {DiagStatus::Failed, errno_of(error), result.interrupted};
      result.status = DiagStatus::Done;
      return result;
    }
    if (header.nlmsg_type == NLMSG_ERROR) {
      std::int32_t error = 0;
      if (payload.size() < sizeof error) return {DiagStatus::Failed, EBADMSG, result.interrupted};
      std::memcpy(&error, payload.data(), sizeof error);
      return {DiagStatus::Failed, errno_of(error), result.interrupted};
    }
    if (header.nlmsg_type < NLMSG_MIN_TYPE) continue;
    if (read_row(payload, row) && !visit(row)) {
      result.status = DiagStatus::Stopped;
      return result;
    }
  }
  return result;
}

Result<SockDiag> SockDiag::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return tl::unexpected(system_error(errno, "cannot open a sock_diag socket"));
  return SockDiag(std::move(fd));
}

Result<bool> SockDiag::dump_once(std::span<const std::byte> request, std::uint32_t sequence,
                                 const DiagVisitor& visit) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&kernel),
               sizeof kernel) < 0) {
    return tl::unexpected(system_error(errno, "cannot ask for a dump of TCP sockets"));
  }
  alignas(nlmsghdr) std::array<std::byte, kDatagram> buffer;
  bool interrupted = false;
  for (;;) {
    sockaddr_nl from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC,
                                    reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 0) {
      if (errno == EINTR) continue;
      return tl::unexpected(system_error(errno, "a dump of TCP sockets broke off"));
    }
    if (from.nl_pid != 0) continue;  // not from the kernel
    if (static_cast<std::size_t>(size) > buffer.size()) {
      return tl::unexpected(system_error(EMSGSIZE, "a dump of TCP sockets was cut"));
    }
    if (size == 0) return tl::unexpected(system_error(EPROTO, "a dump of TCP sockets ended early"));
    const DiagParse parsed =
        parse_diag({buffer.data(), static_cast<std::size_t>(size)}, sequence, visit);
    interrupted |= parsed.interrupted;
    switch (parsed.status) {
      case DiagStatus::More:
        continue;
      case DiagStatus::Done:
        return interrupted;
      case DiagStatus::Stopped:
        return true;
      case DiagStatus::Failed:
        return tl::unexpected(
            system_error(parsed.error, "the kernel refused a dump of TCP sockets"));
    }
  }
}

Result<bool> SockDiag::dump(const DiagRequest& request, const DiagVisitor& visit) {
  bool any = false;
  bool stopped = false;
  const DiagVisitor counting = [&](const DiagRow& row) {
    any = true;
    if (visit(row)) return true;
    stopped = true;
    return false;
  };
  // A dump given up midway leaves its rest in the socket, and the next request would get EBUSY.
  const auto renew = [&]() -> Result<void> {
    auto fresh = open();
    if (!fresh) return tl::unexpected(fresh.error());
    fd_ = std::move(fresh->fd_);
    return {};
  };
  if (both_families_at_once_) {
    const std::uint32_t sequence = ++sequence_;
    auto done = dump_once(request_for_both(request, sequence), sequence, counting);
    if (stopped) {
      if (auto renewed = renew(); !renewed) return tl::unexpected(renewed.error());
      return false;
    }
    if (done || any) return done;
    both_families_at_once_ =
        false;  // a kernel, or a filter of system calls, that knows only the newer
  }
  bool interrupted = false;
  for (const int family : {AF_INET, AF_INET6}) {
    const std::uint32_t sequence = ++sequence_;
    auto done = dump_once(request_for(static_cast<std::uint8_t>(family), request, sequence),
                          sequence, counting);
    if (stopped) {
      if (auto renewed = renew(); !renewed) return tl::unexpected(renewed.error());
      return false;
    }
    if (!done) {
      // No IPv6 in this kernel is no failure.
      if (family == AF_INET6 && (done.error().number == ENOENT || done.error().number == EINVAL))
        break;
      return done;
    }
    interrupted |= *done;
  }
  return interrupted;
}

}  // namespace lastack
