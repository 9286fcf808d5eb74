// The lines of sysctl.conf(5) and sysctl.d(5) that set what LastAck knows: what a reboot will
// bring, and where a setting comes from.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "kernel/file.h"
#include "kernel/settings_read.h"
#include "kernel/text.h"

namespace lastack {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;
constexpr std::size_t kMostFiles = 1000;
constexpr std::size_t kLongestValue = 256;
constexpr std::size_t kMostLines = 1024;  // of settings that matter here: a few dozen exist

// "net/ipv4/ip_forward" and "net.ipv4.ip_forward" name the same setting: whichever separator comes
// first is the separator, and the other one then stands for a character of the name.
std::string with_slashes(std::string_view name) {
  std::string path(name);
  const std::size_t first = path.find_first_of("./");
  if (first != std::string::npos && path[first] == '.') {
    for (char& c : path) {
      c = c == '.' ? '/' : c == '/' ? '.' : c;
    }
  }
  return path;
}

bool is_known_path(std::string_view path) {
  if (path == "net/ipv4/ip_local_port_range" || path == "net/ipv4/ip_local_reserved_ports")
    return true;
  return std::ranges::any_of(setting_table(),
                             [&](const SettingInfo& info) { return info.path == path; });
}

// One file may be there twice: Debian links /etc/sysctl.d/99-sysctl.conf to /etc/sysctl.conf.
using Seen = std::vector<std::pair<dev_t, ino_t>>;

void read_one(const std::string& path, const std::string& shown, Seen& seen,
              std::vector<SysctlLine>& lines) {
  // O_NONBLOCK: a FIFO of that name must not hold us up.
  const auto fd = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd) return;
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const std::pair id{status.st_dev, status.st_ino};
  if (std::ranges::find(seen, id) != seen.end()) return;
  seen.push_back(id);
  std::string text(std::min(static_cast<std::size_t>(status.st_size), kLargestFile), '\0');
  const long n = read_until_full(fd->get(), text);
  if (n < 0) return;
  text.resize(static_cast<std::size_t>(n));
  parse_sysctl_file(text, shown, lines);
}

}  // namespace

void parse_sysctl_file(std::string_view text, const std::string& file,
                       std::vector<SysctlLine>& lines) {
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    std::string_view line = trim(take_line(text));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '-') line.remove_prefix(1);  // "errors do not matter"
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string path = with_slashes(trim(line.substr(0, equals)));
    if (!is_known_path(path)) continue;
    std::ranges::replace(path, '/', '.');
    const std::string_view value = trim(line.substr(equals + 1)).substr(0, kLongestValue);
    if (lines.size() == kMostLines) return;
    lines.push_back({printable(file), number, std::move(path), printable(value)});
  }
}

std::vector<SysctlLine> read_sysctl_files(const std::string& root) {
  // The highest rank first.
  constexpr std::array<const char*, 4> kFolders = {"/etc/sysctl.d", "/run/sysctl.d",
                                                   "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"};
  std::map<std::string, std::string> paths;  // by file name, which is the order of application
  for (const char* folder : kFolders) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir((root + folder).c_str()),
                                                        &::closedir);
    if (!directory) continue;
    while (const dirent* entry = ::readdir(directory.get())) {
      std::string name = entry->d_name;
      if (!name.ends_with(".conf") || paths.size() >= kMostFiles) continue;
      std::string path = std::string(folder) + "/" + name;
      paths.emplace(std::move(name), std::move(path));
    }
  }
  std::vector<SysctlLine> lines;
  Seen seen;
  for (const auto& [name, path] : paths) read_one(root + path, path, seen, lines);
  read_one(root + "/etc/sysctl.conf", "/etc/sysctl.conf", seen, lines);
  return lines;
}

}  // namespace lastack
