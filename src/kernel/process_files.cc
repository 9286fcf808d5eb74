#include "kernel/process_files.h"

#include <algorithm>
#include <array>

#include "kernel/text.h"

namespace lastack {
namespace {

constexpr std::size_t kLongestName = 128;    // of a unit or container; what is longer is cut
constexpr std::size_t kLongestCommand = 64;  // 15 for programs, more for kernel threads
constexpr std::size_t kLongestArguments = 256;
constexpr std::size_t kShownDigits = 12;  // of a container's identifier, as docker ps shows them

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); });
}

// One component of a cgroup's path, if it stands for a container: its name, else empty. Runtimes
// name them docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope, or plainly ID
// below /docker, /kubepods or /ecs, or SLICE:cri-containerd:ID, where ID is 64 hexadecimal digits.
std::string_view container_in(std::string_view component) {
  constexpr std::size_t kDigits = 64;
  constexpr std::array<std::string_view, 4> kRuntimes = {"docker-", "cri-containerd-", "crio-",
                                                         "libpod-"};
  if (component.ends_with(".scope")) component.remove_suffix(6);
  // crio-conmon-ID and libpod-conmon-ID hold the monitor, which is outside of the container.
  if (component.find("conmon") != std::string_view::npos) return {};
  const std::size_t cut = component.find_last_of("-:");
  const std::string_view id = cut == std::string_view::npos ? component : component.substr(cut + 1);
  const bool known_runtime = std::ranges::any_of(
      kRuntimes, [&](std::string_view prefix) { return component.starts_with(prefix); });
  const std::size_t least = known_runtime ? kShownDigits : kDigits;
  if (id.size() < least || id.size() > kDigits || !is_hex(id)) return {};
  return id.substr(0, kShownDigits);
}

bool is_unit(std::string_view component) {
  return (component.ends_with(".service") && component.size() > 8) ||
         (component.ends_with(".scope") && component.size() > 6);
}

struct Place {
  std::string_view unit;
  std::string_view container;
};

// The innermost container of a cgroup's path, and the innermost unit inside of that.
Place place_in(std::string_view path) {
  Place place;
  std::string_view parent;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    std::string_view container = container_in(component);
    if (component.starts_with("lxc.payload.")) container = component.substr(12);
    if (parent == "lxc" || parent == "lxc.payload") container = component;
    if (!container.empty()) {
      place = {{}, container};
    } else if (is_unit(component)) {
      place.unit = component;
    }
    parent = component;
  }
  return place;
}

}  // namespace

std::optional<std::uint64_t> parse_limits(std::string_view text) {
  constexpr std::string_view kPrefix = "Max open files";
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (!line.starts_with(kPrefix)) continue;
    line.remove_prefix(kPrefix.size());
    const std::string_view soft = take_word(line);
    if (take_word(line).empty())
      return std::nullopt;  // cut before the hard limit, or within the soft
    if (soft == "unlimited") return kMostCount;
    const auto limit = parse_number<std::uint64_t>(soft);
    if (!limit) return std::nullopt;
    return std::min(*limit, kMostCount);
  }
  return std::nullopt;
}

bool parse_cgroup(std::string_view text, Process& process) {
  bool from_systemd = false;
  while (!text.empty()) {
    // "4:memory:/path" of version 1, where systemd has the hierarchy "name=systemd"; "0::/path"
    // of 2.
    const std::string_view line = take_line(text);
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const Place place = place_in(line.substr(second + 1));
    const bool systemd = controllers.empty() || controllers == "name=systemd";
    if (!place.container.empty() && process.container.empty()) {
      process.container = printable(place.container.substr(0, kLongestName));
    }
    if (!place.unit.empty() && (process.unit.empty() || (systemd && !from_systemd))) {
      process.unit = printable(place.unit.substr(0, kLongestName));
      from_systemd = systemd;
    }
  }
  return !process.unit.empty() || !process.container.empty();
}

bool parse_stat(std::string_view text, Process& process) {
  // The command ends with the last parenthesis: it may hold some itself, but what follows does not.
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return false;
  const auto pid = parse_number<std::int32_t>(trim(text.substr(0, open)));
  std::string_view rest = text.substr(close + 1);
  take_word(rest);  // the state
  const auto parent = parse_number<std::int32_t>(take_word(rest));
  // More follows; where it does not, the text was cut, perhaps in the middle of that number.
  if (take_word(rest).empty()) return false;
  if (!pid || !parent || *pid <= 0 || *parent < 0) return false;
  process.pid = *pid;
  process.parent = *parent;
  process.command = printable(text.substr(open + 1, close - open - 1).substr(0, kLongestCommand));
  return true;
}

std::optional<std::uint32_t> parse_status_uid(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (!line.starts_with("Uid:")) continue;
    line.remove_prefix(4);
    take_word(line);  // the real one
    const std::string_view effective = take_word(line);
    if (take_word(line).empty()) return std::nullopt;  // cut, perhaps in the middle of the number
    return parse_number<std::uint32_t>(effective);
  }
  return std::nullopt;
}

std::string parse_cmdline(std::string_view text) {
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  std::string arguments(text);
  std::ranges::replace(arguments, '\0', ' ');
  if (arguments.size() > kLongestArguments) {
    std::size_t end = kLongestArguments;
    // Not in the middle of a character.
    while (end > 0 && (static_cast<unsigned char>(arguments[end]) & 0xc0) == 0x80) --end;
    arguments.resize(end);
  }
  return printable(arguments);
}

std::optional<std::uint64_t> parse_inode_link(std::string_view link, std::string_view kind) {
  if (!link.starts_with(kind)) return std::nullopt;
  link.remove_prefix(kind.size());
  if (!link.starts_with(":[") || !link.ends_with("]") || link.size() < 4) return std::nullopt;
  return parse_number<std::uint64_t>(link.substr(2, link.size() - 3));
}

std::string parse_hidepid(std::string_view mountinfo) {
  std::string found;
  while (!mountinfo.empty()) {
    // "22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw,hidepid=invisible"
    std::string_view line = take_line(mountinfo);
    std::string_view rest = line;
    for (int i = 0; i < 4; ++i) take_word(rest);
    if (take_word(rest) != "/proc") continue;
    found.clear();  // a later mount covers the earlier one
    const std::size_t separator = rest.find(" - ");
    if (separator == std::string_view::npos) continue;
    std::string_view source = rest.substr(separator + 3);
    if (take_word(source) != "proc") continue;
    take_word(source);
    std::string_view options = take_word(source);
    while (!options.empty()) {
      const std::size_t comma = options.find(',');
      const std::string_view option = options.substr(0, comma);
      options.remove_prefix(comma == std::string_view::npos ? options.size() : comma + 1);
      if (option.starts_with("hidepid=") && option != "hidepid=0" && option != "hidepid=off") {
        found = printable(option.substr(0, kLongestName));
      }
    }
  }
  return found;
}

}  // namespace lastack
