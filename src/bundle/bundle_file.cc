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
Result<int> open_to_write_into(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    return tl::unexpected(system_error(
        errno, "cannot open " + path + (errno == ENXIO ? " (nobody reads from it)" : "")));
  }
  wait_from_now_on(fd);
  return fd;
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

struct WholeFile::Parts {
  static constexpr std::size_t kAtOnce = std::size_t{256} << 10;

  std::string called;  // in errors
  std::string path;    // what it is to be; empty: it is written into
  std::string temporary;
  unsigned mode = kOwnerOnly;
  int fd = -1;
  bool own = true;  // it is closed here
  std::string waiting;
  Result<void> done;

  Parts() = default;
  Parts(const Parts&) = delete;
  ~Parts() {
    if (fd >= 0 && own) ::close(fd);
    if (!temporary.empty()) ::unlink(temporary.c_str());
  }

  void flush() {
    if (done) done = write_all(fd, waiting, called);
    waiting.clear();
  }
  // Some file systems say only here that the data did not fit.
  void close_now() {
    if (own && ::close(fd) != 0 && done) {
      done = tl::unexpected(system_error(errno, "cannot write " + called));
    }
    fd = -1;
  }
  void rename_into_place() {
    if (done && mode != kOwnerOnly) {
      const mode_t mask = ::umask(0);
      ::umask(mask);
      (void)::fchmod(fd, mode & ~mask);  // else it stays the owner's
    }
    if (done && ::fsync(fd) != 0 && errno != EINVAL && errno != EROFS) {
      done = tl::unexpected(system_error(errno, "cannot write " + called));
    }
    const std::string folder = folder_of(path);
    if (done && temporary.empty()) done = give_name(fd, folder, temporary);
    close_now();
    if (done && ::rename(temporary.c_str(), path.c_str()) != 0) {
      done = tl::unexpected(system_error(errno, "cannot rename a new file to " + path));
    }
    if (!done) return;
    temporary.clear();
    // That the name survives a power cut as well is worth trying, not worth failing for.
    const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent.get() >= 0) ::fsync(parent.get());
  }
};

WholeFile::WholeFile(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
WholeFile::WholeFile(WholeFile&& other) noexcept = default;
WholeFile& WholeFile::operator=(WholeFile&& other) noexcept = default;
WholeFile::~WholeFile() = default;

Result<WholeFile> WholeFile::open(const std::string& path, unsigned mode) {
  auto parts = std::make_unique<Parts>();
  parts->called = path;
  parts->mode = mode;
  if (path == "-") {
    parts->called = "standard output";
    parts->fd = STDOUT_FILENO;
    parts->own = false;
    return WholeFile(std::move(parts));
  }
  parts->path = path;
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      return tl::unexpected(system_error(EISDIR, "cannot write " + path));
    }
    if (!S_ISREG(status.st_mode)) {
      const auto opened = open_to_write_into(path);
      if (!opened) return tl::unexpected(opened.error());
      parts->fd = *opened;
      parts->path.clear();
      return WholeFile(std::move(parts));
    }
    // A symbolic link stays one: what it points to is replaced.
    std::error_code unresolved;
    const std::filesystem::path target = std::filesystem::canonical(path, unresolved);
    if (!unresolved) parts->path = target.string();
  }
  const auto opened = new_file(folder_of(parts->path), parts->temporary);
  if (!opened) return tl::unexpected(opened.error());
  parts->fd = *opened;
  return WholeFile(std::move(parts));
}

Result<void> WholeFile::write(std::string_view bytes) {
  Parts& p = *parts_;
  if (p.waiting.size() + bytes.size() >= Parts::kAtOnce) {
    p.flush();
    if (p.done) p.done = write_all(p.fd, bytes, p.called);
  } else if (p.done) {
    p.waiting += bytes;
  }
  return p.done;
}

Result<void> WholeFile::finish() {
  parts_->flush();
  if (parts_->path.empty()) {
    parts_->close_now();
  } else {
    parts_->rename_into_place();
  }
  return parts_->done;
}

Result<void> write_whole_file(const std::string& path, std::string_view bytes, unsigned mode) {
  auto file = WholeFile::open(path, mode);
  if (!file) return tl::unexpected(file.error());
  if (auto written = file->write(bytes); !written) return written;
  return file->finish();
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
