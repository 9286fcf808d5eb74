#include "stack/setting_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <vector>

#include "model/nearest_word.h"
#include "model/printable.h"

namespace lastack {
namespace {

// Many are bytes in the kernel, and a few have limits of their own. Those in seconds are kept in ticks there, of
// which a kernel of 250 Hz has so many.
constexpr std::int64_t kInt = 0x7fffffff, kByte = 255, kSeconds = kInt / 250;
// A record stays no longer (TimeWaitTable::kLongest).
constexpr std::int64_t kLongestTimeWait = 4194;

constexpr SettingLimits kNumbers[] = {
    {"tcp_tw_reuse", 0, 2},
    {"tcp_tw_reuse_delay", 1, 60'000},
    {"tcp_max_tw_buckets", -kInt - 1, kInt},
    {"tcp_rfc1337", 0, kByte},
    {"tcp_timestamps", 0, kByte},
    {"tcp_tw_recycle", 0, 1},
    {"tcp_tw_timeout", 1, kLongestTimeWait},
    {"tcp_fin_timeout", -kSeconds, kSeconds},
    {"tcp_max_orphans", -kInt - 1, kInt},
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
    {"ip_nonlocal_bind", 0, kByte},
    {"tcp_window_scaling", 0, kByte},
    {"tcp_sack", 0, kByte},
    {"tcp_dsack", 0, kByte},
    {"tcp_slow_start_after_idle", 0, kByte},
    {"tcp_thin_linear_timeouts", 0, kByte},
    {"tcp_retrans_collapse", 0, kByte},
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
    {"tcp_fastopen", -kInt - 1, kInt},
    {"tcp_moderate_rcvbuf", 0, kByte},
    {"tcp_shrink_window", 0, 1},
    {"tcp_comp_sack_nr", 0, kByte},
    {"tcp_comp_sack_delay_ns", 0, std::int64_t{1} << 40},
    {"rmem_max", 2304, kInt},
    {"wmem_max", 4608, kInt},
    // Of the device, not a sysctl: what it takes to cut itself, 0: nothing.
    {"gso_max_size", 0, 65'536},
};

constexpr std::string_view kWorded[] = {"ip_local_port_range",
                                        "ip_local_reserved_ports",
                                        "tcp_congestion_control",
                                        "tcp_fastopen_key",
                                        "tcp_mem",
                                        "tcp_rmem",
                                        "tcp_wmem"};

// Those of net.ipv4 that are TCP's or about its ports, in 6.18, and what `Settings` has besides.
constexpr std::string_view kUnused[] = {
    "ip_autobind_reuse",
    "ip_default_ttl",
    "ip_dynaddr",
    "ip_early_demux",
    "ip_no_pmtu_disc",
    "nf_conntrack_buckets",
    "nf_conntrack_max",
    "nf_conntrack_tcp_loose",
    "nf_conntrack_tcp_timeout_close_wait",
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_fin_wait",
    "nf_conntrack_tcp_timeout_last_ack",
    "nf_conntrack_tcp_timeout_time_wait",
    "rmem_default",
    "tcp_adv_win_scale",
    "tcp_allowed_congestion_control",
    "tcp_app_win",
    "tcp_autocorking",
    "tcp_available_congestion_control",
    "tcp_available_ulp",
    "tcp_backlog_ack_defer",
    "tcp_base_mss",
    "tcp_child_ehash_entries",
    "tcp_comp_sack_slack_ns",
    "tcp_early_demux",
    "tcp_ecn_fallback",
    "tcp_ecn_option",
    "tcp_ecn_option_beacon",
    "tcp_ehash_entries",
    "tcp_fack",
    "tcp_fastopen_blackhole_timeout_sec",
    "tcp_fwmark_accept",
    "tcp_l3mdev_accept",
    "tcp_limit_output_bytes",
    "tcp_low_latency",
    "tcp_migrate_req",
    "tcp_min_rtt_wlen",
    "tcp_mtu_probe_floor",
    "tcp_mtu_probing",
    "tcp_no_metrics_save",
    "tcp_no_ssthresh_metrics_save",
    "tcp_pacing_ca_ratio",
    "tcp_pacing_ss_ratio",
    "tcp_pingpong_thresh",
    "tcp_plb_cong_thresh",
    "tcp_plb_enabled",
    "tcp_plb_idle_rehash_rounds",
    "tcp_plb_rehash_rounds",
    "tcp_plb_suspend_rto_sec",
    "tcp_probe_interval",
    "tcp_probe_threshold",
    "tcp_reflect_tos",
    "tcp_rto_max_ms",
    "tcp_rto_min_us",
    "tcp_stdurg",
    "tcp_syn_linear_timeouts",
    "tcp_tso_rtt_log",
    "tcp_tso_win_divisor",
    "tcp_workaround_signed_windows",
    "wmem_default",
};

tl::unexpected<Error> refused(int number, std::string message) {
  return tl::unexpected(Error{number, std::move(message)});
}

template <class Names>
bool has(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// Empty if none is near.
std::string_view nearest(std::string_view name) {
  std::vector<std::string_view> all(std::begin(kWorded), std::end(kWorded));
  for (const SettingLimits& s : kNumbers) all.push_back(s.name);
  return nearest_word(name, all);
}

// What somebody has written, fit to be printed.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 60;
  const bool cut = text.size() > kMost;
  return '"' + printable(text.substr(0, kMost)) + (cut ? "...\"" : "\"");
}

std::string outside(const SettingLimits& limits, std::string_view value) {
  return fmt::format("{} takes a number from {} to {}, and not {}", limits.name, limits.least,
                     limits.most, value);
}

}  // namespace

std::span<const SettingLimits> number_settings() {
  return kNumbers;
}
std::span<const std::string_view> worded_settings() {
  return kWorded;
}
std::span<const std::string_view> unused_settings() {
  return kUnused;
}
const SettingLimits* find_number_setting(std::string_view name) {
  for (const SettingLimits& s : kNumbers) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

Result<void> check_setting_name(std::string_view name) {
  if (find_number_setting(name) != nullptr || has(kWorded, name)) return {};
  if (has(kUnused, name)) {
    return refused(EOPNOTSUPP,
                   std::string(name) + " is known on Linux, and not used by the endpoint");
  }
  // Somebody gives all of the name.
  const std::size_t last = name.find_last_of("./");
  const std::string_view end = last == name.npos ? name : name.substr(last + 1);
  const std::string_view near = nearest(end);
  std::string message = "there is no setting " + quoted(name);
  if (near == end && !near.empty()) {
    message += ": the last part is enough, " + std::string(near);
  } else if (!near.empty()) {
    message += "; the nearest is " + std::string(near);
  }
  return refused(ENOENT, std::move(message));
}

Result<std::int64_t> parse_setting(const SettingLimits& limits, std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(first);
  text = text.substr(0, text.find_last_not_of(" \t\n") + 1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    return refused(EINVAL, fmt::format("{} takes a number from {} to {}, and {} is none",
                                       limits.name, limits.least, limits.most, quoted(text)));
  }
  if (error != std::errc() || value < limits.least || value > limits.most) {
    return refused(EINVAL, outside(limits, printable(text.substr(0, 40))));
  }
  return value;
}

Result<void> check_settings(const Settings& settings) {
  for (const SettingInfo& info : setting_table()) {
    const SettingLimits* limits = find_number_setting(info.name);
    const Settings::Value& value = settings.*info.member;
    if (limits == nullptr || !value) continue;
    if (*value < limits->least || *value > limits->most) {
      return refused(EINVAL, outside(*limits, std::to_string(*value)));
    }
  }
  if (const auto& range = settings.ip_local_port_range;
      range && (range->low == 0 || range->low > range->high)) {
    return refused(EINVAL, fmt::format("ip_local_port_range takes two ports, the lower one first, "
                                       "and not {} to {}",
                                       range->low, range->high));
  }
  return {};
}

}  // namespace lastack
