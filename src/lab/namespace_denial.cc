#include "lab/namespace_denial.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "lab/sysctl.h"

namespace lastack {
namespace {

std::optional<std::string> setting(std::string_view name) {
  auto value = read_sysctl(name);
  if (!value) return std::nullopt;
  return *std::move(value);
}

bool under_seccomp() {
  // PR_GET_SECCOMP would itself be killed in strict mode; the status file never is.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Seccomp:", 0) == 0) return line.find('2') != line.npos;
  }
  return false;
}

bool exists(const char* path) {
  return access(path, F_OK) == 0;
}

}  // namespace

DenialFacts read_denial_facts(int error, std::string deed, bool privileged) {
  DenialFacts facts;
  facts.error = error;
  facts.deed = std::move(deed);
  facts.privileged = privileged;
  facts.seccomp = under_seccomp();
  facts.container = exists("/.dockerenv") || exists("/run/.containerenv");
  facts.user_namespaces = exists("/proc/self/ns/user");
  facts.unprivileged_userns_clone = setting("kernel.unprivileged_userns_clone");
  facts.apparmor_restrict_unprivileged_userns =
      setting("kernel.apparmor_restrict_unprivileged_userns");
  facts.max_user_namespaces = setting("user.max_user_namespaces");
  facts.max_net_namespaces = setting("user.max_net_namespaces");
  return facts;
}

Error explain_denial(const DenialFacts& facts) {
  const int number = facts.error != 0 ? facts.error : EPERM;
  Error error = system_error(number, facts.deed);
  std::string& text = error.message;
  const bool unprivileged = !facts.privileged;
  if (facts.max_net_namespaces == "0") {
    text += "; this system allows no network namespaces: sysctl -w user.max_net_namespaces=1000";
  } else if (unprivileged && !facts.user_namespaces) {
    text += "; this kernel was built without user namespaces: run it as root";
  } else if (unprivileged && facts.max_user_namespaces == "0") {
    text +=
        "; this system allows no user namespaces: run it as root, or"
        " sysctl -w user.max_user_namespaces=1000";
  } else if (unprivileged && facts.unprivileged_userns_clone == "0") {
    text +=
        "; only root may make user namespaces here: run it as root, or"
        " sysctl -w kernel.unprivileged_userns_clone=1";
  } else if (unprivileged && facts.apparmor_restrict_unprivileged_userns == "1") {
    text +=
        "; AppArmor lets only root make useful user namespaces here (Ubuntu's default since 23.10):"
        " run it as root, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  } else if (number == ENOSPC) {
    text +=
        "; the limit of namespaces is reached (user.max_user_namespaces, user.max_net_namespaces,"
        " or 32 levels deep)";
  } else if (facts.seccomp && facts.container) {
    text +=
        "; the container's seccomp profile forbids it: run the container with --privileged, or"
        " run this outside of it";
  } else if (facts.seccomp) {
    text += "; a seccomp filter is in force, which probably forbids it";
  } else if (facts.container) {
    text +=
        "; a container without CAP_SYS_ADMIN may not: run it with --privileged, or run this"
        " outside of it";
  } else if (unprivileged) {
    text += "; run it as root";
  }
  return error;
}

}  // namespace lastack
