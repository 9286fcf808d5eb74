#include "lastack/settings.h"

namespace lastack {

namespace {
#define IPV4(name, usual)                                  \
  SettingInfo {                                            \
    #name, "net/ipv4/" #name, &Settings::name, usual, true \
  }
#define IPV4_HOST(name, usual)                              \
  SettingInfo {                                             \
    #name, "net/ipv4/" #name, &Settings::name, usual, false \
  }
#define CONNTRACK(name, usual)                                  \
  SettingInfo {                                                 \
    #name, "net/netfilter/" #name, &Settings::name, usual, true \
  }

// `usual` is empty where the default follows from the size of memory.
constexpr SettingInfo kSettings[] = {
    IPV4(tcp_tw_reuse, 2),
    IPV4(tcp_tw_reuse_delay, 1000),
    IPV4(tcp_max_tw_buckets, std::nullopt),
    IPV4(tcp_rfc1337, 0),
    IPV4(tcp_timestamps, 1),
    IPV4(tcp_tw_recycle, 0),
    IPV4(tcp_tw_timeout, 60),
    IPV4(tcp_fin_timeout, 60),
    IPV4_HOST(tcp_max_orphans, std::nullopt),
    IPV4(tcp_orphan_retries, 0),
    IPV4(tcp_retries1, 3),
    IPV4(tcp_retries2, 15),
    IPV4(tcp_syn_retries, 6),
    IPV4(tcp_synack_retries, 5),
    IPV4(tcp_keepalive_time, 7200),
    IPV4(tcp_keepalive_intvl, 75),
    IPV4(tcp_keepalive_probes, 9),
    SettingInfo{"somaxconn", "net/core/somaxconn", &Settings::somaxconn, 4096, true},
    IPV4(tcp_max_syn_backlog, std::nullopt),
    IPV4(tcp_syncookies, 1),
    IPV4(tcp_abort_on_overflow, 0),
    IPV4(ip_unprivileged_port_start, 1024),
    IPV4(tcp_ehash_entries, std::nullopt),
    IPV4(tcp_child_ehash_entries, 0),
    IPV4(ip_autobind_reuse, 0),
    IPV4(ip_nonlocal_bind, 0),
    SettingInfo{"nf_conntrack_max", "net/netfilter/nf_conntrack_max", &Settings::nf_conntrack_max,
                std::nullopt, false},
    SettingInfo{"nf_conntrack_buckets", "net/netfilter/nf_conntrack_buckets",
                &Settings::nf_conntrack_buckets, std::nullopt, false},
    CONNTRACK(nf_conntrack_tcp_timeout_time_wait, 120),
    CONNTRACK(nf_conntrack_tcp_timeout_close_wait, 60),
    CONNTRACK(nf_conntrack_tcp_timeout_fin_wait, 120),
    CONNTRACK(nf_conntrack_tcp_timeout_last_ack, 30),
    CONNTRACK(nf_conntrack_tcp_timeout_established, 432000),
    CONNTRACK(nf_conntrack_tcp_loose, 1),
};
#undef IPV4
#undef IPV4_HOST
#undef CONNTRACK
}  // namespace

std::span<const SettingInfo> setting_table() {
  return kSettings;
}

const SettingInfo* find_setting(std::string_view name) {
  for (const SettingInfo& info : kSettings) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

Duration Settings::time_wait_length() const {
  constexpr std::int64_t kLongest =
      86400;  // a vendor's knob is still somebody's number: keep it sane
  if (tcp_tw_timeout && *tcp_tw_timeout > 0 && *tcp_tw_timeout <= kLongest) {
    return std::chrono::seconds(*tcp_tw_timeout);
  }
  return 60s;
}

Duration Settings::reuse_delay() const {
  if (tcp_tw_reuse_delay && *tcp_tw_reuse_delay > 0 && *tcp_tw_reuse_delay <= 60000) {
    return std::chrono::milliseconds(*tcp_tw_reuse_delay);
  }
  return 1s;
}

}  // namespace lastack
