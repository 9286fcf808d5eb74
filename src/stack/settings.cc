// Sysctls by name: those of the shared vocabulary, and those that only an endpoint has.
#include <algorithm>
#include <array>
#include <charconv>

#include "stack/host_impl.h"
#include "stack/profile.h"

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
    const std::size_t blank = text.find_first_of(" \t,");
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

// What the kernel takes (6.18): many are bytes, and a few have limits of their own. Those in seconds are kept in
// ticks there, of which a kernel of 250 Hz has so many.
struct Limits {
  std::string_view name;
  std::int64_t least;
  std::int64_t most;
};
constexpr std::int64_t kInt = 0x7fffffff, kByte = 255, kSeconds = kInt / 250;
constexpr Limits kLimits[] = {
    {"tcp_tw_reuse", 0, 2},
    {"tcp_tw_reuse_delay", 1, 60'000},
    {"tcp_max_tw_buckets", -kInt - 1, kInt},
    {"tcp_rfc1337", 0, kByte},
    {"tcp_timestamps", 0, kByte},
    {"tcp_fin_timeout", -kSeconds, kSeconds},
    {"tcp_orphan_retries", 0, kByte},
    {"tcp_retries1", 0, kByte},
    {"tcp_retries2", 0, kByte},
    {"tcp_syn_retries", 1, 127},
    {"tcp_synack_retries", 0, kByte},
    {"tcp_keepalive_time", -kSeconds, kSeconds},
    {"tcp_keepalive_intvl", -kSeconds, kSeconds},
    {"tcp_keepalive_probes", 0, kByte},
    {"somaxconn", 0, kInt},
    {"tcp_max_syn_backlog", -kInt - 1, kInt},
    {"tcp_syncookies", 0, kByte},
    {"tcp_abort_on_overflow", 0, kByte},
    {"ip_unprivileged_port_start", 0, 65'535},
    {"ip_autobind_reuse", 0, 1},
    {"ip_nonlocal_bind", 0, kByte},
    {"tcp_window_scaling", 0, kByte},
    {"tcp_sack", 0, kByte},
    {"tcp_dsack", 0, kByte},
    {"tcp_slow_start_after_idle", 0, kByte},
    {"tcp_thin_linear_timeouts", 0, kByte},
    {"tcp_reordering", 1, 300},
    {"tcp_max_reordering", 1, kInt},
    {"tcp_recovery", 0, kByte},
    {"tcp_early_retrans", 0, 4},
    {"tcp_frto", 0, kByte},
    {"tcp_min_tso_segs", 1, kByte},
    {"tcp_invalid_ratelimit", 0, kInt},
    {"tcp_min_snd_mss", 48, 65'535},
    {"tcp_notsent_lowat", 0, 0xffffffff},
    {"tcp_challenge_ack_limit", -kInt - 1, kInt},
    {"tcp_ecn", 0, 2},
    {"tcp_moderate_rcvbuf", 0, 1},
    {"tcp_shrink_window", 0, 1},
    {"tcp_comp_sack_nr", 0, kByte},
    {"tcp_comp_sack_delay_ns", 0, std::int64_t{1} << 40},
    {"rmem_max", 2304, kInt},
    {"wmem_max", 4608, kInt},
};
bool within_limits(std::string_view name, std::int64_t value) {
  for (const Limits& l : kLimits) {
    if (l.name == name) return value >= l.least && value <= l.most;
  }
  return value >= Settings::kLeast && value <= Settings::kMost;
}

bool set_buffer(const Numbers& numbers, std::uint32_t& usual, std::uint32_t& most) {
  constexpr std::int64_t kLeast = 256, kMost = std::int64_t{1} << 30;
  if (numbers.count != 3) return false;
  for (const std::int64_t value : numbers.values) {
    if (value < kLeast || value > kMost) return false;
  }
  usual = static_cast<std::uint32_t>(numbers.values[1]);
  most = static_cast<std::uint32_t>(numbers.values[2]);
  return true;
}

// Those that `Settings` does not have, since they say nothing about how connections end.
bool set_own(TcpSettings& tcp, ChallengeLimit& challenges, std::string_view name,
             std::int64_t value) {
  const auto flag = [&](bool& out) {
    out = value != 0;
    return true;
  };
  const auto number = [&](int& out) {
    out = static_cast<int>(value);
    return true;
  };
  if (name == "tcp_window_scaling") return flag(tcp.window_scaling);
  if (name == "tcp_sack") return flag(tcp.sack);
  if (name == "tcp_dsack") return flag(tcp.dsack);
  if (name == "tcp_slow_start_after_idle") return flag(tcp.slow_start_after_idle);
  if (name == "tcp_thin_linear_timeouts") return flag(tcp.thin_linear_timeouts);
  // Of the device, not a sysctl: what it takes to cut itself, 0: nothing.
  if (name == "gso_max_size") {
    if (value < 0 || value > 65535) return false;
    tcp.gso_max_size = static_cast<std::uint32_t>(value);
    return true;
  }
  if (name == "tcp_retrans_collapse") return flag(tcp.retrans_collapse);
  if (name == "tcp_reordering") return number(tcp.reordering);
  if (name == "tcp_max_reordering") return number(tcp.max_reordering);
  if (name == "tcp_recovery") return number(tcp.recovery);
  if (name == "tcp_early_retrans") return number(tcp.early_retrans);
  if (name == "tcp_frto") return number(tcp.frto);
  if (name == "tcp_moderate_rcvbuf") return flag(tcp.moderate_rcvbuf);
  if (name == "tcp_shrink_window") return flag(tcp.shrink_window);
  if (name == "tcp_comp_sack_nr") return number(tcp.comp_sack_nr);
  if (name == "tcp_comp_sack_delay_ns") {
    tcp.comp_sack_delay_ns = value;
    return true;
  }
  if (name == "rmem_max" || name == "wmem_max") {  // of net.core
    (name == "rmem_max" ? tcp.rmem_limit : tcp.wmem_limit) = static_cast<std::uint32_t>(value);
    return true;
  }
  if (name == "tcp_min_tso_segs") return number(tcp.min_tso_segs);
  if (name == "tcp_invalid_ratelimit") return number(tcp.invalid_ratelimit_ms);
  if (name == "tcp_min_snd_mss") return number(tcp.min_snd_mss);
  if (name == "tcp_notsent_lowat") {
    tcp.notsent_lowat = static_cast<std::uint32_t>(value);
    return true;
  }
  if (name == "tcp_challenge_ack_limit") {
    challenges.per_second = static_cast<std::uint32_t>(value);
    return true;
  }
  if (name == "tcp_ecn") {
    tcp.ecn = static_cast<int>(value);
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
  waits.configure(kept, now);
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

bool Host::Impl::set(std::string_view name, std::string_view value) {
  if (name == "ip_local_port_range") {
    const auto numbers = parse_numbers(value);
    if (!numbers || numbers->count != 2 || numbers->values[0] < 1 || numbers->values[1] > 65535 ||
        numbers->values[0] > numbers->values[1] ||
        numbers->values[0] < settings.ip_unprivileged_port_start.value_or(1024)) {
      return false;
    }
    settings.ip_local_port_range =
        PortRange{static_cast<Port>(numbers->values[0]), static_cast<Port>(numbers->values[1])};
    resolve_settings();
    return true;
  }
  if (name == "ip_local_reserved_ports") {
    const auto reserved = PortSet::parse(value);
    if (!reserved) return false;
    settings.ip_local_reserved_ports = *reserved;
    resolve_settings();
    return true;
  }
  if (name == "tcp_congestion_control") {
    if (value == "cubic") {
      tcp.congestion_control = CongestionControl::Cubic;
    } else if (value == "reno") {
      tcp.congestion_control = CongestionControl::NewReno;
    } else {
      return false;
    }
    return true;
  }
  const auto numbers = parse_numbers(value);
  if (!numbers || numbers->count == 0) return false;
  if (name == "tcp_mem") {
    if (numbers->count != 3) return false;
    std::array<std::uint64_t, 3> pages{};
    for (std::size_t i = 0; i < 3; ++i) {
      if (numbers->values[i] < 0 || numbers->values[i] > std::int64_t{1} << 40) return false;
      pages[i] = static_cast<std::uint64_t>(numbers->values[i]);
    }
    memory_pages = pages;
    return true;
  }
  if (name == "tcp_rmem") return set_buffer(*numbers, tcp.rmem_default, tcp.rmem_max);
  if (name == "tcp_wmem") return set_buffer(*numbers, tcp.wmem_default, tcp.wmem_max);
  if (numbers->count != 1) return false;
  const std::int64_t number = numbers->values[0];
  if (!within_limits(name, number)) return false;
  if (name == "ip_unprivileged_port_start" &&
      number > settings.ip_local_port_range.value_or(LocalPortRules{}.range).low) {
    return false;
  }
  if (const SettingInfo* info = find_setting(name)) {
    settings.*info->member = number;
    resolve_settings();
    return true;
  }
  return set_own(tcp, challenges, name, number);
}

}  // namespace lastack
