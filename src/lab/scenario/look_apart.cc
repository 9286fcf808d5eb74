#include "lab/scenario/look_apart.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>

#include "lab/child_process.h"
#include "lab/write_all.h"
#include "lastack/bundle.h"

namespace lastack::lab {
namespace {

bool read_all(int fd, char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::read(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

// Everything but standard input, output, error and `kept`.
void close_others(int kept) {
  constexpr unsigned kFirst = 3;
  const auto middle = static_cast<unsigned>(kept);
  if (middle > kFirst) (void)::syscall(SYS_close_range, kFirst, middle - 1, 0U);
  (void)::syscall(SYS_close_range, middle + 1, ~0U, 0U);
}

// A word first: 1, a bundle follows; 0, a message.
struct Head {
  std::uint64_t good = 0;
  std::uint64_t size = 0;
};

int take_look(int line, const LookOptions& options) {
  const UnlimitedDescriptors room;
  close_others(line);
  // The programs' limit is in force again before anybody looks at it.
  char word = 0;
  if (!read_all(line, &word, 1)) return 1;
  auto seen = lastack::look(options);
  // Without privileges a process of another scenario beside this one does not tell in which namespace it is. That it runs
  // out of descriptors is not this host's affair.
  for (std::size_t i = 0; seen && i < seen->processes.size(); ++i) {
    Process& p = seen->processes[i];
    if (p.net_namespace == 0 && p.pid != ::getppid()) p.descriptor_limit.reset();
  }
  const std::string text =
      seen ? to_bundle({.earlier = std::nullopt, .now = *seen}) : seen.error().message;
  const Head head{seen ? 1U : 0U, text.size()};
  return write_all(line, {reinterpret_cast<const char*>(&head), sizeof head}) &&
                 write_all(line, text)
             ? 0
             : 1;
}

}  // namespace

UnlimitedDescriptors::UnlimitedDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  before_ = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  raised_ = setrlimit(RLIMIT_NOFILE, &limit) == 0;
}
UnlimitedDescriptors::~UnlimitedDescriptors() {
  rlimit limit{};
  if (!raised_ || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = static_cast<rlim_t>(before_);
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

Result<LookApart> LookApart::open() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return tl::unexpected(system_error(errno, "cannot make a line to a process"));
  return LookApart(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Result<HostSnapshot> LookApart::look(const LookOptions& options) {
  std::optional<ChildProcess> process;
  {
    const UnlimitedDescriptors room;
    auto started = ChildProcess::start([&] { return take_look(there_.get(), options); });
    if (!started) return tl::unexpected(started.error());
    process.emplace(*std::move(started));
  }
  // The child holds the other end as well as this process: that it ended early shows in what it leaves, not as an end.
  Head head;
  std::string text;
  const timeval limit{30, 0};
  (void)::setsockopt(here_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (!write_all(here_.get(), "!") ||
      !read_all(here_.get(), reinterpret_cast<char*>(&head), sizeof head) ||
      head.size > kLargestBundle) {
    return failure("the process that looks at a host ended early");
  }
  text.resize(static_cast<std::size_t>(head.size));
  if (!read_all(here_.get(), text.data(), text.size()))
    return failure("the process that looks at a host ended early");
  if (head.good == 0) return failure(text);
  auto read = from_bundle(text);
  if (!read) return tl::unexpected(read.error());
  return std::move(read->now);
}

}  // namespace lastack::lab
