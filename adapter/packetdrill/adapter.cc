// The entry points: each takes the lock, brings the settings up to date, asks the host, and looks at what has
// come of it. A call that has to wait does so on the virtual clock.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "command_line.h"
#include "descriptors.h"
#include "imports.h"
#include "interface.h"
#include "lastack/host.h"
#include "options.h"
#include "script_settings.h"
#include "virtual_clock.h"
#include "wire/segmentation.h"
#include "wire/tcp_segment.h"

namespace lastack::packetdrill {
namespace {

constexpr int kMsgFastOpen = 0x20000000;
constexpr int kMsgZeroCopy = 0x4000000;
constexpr int kTcpCmInq = 36;  // TCP_CM_INQ

HostOptions host_options(const Flags& flags) {
  HostOptions options;
  options.name = "packetdrill";
  options.mtu = flags.mtu;
  // As Linux hands packets to a packet socket: cut later, by the device or just before it.
  options.gso_max_size = 65535;
  options.keep_time_wait_windows = true;
  options.rack_forgets_undone = true;
  // packetdrill reads its TUN device a packet behind.
  options.device_holds_last_packet = true;
  return options;
}

struct SentPacket {
  std::vector<std::byte> bytes;
  Instant at;
};

std::size_t total(const iovec* pieces, std::size_t count) {
  return std::accumulate(pieces, pieces + count, std::size_t{0},
                         [](std::size_t sum, const iovec& p) { return sum + p.iov_len; });
}

bool has_bad_pointer(const iovec* pieces, std::size_t count) {
  return std::any_of(pieces, pieces + count,
                     [](const iovec& p) { return p.iov_base == nullptr && p.iov_len > 0; });
}

class Adapter {
 public:
  explicit Adapter(const Flags& flags)
      : host_(host_options(flags)),
        descriptors_(host_),
        clock_([this] { return host_.next_deadline(); },
               [this](Instant now) {
                 host_.advance(now);
                 look();
               }) {
    if (flags.local) host_.add_address(*flags.local);
    learns_address_ = !flags.local;
  }

  bool owns(int fd) {
    const auto lock = clock_.lock();
    return descriptors_.find(fd) != nullptr;
  }

  // --- Calls on sockets: the answer, or a negated errno

  int socket(int domain, int type, int protocol) {
    const Call call(*this);
    constexpr int kTypeBits = 0xf;
    if (domain != AF_INET && domain != AF_INET6) return -EAFNOSUPPORT;
    if ((type & kTypeBits) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
    if (protocol != 0 && protocol != 6) return -EPROTONOSUPPORT;
    Descriptor d;
    d.family = domain == AF_INET ? Host::Family::V4 : Host::Family::V6;
    d.nonblocking = (type & SOCK_NONBLOCK) != 0;
    const auto opened = host_.open(d.family);
    if (!opened) return code(opened.error());
    d.socket = *opened;
    const int fd = descriptors_.open(std::move(d));
    return fd >= 0 ? fd : -errno;
  }

  int bind(int fd, const sockaddr* address, socklen_t length) {
    return on_socket(fd, [&](Descriptor& d) {
      const auto local = from_sockaddr(address, length);
      if (!local) return -EINVAL;
      if (learns_address_ && !local->address.is_unspecified()) host_.add_address(local->address);
      return done(host_.bind(d.socket, *local));
    });
  }

  int listen(int fd, int backlog) {
    return on_socket(fd, [&](Descriptor& d) { return done(host_.listen(d.socket, backlog)); });
  }

  int connect(int fd, const sockaddr* address, socklen_t length) {
    Call call(*this);
    Descriptor* d = descriptors_.find_socket(fd);
    if (d == nullptr) return -EBADF;
    const auto remote = from_sockaddr(address, length);
    if (!remote) return -EAFNOSUPPORT;
    const SocketId socket = d->socket;
    const auto began = host_.connect(socket, *remote, clock_.now());
    if (began || began.error() != Err::in_progress || d->nonblocking) return done(began);
    look();
    const auto over = [this, socket] {
      const TcpState state = host_.state(socket).value_or(TcpState::Closed);
      return state != TcpState::SynSent && state != TcpState::SynReceived;
    };
    if (!call.wait(over, d->send_timeout)) return -EINPROGRESS;
    const auto error = host_.take_error(socket);
    return error ? -static_cast<int>(*error) : code(error.error());
  }

  int accept(int fd, sockaddr* address, socklen_t* length) {
    Call call(*this);
    Descriptor* d = descriptors_.find_socket(fd);
    if (d == nullptr) return -EBADF;
    Outcome<SocketId> taken = tl::unexpected(Err::would_block);
    Endpoint remote;
    const auto attempt = [&, listener = d->socket] {
      taken = host_.accept(listener, &remote);
      return taken || taken.error() != Err::would_block;
    };
    if (d->nonblocking) {
      attempt();
    } else {
      call.wait(attempt, d->receive_timeout);
    }
    if (!taken) return code(taken.error());
    Descriptor child;
    child.socket = *taken;
    child.family = d->family;
    child.tells_unread = d->tells_unread;
    child.remembered = d->remembered;
    child.errors.zero_copy = d->errors.zero_copy;
    child.errors.stamps = d->errors.stamps;
    to_sockaddr(remote, d->family, address, length);
    const int made = descriptors_.open(std::move(child));
    return made >= 0 ? made : -errno;
  }

  ssize_t receive(int fd, const iovec* pieces, std::size_t count, int flags,
                  int* unread = nullptr) {
    Call call(*this);
    Descriptor* d = descriptors_.find_socket(fd);
    if (d == nullptr) return -EBADF;
    if ((flags & MSG_ERRQUEUE) != 0) {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(pieces);
      message.msg_iovlen = count;
      return d->errors.take(message, d->family);
    }
    if ((flags & MSG_OOB) != 0) {
      const auto urgent = host_.read_urgent(d->socket, clock_.now(), (flags & MSG_PEEK) != 0);
      if (!urgent) return -static_cast<int>(urgent.error());
      if (total(pieces, count) == 0) return 0;
      if (has_bad_pointer(pieces, count)) return -EFAULT;
      for (std::size_t i = 0; i < count; ++i) {
        if (pieces[i].iov_len == 0) continue;
        *static_cast<std::byte*>(pieces[i].iov_base) = *urgent;
        break;
      }
      return 1;
    }
    const bool discard = (flags & MSG_TRUNC) != 0;
    if (!discard && has_bad_pointer(pieces, count)) return -EFAULT;
    const bool peek = (flags & MSG_PEEK) != 0;
    const std::size_t size = total(pieces, count);
    const std::size_t enough = (flags & MSG_WAITALL) != 0 && !peek ? size : 1;
    std::vector<std::byte> bytes(size);
    std::size_t have = 0;
    Err error = Err::none;
    const auto attempt = [&, socket = d->socket] {
      for (;;) {
        const auto n = host_.read(socket, std::span(bytes).subspan(have), clock_.now(), peek);
        error = n ? Err::none : n.error();
        if (!n) return n.error() != Err::would_block;
        have += *n;
        if (*n == 0 || have >= enough) return true;
      }
    };
    if (d->nonblocking || (flags & MSG_DONTWAIT) != 0) {
      attempt();
    } else {
      call.wait(attempt, d->receive_timeout);
    }
    if (have == 0 && error != Err::none) return code(error);
    if (unread != nullptr && d->tells_unread) *unread = told_unread(*d);
    std::size_t at = 0;
    for (std::size_t i = 0; i < count && at < have && !discard; ++i) {
      const std::size_t n = std::min(pieces[i].iov_len, have - at);
      if (n > 0) std::memcpy(pieces[i].iov_base, bytes.data() + at, n);
      at += n;
    }
    return static_cast<ssize_t>(have);
  }

  ssize_t receive_message(int fd, msghdr* message, int flags) {
    if (message == nullptr) return -EFAULT;
    if ((flags & MSG_ERRQUEUE) != 0) {
      const Call call(*this);
      Descriptor* d = descriptors_.find_socket(fd);
      return d == nullptr ? -EBADF : d->errors.take(*message, d->family);
    }
    int unread = -1;
    const ssize_t n = receive(fd, message->msg_iov, message->msg_iovlen, flags, &unread);
    if (n < 0) return n;
    message->msg_flags = 0;
    message->msg_namelen = 0;
    const std::size_t room = message->msg_controllen;
    message->msg_controllen = 0;
    if (unread < 0 || message->msg_control == nullptr) return n;
    if (room < CMSG_SPACE(sizeof unread)) {
      message->msg_flags |= MSG_CTRUNC;
      return n;
    }
    message->msg_controllen = CMSG_SPACE(sizeof unread);
    cmsghdr* control = CMSG_FIRSTHDR(message);
    control->cmsg_level = 6;
    control->cmsg_type = kTcpCmInq;
    control->cmsg_len = CMSG_LEN(sizeof unread);
    std::memcpy(CMSG_DATA(control), &unread, sizeof unread);
    return n;
  }

  ssize_t send(int fd, const iovec* pieces, std::size_t count, int flags) {
    Call call(*this);
    Descriptor* d = descriptors_.find_socket(fd);
    if (d == nullptr) return -EBADF;
    if ((flags & kMsgFastOpen) != 0) return -EOPNOTSUPP;
    if (has_bad_pointer(pieces, count)) return -EFAULT;
    const std::size_t size = total(pieces, count);
    std::vector<std::byte> bytes;
    bytes.reserve(size);
    for (std::size_t i = 0; i < count; ++i) {
      const auto* begin = static_cast<const std::byte*>(pieces[i].iov_base);
      bytes.insert(bytes.end(), begin, begin + pieces[i].iov_len);
    }
    return send_bytes(call, *d, bytes, flags, zero_copy_ends(*d, pieces, count, flags));
  }

  int shutdown(int fd, int how) {
    return on_socket(fd, [&](Descriptor& d) {
      if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
      const ShutdownHow what = how == SHUT_RD   ? ShutdownHow::Read
                               : how == SHUT_WR ? ShutdownHow::Write
                                                : ShutdownHow::Both;
      return done(host_.shutdown(d.socket, what, clock_.now()));
    });
  }

  int close(int fd) {
    Call call(*this);
    const Descriptor* d = descriptors_.find(fd);
    if (d == nullptr) return -EBADF;
    if (!d->is_epoll) linger(call, d->socket);
    const int answer = d->is_epoll ? 0 : done(host_.close(d->socket, clock_.now()));
    descriptors_.forget(fd);
    // Not ::close(): that may be ours as well (preload.cc).
    ::syscall(SYS_close, fd);
    return answer;
  }

  int set_option(int fd, int level, int option, const void* value, socklen_t length) {
    return on_socket(fd, [&](Descriptor& d) {
      return packetdrill::set_option(host_, d, level, option, value, length, clock_.now(),
                                     settings_.congestion_control());
    });
  }

  int get_option(int fd, int level, int option, void* value, socklen_t* length) {
    return on_socket(fd, [&](Descriptor& d) {
      return packetdrill::get_option(host_, d, level, option, value, length, clock_.now(),
                                     settings_.congestion_control());
    });
  }

  int control(int fd, int command, int argument) {
    return on_socket(fd, [&](Descriptor& d) {
      switch (command) {
        case F_GETFL:
          return O_RDWR | (d.nonblocking ? O_NONBLOCK : 0);
        case F_SETFL:
          d.nonblocking = (argument & O_NONBLOCK) != 0;
          return 0;
        case F_GETFD:
          return 0;
        case F_SETFD:
          return 0;
        default:
          return -EINVAL;
      }
    });
  }

  int io_control(int fd, unsigned long request, int* value) {
    return on_socket(fd, [&](Descriptor& d) {
      if (value == nullptr) return -EFAULT;
      switch (request) {
        case FIONREAD: {  // SIOCINQ
          if (host_.state(d.socket).value_or(TcpState::Closed) == TcpState::Listen) return -EINVAL;
          const auto n = host_.unread(d.socket);
          *value = n ? static_cast<int>(*n) : 0;
          return 0;
        }
        case TIOCOUTQ: {  // SIOCOUTQ
          const auto n = host_.unacknowledged(d.socket);
          if (!n) return code(n.error());
          *value = static_cast<int>(*n);
          return 0;
        }
        case FIONBIO:
          d.nonblocking = *value != 0;
          return 0;
        default:
          return -ENOTTY;
      }
    });
  }

  int splice(int in, int out, std::size_t size, unsigned flags) {
    Call call(*this);
    constexpr std::size_t kMost = 65536;  // what a pipe has room for
    std::vector<std::byte> bytes(std::min(size, kMost));
    Descriptor* from = descriptors_.find_socket(in);
    Descriptor* to = descriptors_.find_socket(out);
    constexpr unsigned kNonBlocking = 2;  // SPLICE_F_NONBLOCK
    if (from != nullptr && to == nullptr) {
      Outcome<std::size_t> n = tl::unexpected(Err::would_block);
      // At an urgent byte there is nothing to take, and nothing to wait for.
      if (host_.readiness(from->socket).urgent && host_.unread(from->socket).value_or(1) == 0)
        return 0;
      const auto attempt = [&, socket = from->socket] {
        n = host_.read(socket, bytes, clock_.now());
        return n || n.error() != Err::would_block;
      };
      if (from->nonblocking || (flags & kNonBlocking) != 0) {
        attempt();
      } else {
        call.wait(attempt, from->receive_timeout);
      }
      if (!n) return code(n.error());
      return *n == 0 ? 0 : static_cast<int>(::write(out, bytes.data(), *n));
    }
    if (to != nullptr && from == nullptr) {
      const ssize_t n = ::read(in, bytes.data(), bytes.size());
      if (n <= 0) return n == 0 ? 0 : -errno;
      return static_cast<int>(
          send_bytes(call, *to, std::span(bytes).first(static_cast<std::size_t>(n)), 0));
    }
    return from != nullptr ? -EINVAL : -EBADF;
  }

  ssize_t send_file(int out, int in, off_t* at, std::size_t size) {
    Call call(*this);
    Descriptor* d = descriptors_.find_socket(out);
    if (d == nullptr) return -EBADF;
    std::vector<std::byte> bytes(size);
    const ssize_t n =
        at != nullptr ? ::pread(in, bytes.data(), size, *at) : ::read(in, bytes.data(), size);
    if (n <= 0) return n == 0 ? 0 : -errno;
    const ssize_t sent =
        send_bytes(call, *d, std::span(bytes).first(static_cast<std::size_t>(n)), 0);
    if (at != nullptr && sent > 0) *at += sent;
    return sent;
  }

  // --- Waiting for several

  int poll(pollfd* fds, nfds_t count, int timeout_ms) {
    Call call(*this);
    int ready = 0;
    const auto attempt = [&] {
      ready = 0;
      for (nfds_t i = 0; i < count; ++i) {
        fds[i].revents = 0;
        if (fds[i].fd < 0) continue;
        const Descriptor* d = descriptors_.find_socket(fds[i].fd);
        const std::uint32_t bits =
            d == nullptr ? std::uint32_t{POLLNVAL}
                         : descriptors_.ready(*d) &
                               (static_cast<std::uint16_t>(fds[i].events) | POLLERR | POLLHUP);
        fds[i].revents = static_cast<short>(bits);
        if (bits != 0) ++ready;
      }
      return ready > 0;
    };
    call.wait_ms(attempt, timeout_ms);
    return ready;
  }

  int epoll_create(int size) {
    const Call call(*this);
    if (size <= 0) return -EINVAL;
    Descriptor d;
    d.is_epoll = true;
    const int fd = descriptors_.open(std::move(d));
    return fd >= 0 ? fd : -errno;
  }

  int epoll_control(int set, int what, int fd, const epoll_event* event) {
    const Call call(*this);
    return descriptors_.control(set, what, fd, event);
  }

  int epoll_wait(int set, epoll_event* events, int most, int timeout_ms) {
    Call call(*this);
    Descriptor* d = descriptors_.find_epoll(set);
    if (d == nullptr) return descriptors_.find(set) != nullptr ? -EINVAL : -EBADF;
    if (most <= 0) return -EINVAL;
    int count = 0;
    const auto attempt = [&] {
      count = descriptors_.collect(*d, events, most);
      return count > 0;
    };
    call.wait_ms(attempt, timeout_ms);
    return count;
  }

  // --- Packets and time

  void packet_in(const void* packet, std::size_t size) {
    const Call call(*this);
    host_.receive({static_cast<const std::byte*>(packet), size}, clock_.now());
  }

  std::size_t packet_out(void* packet, std::size_t room, long long* sent_us) {
    auto lock = clock_.lock();
    settings_.refresh(host_);
    const Instant limit = clock_.now() + VirtualClock::kLongestSilence;
    while (sent_.empty()) {
      if (!clock_.pass_to_next(lock, limit)) return 0;
    }
    const SentPacket& first = sent_.front();
    const std::size_t size = std::min(room, first.bytes.size());
    std::memcpy(packet, first.bytes.data(), size);
    *sent_us = first.at.time_since_epoch() / 1us;
    sent_.pop_front();
    return size;
  }

  void sleep(Duration how_long) {
    auto lock = clock_.lock();
    settings_.refresh(host_);
    clock_.let_return(lock);
    clock_.pass_until(lock, clock_.now() + how_long);
  }

  Instant tell_time() {
    auto lock = clock_.lock();
    return clock_.tell(lock);
  }

 private:
  // One call of the script, from entry to return.
  class Call {
   public:
    explicit Call(Adapter& adapter) : adapter_(adapter), lock_(adapter.clock_.lock()) {
      adapter_.settings_.refresh(adapter_.host_);
    }
    ~Call() {
      adapter_.look();
      adapter_.clock_.settle(lock_);
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // `limit` 0: none.
    bool wait(const std::function<bool()>& attempt, Duration limit) {
      return adapter_.clock_.wait(
          lock_, looking(attempt),
          limit == Duration{} ? Instant::max() : adapter_.clock_.now() + limit);
    }
    // As poll() has it: 0 does not wait, less than 0 waits for ever.
    bool wait_ms(const std::function<bool()>& attempt, int limit) {
      return adapter_.clock_.wait(
          lock_, attempt,
          limit < 0 ? Instant::max() : adapter_.clock_.now() + std::chrono::milliseconds(limit));
    }

   private:
    // What an attempt sends leaves at that moment.
    std::function<bool()> looking(const std::function<bool()>& attempt) {
      return [this, attempt] {
        const bool over = attempt();
        adapter_.look();
        return over;
      };
    }

    Adapter& adapter_;
    VirtualClock::Lock lock_;
  };

  static int code(Err error) { return -static_cast<int>(error); }
  static int done(const Outcome<void>& outcome) { return outcome ? 0 : code(outcome.error()); }

  template <class F>
  int on_socket(int fd, F&& what) {
    const Call call(*this);
    Descriptor* d = descriptors_.find_socket(fd);
    if (d == nullptr) return descriptors_.find(fd) != nullptr ? -ENOTSOCK : -EBADF;
    return what(*d);
  }

  // close() waits for as long as SO_LINGER says, or until the peer has all and the FIN (Linux: sk_stream_wait_close).
  void linger(Call& call, SocketId socket) {
    const int seconds = host_.option(socket, Option::linger).value_or(-1);
    if (seconds <= 0 || host_.unread(socket).value_or(0) > 0) return;
    if (!host_.shutdown(socket, ShutdownHow::Both, clock_.now())) return;
    const auto is_over = [&] {
      const TcpState state = host_.state(socket).value_or(TcpState::Closed);
      return state != TcpState::FinWait1 && state != TcpState::Closing &&
             state != TcpState::LastAck;
    };
    call.wait(is_over, std::chrono::seconds(seconds));
  }

  // What is not copied stays where it is, page by page, and a packet names 17 places at most (Linux: MAX_SKB_FRAGS):
  // where those end that the user's pages fill.
  static std::vector<std::size_t> zero_copy_ends(const Descriptor& d, const iovec* pieces,
                                                 std::size_t count, int flags) {
    std::vector<std::size_t> ends;
    if ((flags & kMsgZeroCopy) == 0 || !d.errors.zero_copy) return ends;
    constexpr std::uintptr_t kPage = 4096;
    constexpr int kMostPlaces = 17;
    int places = 0;
    std::size_t at = 0;
    std::uintptr_t last_end = 0;
    for (std::size_t i = 0; i < count; ++i) {
      auto from = reinterpret_cast<std::uintptr_t>(pieces[i].iov_base);
      for (const std::uintptr_t end = from + pieces[i].iov_len; from < end;) {
        const std::uintptr_t next = std::min((from / kPage + 1) * kPage, end);
        if (from != last_end && ++places > kMostPlaces) {
          ends.push_back(at);
          places = 1;
        } else if (from == last_end && from % kPage == 0 && ++places > kMostPlaces) {
          ends.push_back(at);
          places = 1;
        }
        at += next - from;
        from = last_end = next;
      }
    }
    return ends;
  }

  // `ends`: where a packet has to end, in order.
  ssize_t send_bytes(Call& call, Descriptor& d, std::span<const std::byte> bytes, int flags,
                     const std::vector<std::size_t>& ends = {}) {
    const bool urgent = (flags & MSG_OOB) != 0;
    const bool more = (flags & MSG_MORE) != 0;
    const bool record = (flags & MSG_EOR) != 0;
    const bool zero_copy = (flags & kMsgZeroCopy) != 0 && d.errors.zero_copy;
    const bool watched = zero_copy || d.errors.stamps != 0;
    const ErrorQueue::Progress before =
        watched ? progress_of(host_, d, clock_.now()) : ErrorQueue::Progress{};
    std::size_t sent = 0;
    auto end = ends.begin();
    bool stamped = false;
    if (zero_copy && !bytes.empty()) d.errors.begin_zero_copy();
    Err error = Err::none;
    bool first = true;
    const auto attempt = [&, socket = d.socket] {
      // One who has found no room comes back when he is told of it, not with every byte that gets free.
      if (!std::exchange(first, false) && !host_.readiness(socket).writable) return false;
      do {
        const bool cut = end != ends.end();
        const std::size_t most = (cut ? *end : bytes.size()) - sent;
        const auto n = host_.write(socket, bytes.subspan(sent, most), clock_.now(), urgent, more,
                                   record || cut);
        error = n ? Err::none : n.error();
        if (!n) return n.error() != Err::would_block;
        sent += *n;
        d.errors.wrote(*n, zero_copy, before);
        if (cut && sent == *end) ++end;
      } while (sent < bytes.size());
      // Before what has been written leaves.
      if (sent > 0 && !std::exchange(stamped, true)) d.errors.stamp(before);
      return true;
    };
    if (d.nonblocking || (flags & MSG_DONTWAIT) != 0) {
      attempt();
    } else {
      call.wait(attempt, d.send_timeout);
    }
    if (sent > 0 && !stamped) d.errors.stamp(before);
    return sent == 0 && error != Err::none ? code(error) : static_cast<ssize_t>(sent);
  }

  // Linux tells at least 1 once the end has arrived, so that a reader comes for it (tcp_inq_hint).
  int told_unread(const Descriptor& d) const {
    const int n = static_cast<int>(host_.unread(d.socket).value_or(0));
    return n == 0 && host_.readiness(d.socket).read_hung_up ? 1 : n;
  }

  // After anything has happened: packets that it caused, and who is to be told.
  void look() {
    for (auto packet = host_.next_packet(); !packet.empty(); packet = host_.next_packet()) {
      note_leaving(packet);
      const std::uint16_t piece = settings_.cuts() ? host_.segment_size() : std::uint16_t{0};
      if (piece == 0) {
        sent_.push_back({{packet.begin(), packet.end()}, clock_.now()});
        continue;
      }
      for (Segmentation cut(packet, piece); !cut.done();) {
        std::vector<std::byte> bytes(cut.length());
        cut.write(bytes.data());
        sent_.push_back({std::move(bytes), clock_.now()});
      }
    }
    descriptors_.take_events();
    descriptors_.for_each_socket([&](int fd, Descriptor& d) {
      if (!d.errors.waits()) return;
      if (d.errors.look(progress_of(host_, d, clock_.now()), clock_.now())) descriptors_.note(fd);
    });
  }

  // Who wants to know when bytes leave is told by number of byte.
  void note_leaving(std::span<const std::byte> packet) {
    const auto ip = parse_ip(packet);
    if (!ip || ip->header.protocol != kProtocolTcp) return;
    const auto segment = parse_tcp(ip->payload, ip->header, Checksum::Trust);
    if (!segment) return;
    const FourTuple tuple{{ip->header.source, segment->source},
                          {ip->header.destination, segment->destination}};
    if (segment->syn()) first_bytes_[tuple] = segment->seq + 1;
    if (segment->payload.empty()) return;
    const auto first = first_bytes_.find(tuple);
    if (first == first_bytes_.end()) return;
    descriptors_.for_each_socket([&](int, Descriptor& d) {
      if (!d.errors.wants_packets()) return;
      const auto local = host_.local(d.socket);
      const auto remote = host_.remote(d.socket);
      if (!local || !remote || *local != tuple.local || *remote != tuple.remote) return;
      const SeqNum seq = segment->syn() ? segment->seq + 1 : segment->seq;
      d.errors.left(static_cast<std::uint32_t>(seq - first->second), segment->payload.size(),
                    packet, clock_.now());
    });
  }

  Host host_;
  Descriptors descriptors_;
  ScriptSettings settings_;
  bool learns_address_ = false;  // no option of packetdrill has named one
  std::deque<SentPacket> sent_;
  std::map<FourTuple, SeqNum> first_bytes_;  // of what is sent
  VirtualClock clock_;
};

// One at a time: packetdrill loads the library for one script.
Adapter* adapter = nullptr;

template <class T>
T answer(T value) {
  if (value >= 0) return value;
  errno = static_cast<int>(-value);
  return -1;
}

Adapter& of(void* self) {
  return *static_cast<Adapter*>(self);
}

// Not lambdas: those cannot have a variable number of arguments in GCC.
int fcntl_of(void* self, int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const int argument = va_arg(arguments, int);
  va_end(arguments);
  if (!of(self).owns(fd)) return ::fcntl(fd, command, argument);
  return answer(of(self).control(fd, command, argument));
}

int ioctl_of(void* self, int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  int* value = va_arg(arguments, int*);
  va_end(arguments);
  return answer(of(self).io_control(fd, request, value));
}

}  // namespace

// --- Called by imports.cc: whether the descriptor was ours, and the answer

bool intercept_getsockopt(int fd, int level, int option, void* value, socklen_t* length,
                          int& result) {
  if (adapter == nullptr || !adapter->owns(fd)) return false;
  result = answer(adapter->get_option(fd, level, option, value, length));
  return true;
}

bool intercept_close(int fd, int& result) {
  if (adapter == nullptr || !adapter->owns(fd)) return false;
  result = answer(adapter->close(fd));
  return true;
}

bool intercept_sendfile(int out, int in, off_t* at, size_t size, ssize_t& result) {
  if (adapter == nullptr || !adapter->owns(out)) return false;
  result = answer(adapter->send_file(out, in, at, size));
  return true;
}

}  // namespace lastack::packetdrill

using lastack::packetdrill::Adapter;
using lastack::packetdrill::answer;
using lastack::packetdrill::fcntl_of;
using lastack::packetdrill::ioctl_of;
using lastack::packetdrill::of;

void packetdrill_interface_init(const char* so_flags, PacketdrillTable* table) {
  lastack::packetdrill::adapter = new Adapter(lastack::packetdrill::read_flags(so_flags));
  lastack::packetdrill::redirect_imports();
  table->self = lastack::packetdrill::adapter;
  // Kept until the process ends, which is soon: a thread may still be asleep in it.
  table->release = [](void*) { lastack::packetdrill::adapter = nullptr; };

  table->socket = [](void* self, int domain, int type, int protocol) {
    return answer(of(self).socket(domain, type, protocol));
  };
  table->bind = [](void* self, int fd, const sockaddr* address, socklen_t length) {
    return answer(of(self).bind(fd, address, length));
  };
  table->listen = [](void* self, int fd, int backlog) {
    return answer(of(self).listen(fd, backlog));
  };
  table->accept = [](void* self, int fd, sockaddr* address, socklen_t* length) {
    return answer(of(self).accept(fd, address, length));
  };
  table->connect = [](void* self, int fd, const sockaddr* address, socklen_t length) {
    return answer(of(self).connect(fd, address, length));
  };

  table->read = [](void* self, int fd, void* buffer, size_t size) {
    if (!of(self).owns(fd)) return ::read(fd, buffer, size);
    if (size == 0) return ssize_t{0};
    const iovec piece{buffer, size};
    return answer(of(self).receive(fd, &piece, 1, 0));
  };
  table->readv = [](void* self, int fd, const iovec* pieces, int count) {
    if (count < 0) return answer(ssize_t{-EINVAL});
    return answer(of(self).receive(fd, pieces, static_cast<size_t>(count), 0));
  };
  table->recv = [](void* self, int fd, void* buffer, size_t size, int flags) {
    const iovec piece{buffer, size};
    return answer(of(self).receive(fd, &piece, 1, flags));
  };
  table->recvfrom = [](void* self, int fd, void* buffer, size_t size, int flags, sockaddr*,
                       socklen_t* length) {
    const iovec piece{buffer, size};
    const ssize_t n = of(self).receive(fd, &piece, 1, flags);
    if (n >= 0 && length != nullptr) *length = 0;  // as Linux for TCP
    return answer(n);
  };
  table->recvmsg = [](void* self, int fd, msghdr* message, int flags) {
    return answer(of(self).receive_message(fd, message, flags));
  };

  table->write = [](void* self, int fd, const void* buffer, size_t size) {
    if (!of(self).owns(fd)) return ::write(fd, buffer, size);
    const iovec piece{const_cast<void*>(buffer), size};
    return answer(of(self).send(fd, &piece, 1, 0));
  };
  table->writev = [](void* self, int fd, const iovec* pieces, int count) {
    if (count < 0) return answer(ssize_t{-EINVAL});
    return answer(of(self).send(fd, pieces, static_cast<size_t>(count), 0));
  };
  table->send = [](void* self, int fd, const void* buffer, size_t size, int flags) {
    const iovec piece{const_cast<void*>(buffer), size};
    return answer(of(self).send(fd, &piece, 1, flags));
  };
  // The address does not matter to a connected socket; packetdrill always gives one.
  table->sendto = [](void* self, int fd, const void* buffer, size_t size, int flags,
                     const sockaddr*, socklen_t) {
    const iovec piece{const_cast<void*>(buffer), size};
    return answer(of(self).send(fd, &piece, 1, flags));
  };
  table->sendmsg = [](void* self, int fd, const msghdr* message, int flags) {
    if (message == nullptr) return answer(ssize_t{-EFAULT});
    return answer(of(self).send(fd, message->msg_iov, message->msg_iovlen, flags));
  };

  table->fcntl = fcntl_of;
  table->ioctl = ioctl_of;
  table->close = [](void* self, int fd) {
    if (!of(self).owns(fd)) return static_cast<int>(::syscall(SYS_close, fd));
    return answer(of(self).close(fd));
  };
  table->shutdown = [](void* self, int fd, int how) { return answer(of(self).shutdown(fd, how)); };
  table->getsockopt = [](void* self, int fd, int level, int option, void* value,
                         socklen_t* length) {
    return answer(of(self).get_option(fd, level, option, value, length));
  };
  table->setsockopt = [](void* self, int fd, int level, int option, const void* value,
                         socklen_t length) {
    return answer(of(self).set_option(fd, level, option, value, length));
  };
  table->poll = [](void* self, pollfd* fds, nfds_t count, int timeout_ms) {
    return answer(of(self).poll(fds, count, timeout_ms));
  };

  table->netdev_send = [](void* self, const void* packet, size_t size) {
    of(self).packet_in(packet, size);
    return 0;
  };
  table->netdev_receive = [](void* self, void* packet, size_t* size, long long* sent_us) {
    *size = of(self).packet_out(packet, *size, sent_us);
    return 0;
  };
  table->usleep = [](void* self, useconds_t us) {
    of(self).sleep(std::chrono::microseconds(us));
    return 0;
  };
  table->gettimeofday = [](void* self, timeval* now, struct timezone*) {
    const lastack::Duration since = of(self).tell_time().time_since_epoch();
    now->tv_sec = since / std::chrono::seconds(1);
    now->tv_usec = since % std::chrono::seconds(1) / std::chrono::microseconds(1);
    return 0;
  };

  table->epoll_create = [](void* self, int size) { return answer(of(self).epoll_create(size)); };
  table->epoll_ctl = [](void* self, int set, int what, int fd, epoll_event* event) {
    return answer(of(self).epoll_control(set, what, fd, event));
  };
  table->epoll_wait = [](void* self, int set, epoll_event* events, int most, int timeout_ms) {
    return answer(of(self).epoll_wait(set, events, most, timeout_ms));
  };
  table->pipe = [](void*, int fds[2]) { return ::pipe(fds); };
  table->splice = [](void* self, int in, loff_t*, int out, loff_t*, size_t size, unsigned flags) {
    return answer(of(self).splice(in, out, size, flags));
  };
}
