// Tests inside private namespaces. The body of a test runs in a forked child, so that the test program
// itself stays where it is; what fails there is printed there, and fails the test here.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>

#include "lab/private_namespace.h"
#include "lastack/result.h"

namespace lastack {

// The reason when this machine does not permit private namespaces.
using SkipReason = std::optional<std::string>;

inline int verdict() {
  std::fflush(stdout);
  return ::testing::Test::HasFailure() ? 1 : 0;
}

// Why the body skipped the rest of its test, if it did.
inline SkipReason skipped() {
  if (!::testing::Test::IsSkipped()) return std::nullopt;
  const auto* result = ::testing::UnitTest::GetInstance()->current_test_info()->result();
  for (int i = 0; i < result->total_part_count(); ++i) {
    if (result->GetTestPartResult(i).skipped()) return result->GetTestPartResult(i).message();
  }
  return "";
}

// Forks; the child enters a fresh network namespace and runs `body`, which may skip.
inline SkipReason in_private_namespace(const NamespaceOptions& options,
                                       const std::function<void()>& body) {
  constexpr int kSkipped = 77;
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) {
    ADD_FAILURE() << "pipe";
    return std::nullopt;
  }
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // a test that hangs ends, and what it started with it
    const auto say = [&](const std::string& why) {
      return ::write(pipe[1], why.data(), why.size()) == static_cast<ssize_t>(why.size());
    };
    if (const auto entered = enter_private_namespace(options); !entered) {
      ::_exit(say(entered.error().message) && is_denial(entered.error()) ? kSkipped : 2);
    }
    body();
    if (const auto why = skipped(); why && !::testing::Test::HasFailure() && say(*why)) {
      ::_exit(kSkipped);
    }
    ::_exit(verdict());
  }
  ::close(pipe[1]);
  std::string why;
  std::array<char, 512> buffer;
  for (ssize_t n = 0; (n = ::read(pipe[0], buffer.data(), buffer.size())) > 0;) {
    why.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(pipe[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped) return why;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << "the test failed in its namespace; status " << status << ' ' << why;
  return std::nullopt;
}

// A child that does something, says that it is done, and stays until it is told to end.
class Neighbour {
 public:
  explicit Neighbour(const std::function<void()>& first) {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line_.data()), 0);
    std::fflush(stdout);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(line_[0]);
      first();
      char byte = static_cast<char>(verdict());
      if (::write(line_[1], &byte, 1) != 1) ::_exit(1);
      while (::read(line_[1], &byte, 1) > 0) {
      }
      ::_exit(0);
    }
    ::close(line_[1]);
    char byte = 1;
    EXPECT_EQ(::read(line_[0], &byte, 1), 1) << "the neighbour ended early";
    EXPECT_EQ(byte, 0) << "the neighbour failed";
  }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  ~Neighbour() { end(); }

  pid_t pid() const { return pid_; }
  void end() {
    if (pid_ <= 0) return;
    ::close(line_[0]);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  std::array<int, 2> line_{-1, -1};
  pid_t pid_ = -1;
};

}  // namespace lastack

// Variadic, since the body may hold commas that no parentheses shield.
#define RUN_IN_PRIVATE_NAMESPACE(options, ...)                                     \
  if (const auto reason = ::lastack::in_private_namespace(options, __VA_ARGS__)) { \
    GTEST_SKIP() << *reason;                                                       \
  }                                                                                \
  static_assert(true)
