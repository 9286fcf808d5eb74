#include "plan/from_host.h"

#include <fmt/format.h>

#include <algorithm>

#include "doctor/bind_pool.h"
#include "doctor/headroom.h"
#include "doctor/text.h"
#include "plan/closed_form.h"

namespace lastack {

namespace {

// Fewer than these prove no rate.
constexpr std::uint64_t kEnoughOpened = 10;

const NamespaceSnapshot* same_namespace(const Observation& observation,
                                        const NamespaceSnapshot& ns) {
  if (!observation.earlier || observation.earlier->hostname != observation.now.hostname)
    return nullptr;
  for (const NamespaceSnapshot& other : observation.earlier->namespaces) {
    if (other.inode == ns.inode && other.name == ns.name && other.at < ns.at) return &other;
  }
  return nullptr;
}

// Seen by the tracepoint while somebody watched, a second; nothing if nobody did, or too few were.
std::optional<double> watched_rate(const SocketCensus& sockets, std::size_t destination) {
  const double watched = seconds(sockets.watched);
  if (watched <= 0) return std::nullopt;
  std::uint64_t opened = 0;
  for (const Opener& o : sockets.openers) {
    if (o.destination == destination) opened += o.opened;
  }
  if (opened < kEnoughOpened) return std::nullopt;
  return static_cast<double>(opened) / watched;
}

// Of the process that has most of its sockets.
std::optional<std::uint64_t> descriptor_limit(const HostSnapshot& host, const SocketCensus& sockets,
                                              std::size_t destination) {
  const OwnedSockets* most = nullptr;
  for (const OwnedSockets& o : sockets.owned) {
    if (o.destination != destination || o.process >= host.processes.size()) continue;
    if (most == nullptr || o.states.total() > most->states.total()) most = &o;
  }
  if (most != nullptr) return host.processes[most->process].descriptor_limit;
  for (const Opener& o : sockets.openers) {
    if (o.destination == destination && o.process < host.processes.size()) {
      return host.processes[o.process].descriptor_limit;
    }
  }
  return std::nullopt;
}

SeenLoad seen(const Observation& observation, const NamespaceSnapshot& ns, const PortUse& use) {
  const Destination& d = ns.sockets.destinations[use.destination];
  const Headroom& h = use.head;
  SeenLoad s;
  s.load = load_of(ns);
  s.net_namespace = ns.name;
  s.source = h.source;
  s.remote = h.remote;
  s.ports_taken = h.taken;
  s.ports = h.capacity;
  Load& load = s.load;
  if (use.pooled) load.source_port = PortSource::BindZero;
  load.loopback = h.source.is_loopback() || h.remote.address.is_loopback();
  load.rate = h.opens_per_second;
  // Connections that the other end closes first leave nothing here to count them by.
  if (const auto watched = watched_rate(ns.sockets, use.destination)) {
    load.peer_closes_first = use.closes_per_second < *watched / 2;
    load.rate = std::max(load.rate, *watched);
  }
  if (load.rate <= 0) return s;
  const double lifetime = static_cast<double>(h.established) / load.rate;
  // No connection is shorter than its handshake; and a year is as good as for ever.
  load.lifetime = std::chrono::round<Duration>(
      std::chrono::duration<double>(std::clamp(lifetime, 20e-6, 366.0 * 86400)));
  if (h.established == 0) {
    load.lifetime = 1ms;
    s.assumed.push_back("none was open at the moment of the look: a lifetime of 1 ms is assumed");
  }
  if (d.details.looked_at > 0) {
    load.peer_timestamps = d.details.with_timestamps > 0;
  } else if (ns.settings.timestamps_on()) {
    s.assumed.push_back(
        "whether the other end agrees on timestamps was not seen: that it does is assumed");
  }
  if (const auto limit = descriptor_limit(observation.now, ns.sockets, use.destination)) {
    load.descriptors = *limit;
    load.descriptors_assumed = false;
  }
  s.carries = carried_by_ports(load);
  return s;
}

}  // namespace

Load load_of(const NamespaceSnapshot& ns) {
  Load load;
  load.settings = ns.settings;
  load.held = ns.sockets.held_by_bind;
  if (ns.conntrack && ns.conntrack->max) {
    load.settings.nf_conntrack_max =
        static_cast<std::int64_t>(std::min<std::uint64_t>(*ns.conntrack->max, Settings::kMost));
  } else {
    load.settings.nf_conntrack_max.reset();  // the module does not count here
  }
  return load;
}

std::vector<SeenLoad> seen_loads(const Observation& observation) {
  std::vector<SeenLoad> loads;
  for (const NamespaceSnapshot& ns : observation.now.namespaces) {
    if (!ns.sockets_read) continue;
    const RangeRoom room = room_of(ns);
    const BindPool pool = find_bind_pool(ns);
    for (std::size_t i = 0; i < ns.sockets.destinations.size(); ++i) {
      SeenLoad s =
          seen(observation, ns, port_use(ns, same_namespace(observation, ns), i, room, pool));
      if (s.load.rate > 0) loads.push_back(std::move(s));
    }
  }
  std::stable_sort(loads.begin(), loads.end(), [](const SeenLoad& a, const SeenLoad& b) {
    return a.load.rate * b.carries > b.load.rate * a.carries;
  });
  return loads;
}

}  // namespace lastack
