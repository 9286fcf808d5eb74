// A connection for every request (workload.h).
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lab/clock.h"
#include "lab/epoll_watch.h"
#include "lab/workload.h"

namespace lastack {
namespace {

int pending_error(int fd) {
  int number = 0;
  socklen_t length = sizeof number;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &length) != 0) return errno;
  return number;
}

}  // namespace

Result<ShortConnections> ShortConnections::start(const LoadOptions& options) {
  if (!(options.rate > 0)) return failure("a load needs a rate above 0");
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return tl::unexpected(system_error(errno, "cannot make an epoll descriptor"));
  return ShortConnections(options, std::move(epoll));
}

LoadCounts ShortConnections::run_for(Duration length) {
  LoadCounts counts;
  Instant now = monotonic_now();
  const Instant stop = now + length;
  if (!running_) schedule_.start(now);
  running_ = true;
  while (now < stop) {
    begin_due(now, counts);
    Instant wake = stop;
    if (begun_ < options_.most && in_flight_ < options_.most_at_once) {
      wake = std::min(wake, schedule_.next_due());
    }
    if (!limits_.empty()) wake = std::min(wake, limits_.front().at);
    handle_events(wake - monotonic_now(), counts);
    now = monotonic_now();
    time_out(now, counts);
  }
  return counts;
}

LoadCounts ShortConnections::finish() {
  LoadCounts counts;
  while (in_flight_ > 0) {
    const Instant now = monotonic_now();
    time_out(now, counts);
    handle_events(limits_.empty() ? 100ms : limits_.front().at - now, counts);
  }
  return counts;
}

void ShortConnections::begin_due(Instant now, LoadCounts& counts) {
  // A bound on one turn: events have to be looked at in between however late the schedule is.
  for (int i = 0; i < 256; ++i) {
    if (begun_ >= options_.most || in_flight_ >= options_.most_at_once) return;
    const Instant due = schedule_.next_due();
    if (due > now) return;
    schedule_.advance();
    begin(due, counts);
  }
}

void ShortConnections::begin(Instant due, LoadCounts& counts) {
  ++counts.offered;
  KernelConnectOptions where = options_.connect;
  const std::size_t destinations = options_.further_destinations.size() + 1;
  if (const std::size_t i = begun_ % destinations; i > 0) {
    where.destination = options_.further_destinations[i - 1];
  }
  ++begun_;
  const Instant before = monotonic_now();
  auto fd = start_connect(where);
  counts.connect_call.add(monotonic_now() - before);
  if (!fd) {
    ++counts.failed;
    ++counts.errors[fd.error().number];
    return;
  }
  const int number = fd->get();
  const auto slot = static_cast<std::size_t>(number);
  if (connections_.size() <= slot) connections_.resize(slot + 1);
  Connection& connection = connections_[slot];
  connection.fd = *std::move(fd);
  connection.stage = Stage::Connecting;
  ++connection.turn;
  connection.due = due;
  connection.begun = before;
  ++in_flight_;
  limits_.push_back({before + options_.timeout, number, connection.turn});
  if (!epoll_watch(epoll_.get(), EPOLL_CTL_ADD, number, EPOLLOUT, slot)) {
    fail(connection, errno, counts);
  }
}

void ShortConnections::handle_events(Duration longest, LoadCounts& counts) {
  std::array<epoll_event, 256> events;
  for (const epoll_event& event : epoll_collect(epoll_.get(), events, longest)) {
    handle(connections_[event.data.u64], event.events, counts);
  }
}

void ShortConnections::handle(Connection& connection, std::uint32_t events, LoadCounts& counts) {
  const int fd = connection.fd.get();
  if (connection.stage == Stage::Connecting) {
    if (const int number = pending_error(fd); number != 0) return fail(connection, number, counts);
    if ((events & EPOLLOUT) == 0) return;
    counts.connected.add(monotonic_now() - connection.begun);
    const char request = '?';
    if (send(fd, &request, 1, MSG_NOSIGNAL) != 1) return fail(connection, errno, counts);
    connection.stage = Stage::Asked;
    epoll_watch(epoll_.get(), EPOLL_CTL_MOD, fd, EPOLLIN, static_cast<std::uint64_t>(fd));
    return;
  }
  std::array<char, 64> bytes;
  const ssize_t length = recv(fd, bytes.data(), bytes.size(), 0);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  switch (connection.stage) {
    case Stage::Asked:
      if (length < 0) return fail(connection, errno, counts);
      if (length == 0) return fail(connection, kNoAnswer, counts);
      return got_answer(connection, counts);
    case Stage::WaitingForEnd:
      if (length <= 0) end(connection, CloseHow::Close);
      return;
    case Stage::Held:
      // The peer has closed, or resets: held all the same, but no longer watched.
      if (length <= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
      return;
    case Stage::Free:
    case Stage::Connecting:
      return;
  }
}

void ShortConnections::got_answer(Connection& connection, LoadCounts& counts) {
  ++counts.ok;
  counts.answered.add(monotonic_now() - connection.due);
  switch (options_.closes) {
    case LoadOptions::Closes::Nobody:
      connection.stage = Stage::Held;
      --in_flight_;
      ++held_;
      return;
    case LoadOptions::Closes::Server:
      connection.stage = Stage::WaitingForEnd;
      return;
    case LoadOptions::Closes::Client:
      if (options_.how == CloseHow::Shutdown) {
        shutdown(connection.fd.get(), SHUT_WR);
        connection.stage = Stage::WaitingForEnd;
      } else {
        end(connection, options_.how);
      }
      return;
  }
}

void ShortConnections::fail(Connection& connection, int number, LoadCounts& counts) {
  ++counts.failed;
  ++counts.errors[number];
  end(connection, CloseHow::Close);
}

void ShortConnections::end(Connection& connection, CloseHow how) {
  close_socket(std::move(connection.fd), how);
  connection.stage = Stage::Free;
  --in_flight_;
}

void ShortConnections::time_out(Instant now, LoadCounts& counts) {
  while (!limits_.empty()) {
    const Limit& limit = limits_.front();
    Connection& connection = connections_[static_cast<std::size_t>(limit.fd)];
    const bool over = connection.turn != limit.turn || connection.stage == Stage::Free ||
                      connection.stage == Stage::Held;
    if (!over && limit.at > now) return;
    if (!over && connection.stage == Stage::WaitingForEnd) {
      end(connection, CloseHow::Close);  // it has been answered, and was counted
    } else if (!over) {
      fail(connection, ETIMEDOUT, counts);
    }
    limits_.pop_front();
  }
}

}  // namespace lastack
