// Being in another network namespace for a while, and coming back for certain.
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "kernel/namespaces.h"

namespace lastack {
namespace {

struct Opened {
  UniqueFd fd;
  std::uint64_t inode = 0;
};

Result<Opened> open_with_inode(const std::string& path) {
  auto fd = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) {
    return tl::unexpected(system_error(errno, "cannot read " + path));
  }
  return Opened{std::move(*fd), status.st_ino};
}

bool has_admin_capability() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  return (data[0].effective >> CAP_SYS_ADMIN & 1) != 0;
}

tl::unexpected<Error> refused(int error, const NamespaceRef& ref, const char* whose) {
  Error e = system_error(error, "cannot enter network namespace " + ref.name);
  if (error == EPERM) {
    e.message += has_admin_capability() ? std::string("; ") + whose +
                                              " belongs to another user namespace, "
                                              "in which we lack CAP_SYS_ADMIN"
                                        : std::string("; it takes CAP_SYS_ADMIN: run as root");
  }
  return tl::unexpected(std::move(e));
}

}  // namespace

Result<NamespaceScope> NamespaceScope::enter(const NamespaceRef& ref) {
  auto target = open_with_inode(ref.path);
  if (!target) return tl::unexpected(std::move(target.error()));
  if (ref.inode != 0 && target->inode != ref.inode) {
    return tl::unexpected(Error{ENOENT, "network namespace " + ref.name + " has gone"});
  }
  auto home = open_with_inode("/proc/thread-self/ns/net");
  if (!home) return tl::unexpected(std::move(home.error()));
  if (home->inode == target->inode) return NamespaceScope(UniqueFd());

  // Entering the namespace we are in changes nothing, but asks for the same rights as coming back will.
  if (::setns(home->fd.get(), CLONE_NEWNET) != 0) {
    return refused(errno, ref, "the one to come back to");
  }
  if (::setns(target->fd.get(), CLONE_NEWNET) != 0) return refused(errno, ref, "it");
  return NamespaceScope(std::move(home->fd));
}

NamespaceScope::~NamespaceScope() {
  if (!home_) return;
  // The right was tested on entering, so only memory can be short, for a moment.
  for (int attempt = 0; attempt < 500; ++attempt) {
    if (::setns(home_.get(), CLONE_NEWNET) == 0) return;
    if (errno != ENOMEM) break;
    const timespec pause{0, 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
  std::fprintf(stderr, "lastack: cannot come back from another network namespace: %s\n",
               std::strerror(errno));
  std::abort();
}

}  // namespace lastack
