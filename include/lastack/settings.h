// The settings that decide how connections end and which local ports there are, by their Linux
// names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lastack/port_set.h"
#include "lastack/time.h"

namespace lastack {

// One set per network namespace, as on Linux. A setting without a value was not there or could not
// be read: an older kernel lacks it, or /proc is masked. Units are those of the sysctl itself; they
// stand beside each name. `setting_table()` lists all of them with their defaults.
struct Settings {
  using Value = std::optional<std::int64_t>;
  // Each is an int or an unsigned int of the kernel. Readers refuse what is outside, so that whoever
  // computes with a setting in 64 bits cannot overflow.
  static constexpr std::int64_t kLeast = INT32_MIN;
  static constexpr std::int64_t kMost = UINT32_MAX;

  // TIME_WAIT
  Value tcp_tw_reuse;        // 0 off, 1 on, 2 loopback only (the default since 4.19)
  Value tcp_tw_reuse_delay;  // ms, 1 to 60000, since 6.14; before that a whole second
  Value tcp_max_tw_buckets;  // records in this namespace
  Value tcp_rfc1337;         // 1: a RST does not end TIME_WAIT
  Value tcp_timestamps;      // 0 off, 1 on with a random offset, 2 on without
  Value tcp_tw_recycle;      // removed in 4.12; only history and the endpoint have it
  Value tcp_tw_timeout;      // s; a knob of some vendors' kernels, never of mainline

  // FIN_WAIT_2, orphans, retries
  Value tcp_fin_timeout;     // s; the length of FIN_WAIT_2, not of TIME_WAIT
  Value tcp_max_orphans;     // sockets, whole host
  Value tcp_orphan_retries;  // 0 means 8
  Value tcp_retries1;
  Value tcp_retries2;
  Value tcp_syn_retries;
  Value tcp_synack_retries;

  // Keep-alive
  Value tcp_keepalive_time;   // s
  Value tcp_keepalive_intvl;  // s
  Value tcp_keepalive_probes;

  // Listeners
  Value somaxconn;  // net.core
  Value tcp_max_syn_backlog;
  Value tcp_syncookies;         // 0 never, 1 when the SYN queue is full, 2 always
  Value tcp_abort_on_overflow;  // 1: RST when the accept queue is full
  Value ip_unprivileged_port_start;

  // Tables
  Value tcp_ehash_entries;  // buckets; negative: shared with the initial namespace
  Value tcp_child_ehash_entries;
  Value ip_autobind_reuse;
  Value ip_nonlocal_bind;

  // Conntrack, where the module is loaded
  Value nf_conntrack_max;  // entries, whole host
  Value nf_conntrack_buckets;
  Value nf_conntrack_tcp_timeout_time_wait;    // s
  Value nf_conntrack_tcp_timeout_close_wait;   // s
  Value nf_conntrack_tcp_timeout_fin_wait;     // s
  Value nf_conntrack_tcp_timeout_last_ack;     // s
  Value nf_conntrack_tcp_timeout_established;  // s
  Value nf_conntrack_tcp_loose;

  // Local ports
  std::optional<PortRange> ip_local_port_range;
  PortSet ip_local_reserved_ports;

  // How long TIME_WAIT lasts here: the vendor's knob where there is one, else Linux's constant 60 s
  // (linux-facts 3).
  Duration time_wait_length() const;
  // The delay before a TIME_WAIT port may be reused (linux-facts 16): 1 s unless set.
  Duration reuse_delay() const;
  bool timestamps_on() const { return tcp_timestamps.value_or(1) != 0; }

  friend bool operator==(const Settings&, const Settings&) = default;
};

struct SettingInfo {
  std::string_view name;  // the last part: "tcp_tw_reuse"
  std::string_view path;  // below /proc/sys: "net/ipv4/tcp_tw_reuse"
  Settings::Value Settings::*member;
  std::optional<std::int64_t> usual;  // the kernel's default where it is a constant
  bool per_namespace;                 // or one for the whole host
};

// Every numeric setting, in the order of the struct.
std::span<const SettingInfo> setting_table();
const SettingInfo* find_setting(std::string_view name);

}  // namespace lastack
