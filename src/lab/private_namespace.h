// Private network namespaces: where incidents are made without anybody noticing. They have no name, so
// they and everything in them go with their last process; and no process in them outlives the one that
// made it. No root is needed where the kernel permits user namespaces.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "lab/child_process.h"
#include "lab/sysctl.h"
#include "lab/unique_fd.h"
#include "lastack/ip_address.h"
#include "lastack/result.h"

namespace lastack {

struct NamespaceOptions {
  // Given to lo, besides 127.0.0.1 and ::1. What lies between two of them never leaves the namespace,
  // yet is not loopback to tcp_tw_reuse's mode 2 (linux-facts 16).
  std::vector<IpAddress> addresses;
  std::vector<SysctlValue> sysctls;
};

// Moves the calling process, which must have one thread only, into a fresh network namespace with lo up;
// into a user namespace as well when it lacks CAP_SYS_ADMIN, in which it is root. Process numbers and
// file systems stay. The reason of a refusal is told in the error; whether it was the kernel's permission
// that lacked, rather than a wrong address or setting, is told by `is_denial`.
Result<void> enter_private_namespace(const NamespaceOptions& options);

// Whether the error means that this machine does not permit private namespaces.
bool is_denial(const Error& error);

// A process in namespaces of its own: network, processes and mounts, and users without privileges. In it
// /proc shows only its own processes, as far as /proc may be mounted.
class PrivateProcess {
 public:
  // `body` runs as the first process of the new namespaces, with ChildProcess's rules.
  static Result<PrivateProcess> start(const NamespaceOptions& options,
                                      const std::function<int()>& body);

  PrivateProcess(PrivateProcess&&) noexcept = default;
  PrivateProcess& operator=(PrivateProcess&&) noexcept;
  ~PrivateProcess();

  // As seen from here.
  pid_t pid() const { return pid_; }
  // A process whose end tells that of the body, for SIGCHLD.
  int wait() { return outer_.wait(); }
  int wait_no_longer() { return outer_.wait_no_longer(); }
  // Ends all of its processes, and waits until they are gone.
  void kill();

 private:
  PrivateProcess(ChildProcess outer, UniqueFd first, UniqueFd lifeline, pid_t pid)
      : outer_(std::move(outer)),
        first_(std::move(first)),
        lifeline_(std::move(lifeline)),
        pid_(pid) {}

  ChildProcess outer_;  // its child is the first process of the new process namespace
  UniqueFd first_;      // a handle of that child, where the kernel has them
  UniqueFd lifeline_;   // at its end once no process inside is left
  pid_t pid_ = -1;
};

}  // namespace lastack
