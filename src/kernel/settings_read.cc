#include "kernel/settings_read.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>

#include "kernel/file.h"
#include "kernel/text.h"

namespace lastack {
namespace {

// The kernel gives a sysctl's value to the first read(2) only, cut where the buffer ends, and
// nothing to the second one. So a value must fit; a list of reserved ports, every other port, needs
// 190 KiB.
constexpr std::size_t kLongestPortList = std::size_t{256} << 10;

struct Reader {
  int proc_sys;
  std::string unreadable;  // names, with commas between
  std::string why;         // of the first of them
  std::size_t found = 0;

  void failed(std::string_view path, std::string reason) {
    if (unreadable.empty()) {
      why = std::move(reason);
    } else {
      unreadable += ", ";
    }
    unreadable += path.substr(path.rfind('/') + 1);
  }

  // Empty when the setting is not there or cannot be read. `path` ends with a NUL.
  std::string_view read(std::string_view path, std::span<char> buffer) {
    const auto fd = open_file_at(proc_sys, path.data(), O_RDONLY);
    if (!fd) {
      if (fd.error().number != ENOENT) failed(path, fd.error().message);
      return {};
    }
    const long n = read_once(fd->get(), buffer);
    if (n < 0) {
      failed(path, system_error(static_cast<int>(-n), "cannot read " + std::string(path)).message);
      return {};
    }
    ++found;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(n));
    // A full buffer is the caller's affair. Else the kernel ends every value with a newline.
    if (!text.empty() && text.size() < buffer.size() && text.back() != '\n') {
      failed(path, "the value is cut short");
      return {};
    }
    return text;
  }

  void read_reserved_ports(Settings& settings) {
    constexpr std::string_view path = "net/ipv4/ip_local_reserved_ports";
    std::array<char, 1024> small;
    std::string large;
    std::string_view text = read(path, small);
    if (text.size() == small.size()) {
      large.resize(kLongestPortList);
      text = read(path, large);
    }
    if (text.empty()) return;
    if (auto ports = PortSet::parse(text)) {
      settings.ip_local_reserved_ports = *ports;
    } else {
      failed(path, "the value is not a list of ports");
    }
  }
};

}  // namespace

std::optional<PortRange> parse_port_range(std::string_view text) {
  if (!text.ends_with('\n')) return std::nullopt;  // cut, perhaps in the middle of a number
  std::string_view rest = trim(text);
  const auto low = parse_number<Port>(take_word(rest));
  const auto high = parse_number<Port>(take_word(rest));
  if (!low || !high || *low > *high || !trim(rest).empty()) return std::nullopt;
  return PortRange{*low, *high};
}

void read_settings(Settings& settings, std::vector<NotRead>& not_read, const char* proc_sys) {
  constexpr std::string_view kWhat = "settings (net.*)";
  const auto directory = open_file(proc_sys, O_PATH | O_DIRECTORY);
  if (!directory) {
    not_read.push_back({std::string(kWhat), directory.error().message, ""});
    return;
  }
  Reader reader{directory->get(), {}, {}};
  std::array<char, 64> buffer;
  for (const SettingInfo& info : setting_table()) {
    const std::string_view text = reader.read(info.path, buffer);
    if (text.empty()) continue;
    const auto value = parse_number<std::int64_t>(trim(text));
    if (value && *value >= Settings::kLeast && *value <= Settings::kMost) {
      settings.*info.member = *value;
    } else {
      reader.failed(info.path, "the value is not a number of 32 bits");
    }
  }
  constexpr std::string_view kRange = "net/ipv4/ip_local_port_range";
  if (const std::string_view text = reader.read(kRange, buffer); !text.empty()) {
    settings.ip_local_port_range = parse_port_range(text);
    if (!settings.ip_local_port_range) reader.failed(kRange, "the value is not a range of ports");
  }
  reader.read_reserved_ports(settings);

  if (reader.found == 0) {
    const std::string why =
        reader.why.empty() ? std::string(proc_sys) + "/net is empty" : reader.why;
    not_read.push_back({std::string(kWhat), why, "mount /proc without masking /proc/sys"});
  } else if (!reader.unreadable.empty()) {
    not_read.push_back({"settings " + reader.unreadable, reader.why, ""});
  }
}

}  // namespace lastack
