// What a bundle holds of each type.
//
// Missing from a bundle means the default of host_snapshot.h, and the writer leaves such members out.
// Where a default would say something that nobody observed, the field is `kRequired` and always
// written.
#pragma once

#include <cstdint>
#include <tuple>

#include "bundle/described.h"
#include "lastack/host_snapshot.h"

namespace lastack {

// More than any host has, and few enough that sums of them cannot wrap round.
inline constexpr std::uint64_t kMostSockets = std::uint64_t{1} << 48;
inline constexpr std::uint32_t kMostPorts = 1U << 20;

template <>
struct Fields<NotRead> {
  static constexpr auto own = std::tuple{
      Field{"what", &NotRead::what, kRequired},
      Field{"why", &NotRead::why},
      Field{"mend", &NotRead::mend},
  };
};

template <>
struct Fields<Endpoint> {
  static constexpr auto own = std::tuple{
      Field{"address", &Endpoint::address, kRequired},
      Field{"port", &Endpoint::port, kRequired},
  };
};

template <>
struct Fields<FourTuple> {
  static constexpr auto own = std::tuple{
      Field{"local", &FourTuple::local, kRequired},
      Field{"remote", &FourTuple::remote, kRequired},
  };
};

template <>
struct Fields<TcpDetails> {
  static constexpr auto own = std::tuple{
      Field{"looked_at", &TcpDetails::looked_at, false, kMostSockets},
      Field{"with_timestamps", &TcpDetails::with_timestamps, false, kMostSockets},
      Field{"idle_without_keepalive", &TcpDetails::idle_without_keepalive, false, kMostSockets},
      Field{"longest_idle_ns", &TcpDetails::longest_idle},
      Field{"close_wait_age_ns", &TcpDetails::close_wait_age},
      Field{"close_wait_age_median_ns", &TcpDetails::close_wait_age_median},
  };
};

template <>
struct Fields<SocketGroup> {
  static constexpr auto own = std::tuple{
      Field{"states", &SocketGroup::states, kRequired},
      Field{"compact_fin_wait_2", &SocketGroup::compact_fin_wait_2, false, kMostSockets},
      Field{"orphans", &SocketGroup::orphans, false, kMostSockets},
      Field{"unaccepted", &SocketGroup::unaccepted, false, kMostSockets},
      Field{"close_wait_end_unread", &SocketGroup::close_wait_end_unread, false, kMostSockets},
      Field{"close_wait_unread_bytes", &SocketGroup::close_wait_unread_bytes},
      Field{"closes", &SocketGroup::closes},
      Field{"details", &SocketGroup::details},
  };
};

template <>
struct Fields<Destination> {
  using Base = SocketGroup;
  static constexpr auto own = std::tuple{
      Field{"source", &Destination::source, kRequired},
      Field{"remote", &Destination::remote, kRequired},
      Field{"ports_first_parity", &Destination::ports_first_parity, false, kMostPorts},
      Field{"ports_second_parity", &Destination::ports_second_parity, false, kMostPorts},
      Field{"ports_held", &Destination::ports_held, false, kMostPorts},
      Field{"ports_outside", &Destination::ports_outside, false, kMostPorts},
      Field{"mean_age_first_parity_ns", &Destination::mean_age_first_parity},
      Field{"mean_age_second_parity_ns", &Destination::mean_age_second_parity},
  };
};

template <>
struct Fields<Service> {
  using Base = SocketGroup;
  static constexpr auto own = std::tuple{
      Field{"local", &Service::local, kRequired},    Field{"listeners", &Service::listeners},
      Field{"accept_queue", &Service::accept_queue}, Field{"backlog", &Service::backlog},
      Field{"v6_only", &Service::v6_only},
  };
};

template <>
struct Fields<OwnedSockets> {
  static constexpr auto own = std::tuple{
      Field{"process", &OwnedSockets::process, kRequired},
      Field{"destination", &OwnedSockets::destination},
      Field{"service", &OwnedSockets::service},
      Field{"states", &OwnedSockets::states, kRequired},
  };
};

template <>
struct Fields<Opener> {
  static constexpr auto own = std::tuple{
      Field{"process", &Opener::process, kRequired},
      Field{"destination", &Opener::destination, kRequired},
      Field{"opened", &Opener::opened, kRequired, kMostSockets},
  };
};

template <>
struct Fields<ContestedPort> {
  static constexpr auto own = std::tuple{
      Field{"port", &ContestedPort::port, kRequired},
      Field{"wanted_by", &ContestedPort::wanted_by},
      Field{"evidence", &ContestedPort::evidence},
      Field{"taken_by", &ContestedPort::taken_by, kRequired},
      Field{"state", &ContestedPort::state, kRequired},
      Field{"owner", &ContestedPort::owner},
  };
};

template <>
struct Fields<SocketCensus> {
  static constexpr auto own = std::tuple{
      Field{"states", &SocketCensus::states, kRequired},
      Field{"compact_fin_wait_2", &SocketCensus::compact_fin_wait_2, false, kMostSockets},
      Field{"orphans", &SocketCensus::orphans, false, kMostSockets},
      Field{"destinations", &SocketCensus::destinations},
      Field{"services", &SocketCensus::services},
      Field{"owned", &SocketCensus::owned},
      Field{"owners_looked_up", &SocketCensus::owners_looked_up},
      Field{"openers", &SocketCensus::openers},
      Field{"watched_ns", &SocketCensus::watched},
      Field{"groups_dropped", &SocketCensus::groups_dropped, false, kMostSockets},
      Field{"sockets_dropped", &SocketCensus::sockets_dropped, false, kMostSockets},
      Field{"held_by_bind", &SocketCensus::held_by_bind},
      Field{"used_outgoing", &SocketCensus::used_outgoing},
      Field{"self_connected", &SocketCensus::self_connected},
      Field{"contested", &SocketCensus::contested},
      Field{"interrupted", &SocketCensus::interrupted},
  };
};

template <>
struct Fields<Conntrack> {
  static constexpr auto own = std::tuple{
      Field{"count", &Conntrack::count, kRequired},
      Field{"max", &Conntrack::max},
      Field{"time_wait", &Conntrack::time_wait},
  };
};

template <>
struct Fields<SocketTotals> {
  static constexpr auto own = std::tuple{
      Field{"used", &SocketTotals::used},
      Field{"tcp_in_use", &SocketTotals::tcp_in_use},
      Field{"tcp6_in_use", &SocketTotals::tcp6_in_use},
      Field{"orphan", &SocketTotals::orphan},
      Field{"tw", &SocketTotals::tw},
      Field{"alloc", &SocketTotals::alloc},
      Field{"mem_pages", &SocketTotals::mem_pages},
  };
};

template <>
struct Fields<NamespaceSnapshot> {
  static constexpr auto own = std::tuple{
      Field{"inode", &NamespaceSnapshot::inode},
      Field{"name", &NamespaceSnapshot::name, kRequired},
      Field{"enter", &NamespaceSnapshot::enter},
      Field{"is_host", &NamespaceSnapshot::is_host},
      Field{"flat_port_choice", &NamespaceSnapshot::flat_port_choice},
      Field{"at_ns", &NamespaceSnapshot::at, kRequired},
      Field{"took_ns", &NamespaceSnapshot::took},
      Field{"sockets_read", &NamespaceSnapshot::sockets_read, kRequired},
      Field{"counters_read", &NamespaceSnapshot::counters_read, kRequired},
      Field{"settings", &NamespaceSnapshot::settings, kRequired},
      Field{"counters", &NamespaceSnapshot::counters, kRequired},
      Field{"totals", &NamespaceSnapshot::totals, kRequired},
      Field{"sockets", &NamespaceSnapshot::sockets, kRequired},
      Field{"conntrack", &NamespaceSnapshot::conntrack},
      Field{"not_read", &NamespaceSnapshot::not_read},
  };
};

template <>
struct Fields<Process> {
  static constexpr auto own = std::tuple{
      Field{"pid", &Process::pid, kRequired, INT32_MAX},
      Field{"parent", &Process::parent, false, INT32_MAX},
      Field{"uid", &Process::uid},
      Field{"command", &Process::command, kRequired},
      Field{"arguments", &Process::arguments},
      Field{"unit", &Process::unit},
      Field{"container", &Process::container},
      Field{"net_namespace", &Process::net_namespace},
      Field{"descriptors", &Process::descriptors},
      Field{"descriptor_limit", &Process::descriptor_limit},
  };
};

template <>
struct Fields<SysctlLine> {
  static constexpr auto own = std::tuple{
      Field{"file", &SysctlLine::file, kRequired},
      Field{"line", &SysctlLine::line},
      Field{"name", &SysctlLine::name, kRequired},
      Field{"value", &SysctlLine::value, kRequired},
  };
};

template <>
struct Fields<HostSnapshot> {
  static constexpr auto own = std::tuple{
      Field{"hostname", &HostSnapshot::hostname, kRequired},
      Field{"kernel", &HostSnapshot::kernel, kRequired},
      Field{"is_endpoint", &HostSnapshot::is_endpoint},
      Field{"wall_time_ns", &HostSnapshot::wall_time_ns, kRequired},
      Field{"files_open", &HostSnapshot::files_open},
      Field{"files_max", &HostSnapshot::files_max},
      Field{"tcp_mem_pages", &HostSnapshot::tcp_mem_pages},
      Field{"page_size", &HostSnapshot::page_size},
      Field{"processes_seen", &HostSnapshot::processes_seen},
      Field{"processes_closed_to_us", &HostSnapshot::processes_closed_to_us},
      Field{"processes", &HostSnapshot::processes},
      Field{"namespaces", &HostSnapshot::namespaces, kRequired},
      Field{"outer_settings", &HostSnapshot::outer_settings},
      Field{"sysctl_lines", &HostSnapshot::sysctl_lines},
      Field{"not_read", &HostSnapshot::not_read},
  };
};

template <>
struct Fields<Observation> {
  static constexpr auto own = std::tuple{
      Field{"earlier", &Observation::earlier},
      Field{"now", &Observation::now, kRequired},
  };
};

static_assert(complete<NotRead>());
static_assert(complete<Endpoint>());
static_assert(complete<FourTuple>());
static_assert(complete<TcpDetails>());
static_assert(complete<SocketGroup>());
static_assert(complete<Destination>());
static_assert(complete<Service>());
static_assert(complete<OwnedSockets>());
static_assert(complete<ContestedPort>());
static_assert(complete<SocketCensus>());
static_assert(complete<Conntrack>());
static_assert(complete<SocketTotals>());
static_assert(complete<NamespaceSnapshot>());
static_assert(complete<Process>());
static_assert(complete<SysctlLine>());
static_assert(complete<HostSnapshot>());
static_assert(complete<Observation>());

}  // namespace lastack
