// Requests over connections that are kept open (workload.h).
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lab/clock.h"
#include "lab/epoll_watch.h"
#include "lab/workload.h"

namespace lastack {
namespace {

constexpr Duration kRetry = 100ms;

}  // namespace

RequestPool::RequestPool(const PoolOptions& options, UniqueFd epoll)
    : options_(options),
      epoll_(std::move(epoll)),
      schedule_(options.rate),
      members_(options.size) {}

Result<RequestPool> RequestPool::start(const PoolOptions& options) {
  if (!(options.rate > 0)) return failure("a load needs a rate above 0");
  if (options.size == 0) return failure("a pool needs at least one connection");
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return tl::unexpected(system_error(errno, "cannot make an epoll descriptor"));
  return RequestPool(options, std::move(epoll));
}

bool RequestPool::fill(Duration longest) {
  const Instant stop = monotonic_now() + longest;
  LoadCounts counts;
  for (;;) {
    const Instant now = monotonic_now();
    if (connected_ == options_.size) return true;
    if (now >= stop) return false;
    time_out(now, counts);
    open_members(now);
    handle_events(std::min<Duration>(stop - now, 10ms), counts);
  }
}

LoadCounts RequestPool::run_for(Duration length) {
  LoadCounts counts;
  Instant now = monotonic_now();
  const Instant stop = now + length;
  if (!running_) schedule_.start(now);
  running_ = true;
  while (now < stop) {
    open_members(now);
    for (int i = 0; i < 256 && schedule_.next_due() <= now; ++i) {
      ++counts.offered;
      if (waiting_.size() < options_.most_waiting) {
        waiting_.push_back(schedule_.next_due());
      } else {
        ++counts.failed;
        ++counts.errors[EAGAIN];
      }
      schedule_.advance();
    }
    send_waiting(now, counts);
    const Duration rest = std::min({stop, schedule_.next_due(), now + kRetry}) - monotonic_now();
    handle_events(rest, counts);
    now = monotonic_now();
    time_out(now, counts);
  }
  return counts;
}

void RequestPool::open_members(Instant now) {
  if (connected_ == options_.size) return;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.stage != Stage::Closed || member.retry_at > now) continue;
    member.retry_at = now + kRetry;
    auto fd = start_connect(options_.connect);
    if (!fd) {
      ++connect_errors_[fd.error().number];
      continue;
    }
    if (!epoll_watch(epoll_.get(), EPOLL_CTL_ADD, fd->get(), EPOLLOUT, i)) continue;
    member.fd = *std::move(fd);
    member.stage = Stage::Connecting;
    member.limit = now + options_.timeout;
  }
}

void RequestPool::handle_events(Duration longest, LoadCounts& counts) {
  std::array<epoll_event, 256> events;
  for (const epoll_event& event : epoll_collect(epoll_.get(), events, longest)) {
    Member& member = members_[event.data.u64];
    const int fd = member.fd.get();
    if (member.stage == Stage::Connecting) {
      int number = 0;
      socklen_t size = sizeof number;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
      if (number != 0) {
        lose(member, number, counts);
      } else if ((event.events & EPOLLOUT) != 0) {
        member.stage = Stage::Idle;
        ++connected_;
        ++opened_;
        epoll_watch(epoll_.get(), EPOLL_CTL_MOD, fd, EPOLLIN, event.data.u64);
      }
      continue;
    }
    std::array<char, 64> bytes;
    const ssize_t length = recv(fd, bytes.data(), bytes.size(), 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (length <= 0) {
      lose(member, length < 0 ? errno : kNoAnswer, counts);
    } else if (member.stage == Stage::Busy) {
      ++counts.ok;
      counts.answered.add(monotonic_now() - member.due);
      member.stage = Stage::Idle;
    }
  }
}

void RequestPool::lose(Member& member, int number, LoadCounts& counts) {
  if (member.stage == Stage::Busy) {
    ++counts.failed;
    ++counts.errors[number];
  } else if (member.stage == Stage::Connecting) {
    ++connect_errors_[number];
  }
  if (member.stage != Stage::Connecting) --connected_;
  member.fd.reset();
  member.stage = Stage::Closed;
}

void RequestPool::send_waiting(Instant now, LoadCounts& counts) {
  for (Member& member : members_) {
    if (waiting_.empty()) return;
    if (member.stage != Stage::Idle) continue;
    const char request = '?';
    if (send(member.fd.get(), &request, 1, MSG_NOSIGNAL) != 1) {
      lose(member, errno, counts);
      continue;
    }
    member.due = waiting_.front();
    member.limit = now + options_.timeout;
    member.stage = Stage::Busy;
    waiting_.pop_front();
  }
}

void RequestPool::time_out(Instant now, LoadCounts& counts) {
  for (Member& member : members_) {
    const bool limited = member.stage == Stage::Connecting || member.stage == Stage::Busy;
    if (limited && member.limit <= now) lose(member, ETIMEDOUT, counts);
  }
  while (!waiting_.empty() && waiting_.front() + options_.timeout <= now) {
    ++counts.failed;
    ++counts.errors[ETIMEDOUT];
    waiting_.pop_front();
  }
}

}  // namespace lastack
