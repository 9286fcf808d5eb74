#include "plan/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plan/ways_out.h"

namespace lastack {

std::string_view to_string(LimitKind kind) {
  switch (kind) {
    case LimitKind::Ports:
      return "ports";
    case LimitKind::FirstParity:
      return "first_parity";
    case LimitKind::Records:
      return "time_wait_records";
    case LimitKind::Descriptors:
      return "descriptors";
    case LimitKind::Conntrack:
      return "conntrack";
  }
  return "";
}

const Limit* Plan::breaks_first() const {
  for (const Limit& l : limits) {
    if (l.fails && std::isfinite(l.carries)) return &l;
  }
  return nullptr;
}

const Limit* Plan::limit(LimitKind kind) const {
  for (const Limit& l : limits) {
    if (l.kind == kind) return &l;
  }
  return nullptr;
}

Plan plan(const Load& load, const PlanOptions& options) {
  Plan p;
  p.load = load;
  p.room = port_room(load);
  p.demand = demand_at(load, load.rate);
  const Settings& s = load.settings;

  p.limits.push_back({.kind = LimitKind::Ports,
                      .needed = p.demand.ports,
                      .there_is = static_cast<double>(p.room.open),
                      .assumed = !s.ip_local_port_range,
                      .carries = carried_by_ports(load),
                      .fails = true});
  if (first_parity_ports(load) < p.room.open) {
    p.limits.push_back({.kind = LimitKind::FirstParity,
                        .needed = p.demand.ports,
                        .there_is = first_parity_ports(load),
                        .assumed = !s.ip_local_port_range,
                        .carries = carried_by_first_parity(load)});
  }
  if (!load.peer_closes_first) {
    p.limits.push_back({.kind = LimitKind::Records,
                        .needed = p.demand.records_wanted,
                        .there_is = most_records(load),
                        .assumed = !s.tcp_max_tw_buckets,
                        .carries = carried_by_records(load)});
  }
  p.limits.push_back({.kind = LimitKind::Descriptors,
                      .needed = p.demand.descriptors,
                      .there_is = static_cast<double>(load.descriptors),
                      .assumed = load.descriptors_assumed,
                      .carries = carried_by_descriptors(load),
                      .fails = true});
  if (s.nf_conntrack_max && *s.nf_conntrack_max > 0) {
    p.limits.push_back({.kind = LimitKind::Conntrack,
                        .needed = p.demand.conntrack,
                        .there_is = static_cast<double>(*s.nf_conntrack_max),
                        .carries = carried_by_conntrack(load),
                        .fails = true});
  }
  std::stable_sort(p.limits.begin(), p.limits.end(),
                   [](const Limit& a, const Limit& b) { return a.carries < b.carries; });
  const Limit* first = p.breaks_first();
  p.carries = first != nullptr ? first->carries : std::numeric_limits<double>::infinity();
  p.failing = load.rate > p.carries ? 1 - p.carries / load.rate : 0;
  p.first_failure_s = first_failure_s(load, load.rate);
  p.ways = ways_out(load, options);
  p.will_not_help = what_will_not_help(load);
  return p;
}

}  // namespace lastack
