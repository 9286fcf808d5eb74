#include "lab/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace lastack {
namespace {

int status_of(int raw) {
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

void child_signals() {
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = SIG_IGN;
  // The terminal sends these to the whole foreground group. The parent answers for all.
  for (const int number : {SIGINT, SIGQUIT, SIGTSTP, SIGTTOU, SIGHUP, SIGPIPE}) {
    sigaction(number, &action, nullptr);
  }
  action.sa_handler = SIG_DFL;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGCHLD, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// In the child: to be killed when the parent ends. It may have ended before prctl() was called, and then no
// signal will come; so the parent waits for a word on a pipe that only it reads, and a parent that is gone
// shows as EPIPE. (getppid() does not tell in a process namespace that the parent is not in.)
bool die_with_parent(int word) {
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && write(word, "!", 1) == 1;
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::function<int()>& body) {
  std::fflush(nullptr);  // or both processes would write what is in the buffers
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected(system_error(errno, "cannot make a pipe"));
  UniqueFd hear(ends[0]);
  UniqueFd word(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return tl::unexpected(system_error(errno, "cannot start a process"));
  if (pid == 0) {
    child_signals();
    hear.reset();
    if (!die_with_parent(word.get())) _exit(128 + SIGKILL);
    word.reset();
    const int code = body();
    std::fflush(nullptr);
    _exit(code);
  }
  ChildProcess child(pid);
  word.reset();
  char heard;
  ssize_t length;
  do {
    length = read(hear.get(), &heard, 1);
  } while (length < 0 && errno == EINTR);
  if (length != 1) return failure("a process ended before it had begun");
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, -1);
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  kill();
}

int ChildProcess::wait() {
  if (pid_ < 0) return -1;
  int raw = 0;
  pid_t got;
  do {
    got = waitpid(pid_, &raw, 0);
  } while (got < 0 && errno == EINTR);
  pid_ = -1;
  return got < 0 ? -1 : status_of(raw);
}

int ChildProcess::wait_no_longer() {
  if (pid_ < 0) return -1;
  int raw = 0;
  if (waitpid(pid_, &raw, WNOHANG) != pid_) return -1;
  pid_ = -1;
  return status_of(raw);
}

void ChildProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);  // not reaped yet, so the number is still its own
  wait();
}

}  // namespace lastack
