// Calls that packetdrill makes to the C library and not to the table: getsockopt() for the assertions between
// %{ and }%, close() of what a script leaves open, sendfile(). When the module is named in LD_PRELOAD as
// well, these reach it; without that the scripts that need them fail.
#include "preload.h"

#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

namespace {

// Programs that a script starts shall not have it.
[[gnu::constructor]] void only_here() {
  unsetenv("LD_PRELOAD");
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] int getsockopt(int fd, int level, int option, void* value,
                                              socklen_t* length) noexcept {
  int result = 0;
  if (lastack::packetdrill::intercept_getsockopt(fd, level, option, value, length, result)) {
    return result;
  }
  return static_cast<int>(syscall(SYS_getsockopt, fd, level, option, value, length));
}

[[gnu::visibility("default")]] int close(int fd) {
  int result = 0;
  if (lastack::packetdrill::intercept_close(fd, result)) return result;
  return static_cast<int>(syscall(SYS_close, fd));
}

[[gnu::visibility("default")]] ssize_t sendfile(int out, int in, off_t* at, size_t size) noexcept {
  ssize_t result = 0;
  if (lastack::packetdrill::intercept_sendfile(out, in, at, size, result)) return result;
  return syscall(SYS_sendfile, out, in, at, size);
}
}
