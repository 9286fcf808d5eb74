// A child process that never outlives its parent: it is killed with it, however the parent ends
// (PR_SET_PDEATHSIG), and killed and reaped when this object goes.
#pragma once

#include <sys/types.h>

#include <functional>

#include "lab/unique_fd.h"
#include "lastack/result.h"

namespace lastack {

class ChildProcess {
 public:
  // Runs `body` in a forked child, which ends with the value it returns. The child does not return from
  // here, runs no exit handlers, and ignores the terminal's signals: its parent decides when it ends.
  // The calling process must have one thread only.
  static Result<ChildProcess> start(const std::function<int()>& body);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // Its exit status, or 128 and the number of the signal that ended it. Waits; may be called once.
  int wait();
  // The same when it has ended already, -1 otherwise.
  int wait_no_longer();
  // SIGKILL, and waits until it is gone.
  void kill();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;  // -1: reaped
};

}  // namespace lastack
