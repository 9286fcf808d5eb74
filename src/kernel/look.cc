// A look at the host: every namespace asked for, then the processes that own what was found there.
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "kernel/contested_ports.h"
#include "kernel/namespace_reader.h"
#include "kernel/namespaces.h"
#include "kernel/processes.h"
#include "kernel/settings_read.h"
#include "kernel/sock_diag.h"
#include "kernel/system_limits.h"
#include "lastack/kernel.h"
#include "model/shell_word.h"

namespace lastack {

namespace {

// Finding owners means reading every descriptor of the host. It is done when there is something to find
// the owner of, or when there is so little that it costs nothing.
constexpr std::uint64_t kFewSockets = 5'000;
// A process with fewer descriptors is not short of them, whatever its limit.
constexpr std::uint64_t kFewDescriptors = 48;
constexpr std::size_t kMostProcesses = 512;
constexpr std::size_t kMostClaims = 64;

struct Seen {
  NamespaceRef ref;
  NamespaceReading reading;
};

std::uint64_t own_namespace() {
  struct stat st {};
  return ::stat("/proc/thread-self/ns/net", &st) == 0 ? st.st_ino : 0;
}

std::string enter_command(const NamespaceRef& ref, std::uint64_t own) {
  if (ref.inode == own) return "";
  constexpr std::string_view kNamed = "/run/netns/";
  // `ip netns exec` would take a leading hyphen for an option.
  if (ref.path.starts_with(kNamed) && !ref.path.substr(kNamed.size()).starts_with('-')) {
    return "ip netns exec " + shell_word(ref.path.substr(kNamed.size()));
  }
  if (ref.pid > 0) return "nsenter -t " + std::to_string(ref.pid) + " -n";
  return "nsenter --net=" + shell_word(ref.path);
}

Result<Seen> see(const NamespaceRef& ref, const LookOptions& options, std::uint64_t own) {
  Seen seen{.ref = ref, .reading = {}};
  Error refused;
  {
    auto scope = NamespaceScope::enter(ref);
    if (scope) {
      seen.reading = read_namespace(options, "/proc/thread-self/net", false);
    } else {
      refused = scope.error();
    }
  }
  if (!refused.message.empty()) {
    // Not to be entered, but its tables may still show through a process in it.
    if (ref.pid <= 0) return tl::unexpected(refused);
    seen.reading = read_namespace(options, "/proc/" + std::to_string(ref.pid) + "/net", true);
    if (!seen.reading.snapshot.counters_read && !seen.reading.census)
      return tl::unexpected(refused);
    seen.reading.snapshot.not_read.push_back(
        {"this namespace from the inside", refused.message, ""});
  }
  NamespaceSnapshot& ns = seen.reading.snapshot;
  ns.inode = ref.inode;
  ns.name = ref.name;
  ns.is_host = ref.is_host;
  ns.enter = enter_command(ref, own);
  return seen;
}

// Ports that processes of the namespace name on their command lines, or that the user named.
std::vector<Claim> claims_on(const NamespaceSnapshot& ns, ProcessTable& table,
                             const LookOptions& options) {
  std::vector<Claim> claims;
  for (Port port : options.expected_listeners) claims.push_back({kNone, port, ""});
  if (ns.sockets.used_outgoing.empty()) return claims;
  for (std::uint32_t i = 0; i < table.processes().size() && claims.size() < kMostClaims; ++i) {
    const std::string arguments = table.load_arguments(i);
    // Whoever started us names our arguments: `sh -c 'lastack doctor --expect-listener 46580'`.
    if (arguments.find("--expect-listener") != arguments.npos) continue;
    bool here = false;
    for (Port port : ports_to_listen_on(arguments)) {
      if (!ns.sockets.used_outgoing.contains(port)) continue;
      const auto asked = std::find_if(claims.begin(), claims.end(), [&](const Claim& claim) {
        return claim.port == port && claim.process == kNone;
      });
      if (!here) {
        if (!table.load_details(i) || table.processes()[i].net_namespace != ns.inode) break;
        here = true;
      }
      if (asked != claims.end()) {
        *asked = {i, port, table.processes()[i].arguments};  // and this is who wants it
      } else {
        claims.push_back({i, port, table.processes()[i].arguments});
      }
    }
  }
  return claims;
}

void contest(Seen& seen, ProcessTable& table, const LookOptions& options) {
  NamespaceSnapshot& ns = seen.reading.snapshot;
  const std::vector<Claim> claims = claims_on(ns, table, options);
  if (claims.empty()) return;
  std::vector<std::uint64_t> inodes;
  {
    const auto scope = NamespaceScope::enter(seen.ref);
    if (!scope) return;
    ns.sockets.contested = find_contested(ns.sockets, claims, inodes);
  }
  if (ns.sockets.contested.empty()) return;
  std::vector<NotRead> ignored;  // said by the first scan
  ProcessTable holders;
  std::unordered_map<std::uint64_t, std::uint32_t> holder_of;
  holders.scan(
      [&](std::uint64_t inode, std::uint32_t process) {
        if (std::find(inodes.begin(), inodes.end(), inode) != inodes.end()) {
          holder_of.emplace(inode, process);
        }
        return holder_of.size() < inodes.size();
      },
      ignored);
  for (std::size_t i = 0; i < inodes.size(); ++i) {
    const auto holder = holder_of.find(inodes[i]);
    if (inodes[i] == 0 || holder == holder_of.end()) continue;
    const std::int32_t pid = holders.processes()[holder->second].pid;
    for (std::uint32_t p = 0; p < table.processes().size(); ++p) {
      if (table.processes()[p].pid == pid) ns.sockets.contested[i].owner = p;
    }
  }
  // A program that names the port its own connection comes from wants nothing that it does not have.
  std::erase_if(ns.sockets.contested, [](const ContestedPort& p) {
    return p.wanted_by != kNone && p.wanted_by == p.owner;
  });
}

// Enough of the ports to ask who takes them, and next to nobody seen to own the connections.
bool unowned(const SocketCensus& sockets, const Settings& settings) {
  const std::uint32_t range = settings.ip_local_port_range.value_or(PortRange{32768, 60999}).size();
  for (std::uint32_t i = 0; i < sockets.destinations.size(); ++i) {
    const Destination& d = sockets.destinations[i];
    if (d.ports_taken() * 5 < range && d.states[TcpState::TimeWait] < 1000)
      break;  // most ports first
    std::uint64_t owned = 0;
    for (const OwnedSockets& o : sockets.owned) {
      if (o.destination == i) owned += o.states.total();
    }
    if (owned * 10 < d.states.total()) return true;
  }
  return false;
}

void attribute_openers(std::vector<Seen>& all, const OpenerCounts& counts,
                       const std::unordered_map<std::int32_t, std::uint32_t>& index_of) {
  for (Seen& seen : all) {
    NamespaceSnapshot& ns = seen.reading.snapshot;
    ns.sockets.watched = counts.watched;
    for (const OpenedConnections& o : counts.opened) {
      if (o.net_namespace != ns.inode) continue;
      const auto process = index_of.find(o.pid);
      if (process == index_of.end()) continue;
      for (std::uint32_t i = 0; i < ns.sockets.destinations.size(); ++i) {
        const Destination& d = ns.sockets.destinations[i];
        if (d.source == o.source && d.remote == o.remote) {
          ns.sockets.openers.push_back({process->second, i, o.count});
          break;
        }
      }
    }
  }
}

// Keeps only the processes that something refers to or that are short of descriptors, and makes the
// references follow.
void keep_processes(HostSnapshot& host, ProcessTable& table) {
  const std::size_t count = table.processes().size();
  std::vector<std::uint64_t> weight(count, 0);
  const auto refer = [&](std::uint32_t process, std::uint64_t times) {
    if (process < count) weight[process] += times;
  };
  for (const NamespaceSnapshot& ns : host.namespaces) {
    for (const OwnedSockets& o : ns.sockets.owned) refer(o.process, o.states.total());
    for (const Opener& o : ns.sockets.openers) refer(o.process, 1'000'000);
    for (const ContestedPort& p : ns.sockets.contested) {
      refer(p.wanted_by, 1'000'000);
      refer(p.owner, 1'000'000);
    }
  }
  std::uint32_t tightest = kNone;
  double tightest_share = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Process& p = table.processes()[i];
    if (p.descriptors < kFewDescriptors) continue;
    if (!table.load_limit(i) || !p.descriptor_limit || *p.descriptor_limit == 0) continue;
    const double share =
        static_cast<double>(p.descriptors) / static_cast<double>(*p.descriptor_limit);
    if (share >= 0.5) weight[i] += 1'000'000;
    if (share > tightest_share) {
      tightest_share = share;
      tightest = i;
    }
  }
  refer(tightest, 1);

  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (weight[i] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return weight[a] > weight[b]; });
  if (order.size() > kMostProcesses) order.resize(kMostProcesses);
  std::vector<std::uint32_t> place(count, kNone);
  for (std::uint32_t i : order) {
    table.load_details(i);
    place[i] = static_cast<std::uint32_t>(host.processes.size());
    host.processes.push_back(table.processes()[i]);
  }
  const auto moved = [&](std::uint32_t process) {
    return process < count ? place[process] : kNone;
  };
  for (NamespaceSnapshot& ns : host.namespaces) {
    for (OwnedSockets& o : ns.sockets.owned) o.process = moved(o.process);
    std::erase_if(ns.sockets.owned, [](const OwnedSockets& o) { return o.process == kNone; });
    for (Opener& o : ns.sockets.openers) o.process = moved(o.process);
    std::erase_if(ns.sockets.openers, [](const Opener& o) { return o.process == kNone; });
    for (ContestedPort& p : ns.sockets.contested) {
      if (p.wanted_by != kNone) p.wanted_by = moved(p.wanted_by);
      p.owner = moved(p.owner);
    }
  }
}

void find_owners(std::vector<Seen>& all, ProcessTable& table, HostSnapshot& host) {
  std::uint64_t sought = 0;
  bool worth_it = false;
  for (const Seen& seen : all) {
    if (!seen.reading.census) continue;
    sought += seen.reading.census->live();
    worth_it |= seen.reading.census->suspicious();
  }
  worth_it |= sought <= kFewSockets;
  table.scan(
      [&](std::uint64_t inode, std::uint32_t process) {
        if (!worth_it) return false;
        for (Seen& seen : all) {
          if (seen.reading.census && seen.reading.census->own(inode, process)) break;
        }
        return true;
      },
      host.not_read);
  host.processes_seen = static_cast<std::uint32_t>(table.processes().size());
  host.processes_closed_to_us = table.closed_to_us();
  if (!worth_it) {
    host.not_read.push_back(
        {"owners of the sockets",
         "nothing here needs them, and they would cost reading every descriptor", ""});
  }
}

}  // namespace

Result<HostSnapshot> look(const LookOptions& options) {
  HostSnapshot host;
  host.wall_time_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  read_system(host);
  auto refs = find_namespaces(options, host.not_read);
  if (!refs) return tl::unexpected(refs.error());

  const std::uint64_t own = own_namespace();
  const bool all_are_elsewhere = std::none_of(
      refs->begin(), refs->end(), [&](const NamespaceRef& r) { return r.inode == own; });
  if (all_are_elsewhere) {
    std::vector<NotRead> ignored;
    read_settings(host.outer_settings.emplace(), ignored);
  }

  std::vector<Seen> all;
  for (const NamespaceRef& ref : *refs) {
    auto seen = see(ref, options, own);
    if (seen) {
      all.push_back(std::move(*seen));
    } else if (options.all_namespaces) {
      host.not_read.push_back({"namespace " + ref.name, seen.error().message, ""});
    } else {
      return tl::unexpected(seen.error());
    }
  }

  ProcessTable table;
  if (!options.counters_only) {
    find_owners(all, table, host);
    std::unordered_map<std::int32_t, std::uint32_t> index_of;
    for (std::uint32_t i = 0; i < table.processes().size(); ++i)
      index_of[table.processes()[i].pid] = i;
    for (Seen& seen : all) {
      if (!seen.reading.census) continue;
      seen.reading.snapshot.sockets = seen.reading.census->finish([&](std::int32_t pid) {
        const auto found = index_of.find(pid);
        return found == index_of.end() ? kNone : found->second;
      });
      if (options.remember != nullptr) {
        seen.reading.census->remember_into(
            *options.remember, [&](std::uint32_t i) { return table.processes()[i].pid; });
      }
      seen.reading.census.reset();
      contest(seen, table, options);
    }
    OpenerCounts watched;
    const OpenerCounts* openers = options.openers;
    const bool ask =
        openers == nullptr && options.watch_if_unowned > Duration::zero() &&
        std::any_of(all.begin(), all.end(), [](const Seen& seen) {
          return unowned(seen.reading.snapshot.sockets, seen.reading.snapshot.settings);
        });
    if (ask) {
      if (const auto done = watch_openers(options.watch_if_unowned, watched); done) {
        openers = &watched;
      } else {
        host.not_read.push_back(
            {"who opens the short connections", done.error().message, "run as root"});
      }
    }
    if (openers != nullptr) attribute_openers(all, *openers, index_of);
  }
  for (Seen& seen : all) host.namespaces.push_back(std::move(seen.reading.snapshot));
  if (!options.counters_only) keep_processes(host, table);
  host.sysctl_lines = read_sysctl_files();
  return host;
}

Result<void> remember_owners(const LookOptions& options) {
  if (options.remember == nullptr) return {};
  std::vector<NotRead> ignored;  // the looks before and after say it
  auto refs = find_namespaces(options, ignored);
  if (!refs) return tl::unexpected(refs.error());
  std::vector<Census> all;
  for (const NamespaceRef& ref : *refs) {
    auto scope = NamespaceScope::enter(ref);
    if (!scope) continue;
    auto diag = SockDiag::open();
    if (!diag) continue;
    Census& census = all.emplace_back(Settings{}, nullptr, true);
    (void)diag->dump({.states = diag_states::kConnected & ~diag_states::kTimeWait},
                     [&](const DiagRow& row) {
                       if (!row.bound_inactive) census.add(row.socket);
                       return true;
                     });
  }
  ProcessTable table;
  table.scan(
      [&](std::uint64_t inode, std::uint32_t process) {
        for (Census& census : all) {
          if (census.own(inode, process)) break;
        }
        return true;
      },
      ignored);
  for (const Census& census : all) {
    census.remember_into(*options.remember,
                         [&](std::uint32_t i) { return table.processes()[i].pid; });
  }
  return {};
}

}  // namespace lastack
