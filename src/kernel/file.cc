#include "kernel/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace lastack {

Result<UniqueFd> open_file(const char* path, int flags) {
  return open_file_at(AT_FDCWD, path, flags);
}

Result<UniqueFd> open_file_at(int directory, const char* path, int flags) {
  int fd = -1;
  do {
    fd = ::openat(directory, path, flags | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return tl::unexpected(system_error(errno, std::string("cannot open ") + path));
  return UniqueFd(fd);
}

long read_once(int fd, std::span<char> into) {
  for (;;) {
    const ssize_t n = ::read(fd, into.data(), into.size());
    if (n >= 0) return n;
    if (errno != EINTR) return -errno;
  }
}

long read_until_full(int fd, std::span<char> into) {
  std::size_t have = 0;
  while (have < into.size()) {
    const long n = read_once(fd, into.subspan(have));
    if (n < 0) return n;
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  return static_cast<long>(have);
}

namespace {

constexpr std::size_t kFirstPiece = 4096;

// Reads until the end, or until there is more than `limit` bytes, of which one more is then kept.
Result<std::string> read_bounded(int directory, const char* path, std::size_t limit) {
  auto fd = open_file_at(directory, path, O_RDONLY);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  std::string text;
  std::size_t have = 0;
  while (have <= limit) {
    const std::size_t room = std::max(kFirstPiece, have);  // doubles, as far as the limit goes
    text.resize(have + std::min(room, limit + 1 - have));
    const long n = read_until_full(fd->get(), std::span(text).subspan(have));
    if (n < 0) {
      return tl::unexpected(system_error(static_cast<int>(-n), std::string("cannot read ") + path));
    }
    const std::size_t wanted = text.size() - have;
    have += static_cast<std::size_t>(n);
    if (static_cast<std::size_t>(n) < wanted) break;
  }
  text.resize(have);
  return text;
}

}  // namespace

Result<std::string> read_file(const char* path, std::size_t limit) {
  return read_file_at(AT_FDCWD, path, limit);
}

Result<std::string> read_file_at(int directory, const char* path, std::size_t limit) {
  auto text = read_bounded(directory, path, limit);
  if (text && text->size() > limit) {
    return tl::unexpected(
        Error{EFBIG, std::string(path) + " holds more than " + std::to_string(limit) + " bytes"});
  }
  return text;
}

Result<std::string> read_start_of_file_at(int directory, const char* path, std::size_t limit) {
  auto text = read_bounded(directory, path, limit);
  if (text && text->size() > limit) text->resize(limit);
  return text;
}

}  // namespace lastack
