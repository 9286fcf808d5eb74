// The demo as a person meets it: the story to its end, and every way of ending it early. Here the story is
// the one told on kernels without tcp_tw_reuse_delay (18 s); with LASTACK_LONG_TESTS=1 also the usual one
// (28 s) and the one with the kernel's own 60 s.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "lab/demo.h"
#include "lab/sysctl.h"
#include "lab/unique_fd.h"

namespace lastack {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kNotPermitted = 77;

// The demo in a process of its own, its page read through a pipe. The pipe ends when the demo and
// everything that it has started are gone.
class RunningDemo {
 public:
  explicit RunningDemo(const DemoOptions& options) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    std::fflush(stdout);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      dup2(ends[1], STDERR_FILENO);
      std::FILE* out = fdopen(ends[1], "w");
      _exit(run_demo(options, out));
    }
    close(ends[1]);
    page_fd_ = UniqueFd(ends[0]);
  }
  ~RunningDemo() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  RunningDemo(const RunningDemo&) = delete;
  RunningDemo& operator=(const RunningDemo&) = delete;

  // Reads on until the page has `text` in it; false when it ended before.
  bool read_until(const std::string& text) {
    while (page_.find(text) == page_.npos) {
      if (!read_some()) return false;
    }
    return true;
  }
  void read_to_end() {
    while (read_some()) {
    }
  }
  void signal(int number) { ::kill(pid_, number); }
  int wait() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // Only the reading end is left to close.
  void stop_reading() { page_fd_.reset(); }
  const std::string& page() const { return page_; }

 private:
  bool read_some() {
    pollfd ready{page_fd_.get(), POLLIN, 0};
    // The bound only ends a test that has failed: the longest story is shorter.
    if (poll(&ready, 1, 120'000) != 1) return false;
    char buffer[4096];
    const ssize_t length = read(page_fd_.get(), buffer, sizeof buffer);
    if (length <= 0) return false;
    page_.append(buffer, static_cast<std::size_t>(length));
    return true;
  }

  pid_t pid_ = -1;
  UniqueFd page_fd_;
  std::string page_;
};

void expect_the_story(const DemoOptions& options) {
  RunningDemo demo(options);
  demo.read_to_end();
  const int code = demo.wait();
  if (code == kNotPermitted) GTEST_SKIP() << demo.page();
  EXPECT_EQ(code, 0) << demo.page();
  EXPECT_THAT(demo.page(), HasSubstr("DOWN"));
  EXPECT_THAT(demo.page(), HasSubstr("ports-exhausted-time-wait"));
  EXPECT_THAT(demo.page(), HasSubstr("Before and after"));
  EXPECT_THAT(demo.page(), HasSubstr("a pool of 8"));
  EXPECT_THAT(demo.page(), Not(HasSubstr("\x1b"))) << "no escape codes in a pipe";
}

bool long_tests() {
  const char* wanted = std::getenv("LASTACK_LONG_TESTS");
  return wanted != nullptr && std::string(wanted) == "1";
}

TEST(Demo, TellsTheStoryOfOlderKernels) {
  expect_the_story({.without_reuse_delay = true});
}

TEST(Demo, TellsTheStory) {
  if (!long_tests()) GTEST_SKIP() << "takes 28 s: LASTACK_LONG_TESTS=1";
  expect_the_story({});
}

TEST(Demo, TellsTheFullStory) {
  if (!long_tests()) GTEST_SKIP() << "takes 106 s: LASTACK_LONG_TESTS=1";
  expect_the_story({.full = true});
}

class DemoEndedBy : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Signals, DemoEndedBy, ::testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST_P(DemoEndedBy, LeavesNothing) {
  RunningDemo demo({});
  const bool begun = demo.read_until("/800");
  demo.signal(GetParam());
  demo.read_to_end();  // returns only once no process of it is left
  const int code = demo.wait();
  if (code == kNotPermitted) GTEST_SKIP() << demo.page();
  ASSERT_TRUE(begun) << demo.page();
  EXPECT_EQ(code, 128 + GetParam());
  EXPECT_THAT(demo.page(), HasSubstr("nothing is left"));
}

TEST(Demo, KilledLeavesNothing) {
  RunningDemo demo({});
  const bool begun = demo.read_until("/800");
  demo.signal(SIGKILL);
  demo.read_to_end();
  const int code = demo.wait();
  if (code == kNotPermitted) GTEST_SKIP() << demo.page();
  ASSERT_TRUE(begun) << demo.page();
  EXPECT_EQ(code, -SIGKILL);
}

TEST(Demo, EndsWhenNobodyReads) {
  RunningDemo demo({});
  const bool begun = demo.read_until("/800");
  demo.stop_reading();
  const int code = demo.wait();
  if (code == kNotPermitted) GTEST_SKIP() << demo.page();
  ASSERT_TRUE(begun) << demo.page();
  EXPECT_EQ(code, 1);
}

}  // namespace
}  // namespace lastack
