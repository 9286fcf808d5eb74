// Counters by the kernel's own names (/proc/net/snmp, /proc/net/netstat). The endpoint counts under
// the same names in the same places.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace lastack {

// clang-format off
#define LASTACK_TCP_COUNTERS(X)                                                                    \
  /* /proc/net/snmp, Tcp: */                                                                       \
  X(ActiveOpens) X(PassiveOpens) X(AttemptFails) X(EstabResets) X(CurrEstab) X(InSegs) X(OutSegs)  \
  X(RetransSegs) X(InErrs) X(OutRsts)                                                              \
  /* /proc/net/netstat, TcpExt: TIME_WAIT */                                                       \
  X(TW) X(TWRecycled) X(TWKilled) X(TCPTimeWaitOverflow) X(PAWSActive) X(PAWSEstab)                \
  X(PAWSTimewait) X(TCPACKSkippedTimeWait) X(TCPACKSkippedFinWait2)                                \
  /* TcpExt: listeners */                                                                          \
  X(ListenOverflows) X(ListenDrops) X(SyncookiesSent) X(SyncookiesRecv) X(SyncookiesFailed)        \
  X(TCPReqQFullDoCookies) X(TCPReqQFullDrop) X(EmbryonicRsts)                                      \
  /* TcpExt: connections cut short */                                                              \
  X(TCPAbortOnData) X(TCPAbortOnClose) X(TCPAbortOnMemory) X(TCPAbortOnTimeout)                    \
  X(TCPAbortOnLinger) X(TCPAbortFailed) X(TCPMemoryPressures) X(OutOfWindowIcmps)                  \
  X(LockDroppedIcmps)                                                                              \
  /* TcpExt: the rest of what a diagnosis looks at */                                              \
  X(TCPTimeouts) X(TCPSynRetrans) X(TCPChallengeACK) X(TCPSYNChallenge) X(TCPKeepAlive)            \
  X(TCPMigrateReqSuccess) X(TCPMigrateReqFailure)
// clang-format on

// No count of anything is larger: what says so lies, or means "no limit". Readers of /proc take the least of
// both, a bundle that has more is refused, and so whoever adds or multiplies counts cannot overflow. It is
// also as far as a JSON reader in JavaScript counts.
inline constexpr std::uint64_t kMostCount = std::uint64_t{1} << 53;

// Since the namespace was made, or the endpoint host started. A counter that the kernel does not
// have is 0 and not `known`.
struct Counters {
#define LASTACK_COUNTER_MEMBER(name) std::uint64_t name = 0;
  LASTACK_TCP_COUNTERS(LASTACK_COUNTER_MEMBER)
#undef LASTACK_COUNTER_MEMBER

  // One bit a counter, in the order of counter_table().
  std::uint64_t known = 0;

  friend bool operator==(const Counters&, const Counters&) = default;
};

struct CounterInfo {
  std::string_view name;
  std::uint64_t Counters::*member;
};

std::span<const CounterInfo> counter_table();
// The index in counter_table(), or nothing.
std::optional<std::size_t> find_counter(std::string_view name);
inline bool is_known(const Counters& c, std::size_t index) {
  return (c.known >> index & 1) != 0;
}

// /proc/net/sockstat: how many TCP sockets there are, without walking them. `tw` counts FIN_WAIT_2
// records too (linux-facts 5). `orphan`, `alloc` and `mem_pages` are of the whole host, the rest of the
// namespace.
struct SocketTotals {
  std::uint64_t used = 0;        // sockets of every protocol and family
  std::uint64_t tcp_in_use = 0;  // IPv4 sockets bound or connected
  std::uint64_t tcp6_in_use = 0;
  std::uint64_t orphan = 0;
  std::uint64_t tw = 0;
  std::uint64_t alloc = 0;
  std::uint64_t mem_pages = 0;

  friend bool operator==(const SocketTotals&, const SocketTotals&) = default;
};

}  // namespace lastack
