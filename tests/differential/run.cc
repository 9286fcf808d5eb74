// A script's private namespace, and the verdict.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "differential/differential.h"
#include "lab/clock.h"
#include "lab/private_namespace.h"

namespace lastack::differential {
namespace {

enum Verdict : int { kAgreed = 0, kDiverged = 3, kBroken = 4, kSkipped = 77 };

// A namespace inside a namespace: the outer one says how large the inner one's tables are, since a dump walks
// the whole of the host's large ones otherwise.
Result<void> enter() {
  if (auto outer = enter_private_namespace({}); !outer) return outer;
  (void)write_sysctl({"net.ipv4.tcp_child_ehash_entries", "256"});
  return enter_private_namespace({});
}

int run(const std::function<void(Differential&)>& script, std::string& report) {
  if (const auto entered = enter(); !entered) {
    report = entered.error().message;
    return is_denial(entered.error()) ? kSkipped : kBroken;
  }
  auto kernel = make_kernel_world();
  if (!kernel) {
    report = kernel.error().message;
    const int number = kernel.error().number;
    return number == ENOENT || number == EACCES || number == EPERM || number == ENODEV ? kSkipped
                                                                                       : kBroken;
  }
  const auto endpoint = make_endpoint_world({.seed = 1, .now = monotonic_now()});
  Differential d(**kernel, *endpoint);
  script(d);
  report = d.report();
  if (!d.deviation().empty()) std::printf("a documented deviation: %s\n", d.deviation().c_str());
  return d.failed() ? kDiverged : kAgreed;
}

struct Attempt {
  int verdict = kBroken;
  std::string report;
};

// In a child: what it enters it does not leave.
Attempt attempt(const std::function<void(Differential&)>& script) {
  Attempt result;
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) return result;
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(full("") ? 600 : 60);
    std::string report;
    const int verdict = run(script, report);
    std::fflush(stdout);
    for (std::size_t at = 0; at < report.size();) {
      const ssize_t n = ::write(pipe[1], report.data() + at, report.size() - at);
      if (n <= 0) break;
      at += static_cast<std::size_t>(n);
    }
    ::_exit(verdict);
  }
  ::close(pipe[1]);
  std::array<char, 4096> buffer;
  for (ssize_t n = 0; (n = ::read(pipe[0], buffer.data(), buffer.size())) > 0;) {
    result.report.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(pipe[0]);
  int status = 0;
  if (::waitpid(child, &status, 0) == child && WIFEXITED(status)) {
    result.verdict = WEXITSTATUS(status);
  } else {
    result.report += "ended by signal " + std::to_string(WTERMSIG(status));
  }
  return result;
}

}  // namespace

void differential(const std::function<void(Differential&)>& script) {
  constexpr int kAttempts = 3;
  Attempt last;
  for (int i = 0; i < kAttempts; ++i) {
    last = attempt(script);
    if (last.verdict == kAgreed) {
      if (i > 0) std::printf("agreed at attempt %d: this machine is busy\n", i + 1);
      return;
    }
    if (last.verdict == kSkipped) GTEST_SKIP() << last.report;
    if (last.verdict != kDiverged) break;
  }
  ADD_FAILURE() << last.report;
}

bool full(const std::string& what) {
  const char* wanted = std::getenv("LASTACK_FULL");
  if (wanted != nullptr && std::string_view(wanted) == "1") return true;
  if (!what.empty()) std::printf("left out: %s (LASTACK_FULL=1)\n", what.c_str());
  return false;
}

}  // namespace lastack::differential
