#include "kernel/namespace_reader.h"

#include <algorithm>
#include <chrono>

#include "kernel/conntrack.h"
#include "kernel/proc_net.h"
#include "kernel/proc_net_tcp.h"
#include "kernel/settings_read.h"
#include "kernel/sock_diag.h"

namespace lastack {

namespace {

// Walking conntrack's table costs about as much as walking that many sockets.
constexpr std::uint64_t kConntrackWalk = 200'000;

// Every dump walks the kernel's whole table, whatever it picks from it, so on a host with very many
// sockets each further one costs about as much as the first. There the finer questions are asked only if
// the answer can matter, and tcp_info, which makes a row three times as dear, of a sample: the order of
// a dump is that of a hash, so its first rows are a fair one.
constexpr std::uint64_t kManySockets = 100'000;
constexpr std::uint64_t kFewLive = 20'000;
constexpr std::uint64_t kDetailsSample = 2'048;
constexpr std::uint64_t kAgesSample = 8'192;
constexpr std::uint64_t kWorthDetails = 8;

Instant now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// Who listens, and ports that a bind() holds without a connection: both decide how the rest is read.
Result<void> read_listeners(SockDiag& diag, const SocketTotals& totals, std::uint32_t range,
                            Census& census) {
  // The search for bound sockets walks every TIME_WAIT record too. A bound socket without a connection is
  // among the namespace's sockets, but not among TCP's `inuse`: where that leaves too few to matter, the
  // search is left out.
  const std::uint64_t unaccounted =
      totals.used - std::min(totals.used, totals.tcp_in_use + totals.tcp6_in_use);
  const bool look_for_bound = totals.tw < kManySockets / 4 || unaccounted > range / 50;
  auto done = diag.dump(
      {.states = diag_states::kListen | (look_for_bound ? diag_states::kBoundInactive : 0)},
      [&](const DiagRow& row) {
        if (row.bound_inactive) {
          census.add_bound(row.socket.tuple.local.port);
        } else {
          census.add_listener(row.socket);
        }
        return true;
      });
  if (!done) return tl::unexpected(done.error());
  return {};
}

// Which connections chose their port by bind(). A TIME_WAIT record no longer tells, and would match.
void read_bound(SockDiag& diag, std::uint32_t range, Census& census) {
  const std::uint64_t matters = census.seen() > kManySockets ? std::max(64U, range / 50) : 1;
  if (census.live_outgoing() < matters) return;
  (void)diag.dump({.states = diag_states::kConnected & ~diag_states::kTimeWait, .bound_only = true},
                  [&](const DiagRow& row) {
                    if (!row.socket.compact && !row.bound_inactive) census.mark_bound(row.socket);
                    return true;
                  });
}

void read_details(SockDiag& diag, Census& census) {
  const StateCounts& states = census.states();
  const auto ask = [&](std::uint32_t mask, std::uint64_t most) {
    std::uint64_t rows = 0;
    const auto visit = [&](const DiagRow& row) {
      if (row.has_details) census.add_details(row.socket, row.details);
      return ++rows < most;
    };
    // Extra evidence: without it the findings only know less, so a failure is not one.
    (void)diag.dump({.states = mask, .details = true}, visit);
  };
  if (states[TcpState::CloseWait] >= kWorthDetails) ask(diag_states::kCloseWait, kAgesSample);
  if (states[TcpState::Established] >= kWorthDetails) {
    ask(diag_states::kEstablished, kDetailsSample);
  }
}

Result<void> read_by_netlink(const Settings& settings, const SocketTotals& totals, Census& census) {
  auto diag = SockDiag::open();
  if (!diag) return tl::unexpected(diag.error());
  const std::uint32_t range = settings.ip_local_port_range.value_or(PortRange{32768, 60999}).size();
  if (auto listeners = read_listeners(*diag, totals, range, census); !listeners) return listeners;
  const bool few_live = totals.tcp_in_use + totals.tcp6_in_use <= kFewLive;
  auto rest =
      diag->dump({.states = diag_states::kConnected, .details = few_live}, [&](const DiagRow& row) {
        if (row.bound_inactive) return true;
        census.add(row.socket);
        if (row.has_details) census.add_details(row.socket, row.details);
        return true;
      });
  if (!rest) {
    // Half a dump is worth saying what it holds, not throwing away.
    if (census.seen() == 0) return tl::unexpected(rest.error());
    census.set_interrupted();
    return {};
  }
  if (*rest) census.set_interrupted();
  read_bound(*diag, range, census);
  if (!few_live) read_details(*diag, census);
  return {};
}

// The way without netlink: two passes, listeners first.
Result<void> read_by_proc(const std::string& proc_net, Census& census) {
  auto listeners = for_each_tcp_row(proc_net, [&](const SocketRecord& s) {
    if (s.state == TcpState::Listen) census.add_listener(s);
  });
  if (!listeners) return listeners;
  return for_each_tcp_row(proc_net, [&](const SocketRecord& s) {
    if (s.state != TcpState::Listen && s.state != TcpState::Closed) census.add(s);
  });
}

}  // namespace

NamespaceReading read_namespace(const LookOptions& options, const std::string& proc_net,
                                bool sockets_by_proc) {
  NamespaceReading reading;
  NamespaceSnapshot& out = reading.snapshot;
  if (sockets_by_proc) {
    out.not_read.push_back({"settings and conntrack of this namespace",
                            "they can only be read from inside it", "run as root"});
  } else {
    read_settings(out.settings, out.not_read);
  }
  out.counters_read = read_counters(proc_net, out.counters, out.totals, out.not_read);
  out.at = now();
  if (options.counters_only) return reading;

  const auto fresh = [&] {
    return std::make_unique<Census>(out.settings, options.remembered, options.remember != nullptr);
  };
  std::unique_ptr<Census> census = fresh();
  Result<void> read;
  if (!sockets_by_proc) read = read_by_netlink(out.settings, out.totals, *census);
  if (sockets_by_proc || !read) {
    census = fresh();
    const Result<void> by_proc = read_by_proc(proc_net, *census);
    if (!by_proc) {
      out.not_read.push_back({"sockets",
                              (read ? "" : read.error().message + "; ") + by_proc.error().message,
                              "run as root, or without a filter of system calls"});
      return reading;
    }
    out.not_read.push_back(
        {"which ports a bind() holds, backlogs of listeners, ages by tcp_info",
         read ? "this namespace can only be seen through " + proc_net : read.error().message,
         "run as root, or where netlink is permitted"});
  }
  out.took = now() - out.at;
  out.sockets_read = true;
  reading.census = std::move(census);
  if (!sockets_by_proc) out.conntrack = read_conntrack(kConntrackWalk, out.not_read);
  return reading;
}

}  // namespace lastack
