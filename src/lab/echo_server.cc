#include "lab/echo_server.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "lab/clock.h"
#include "lab/epoll_watch.h"

namespace lastack {
namespace {

constexpr std::uint64_t kListener = std::uint64_t{1} << 32;
constexpr Duration kPause = 100ms;

bool watch(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t mark) {
  return epoll_watch(epoll, operation, fd, events, mark | static_cast<std::uint32_t>(fd));
}

}  // namespace

Result<EchoServer> EchoServer::start(const ServerOptions& options) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return tl::unexpected(system_error(errno, "cannot make an epoll descriptor"));
  EchoServer server(options, std::move(epoll));
  for (const Endpoint& local : options.listen_on) {
    auto listener = start_listen(local, options.backlog);
    if (!listener) return tl::unexpected(std::move(listener.error()));
    if (options.accepts &&
        !watch(server.epoll_.get(), EPOLL_CTL_ADD, listener->get(), EPOLLIN, kListener)) {
      return tl::unexpected(system_error(errno, "cannot watch a listener"));
    }
    server.listeners_.push_back(*std::move(listener));
  }
  return server;
}

void EchoServer::arm_listeners(bool armed) {
  if (armed == armed_ || !options_.accepts) return;
  armed_ = armed;
  for (const UniqueFd& listener : listeners_) {
    watch(epoll_.get(), EPOLL_CTL_MOD, listener.get(), armed ? EPOLLIN : 0U, kListener);
  }
}

void EchoServer::poll(Duration longest) {
  if (!armed_) {
    const Instant now = monotonic_now();
    if (now >= rearm_at_) {
      arm_listeners(true);
    } else {
      longest = std::min(longest, rearm_at_ - now);
    }
  }
  std::array<epoll_event, 256> events;
  for (const epoll_event& event : epoll_collect(epoll_.get(), events, longest)) {
    const std::uint64_t data = event.data.u64;
    const int fd = static_cast<int>(data & 0xffffffff);
    if ((data & kListener) != 0) {
      accept_from(fd);
    } else {
      answer(fd);
    }
  }
}

void EchoServer::serve() {
  for (;;) poll(1s);
}

void EchoServer::accept_from(int listener) {
  for (int i = 0; i < 256; ++i) {  // then let the others have their turn
    UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EAGAIN || errno == EINTR) return;
      ++counts_.errors[errno];
      if (errno == ECONNABORTED) continue;
      // Mostly EMFILE. The listener stays readable, and waiting on it would be a busy loop.
      rearm_at_ = monotonic_now() + kPause;
      arm_listeners(false);
      return;
    }
    const int number = fd.get();
    const auto slot = static_cast<std::size_t>(number);
    if (connections_.size() <= slot) {
      connections_.resize(slot + 1);
      replied_.resize(slot + 1);
    }
    if (!watch(epoll_.get(), EPOLL_CTL_ADD, number, EPOLLIN | EPOLLRDHUP, 0)) {
      ++counts_.errors[errno];
      continue;
    }
    connections_[slot] = std::move(fd);
    replied_[slot] = false;
    ++counts_.accepted;
    ++counts_.open;
  }
}

void EchoServer::answer(int fd) {
  const auto slot = static_cast<std::size_t>(fd);
  std::array<char, 512> bytes;
  const ssize_t length = recv(fd, bytes.data(), bytes.size(), 0);
  if (length < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    ++counts_.errors[errno];
    drop(fd, CloseHow::Close);
    return;
  }
  if (length == 0) {
    if (options_.closes == ServerOptions::Closes::Never) {
      // Forgotten: no longer watched, never closed.
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    } else {
      drop(fd, replied_[slot] ? CloseHow::Close : options_.how);
    }
    return;
  }
  if (replied_[slot] && options_.closes == ServerOptions::Closes::AfterReply) return;
  if (send(fd, bytes.data(), static_cast<std::size_t>(length), MSG_NOSIGNAL) != length) {
    ++counts_.errors[errno];
    drop(fd, CloseHow::Close);
    return;
  }
  ++counts_.replies;
  if (options_.closes != ServerOptions::Closes::AfterReply) return;
  if (options_.how == CloseHow::Shutdown) {
    replied_[slot] = true;
    shutdown(fd, SHUT_WR);
  } else {
    drop(fd, options_.how);
  }
}

void EchoServer::drop(int fd, CloseHow how) {
  close_socket(std::move(connections_[static_cast<std::size_t>(fd)]), how);
  ++counts_.closed;
  --counts_.open;
}

}  // namespace lastack
