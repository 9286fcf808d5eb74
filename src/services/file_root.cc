#include "services/file_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace lastack {
namespace {

// A FIFO must not keep us waiting, nor a terminal become ours.
constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> plain_path(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (target.empty() || target.front() != '/') return std::nullopt;
  std::string decoded;
  for (std::size_t i = 0; i < target.size(); ++i) {
    char c = target[i];
    if (c == '%') {
      if (target.size() - i < 3) return std::nullopt;
      const int high = hex_digit(target[i + 1]);
      const int low = hex_digit(target[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  std::vector<std::string_view> parts;
  for (std::string_view left = decoded; !left.empty();) {
    const std::size_t end = left.find('/');
    const std::string_view part = left.substr(0, end);
    left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (parts.empty()) return std::nullopt;
      parts.pop_back();
      continue;
    }
    parts.push_back(part);
  }
  std::string path;
  for (const std::string_view part : parts) {
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

Result<FileRoot> FileRoot::open(const std::string& directory) {
  UniqueFd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  // O_PATH asks nobody; what is below cannot be opened without this.
  if (!root || ::faccessat(root.get(), ".", X_OK, AT_EACCESS) != 0) {
    return tl::unexpected(system_error(errno, "cannot serve the directory " + directory));
  }
  return FileRoot(std::move(root));
}

int FileRoot::open_beneath(const std::string& path) const {
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  const long fd = ::syscall(SYS_openat2, root_.get(), name, &how, sizeof how);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(fd);
  // An older kernel, or a container's filter that does not know the call: one step after the other.
  UniqueFd at(::openat(root_.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (std::string_view left = path; at && !left.empty();) {
    const std::size_t end = left.find('/');
    const std::string part(left.substr(0, end));
    if (end == std::string_view::npos) {
      return ::openat(at.get(), part.c_str(), kFlags | O_NOFOLLOW);
    }
    left = left.substr(end + 1);
    at.reset(::openat(at.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at ? ::openat(at.get(), ".", kFlags) : -1;
}

Result<FileRoot::File> FileRoot::find(const std::string& path) const {
  File file;
  file.fd.reset(open_beneath(path));
  struct stat about {};
  if (!file.fd || ::fstat(file.fd.get(), &about) != 0) {
    int number = errno;
    if (number == EXDEV || number == ELOOP) number = EACCES;
    if (number == ENOTDIR || number == ENAMETOOLONG) number = ENOENT;
    return tl::unexpected(system_error(number, "cannot open " + path));
  }
  file.directory = S_ISDIR(about.st_mode);
  if (!file.directory && !S_ISREG(about.st_mode)) {
    return tl::unexpected(system_error(EACCES, path + " is neither a file nor a directory"));
  }
  file.size = static_cast<std::uint64_t>(about.st_size);
  file.modified = about.st_mtim.tv_sec;
  file.modified_ns = about.st_mtim.tv_nsec;
  file.inode = about.st_ino;
  return file;
}

}  // namespace lastack
