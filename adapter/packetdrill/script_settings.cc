#include "script_settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lastack::packetdrill {
namespace {

// The first line, with blanks as the endpoint wants them between several numbers.
std::string value_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  std::replace(line.begin(), line.end(), '\t', ' ');
  return line;
}

}  // namespace

ScriptSettings::ScriptSettings() : verbose_(std::getenv("LASTACK_PACKETDRILL_VERBOSE") != nullptr) {
  const char* path = std::getenv("LASTACK_PACKETDRILL_SETTINGS");
  if (path == nullptr) path = std::getenv("PD_SYSCTL_FILE");
  if (path != nullptr) fd_ = ::open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
}

ScriptSettings::~ScriptSettings() {
  if (fd_ >= 0) ::close(fd_);
}

void ScriptSettings::refresh(Host& host) {
  if (fd_ >= 0) {
    read_file(host);
    return;
  }
  if (!looked_) find_sysctls(host);
  read_sysctls(host);
}

void ScriptSettings::read_file(Host& host) {
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t n = ::pread(fd_, piece.data(), piece.size(), read_);
    if (n <= 0) return;
    read_ += n;
    unfinished_.append(piece.data(), static_cast<std::size_t>(n));
    for (std::size_t end; (end = unfinished_.find('\n')) != std::string::npos;) {
      const std::string line = unfinished_.substr(0, end);
      unfinished_.erase(0, end + 1);
      const std::size_t equals = line.find('=');
      if (equals == std::string::npos) continue;
      const std::size_t dot = line.rfind('.', equals);
      const std::size_t begin = dot == std::string::npos ? 0 : dot + 1;
      apply(host, line.substr(begin, equals - begin), line.substr(equals + 1));
    }
  }
}

void ScriptSettings::find_sysctls(Host& host) {
  looked_ = true;
  std::error_code error;
  for (const char* folder : {"/proc/sys/net/ipv4", "/proc/sys/net/core"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (!entry.is_regular_file(error)) continue;
      Sysctl found{entry.path(), entry.path().filename(), {}};
      found.value = value_of(found.path);
      if (apply(host, found.name, found.value)) sysctls_.push_back(std::move(found));
    }
  }
}

void ScriptSettings::read_sysctls(Host& host) {
  for (Sysctl& sysctl : sysctls_) {
    std::string value = value_of(sysctl.path);
    if (value == sysctl.value) continue;
    sysctl.value = std::move(value);
    apply(host, sysctl.name, sysctl.value);
  }
}

bool ScriptSettings::apply(Host& host, const std::string& name, const std::string& given) {
  // Linux takes numbers in other bases as C writes them.
  std::string value = given;
  if (value.size() > 2 && value[0] == '0' && (value[1] == 'x' || value[1] == 'X')) {
    value = std::to_string(std::strtoul(value.c_str(), nullptr, 16));
  }
  if (name == "tcp_congestion_control") congestion_control_ = value;
  // TCP makes super-segments all the same.
  const bool of_device = name == "gso_max_size";
  if (of_device) cuts_ = value == "0";
  const bool known = of_device || host.set(name, value).has_value();
  if (verbose_) fmt::print(stderr, "lastack: {} {}={}\n", known ? "set" : "ignored", name, value);
  return known;
}

}  // namespace lastack::packetdrill
