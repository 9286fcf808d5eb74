// Sysctls by name: those of the shared vocabulary, and those that only an endpoint has.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <type_traits>
#include <variant>

#include "stack/host_impl.h"
#include "stack/profile.h"
#include "stack/setting_names.h"

namespace lastack {
namespace {

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Up to three numbers with blanks between.
struct Numbers {
  std::array<std::int64_t, 3> values{};
  std::size_t count = 0;
};
std::optional<Numbers> parse_numbers(std::string_view text) {
  Numbers numbers;
  while (!text.empty()) {
    const std::size_t blank = text.find_first_of(" \t\n,");
    const std::string_view word = text.substr(0, blank);
    text.remove_prefix(blank == text.npos ? text.size() : blank + 1);
    if (word.empty()) continue;
    const auto value = parse_integer(word);
    if (!value || numbers.count == numbers.values.size()) return std::nullopt;
    numbers.values[numbers.count++] = *value;
  }
  return numbers;
}

int as_int(std::int64_t value, std::int64_t least, std::int64_t most) {
  return static_cast<int>(std::clamp(value, least, most));
}

tl::unexpected<Error> refused(std::string message) {
  return tl::unexpected(Error{EINVAL, std::move(message)});
}

// Three numbers, each from `least` to `most`.
Result<Numbers> parse_three(std::string_view name, std::string_view text, std::int64_t least,
                            std::int64_t most) {
  const auto numbers = parse_numbers(text);
  const auto fits = [&](std::int64_t value) { return value >= least && value <= most; };
  if (!numbers || numbers->count != 3 ||
      !std::all_of(numbers->values.begin(), numbers->values.end(), fits)) {
    return refused(fmt::format("{} takes three numbers from {} to {}", name, least, most));
  }
  return *numbers;
}

Result<void> set_buffer(std::string_view name, std::string_view text, std::uint32_t& usual,
                        std::uint32_t& most) {
  const auto numbers = parse_three(name, text, 256, std::int64_t{1} << 30);
  if (!numbers) return tl::unexpected(numbers.error());
  usual = static_cast<std::uint32_t>(numbers->values[1]);
  most = static_cast<std::uint32_t>(numbers->values[2]);
  return {};
}

// Those that `Settings` does not have, since they say nothing about how connections end.
struct OwnSetting {
  std::string_view name;
  std::variant<bool TcpSettings::*, int TcpSettings::*, std::uint32_t TcpSettings::*,
               std::int64_t TcpSettings::*>
      member;
};
constexpr OwnSetting kOwn[] = {
    {"tcp_window_scaling", &TcpSettings::window_scaling},
    {"tcp_sack", &TcpSettings::sack},
    {"tcp_dsack", &TcpSettings::dsack},
    {"tcp_slow_start_after_idle", &TcpSettings::slow_start_after_idle},
    {"tcp_thin_linear_timeouts", &TcpSettings::thin_linear_timeouts},
    {"tcp_retrans_collapse", &TcpSettings::retrans_collapse},
    {"tcp_reordering", &TcpSettings::reordering},
    {"tcp_max_reordering", &TcpSettings::max_reordering},
    {"tcp_recovery", &TcpSettings::recovery},
    {"tcp_early_retrans", &TcpSettings::early_retrans},
    {"tcp_frto", &TcpSettings::frto},
    {"tcp_min_tso_segs", &TcpSettings::min_tso_segs},
    {"tcp_invalid_ratelimit", &TcpSettings::invalid_ratelimit_ms},
    {"tcp_min_snd_mss", &TcpSettings::min_snd_mss},
    {"tcp_notsent_lowat", &TcpSettings::notsent_lowat},
    {"tcp_ecn", &TcpSettings::ecn},
    {"tcp_fastopen", &TcpSettings::fast_open},
    {"tcp_moderate_rcvbuf", &TcpSettings::moderate_rcvbuf},
    {"tcp_shrink_window", &TcpSettings::shrink_window},
    {"tcp_comp_sack_nr", &TcpSettings::comp_sack_nr},
    {"tcp_comp_sack_delay_ns", &TcpSettings::comp_sack_delay_ns},
    {"rmem_max", &TcpSettings::rmem_limit},
    {"wmem_max", &TcpSettings::wmem_limit},
    {"gso_max_size", &TcpSettings::gso_max_size},
};

// Whether it is one of them.
bool set_own(TcpSettings& tcp, std::string_view name, std::int64_t value) {
  for (const OwnSetting& own : kOwn) {
    if (own.name != name) continue;
    const auto put = [&](auto member) {
      using T = std::remove_reference_t<decltype(tcp.*member)>;
      if constexpr (std::is_same_v<T, bool>) {
        tcp.*member = value != 0;
      } else {
        tcp.*member = static_cast<T>(value);
      }
    };
    std::visit(put, own.member);
    return true;
  }
  return false;
}

}  // namespace

void Host::Impl::resolve_settings() {
  const auto value = [](const Settings::Value& v, std::int64_t usual, std::int64_t least,
                        std::int64_t most) { return as_int(v.value_or(usual), least, most); };
  constexpr std::int64_t kMost = 0x7fffffff;
  TimeWaitSettings kept = TimeWaitSettings::from(settings);
  const ProfileRules profile = profile_rules(options.profile);
  // A knob of some vendors' kernels comes before the rule.
  msl = options.msl.value_or(profile.msl);
  kept.length = settings.tcp_tw_timeout ? settings.time_wait_length() : 2 * msl;
  kept.invalid_ratelimit = std::chrono::milliseconds(tcp.invalid_ratelimit_ms);
  if (options.evict_oldest_time_wait) kept.when_full = TimeWaitSettings::WhenFull::EvictOldest;
  kept.rules.profile = profile.time_wait;
  kept.rules.timestamps = profile.timestamps;
  if (options.time_wait_length) kept.length = *options.time_wait_length;
  const bool other_reuse = kept.reuse != waits.settings().reuse;
  waits.configure(kept, now);
  if (other_reuse) waits.tell_rested();
  ports.set_rules(LocalPortRules::from(settings));
  tcp.timestamps = settings.tcp_timestamps ? settings.timestamps_on() : profile.timestamps;
  tcp.syn_retries = value(settings.tcp_syn_retries, profile.syn_retries, 1, 127);
  tcp.synack_retries = value(settings.tcp_synack_retries, profile.synack_retries, 0, 255);
  tcp.retries1 = value(settings.tcp_retries1, 3, 0, 255);
  tcp.retries2 = value(settings.tcp_retries2, 15, 0, 255);
  tcp.orphan_retries = value(settings.tcp_orphan_retries, 0, 0, 255);
  tcp.fin_timeout = value(settings.tcp_fin_timeout, 60, -kMost, kMost);
  tcp.keepalive_time = value(settings.tcp_keepalive_time, 7200, 0, kMost);
  tcp.keepalive_intvl = value(settings.tcp_keepalive_intvl, 75, 0, kMost);
  tcp.keepalive_probes = value(settings.tcp_keepalive_probes, 9, 0, 255);
  tcp.rules = profile.tcp;
  if (options.syn_answer) tcp.rules.syn_answer = *options.syn_answer;
}

Result<void> Host::Impl::set(std::string_view name, std::string_view value) {
  if (auto known = check_setting_name(name); !known) return known;
  if (name == "ip_local_port_range") {
    const auto numbers = parse_numbers(value);
    if (!numbers || numbers->count != 2 || numbers->values[0] < 1 || numbers->values[1] > 65535 ||
        numbers->values[0] > numbers->values[1]) {
      return refused(
          "ip_local_port_range takes two ports from 1 to 65535, the lower one first, such as 32768 "
          "60999");
    }
    const std::int64_t start = settings.ip_unprivileged_port_start.value_or(1024);
    if (numbers->values[0] < start) {
      return refused(fmt::format(
          "ip_local_port_range begins at ip_unprivileged_port_start, {}, or above it", start));
    }
    settings.ip_local_port_range =
        PortRange{static_cast<Port>(numbers->values[0]), static_cast<Port>(numbers->values[1])};
    resolve_settings();
    return {};
  }
  if (name == "ip_local_reserved_ports") {
    const auto reserved = PortSet::parse(value);
    if (!reserved) {
      return refused("ip_local_reserved_ports takes a list of ports, such as 8080,9100-9110");
    }
    settings.ip_local_reserved_ports = *reserved;
    resolve_settings();
    return {};
  }
  if (name == "tcp_congestion_control") {
    if (value != "cubic" && value != "reno") {
      return refused("tcp_congestion_control is cubic or reno");
    }
    tcp.congestion_control =
        value == "cubic" ? CongestionControl::Cubic : CongestionControl::NewReno;
    return {};
  }
  if (name == "tcp_fastopen_key") {
    const auto keys = FastOpenKeys::parse(value);
    if (!keys) {
      return refused(
          "tcp_fastopen_key takes a key as four hexadecimal words with hyphens between, and with a "
          "comma before it a second one");
    }
    fast_open.keys = *keys;
    return {};
  }
  if (name == "tcp_mem") {
    const auto numbers = parse_three(name, value, 0, std::int64_t{1} << 40);
    if (!numbers) return tl::unexpected(numbers.error());
    std::transform(numbers->values.begin(), numbers->values.end(), memory_pages.begin(),
                   [](std::int64_t pages) { return static_cast<std::uint64_t>(pages); });
    return {};
  }
  if (name == "tcp_rmem") return set_buffer(name, value, tcp.rmem_default, tcp.rmem_max);
  if (name == "tcp_wmem") return set_buffer(name, value, tcp.wmem_default, tcp.wmem_max);
  const auto number = parse_setting(*find_number_setting(name), value);
  if (!number) return tl::unexpected(number.error());
  const std::uint32_t range_begins =
      settings.ip_local_port_range.value_or(LocalPortRules{}.range).low;
  if (name == "ip_unprivileged_port_start" && *number > range_begins) {
    return refused(
        fmt::format("ip_unprivileged_port_start is at most where ip_local_port_range begins, {}",
                    range_begins));
  }
  if (const SettingInfo* info = find_setting(name)) {
    settings.*info->member = *number;
    resolve_settings();
  } else if (name == "tcp_challenge_ack_limit") {
    challenges.per_second = static_cast<std::uint32_t>(*number);
  } else if (!set_own(tcp, name, *number)) {
    return refused(std::string(name) + " is not to be had here");  // the tables do not agree
  }
  return {};
}

}  // namespace lastack
