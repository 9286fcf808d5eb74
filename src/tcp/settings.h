// What one connection obeys, resolved to plain numbers: the sysctls of `Settings` that it needs on every
// segment, and those that only an endpoint has. Names and defaults are Linux's.
#pragma once

#include <cstdint>

#include "lastack/profile.h"
#include "lastack/time.h"

namespace lastack {

enum class CongestionControl : std::uint8_t { NewReno, Cubic };

// Where RFC 793, today's RFCs and Linux part ways, and a connection has to take sides. One object a profile:
// stack/profile.cc has the three of them.
struct TcpRules {
  // RFC 5961: a RST inside the window, but not exact, draws a challenge ACK. Without it it ends the connection,
  // as in RFC 793.
  bool rfc5961 = true;
  SynAnswer syn_answer = SynAnswer::Challenge;
  // An ACK older than the largest window seen is challenged as well (RFC 5961, 5.2).
  bool ack_range_check = true;
  // Nor one older than the first byte of this connection, which Linux has refused since 6.7. An old duplicate then
  // needs a number of this incarnation to be taken (claim A3).
  bool ack_range_by_bytes = true;
  // close() with unread data sends a RST (RFC 1122, 4.2.2.13; RFC 2525, 2.17). RFC 793 sent a FIN.
  bool reset_on_unread = true;
  // A closed socket leaves FIN_WAIT_2 after tcp_fin_timeout. The RFCs wait for ever.
  bool fin_wait_2_limit = true;
  // Data that arrives after close() draws a RST (RFC 1122, 4.2.2.13).
  bool reset_on_data_after_close = true;
  // An ICMP hard error ends any connection (RFC 9293, SHLD-26), and not only one that is opening.
  bool icmp_hard_aborts = false;
  // Any ICMP error ends a connection that is opening, the soft ones too (RFC 5461, 4). Against MUST-56.
  bool icmp_soft_ends_opening = true;
  // A SYN that met the peer's old half goes again soon after the RST that frees the way, and not after a second
  // (Linux: tcp_rcv_synsent_state_process).
  bool quick_syn_again = true;
};

struct TcpSettings {
  TcpRules rules;

  bool timestamps = true;      // tcp_timestamps
  bool window_scaling = true;  // tcp_window_scaling
  bool sack = true;            // tcp_sack
  bool dsack = true;           // tcp_dsack

  std::uint32_t rmem_default = 131072;  // tcp_rmem, bytes: the second and third number
  std::uint32_t rmem_max = 6291456;
  std::uint32_t rmem_limit = 4194304;  // rmem_max of net.core: what SO_RCVBUF may ask for
  int comp_sack_nr = 44;               // tcp_comp_sack_nr
  std::int64_t comp_sack_delay_ns = 1'000'000;
  bool moderate_rcvbuf = true;         // tcp_moderate_rcvbuf
  bool shrink_window = false;          // tcp_shrink_window
  std::uint32_t wmem_limit = 4194304;  // wmem_max of net.core
  std::uint32_t wmem_default = 16384;  // tcp_wmem
  std::uint32_t wmem_max = 4194304;

  std::uint32_t notsent_lowat = 0xffffffff;  // tcp_notsent_lowat, bytes

  int syn_retries = 6;
  int synack_retries = 5;
  int retries1 = 3;
  int retries2 = 15;
  int orphan_retries = 0;     // 0 means 8
  int fin_timeout = 60;       // s
  int keepalive_time = 7200;  // s
  int keepalive_intvl = 75;   // s
  int keepalive_probes = 9;

  int reordering = 3;        // tcp_reordering
  int max_reordering = 300;  // tcp_max_reordering
  int recovery = 1;          // tcp_recovery: 1 RACK, 2 static window, 4 no dupack threshold
  int early_retrans = 3;     // tcp_early_retrans: 3 or 4 for tail loss probes
  int frto = 2;              // tcp_frto
  int min_tso_segs = 2;      // tcp_min_tso_segs
  bool slow_start_after_idle = true;
  bool thin_linear_timeouts = false;
  bool retrans_collapse = true;     // tcp_retrans_collapse
  int invalid_ratelimit_ms = 500;   // tcp_invalid_ratelimit
  int min_snd_mss = 48;             // tcp_min_snd_mss
  std::uint32_t initial_cwnd = 10;  // segments (RFC 6928)
  CongestionControl congestion_control = CongestionControl::Cubic;
  int ecn = 2;  // tcp_ecn: 0 never, 1 asks for it and accepts it, 2 only accepts it

  // tcp_fastopen (RFC 7413), as bits: 2 accepts it, 0x200 without a cookie, 0x400 without TCP_FASTOPEN.
  int fast_open = 1;

  // The longest super-segment that the device takes, bytes with headers; 0: none longer than the MSS.
  std::uint32_t gso_max_size = 0;
  // Two oddities of Linux, as HostOptions tells them.
  bool device_holds_last_packet = false;
  bool rack_forgets_undone = false;
};

}  // namespace lastack
