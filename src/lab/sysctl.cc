#include "lab/sysctl.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "lab/unique_fd.h"

namespace lastack {
namespace {

std::string path_of(std::string_view name) {
  std::string path = "/proc/sys/";
  path += name;
  std::replace(path.begin() + 10, path.end(), '.', '/');
  return path;
}

// A name may come from a person: it must not lead out of /proc/sys.
bool is_plain(std::string_view name) {
  return !name.empty() && name.find('/') == name.npos && name.find("..") == name.npos &&
         name.front() != '.';
}

}  // namespace

Result<std::string> read_sysctl(std::string_view name) {
  if (!is_plain(name)) return failure("not a sysctl's name: " + std::string(name));
  const std::string path = path_of(name);
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return tl::unexpected(system_error(errno, "cannot open " + path));
  // Longer than any setting that the lab uses; a list of reserved ports can be longer still and is cut.
  char buffer[4096];
  const ssize_t length = read(file.get(), buffer, sizeof buffer);
  if (length < 0) return tl::unexpected(system_error(errno, "cannot read " + path));
  std::string value(buffer, static_cast<std::size_t>(length));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

Result<void> write_sysctl(const SysctlValue& setting) {
  if (!is_plain(setting.name)) return failure("not a sysctl's name: " + setting.name);
  const std::string path = path_of(setting.name);
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) {
    Error error = system_error(errno, "cannot set " + setting.name);
    if (errno == EROFS) error.message += " (/proc/sys is mounted read-only, as containers do)";
    return tl::unexpected(error);
  }
  // One write(): the kernel parses each one by itself.
  const ssize_t length = write(file.get(), setting.value.data(), setting.value.size());
  if (length != static_cast<ssize_t>(setting.value.size())) {
    return tl::unexpected(system_error(length < 0 ? errno : EIO,
                                       "cannot set " + setting.name + " to " + setting.value));
  }
  return {};
}

}  // namespace lastack
