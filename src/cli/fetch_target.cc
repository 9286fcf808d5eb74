#include "cli/fetch_target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace lastack {
namespace {

// What the stream takes without waiting, without a change of O_NONBLOCK: others share its open file description.
ssize_t write_some(int stream, std::span<const std::byte> bytes) {
  const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  const ssize_t n = ::pwritev2(stream, &part, 1, -1, RWF_NOWAIT);
  if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return n;
  // What poll() finds writable takes PIPE_BUF bytes at once (pipe(7)).
  pollfd look{stream, POLLOUT, 0};
  if (::poll(&look, 1, 0) == 0) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(stream, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
}

}  // namespace

Result<FetchTarget> FetchTarget::open(const std::string& output, bool resume) {
  FetchTarget target;
  struct stat about {};
  if (output == "-") {
    target.name_ = "standard output";
    target.stream_ = STDOUT_FILENO;
    const int flags = ::fcntl(target.stream_, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || ::fstat(target.stream_, &about) != 0) {
      return tl::unexpected(system_error(EBADF, "cannot write to standard output"));
    }
    target.never_waits_ = S_ISREG(about.st_mode) || S_ISBLK(about.st_mode);
    if (::isatty(target.stream_) != 0) {
      // poll() does not say how much a terminal takes; only a description of our own may be O_NONBLOCK.
      target.fd_.reset(::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
      if (target.fd_) target.stream_ = target.fd_.get();
    }
    return target;
  }
  target.name_ = output;
  if (::stat(output.c_str(), &about) == 0 && !S_ISREG(about.st_mode)) {
    if (S_ISDIR(about.st_mode)) {
      return tl::unexpected(
          Error{EISDIR, output + " is a directory: --output names the file to write"});
    }
    if (resume) {
      return tl::unexpected(Error{EINVAL, "--resume needs a file, and " + output + " is none"});
    }
    target.fd_.reset(::open(output.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!target.fd_) return tl::unexpected(system_error(errno, "cannot write " + output));
    target.stream_ = target.fd_.get();
    return target;
  }
  target.part_ = output + ".part";
  target.fd_.reset(
      ::open(target.part_.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666));
  if (!target.fd_ || ::fstat(target.fd_.get(), &about) != 0) {
    return tl::unexpected(system_error(errno, "cannot write " + target.part_));
  }
  if (resume && about.st_size > 0) target.read_version(static_cast<std::uint64_t>(about.st_size));
  return target;
}

// Written as the head of a message, so that half of it is seen to be half.
void FetchTarget::read_version(std::uint64_t length) {
  unknown_ = length;
  const UniqueFd file(::open(version_file().c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, kMostHttpHead> room;
  const ssize_t size = file ? ::read(file.get(), room.data(), room.size()) : -1;
  HttpHead head;
  if (size <= 0 ||
      parse_http_head({room.data(), static_cast<std::size_t>(size)}, head) != HeadState::Complete) {
    return;
  }
  HttpPart part;
  part.length = length;
  part.version.tag = head.field("ETag").value_or("");
  part.version.modified = head.field("Last-Modified").value_or("");
  if (const auto whole = head.field("Length")) part.whole = parse_decimal(*whole);
  if (part.version.condition().empty() || part.whole.value_or(length) < length) return;
  there_ = std::move(part);
  unknown_ = 0;
  resumable_ = true;
}

Result<void> FetchTarget::write_version(const FetchResult& head) const {
  if (head.version.condition().empty()) return {};
  std::string text = "part of\r\n";
  if (!head.version.tag.empty()) text += fmt::format("ETag: {}\r\n", head.version.tag);
  if (!head.version.modified.empty())
    text += fmt::format("Last-Modified: {}\r\n", head.version.modified);
  if (head.whole) text += fmt::format("Length: {}\r\n", *head.whole);
  text += "\r\n";
  const UniqueFd file(
      ::open(version_file().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return tl::unexpected(system_error(errno, "cannot write " + version_file()));
  }
  return {};
}

Result<void> FetchTarget::in_trouble(Error error) {
  kept_.clear();
  at_ = 0;
  if (!trouble_) trouble_ = error;
  return tl::unexpected(std::move(error));
}

Result<void> FetchTarget::begin(const FetchResult& head) {
  if (!is_file() || head.status != 200) return {};
  // In this order: at no time does a version stand beside bytes of another.
  if ((::unlink(version_file().c_str()) != 0 && errno != ENOENT) ||
      ::ftruncate(fd_.get(), 0) != 0) {
    return in_trouble(system_error(errno, "cannot begin " + part_ + " anew"));
  }
  if (auto written = write_version(head); !written) return in_trouble(written.error());
  resumable_ = !head.version.condition().empty();
  return {};
}

Result<void> FetchTarget::put(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!is_file()) {
    kept_.insert(kept_.end(), bytes.begin(), bytes.end());
    return go_on();
  }
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return in_trouble(system_error(errno, "cannot write to " + part_));
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> FetchTarget::go_on() {
  while (waiting()) {
    const auto rest = std::span<const std::byte>(kept_).subspan(at_);
    const ssize_t n =
        never_waits_ ? ::write(stream_, rest.data(), rest.size()) : write_some(stream_, rest);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return {};
    if (n < 0) return in_trouble(system_error(errno, "cannot write to " + name_));
    at_ += static_cast<std::size_t>(n);
  }
  kept_.clear();
  at_ = 0;
  return {};
}

Result<void> FetchTarget::finish(std::uint64_t length) {
  if (!is_file()) return {};
  if (::ftruncate(fd_.get(), static_cast<off_t>(length)) != 0 ||
      ::rename(part_.c_str(), name_.c_str()) != 0) {
    return in_trouble(system_error(errno, "cannot finish " + name_));
  }
  (void)::unlink(version_file().c_str());
  return {};
}

}  // namespace lastack
