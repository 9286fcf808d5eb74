// Why a private namespace could not be made, in words that say what would mend it. The kernel itself only
// says EPERM or ENOSPC, whoever forbade it.
#pragma once

#include <optional>
#include <string>

#include "lastack/result.h"

namespace lastack {

struct DenialFacts {
  int error = 0;                // errno of what failed
  std::string deed;             // "cannot make a private network namespace"
  bool privileged = false;      // tried with CAP_SYS_ADMIN, hence without a user namespace
  bool seccomp = false;         // a seccomp filter is in force
  bool container = false;       // looks like a container of Docker or Podman
  bool user_namespaces = true;  // the kernel has them
  // Sysctls; nothing where there is no such setting.
  std::optional<std::string> unprivileged_userns_clone;  // kernel., Debian's
  std::optional<std::string>
      apparmor_restrict_unprivileged_userns;       // kernel., Ubuntu's since 23.10
  std::optional<std::string> max_user_namespaces;  // user.
  std::optional<std::string> max_net_namespaces;   // user.
};

// Looks the facts up on the running system. A failure with `error` has just happened.
DenialFacts read_denial_facts(int error, std::string deed, bool privileged);

// The likeliest reason, and the command that would lift it. `number` of the result is never 0.
Error explain_denial(const DenialFacts& facts);

}  // namespace lastack
