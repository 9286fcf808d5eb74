#include "lab/private_namespace.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

#include "lab/namespace_denial.h"
#include "net/rtnetlink.h"

namespace lastack {
namespace {

// Errors of the making itself carry this mark, so that a refused address is not taken for a refused
// namespace. errno values are far below it.
constexpr int kDenial = 1 << 16;

bool may_administer() {
  __user_cap_header_struct header{};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_SYS_ADMIN / 32].effective >> (CAP_SYS_ADMIN % 32) & 1U) != 0;
}

tl::unexpected<Error> denied(int number, const char* deed, bool privileged) {
  Error error = explain_denial(read_denial_facts(number, deed, privileged));
  error.number |= kDenial;
  return tl::unexpected(std::move(error));
}

bool write_proc(const char* path, const std::string& text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Root inside is whoever we are outside; nobody else exists inside.
Result<void> map_ids(uid_t uid, gid_t gid) {
  // Without this an unprivileged process may not map a group (user_namespaces(7)).
  if (!write_proc("/proc/self/setgroups", "deny") && errno != ENOENT) {
    return denied(errno, "cannot give up supplementary groups in a user namespace", false);
  }
  if (!write_proc("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") ||
      !write_proc("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1")) {
    return denied(errno, "cannot become root of a private user namespace", false);
  }
  return {};
}

Result<void> unshare_namespaces(int flags) {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  const bool privileged = may_administer();
  if (privileged) {
    if (unshare(flags) == 0) return {};
    // EPERM in spite of the capability: a seccomp filter, or a limit. A user namespace may not help.
    return denied(errno, "cannot make a private network namespace", true);
  }
  if (unshare(flags | CLONE_NEWUSER) != 0) {
    return denied(errno, "cannot make private user and network namespaces", false);
  }
  return map_ids(uid, gid);
}

Result<void> furnish(const NamespaceOptions& options) {
  auto links = Rtnetlink::open();
  if (!links) return tl::unexpected(std::move(links.error()));
  if (auto up = links->set_link_up("lo"); !up) {
    // Ubuntu's AppArmor grants the namespace and then no capability inside it: this is where it shows.
    const int number = up.error().number;
    if (number == EPERM || number == EACCES) {
      return denied(number, "cannot bring up lo in a private network namespace", may_administer());
    }
    return up;
  }
  for (const IpAddress& address : options.addresses) {
    auto added = links->add_address("lo", address, Rtnetlink::full_prefix(address));
    if (!added) return added;
  }
  // The kernel gives an IPv6 address its route a moment later, on a busy machine many moments, and until then
  // connect() says ENETUNREACH.
  constexpr int kMostWaits = 5000;
  int waits = 0;
  for (const IpAddress& address : options.addresses) {
    while (!address.is_v4() && waits < kMostWaits && !links->is_local(address).value_or(true)) {
      const timespec moment{0, 1'000'000};
      ::nanosleep(&moment, nullptr);
      ++waits;
    }
  }
  for (const SysctlValue& setting : options.sysctls) {
    auto written = write_sysctl(setting);
    if (!written) return written;
  }
  return {};
}

// What the two processes tell their maker over the lifeline: messages, each written at once.
struct Report {
  // kStarted comes from the outer process, kReady from the first one inside, in either order.
  enum Kind : int { kStarted, kReady, kFailed } kind = kFailed;
  int number = 0;
  pid_t pid = -1;  // of kStarted: the first process inside, as the maker sees it
  char message[1000] = {};
};
static_assert(sizeof(Report) <= 4096, "at most PIPE_BUF, so that a write is not torn");

void send_report(int fd, const Report& report) {
  // A maker that is gone takes this process with it; nothing else to do about a failure.
  [[maybe_unused]] const ssize_t written = write(fd, &report, sizeof report);
}

void send_failure(int fd, const Error& error) {
  Report report;
  report.number = error.number;
  const std::size_t length = std::min(error.message.size(), sizeof report.message - 1);
  std::memcpy(report.message, error.message.data(), length);
  send_report(fd, report);
}

int run_first_process(int lifeline, const NamespaceOptions& options,
                      const std::function<int()>& body) {
  Report report;
  report.kind = Report::kReady;
  if (auto furnished = furnish(options); !furnished) {
    send_failure(lifeline, furnished.error());
    return 1;
  }
  // So that mounts here stay here. Where /proc may not be mounted (a container that masks parts of it)
  // the maker's stays, which shows more processes than there are inside and harms nothing.
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) {
    [[maybe_unused]] const int mounted =
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  }
  send_report(lifeline, report);
  return body();
}

int run_outer_process(int lifeline, const NamespaceOptions& options,
                      const std::function<int()>& body) {
  if (auto made = unshare_namespaces(CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS); !made) {
    send_failure(lifeline, made.error());
    return 1;
  }
  auto first = ChildProcess::start([&] { return run_first_process(lifeline, options, body); });
  if (!first) {
    send_failure(lifeline, first.error());
    return 1;
  }
  Report report;
  report.kind = Report::kStarted;
  report.pid = first->pid();
  send_report(lifeline, report);
  close(lifeline);  // only processes inside hold it now
  return first->wait();
}

}  // namespace

bool is_denial(const Error& error) {
  return (error.number & kDenial) != 0;
}

Result<void> enter_private_namespace(const NamespaceOptions& options) {
  if (auto made = unshare_namespaces(CLONE_NEWNET); !made) return made;
  return furnish(options);
}

Result<PrivateProcess> PrivateProcess::start(const NamespaceOptions& options,
                                             const std::function<int()>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected(system_error(errno, "cannot make a pipe"));
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  auto outer = ChildProcess::start([&] {
    read_end.reset();
    return run_outer_process(write_end.get(), options, body);
  });
  if (!outer) return tl::unexpected(std::move(outer.error()));
  write_end.reset();

  pid_t first = -1;
  bool ready = false;
  while (first < 0 || !ready) {
    Report report;
    const ssize_t length = read(read_end.get(), &report, sizeof report);
    if (length < 0 && errno == EINTR) continue;
    if (length != static_cast<ssize_t>(sizeof report)) {
      return failure("the first process of a private namespace ended before it had begun");
    }
    if (report.kind == Report::kFailed) {
      report.message[sizeof report.message - 1] = '\0';
      return tl::unexpected(Error{report.number, report.message});
    }
    ready = ready || report.kind == Report::kReady;
    if (report.kind == Report::kStarted) first = report.pid;
  }
  UniqueFd handle(static_cast<int>(syscall(SYS_pidfd_open, first, 0)));
  return PrivateProcess(*std::move(outer), std::move(handle), std::move(read_end), first);
}

PrivateProcess& PrivateProcess::operator=(PrivateProcess&& other) noexcept {
  if (this != &other) {
    kill();
    outer_ = std::move(other.outer_);
    first_ = std::move(other.first_);
    lifeline_ = std::move(other.lifeline_);
    pid_ = other.pid_;
  }
  return *this;
}

PrivateProcess::~PrivateProcess() {
  kill();
}

void PrivateProcess::kill() {
  if (!lifeline_) return;
  // With its first process the kernel ends all others in a process namespace, and the outer process ends
  // once it has reaped it. Before Linux 5.3 there is no handle; then it dies with the outer process, and
  // whoever adopts it reaps it. In neither case is a number used that may be another process's by now.
  if (first_ && syscall(SYS_pidfd_send_signal, first_.get(), SIGKILL, nullptr, 0) == 0) {
    outer_.wait();
  } else {
    outer_.kill();
  }
  // The lifeline ends when the last has gone. A moment's matter, hence the generous bound.
  pollfd end{lifeline_.get(), POLLIN, 0};
  char rest;
  while (poll(&end, 1, 10'000) > 0 && read(lifeline_.get(), &rest, 1) > 0) {
  }
  lifeline_.reset();
}

}  // namespace lastack
