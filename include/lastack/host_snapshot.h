// What a host looked like at one moment: the one thing the doctor reads. Filled from a live kernel,
// from an endpoint host or from a recorded bundle; what is found in it does not depend on which.
//
// Everything here is plain data: copyable, no locks, no references to where it came from. Sockets
// are not kept one by one: a census groups them by what they compete for (census.h builds it), so
// that a snapshot's size depends on how many destinations there are, not on how many sockets.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lastack/counters.h"
#include "lastack/four_tuple.h"
#include "lastack/port_set.h"
#include "lastack/settings.h"
#include "lastack/tcp_state.h"
#include "lastack/time.h"

namespace lastack {

// Something that could not be read, or only in part. `what` is a noun phrase ("descriptors of 12
// processes of other users"), `why` the reason in the system's words, `mend` what would help, if
// anything.
struct NotRead {
  std::string what;
  std::string why;
  std::string mend;

  friend bool operator==(const NotRead&, const NotRead&) = default;
};

// When the connections now in TIME_WAIT were closed. The remaining time of each record says it
// (linux-facts, "Reading it"), so one dump holds the last minute of closes.
class CloseHistogram {
 public:
  static constexpr std::size_t kBins = 128;

  // `length` is how long TIME_WAIT lasts; the bins share 64/60 of it, 0.5 s each when it is 60 s.
  // Nothing is kept when that is no time at all.
  explicit CloseHistogram(Duration length = 60s)
      : width_(std::clamp(length, Duration::zero(), kLongest) / kBinsOfLength) {}

  void add(Duration ago, std::uint32_t count = 1);
  // How many were closed at most `ago` ago; within a bin they are taken as evenly spread.
  double closed_within(Duration ago) const;
  std::uint64_t total() const;

  Duration width() const { return width_; }
  std::uint32_t bin(std::size_t i) const { return bins_[i]; }

  friend bool operator==(const CloseHistogram&, const CloseHistogram&) = default;

 private:
  static constexpr Duration kLongest = std::chrono::hours(24 * 365);
  static constexpr int kBinsOfLength = 120;  // 60/64 of kBins

  Duration width_;
  std::array<std::uint32_t, kBins> bins_{};
};

// A connection that carried nothing either way for this long counts as idle.
inline constexpr Duration kIdle = 60s;

// What tcp_info added about the live sockets of a group; all zero where it was not asked for.
struct TcpDetails {
  std::uint64_t looked_at = 0;
  std::uint64_t with_timestamps = 0;         // both ends agreed on the option
  std::uint64_t idle_without_keepalive = 0;  // ESTABLISHED, quiet both ways for kIdle or longer
  Duration longest_idle{};                   // of those
  Duration close_wait_age{};                 // lower bound of the oldest CLOSE_WAIT's age
  Duration close_wait_age_median{};          // lower bound of the median one's

  friend bool operator==(const TcpDetails&, const TcpDetails&) = default;
};

// What a destination and a service have in common.
struct SocketGroup {
  StateCounts states;                       // FIN_WAIT_2 counts full sockets and small records
  std::uint64_t compact_fin_wait_2 = 0;     // of those, small records
  std::uint64_t orphans = 0;                // full sockets closed by their process, still closing
  std::uint64_t unaccepted = 0;             // handshake done, waiting for accept()
  std::uint64_t close_wait_end_unread = 0;  // CLOSE_WAIT whose process has not read the end of file
  std::uint64_t close_wait_unread_bytes = 0;  // received, never read by the process
  CloseHistogram closes;                      // of the TIME_WAIT records
  TcpDetails details;

  friend bool operator==(const SocketGroup&, const SocketGroup&) = default;
};

// All connections that this host opened from one address to one destination: the unit in which
// local ports run out (claim B4).
struct Destination : SocketGroup {
  IpAddress source;
  Endpoint remote;
  // Local ports that its four-tuples take inside ip_local_port_range, neither reserved nor held by
  // a bind(): first those of the parity that connect() walks first (that of the range's low end),
  // then the others (linux-facts 19).
  std::uint32_t ports_first_parity = 0;
  std::uint32_t ports_second_parity = 0;
  std::uint32_t ports_held = 0;     // on ports that a bind() holds anyway
  std::uint32_t ports_outside = 0;  // outside the range, or reserved
  // How long ago, on average, the TIME_WAIT records of each parity were closed.
  Duration mean_age_first_parity{};
  Duration mean_age_second_parity{};

  std::uint32_t ports_taken() const { return ports_first_parity + ports_second_parity; }

  friend bool operator==(const Destination&, const Destination&) = default;
};

// A listening endpoint with the connections it accepted; or, with `listeners` 0, connections
// accepted by a listener that is gone.
struct Service : SocketGroup {
  Endpoint local;
  std::uint32_t listeners = 0;     // more than one with SO_REUSEPORT
  std::uint32_t accept_queue = 0;  // connections waiting for accept(), of the fullest listener
  std::uint32_t backlog = 0;       // and its limit
  bool v6_only = false;

  friend bool operator==(const Service&, const Service&) = default;
};

inline constexpr std::uint32_t kNone = UINT32_MAX;

// Which process owns how many sockets of which group. `process` indexes HostSnapshot::processes;
// `destination` or `service` index the census, the other is kNone; both are kNone for groups too
// small to be kept. TIME_WAIT records appear here only when an earlier look knew their cookie.
struct OwnedSockets {
  std::uint32_t process = kNone;
  std::uint32_t destination = kNone;
  std::uint32_t service = kNone;
  StateCounts states;

  friend bool operator==(const OwnedSockets&, const OwnedSockets&) = default;
};

// How many connections a process was seen to open to a destination while SocketCensus::watched went by,
// failed ones included.
struct Opener {
  std::uint32_t process = kNone;
  std::uint32_t destination = kNone;
  std::uint64_t opened = 0;

  friend bool operator==(const Opener&, const Opener&) = default;
};

// A port inside the ephemeral range that some process seems to want to listen on while an outgoing
// connection of another one has it.
struct ContestedPort {
  Port port = 0;
  std::uint32_t wanted_by = kNone;  // process; kNone when the user named the port
  std::string evidence;             // the argument that names the port
  FourTuple taken_by{};             // one of the connections
  TcpState state = TcpState::Closed;
  std::uint32_t owner = kNone;  // its process, if known

  friend bool operator==(const ContestedPort&, const ContestedPort&) = default;
};

struct SocketCensus {
  StateCounts states;  // all TCP sockets of the namespace, IPv4 and IPv6
  std::uint64_t compact_fin_wait_2 = 0;
  std::uint64_t orphans = 0;
  std::vector<Destination> destinations;  // those with most ports first
  std::vector<Service> services;          // those with most connections first
  std::vector<OwnedSockets> owned;
  bool owners_looked_up = false;
  std::vector<Opener> openers;
  Duration watched{};  // zero: nobody watched
  // Small groups that were counted in `states` but not kept.
  std::uint64_t groups_dropped = 0;
  std::uint64_t sockets_dropped = 0;
  // Inside ip_local_port_range:
  PortSet held_by_bind;                   // by a listener, or by bind() with an explicit port
  PortSet used_outgoing;                  // by the four-tuples of destinations
  std::vector<FourTuple> self_connected;  // to their own port (at most 8 kept)
  std::vector<ContestedPort> contested;
  // The kernel changed under the dump (NLM_F_DUMP_INTR), or it ended early: counts are approximate.
  bool interrupted = false;

  friend bool operator==(const SocketCensus&, const SocketCensus&) = default;
};

struct Conntrack {
  std::uint64_t count = 0;
  std::optional<std::uint64_t> max;
  // Entries that conntrack itself has in TIME_WAIT; only known when the table was walked.
  std::optional<std::uint64_t> time_wait;

  friend bool operator==(const Conntrack&, const Conntrack&) = default;
};

struct NamespaceSnapshot {
  std::uint64_t inode = 0;  // of the namespace file; 0 for an endpoint host
  std::string name;         // "host", a name of `ip netns`, a container or a process
  std::string
      enter;  // what runs a command inside it: "ip netns exec web"; empty for the caller's own
  bool is_host = false;  // the initial namespace, as far as one can see
  // connect() finds a port at once, and does not walk past those that are taken (linux-facts 20): what is said of the
  // cost of that does not hold here.
  bool flat_port_choice = false;
  Instant at{};  // when its sockets were read (CLOCK_MONOTONIC for a live host)
  Duration took{};
  bool sockets_read = false;  // false: only settings and counters
  bool counters_read = false;
  Settings settings;
  Counters counters;
  SocketTotals totals;
  SocketCensus sockets;
  std::optional<Conntrack> conntrack;
  std::vector<NotRead> not_read;

  friend bool operator==(const NamespaceSnapshot&, const NamespaceSnapshot&) = default;
};

struct Process {
  std::int32_t pid = 0;
  std::int32_t parent = 0;
  std::uint32_t uid = 0;
  std::string command;    // the kernel's name, at most 15 bytes
  std::string arguments;  // the command line, blanks between arguments, cut at 256 bytes
  std::string unit;       // systemd unit, "nginx.service"
  std::string container;  // the container's identifier, first 12 digits
  std::uint64_t net_namespace = 0;
  std::uint64_t descriptors = 0;
  std::optional<std::uint64_t> descriptor_limit;  // soft RLIMIT_NOFILE

  friend bool operator==(const Process&, const Process&) = default;
};

// A line of /etc/sysctl.conf or a folder beside it that sets one of the settings reviewed here.
struct SysctlLine {
  std::string file;
  std::uint32_t line = 0;
  std::string name;  // "net.ipv4.tcp_tw_recycle"
  std::string value;

  friend bool operator==(const SysctlLine&, const SysctlLine&) = default;
};

struct HostSnapshot {
  std::string hostname;
  std::string kernel;  // "6.18.44"; "LastAck endpoint"
  // A host of liblastack: what is said of its settings is done by Host::set(), not by sysctl, and its one
  // process has the descriptors that HostOptions::most_sockets lets it have.
  bool is_endpoint = false;
  std::int64_t wall_time_ns = 0;  // since 1970, for people; never compared
  std::uint64_t files_open = 0;   // descriptors' files in the whole system
  std::uint64_t files_max = 0;
  std::array<std::uint64_t, 3> tcp_mem_pages{};  // net.ipv4.tcp_mem; zeros if unknown
  std::uint64_t page_size = 4096;
  std::uint32_t processes_seen = 0;
  std::uint32_t processes_closed_to_us = 0;  // their descriptors could not be read
  std::vector<Process> processes;            // those that own sockets or are short of descriptors
  std::vector<NamespaceSnapshot> namespaces;
  // Of the namespace that the look was taken from, when that is none of `namespaces`: what people believe
  // they have set.
  std::optional<Settings> outer_settings;
  std::vector<SysctlLine> sysctl_lines;
  std::vector<NotRead> not_read;

  friend bool operator==(const HostSnapshot&, const HostSnapshot&) = default;
};

// One look, or two with some seconds between. The second is what is judged; the first sharpens it.
struct Observation {
  std::optional<HostSnapshot> earlier;
  HostSnapshot now;

  friend bool operator==(const Observation&, const Observation&) = default;
};

}  // namespace lastack
