// The outside of the demo: it makes the namespaces, waits, and answers for the terminal's signals. The
// story itself is told inside (demo_story.h).
#include "lab/demo.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "lab/demo_story.h"
#include "lab/private_namespace.h"

namespace lastack {
namespace {

constexpr int kNotPermitted = 77;

DemoPage page_for(std::FILE* out) {
  DemoPage page;
  page.out = out;
  const int fd = fileno(out);
  if (fd < 0 || isatty(fd) == 0) return page;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  page.ink.color = (no_color == nullptr || *no_color == '\0') && terminal != nullptr &&
                   std::string_view(terminal) != "dumb";
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    page.width = std::clamp<std::size_t>(size.ws_col, 60, 120);
  }
  return page;
}

// Signals are taken one by one instead of interrupting: those that ask us to end, and SIGCHLD.
class SignalWatch {
 public:
  SignalWatch() {
    sigemptyset(&watched_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&watched_, number);
    sigprocmask(SIG_BLOCK, &watched_, &before_);
    // Whoever started us may have ignored it, and then children could not be waited for.
    struct sigaction usual {};
    sigemptyset(&usual.sa_mask);
    usual.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &usual, &child_before_);
  }
  ~SignalWatch() {
    sigaction(SIGCHLD, &child_before_, nullptr);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  int next() const {
    for (;;) {
      const int number = sigwaitinfo(&watched_, nullptr);
      if (number > 0) return number;
    }
  }

 private:
  sigset_t watched_;
  sigset_t before_;
  struct sigaction child_before_;
};

void put(std::FILE* out, std::string_view line) {
  fmt::print(out, "{}\n", line);
  std::fflush(out);
}

}  // namespace

int run_demo(const DemoOptions& options, std::FILE* out) {
  const SignalWatch signals;
  const DemoKernel kernel = read_demo_kernel();
  const DemoScript script = demo_script(options, kernel);
  const DemoPage page = page_for(out);

  for (const std::string& line : demo_opening(script, kernel, page.ink)) put(out, line);
  NamespaceOptions place;
  place.addresses = {script.client, script.database.address};
  place.sysctls = script.settings;
  auto story = PrivateProcess::start(place, [&] { return tell_demo_story(script, page); });
  if (!story) {
    std::fflush(out);
    std::fputs(("lastack demo: " + story.error().message + "\n").c_str(), stderr);
    return is_denial(story.error()) ? kNotPermitted : 1;
  }
  for (;;) {
    const int number = signals.next();
    if (number == SIGCHLD) {
      const int code = story->wait_no_longer();
      if (code >= 0) return code;
      continue;
    }
    story->kill();
    std::fputs(
        fmt::format("\nlastack demo: ended by {}; its namespaces are gone, nothing is left\n",
                    number == SIGINT    ? "^C"
                    : number == SIGTERM ? "SIGTERM"
                                        : "SIGHUP")
            .c_str(),
        stderr);
    return 128 + number;
  }
}

}  // namespace lastack
