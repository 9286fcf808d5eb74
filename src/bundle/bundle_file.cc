// Bundles as files: written whole or not at all, read with a limit.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include "bundle/decode.h"
#include "bundle/encode.h"
#include "bundle/gzip.h"
#include "bundle/whole_file.h"
#include "lastack/bundle.h"

namespace lastack {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close_now(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  // Some file systems say only here that the data did not fit.
  int close_now() {
    const int fd = fd_;
    fd_ = -1;
    return fd < 0 ? 0 : ::close(fd);
  }

 private:
  int fd_;
};

Result<void> write_all(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(system_error(errno, "cannot write " + name));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// Opening without waiting is only for the sake of a FIFO that has nobody at its other end.
void wait_from_now_on(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

// A terminal, a pipe, /dev/null: there is nothing to rename onto it.
Result<void> write_into(const std::string& path, std::string_view bytes) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) {
    return tl::unexpected(system_error(
        errno, "cannot open " + path + (errno == ENXIO ? " (nobody reads from it)" : "")));
  }
  wait_from_now_on(fd.get());
  return write_all(fd.get(), bytes, path);
}

// A file in `folder` that has no name yet, so that nothing is left of it if we are killed; or, where the file
// system has no such thing, one with a temporary name. Its name, once it has one, goes to `name`.
Result<int> new_file(const std::string& folder, std::string& name) {
  const int nameless = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (nameless >= 0) return nameless;
  name = folder + "/.lastack.XXXXXX";
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);  // O_EXCL, mode 0600
  if (fd < 0) {
    const int error = errno;
    name.clear();
    return tl::unexpected(system_error(error, "cannot create a file in " + folder));
  }
  return fd;
}

// Gives a nameless file a temporary name, to be renamed from.
Result<void> give_name(int fd, const std::string& folder, std::string& name) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  for (unsigned n = 0; n < 100; ++n) {
    name = folder + "/.lastack." + std::to_string(::getpid()) + "." + std::to_string(n);
    if (::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    if (errno != EEXIST) break;
  }
  const int error = errno;
  name.clear();
  return tl::unexpected(system_error(error, "cannot name a new file in " + folder));
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

Result<void> write_beside_and_rename(const std::string& path, std::string_view bytes,
                                     unsigned mode) {
  const std::string folder = folder_of(path);
  std::string temporary;
  const auto opened = new_file(folder, temporary);
  if (!opened) return tl::unexpected(opened.error());
  Descriptor fd(*opened);
  Result<void> done = write_all(fd.get(), bytes, path);
  if (done && mode != kOwnerOnly) {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    (void)::fchmod(fd.get(), mode & ~mask);  // else it stays the owner's
  }
  if (done && ::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS) {
    done = tl::unexpected(system_error(errno, "cannot write " + path));
  }
  if (done && temporary.empty()) done = give_name(fd.get(), folder, temporary);
  if (fd.close_now() != 0 && done) {
    done = tl::unexpected(system_error(errno, "cannot write " + path));
  }
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) {
    done = tl::unexpected(system_error(errno, "cannot rename a new file to " + path));
  }
  if (!done) {
    if (!temporary.empty()) ::unlink(temporary.c_str());
    return done;
  }
  // That the name survives a power cut as well is worth trying, not worth failing for.
  const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() >= 0) ::fsync(parent.get());
  return done;
}

Result<std::string> read_up_to_limit(int fd, const std::string& name) {
  std::string bytes;
  std::vector<char> chunk(std::size_t{64} << 10);
  while (true) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(system_error(errno, "cannot read " + name));
    if (n == 0) return bytes;
    bytes.append(chunk.data(), static_cast<std::size_t>(n));
    if (bytes.size() > kLargestBundle) {
      return failure(name + ": larger than " + std::to_string(kLargestBundle >> 20) + " MiB");
    }
  }
}

}  // namespace

Result<void> write_bundle(const Observation& observation, const std::string& path) {
  const std::string text = encode_bundle(observation);
  if (text.size() > kLargestBundle) {
    return failure("the bundle would be larger than a reader accepts (" +
                   std::to_string(kLargestBundle >> 20) + " MiB)");
  }
  // A file that nobody can read helps nobody: better now, while another choice can be made.
  if (const auto read = decode_bundle(text); !read) {
    return failure("a reader would refuse the bundle (" + read.error().message +
                   "); look at fewer namespaces: --netns, --pid");
  }
  const std::string bytes = gzip(text);
  return write_whole_file(path, bytes);
}

Result<void> write_whole_file(const std::string& path, std::string_view bytes, unsigned mode) {
  if (path == "-") return write_all(STDOUT_FILENO, bytes, "standard output");

  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      return tl::unexpected(system_error(EISDIR, "cannot write " + path));
    }
    if (!S_ISREG(status.st_mode)) return write_into(path, bytes);
    // A symbolic link stays one: what it points to is replaced.
    std::error_code unresolved;
    const std::filesystem::path target = std::filesystem::canonical(path, unresolved);
    if (!unresolved) return write_beside_and_rename(target.string(), bytes, mode);
  }
  return write_beside_and_rename(path, bytes, mode);
}

Result<void> check_bundle_path(const std::string& path) {
  if (path == "-") return {};
  struct stat status {};
  std::string target = path;
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      return tl::unexpected(system_error(EISDIR, "cannot write " + path));
    }
    if (!S_ISREG(status.st_mode)) return {};
    std::error_code unresolved;
    const std::filesystem::path resolved = std::filesystem::canonical(path, unresolved);
    if (!unresolved) target = resolved.string();
  }
  std::string temporary;
  const auto opened = new_file(folder_of(target), temporary);
  if (!opened) return tl::unexpected(opened.error());
  const Descriptor fd(*opened);
  if (!temporary.empty()) ::unlink(temporary.c_str());
  return {};
}

Result<Observation> read_bundle(const std::string& path) {
  const bool from_standard_input = path == "-";
  const std::string name = from_standard_input ? "standard input" : path;
  std::optional<Descriptor> opened;
  int fd = STDIN_FILENO;
  if (!from_standard_input) {
    fd = opened.emplace(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)).get();
    if (fd < 0) return tl::unexpected(system_error(errno, "cannot open " + path));
    wait_from_now_on(fd);
  }
  const auto bytes = read_up_to_limit(fd, name);
  if (!bytes) return tl::unexpected(bytes.error());
  auto observation = from_bundle(*bytes);
  if (!observation) return failure(name + ": " + observation.error().message);
  return observation;
}

}  // namespace lastack
