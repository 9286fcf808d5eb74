#include "settings_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace lastack::packetdrill {

SettingsFile::SettingsFile() : verbose_(std::getenv("LASTACK_PACKETDRILL_VERBOSE") != nullptr) {
  const char* path = std::getenv("LASTACK_PACKETDRILL_SETTINGS");
  if (path == nullptr) path = std::getenv("PD_SYSCTL_FILE");
  if (path != nullptr) fd_ = ::open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
}

SettingsFile::~SettingsFile() {
  if (fd_ >= 0) ::close(fd_);
}

void SettingsFile::refresh(Host& host) {
  if (fd_ < 0) return;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t n = ::pread(fd_, piece.data(), piece.size(), read_);
    if (n <= 0) return;
    read_ += n;
    unfinished_.append(piece.data(), static_cast<std::size_t>(n));
    for (std::size_t end; (end = unfinished_.find('\n')) != std::string::npos;) {
      apply(host, unfinished_.substr(0, end));
      unfinished_.erase(0, end + 1);
    }
  }
}

void SettingsFile::apply(Host& host, const std::string& line) {
  const std::size_t equals = line.find('=');
  if (equals == std::string::npos) return;
  const std::size_t dot = line.rfind('.', equals);
  const std::size_t begin = dot == std::string::npos ? 0 : dot + 1;
  const std::string name = line.substr(begin, equals - begin);
  const std::string value = line.substr(equals + 1);
  if (name == "tcp_congestion_control") congestion_control_ = value;
  const bool known = host.set(name, value);
  if (verbose_) fmt::print(stderr, "lastack: {} {}={}\n", known ? "set" : "ignored", name, value);
}

}  // namespace lastack::packetdrill
