#include "lab/program_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include "model/printable.h"

namespace lastack::lab {
namespace {

// Where a shell of somebody who is not root does not look on all distributions.
constexpr std::string_view kForAdministrators = "/usr/local/sbin:/usr/sbin:/sbin";
constexpr std::string_view kWithoutPath = "/usr/local/bin:/usr/bin:/bin";

// Programs that are not in a package of their own name (Debian, Ubuntu).
struct Packaged {
  std::string_view program, package;
};
constexpr std::array<Packaged, 13> kPackages{{{"curl", "curl"},
                                              {"nginx", "nginx"},
                                              {"haproxy", "haproxy"},
                                              {"wrk", "wrk"},
                                              {"socat", "socat"},
                                              {"iperf3", "iperf3"},
                                              {"redis-server", "redis-server"},
                                              {"ab", "apache2-utils"},
                                              {"nc", "netcat-openbsd"},
                                              {"h2load", "nghttp2-client"},
                                              {"python3", "python3"},
                                              {"wget", "wget"},
                                              {"ss", "iproute2"}}};

bool may_be_run(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::string search_path() {
  const char* const path = std::getenv("PATH");
  return fmt::format("{}:{}", path != nullptr ? std::string_view(path) : kWithoutPath,
                     kForAdministrators);
}

// What goes over the line: "started", "failed REASON", "ended STATUS" from inside; the number of a signal to it.
void say(int line, const std::string& text) {
  [[maybe_unused]] const ssize_t sent = ::send(line, text.data(), text.size(), MSG_NOSIGNAL);
}
int fail(int line, std::string_view deed) {
  say(line, fmt::format("failed {}: {}", deed, std::strerror(errno)));
  return 1;
}

// Not among those of standard input, output and error, which are put there in the program.
UniqueFd above_standard(UniqueFd fd) {
  if (fd.get() > STDERR_FILENO) return fd;
  return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

// A socket of a host that is still open somewhere is not closed.
void close_others(int a, int b) {
  const auto low = static_cast<unsigned>(std::min(a, b));
  const auto high = static_cast<unsigned>(std::max(a, b));
  constexpr unsigned kFirst = STDERR_FILENO + 1;
  if (low > kFirst) (void)::syscall(SYS_close_range, kFirst, low - 1, 0U);
  if (high > low + 1) (void)::syscall(SYS_close_range, low + 1, high - 1, 0U);
  (void)::syscall(SYS_close_range, high + 1, ~0U, 0U);
}

// As a program finds things that was started in a shell.
void usual_signals() {
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(const CommandLine& command, int output) {
  usual_signals();
  (void)::setsid();  // what the terminal sends is not for it
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  (void)::dup2(nothing, STDIN_FILENO);
  (void)::dup2(output, STDOUT_FILENO);
  (void)::dup2(output, STDERR_FILENO);
  const auto complain = [&](std::string_view deed) {
    const std::string text =
        fmt::format("lastack: cannot {} {}: {}\n", deed, command.file, std::strerror(errno));
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    ::_exit(errno == ENOENT ? 127 : 126);
  };
  if (command.descriptors) {
    rlimit limit{};
    (void)::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(*command.descriptors, limit.rlim_max);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (::chdir(command.folder.c_str()) != 0) complain("enter the folder of");
  std::vector<std::string> set;
  std::vector<char*> words, environment;
  for (const std::string& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  for (const auto& [name, value] : command.environment) set.push_back(name + '=' + value);
  for (const std::string& one : set) environment.push_back(const_cast<char*>(one.c_str()));
  words.push_back(nullptr);
  environment.push_back(nullptr);
  ::execve(command.file.c_str(), words.data(), environment.data());
  complain("run");
  ::_exit(126);
}

// The first process inside: what the program leaves behind becomes its child, and is waited for.
int run_first(int line, int output, const CommandLine& command) {
  // So that mounts here stay here. Where /proc may not be mounted the maker's stays.
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) {
    [[maybe_unused]] const int mounted =
        ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  }
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  const UniqueFd told(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!told) return fail(line, "cannot hear of processes that end");
  const pid_t program = ::fork();
  if (program < 0) return fail(line, "cannot start a process");
  if (program == 0) become(command, output);
  ::close(output);
  say(line, "started");
  bool runs = true;
  for (;;) {
    pollfd waits[2] = {{line, POLLIN, 0}, {told.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) return 1;
    signalfd_siginfo which{};
    while (::read(told.get(), &which, sizeof which) > 0) {
    }
    int raw = 0;
    pid_t ended;
    while ((ended = ::waitpid(-1, &raw, WNOHANG)) > 0) {
      if (ended != program) continue;
      runs = false;
      say(line, fmt::format("ended {}", WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw)));
    }
    if (ended < 0 && errno == ECHILD) return 0;
    if (waits[0].revents == 0) continue;
    unsigned char number = 0;
    if (::recv(line, &number, 1, 0) <= 0) return 0;  // it is over, or the maker has gone
    (void)::kill(runs ? program : -1, number);
  }
}

int run_outer(int line, int output, const CommandLine& command) {
  close_others(line, output);
  if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
    return fail(line, "cannot make a namespace of processes");
  auto first = ChildProcess::start([&] { return run_first(line, output, command); });
  if (!first) {
    say(line, "failed " + first.error().message);
    return 1;
  }
  ::close(line);
  ::close(output);
  return first->wait();
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (may_be_run(name)) return name;
    return failure(fmt::format("{} is no program that can be run", printable(name)));
  }
  const std::string path = search_path();
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string file = fmt::format("{}/{}", path.substr(begin, end - begin), name);
    if (end > begin && path[begin] == '/' && may_be_run(file)) return file;
    begin = end + 1;
  }
  const auto known = std::find_if(kPackages.begin(), kPackages.end(),
                                  [&](const Packaged& p) { return p.program == name; });
  return failure(known == kPackages.end()
                     ? fmt::format("{} is not installed: there is none in PATH", printable(name))
                     : fmt::format("{} is not installed: apt install {}", name, known->package));
}

Result<ProgramProcess> ProgramProcess::start(const CommandLine& command) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return tl::unexpected(system_error(errno, "cannot make a line to a process"));
  UniqueFd here = above_standard(UniqueFd(ends[0])), there = above_standard(UniqueFd(ends[1]));
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return tl::unexpected(system_error(errno, "cannot make a pipe"));
  UniqueFd output = above_standard(UniqueFd(ends[0])), in = above_standard(UniqueFd(ends[1]));
  if (!here || !there || !output || !in || ::fcntl(output.get(), F_SETFL, O_NONBLOCK) != 0)
    return tl::unexpected(system_error(errno, "cannot make a pipe"));
  auto outer = ChildProcess::start([&] { return run_outer(there.get(), in.get(), command); });
  if (!outer) return tl::unexpected(outer.error());
  there.reset();
  in.reset();
  ProgramProcess process(*std::move(outer), std::move(here), std::move(output));
  // By then the others have closed what is not theirs.
  char text[512];
  ssize_t length;
  do {
    length = ::recv(process.line_.get(), text, sizeof text, 0);
  } while (length < 0 && errno == EINTR);
  const std::string_view said(text, length < 0 ? 0 : static_cast<std::size_t>(length));
  if (said == "started") return process;
  return failure(said.starts_with("failed ") ? std::string(said.substr(7))
                                             : "a process ended before it had begun");
}

ProgramProcess& ProgramProcess::operator=(ProgramProcess&& other) noexcept {
  if (this != &other) {
    kill();
    outer_ = std::move(other.outer_);
    line_ = std::move(other.line_);
    output_ = std::move(other.output_);
    status_ = other.status_;
    gone_ = other.gone_;
  }
  return *this;
}

ProgramProcess::~ProgramProcess() {
  kill();
}

std::optional<int> ProgramProcess::status() {
  char text[64];
  while (line_) {
    const ssize_t length = ::recv(line_.get(), text, sizeof text, MSG_DONTWAIT);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (length <= 0) {
      gone_ = true;
      line_.reset();
      break;
    }
    const std::string_view said(text, static_cast<std::size_t>(length));
    int value = 0;
    if (said.starts_with("ended ") &&
        std::from_chars(text + 6, text + length, value).ec == std::errc())
      status_ = value;
  }
  return status_;
}

void ProgramProcess::signal(int number) {
  const auto byte = static_cast<unsigned char>(number);
  if (line_) [[maybe_unused]]
    const ssize_t sent = ::send(line_.get(), &byte, 1, MSG_NOSIGNAL);
}

void ProgramProcess::kill() {
  // The first process inside ends when nobody holds the line, the kernel then ends all others there, and the outer one
  // ends when they have gone: at once, but for a processor that is busy.
  line_.reset();
  for (int i = 0; i < 5000 && outer_.pid() >= 0; ++i) {
    if (outer_.wait_no_longer() >= 0) break;
    const timespec moment{0, 1'000'000};
    ::nanosleep(&moment, nullptr);
  }
  outer_.kill();
  gone_ = true;
}

}  // namespace lastack::lab
