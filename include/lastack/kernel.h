// Reading the running Linux kernel into a HostSnapshot.
//
// Nothing here changes the host, and nothing needs privileges: what could not be read is said in
// the snapshot's `not_read`. Not thread-safe against other code that changes the calling thread's
// network namespace; entering another namespace happens on the calling thread and is undone before
// returning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lastack/host_snapshot.h"
#include "lastack/result.h"

namespace lastack {

// Which process had the socket with this cookie, at an earlier look. A cookie survives into
// TIME_WAIT, so this gives such records an owner (linux-facts, "Reading it"). Keyed by cookie.
using CookieOwners = std::unordered_map<std::uint64_t, std::int32_t /* pid */>;

// Who opened connections while somebody watched.
struct OpenedConnections {
  std::int32_t pid = 0;
  std::uint64_t net_namespace = 0;
  IpAddress source;
  Endpoint remote;
  std::uint64_t count = 0;  // attempts, failed ones included
};
struct OpenerCounts {
  Duration watched{};
  std::vector<OpenedConnections> opened;
};

struct LookOptions {
  // Which network namespaces: the caller's own when all three are empty.
  std::vector<std::string> namespaces;  // names of `ip netns` or paths of namespace files
  std::vector<std::int32_t> pids;       // those of these processes
  bool all_namespaces = false;          // every one that can be entered

  // Counters, settings and totals only; no socket is walked.
  bool counters_only = false;
  // Ports that the user means to listen on: are they taken?
  std::vector<Port> expected_listeners;
  // Fill with the owners of live sockets, for a later look; may be null.
  CookieOwners* remember = nullptr;
  // Owners known from an earlier look; may be null.
  const CookieOwners* remembered = nullptr;
  // What was watched before this look; may be null.
  const OpenerCounts* openers = nullptr;
  // When a destination has used up much of its ports and nobody is seen to own them, since its connections
  // are over as soon as they are made: watch this long for who opens them. Zero: do not.
  Duration watch_if_unowned{};
};

// Fails only when a namespace that was asked for cannot be found or entered. A single namespace
// whose sockets cannot be read gives a snapshot with `sockets_read` false and the reason in
// `not_read`.
Result<HostSnapshot> look(const LookOptions& options = {});

// Between two looks: adds the owners of the sockets that are open now to `*options.remember`. Cheaper than
// a look, since nothing in TIME_WAIT is read.
Result<void> remember_owners(const LookOptions& options);

// Blocks for `length` and adds who opens TCP connections meanwhile, host-wide, by the kernel's tracepoint
// sock:inet_sock_set_state. Needs CAP_PERFMON (or root); fails at once without. Leaves nothing behind.
Result<void> watch_openers(Duration length, OpenerCounts& counts);

}  // namespace lastack
