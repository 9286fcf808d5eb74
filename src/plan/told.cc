#include "plan/told.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "model/nearest_word.h"
#include "stack/setting_names.h"

namespace lastack {

namespace {

// Numbers that a plan depends on; the ports have words of their own.
constexpr std::array<std::string_view, 7> kNumbers = {"tcp_tw_reuse",
                                                      "tcp_tw_reuse_delay",
                                                      "tcp_timestamps",
                                                      "tcp_max_tw_buckets",
                                                      "tcp_tw_timeout",
                                                      "nf_conntrack_max",
                                                      "nf_conntrack_tcp_timeout_time_wait"};
constexpr std::string_view kRange = "ip_local_port_range";
constexpr std::string_view kReserved = "ip_local_reserved_ports";

std::string all_names() {
  std::string names = fmt::format("{}, {}", kRange, kReserved);
  for (const std::string_view name : kNumbers) names += fmt::format(", {}", name);
  return names;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  text = without_blanks(text);
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// "32768 60999", as the sysctl has it, or "32768-60999".
std::optional<PortRange> parse_range(std::string_view text) {
  text = without_blanks(text);
  const std::size_t between = text.find_first_of(" \t-");
  if (between == std::string_view::npos) return std::nullopt;
  const auto low = parse_number<Port>(text.substr(0, between));
  const auto high = parse_number<Port>(text.substr(between + 1));
  if (!low || !high || *low == 0 || *low > *high) return std::nullopt;
  return PortRange{*low, *high};
}

Result<void> set_number(Load& load, const SettingInfo& info, std::string_view value) {
  Settings::Value& member = load.settings.*info.member;
  if (const SettingLimits* limits = find_number_setting(info.name)) {
    const auto number = parse_setting(*limits, value);
    if (!number) return tl::unexpected(number.error());
    member = *number;
    return {};
  }
  const auto number = parse_number<std::int64_t>(value);
  if (!number || *number < 0 || *number > INT32_MAX) {
    return failure(fmt::format("{} takes a number from 0 to {}", info.name, INT32_MAX));
  }
  member = *number;
  return {};
}

}  // namespace

std::optional<Duration> parse_length(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 5> kUnits = {
      {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}}};
  constexpr double kLongest = 366.0 * 86400;
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !(value >= 0)) return std::nullopt;
  const auto at = static_cast<std::size_t>(stop - text.data());
  for (const auto& [name, length] : kUnits) {
    if (text.substr(at) != name) continue;
    if (value * length > kLongest) return std::nullopt;
    return std::chrono::round<Duration>(std::chrono::duration<double>(value * length));
  }
  return std::nullopt;
}

Result<void> set(Load& load, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  const std::string_view name = assignment.substr(0, equals);
  if (equals == std::string_view::npos || name.empty()) {
    return failure("NAME=VALUE, such as tcp_tw_reuse=1");
  }
  const std::string_view value = assignment.substr(equals + 1);
  if (name == kRange) {
    const auto range = parse_range(value);
    if (!range) {
      return failure(fmt::format(
          "{} takes two ports from 1 to 65535, the lower one first, such as '32768 60999'", name));
    }
    load.settings.ip_local_port_range = range;
    return {};
  }
  if (name == kReserved) {
    const auto reserved = PortSet::parse(value);
    if (!reserved)
      return failure(fmt::format("{} takes a list of ports, such as 8080,9100-9110", name));
    load.settings.ip_local_reserved_ports = *reserved;
    return {};
  }
  for (const std::string_view known : kNumbers) {
    if (name == known) return set_number(load, *find_setting(name), value);
  }
  if (name == "tcp_fin_timeout") {
    return failure(
        "tcp_fin_timeout bounds FIN_WAIT_2 of connections whose other end does not close; it changes neither TIME_WAIT nor "
        "this plan");
  }
  if (find_setting(name) != nullptr || check_setting_name(name)) {
    return failure(fmt::format("{} changes nothing here; what does: {}", name, all_names()));
  }
  std::vector<std::string_view> names(kNumbers.begin(), kNumbers.end());
  names.insert(names.end(), {kRange, kReserved});
  const std::string_view near = nearest_word(name, names);
  return failure(fmt::format("there is no such setting here; {}there are: {}",
                             near.empty() ? "" : fmt::format("the nearest is {}; ", near),
                             all_names()));
}

}  // namespace lastack
