// What a scenario says: hosts, the wire between them, what goes wrong on it, what programs do, and what must be seen.
// Plain data, made from a file by scenario_file.h (docs/scenarios.md describes the language) and played by play.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lab/scenario/check.h"
#include "lastack/host.h"
#include "lastack/virtual_network.h"

namespace lastack::lab {

// Which kind a host is in a run.
enum class HostKind : std::uint8_t {
  Either,  // as the run says: --on endpoint, kernel; --on mixed: the first host is a kernel
  Endpoint,
  Kernel,
};

struct HostSpec {
  std::string name;
  HostKind kind = HostKind::Either;
  std::vector<IpAddress> addresses;
  std::string behind;  // a NAT by its name
  // Sysctls by the last part of their names. Of both kinds.
  std::map<std::string, std::string> settings;
  // Of an endpoint: what a kernel has as it is.
  HostOptions options;
};

// A box that lets hosts share one address (RFC 4787; network address and port translation).
struct NatSpec {
  std::string name;
  IpAddress address;
  Port first_port = 1024, last_port = 65535;
  Duration closed_after = 4min;       // nothing came for so long after both FINs or a RST
  Duration forget_after = 2h + 4min;  // nothing came for so long (RFC 5382, REQ-5)
};

struct LinkSpec {
  std::string from, to;  // a host or a NAT; both directions
  LinkOptions options;
};

// A link, the wire or a NAT that becomes another in the middle of a run.
struct ChangeSpec {
  std::string name;
  std::string after;     // a step or a program that has ended; empty: the start
  Duration at{};         // so long after it
  std::string from, to;  // the link between these; empty: the wire, wherever no link is named
  std::string nat;       // or this NAT
  std::vector<std::function<void(LinkOptions&)>> of_link;
  std::optional<Duration> closed_after, forget_after;
  bool forget = false;  // the NAT loses all its mappings, as when it begins anew
  std::string text;     // "loss = 1", as the file says it
};

// What a segment is, for faults and counts.
enum class SegmentKind : std::uint8_t {
  Any,
  Syn,      // SYN without ACK
  SynAck,   // both
  Fin,      // with FIN
  Rst,      // with RST
  Data,     // with data
  Ack,      // nothing but an acknowledgement
  LastAck,  // nothing but an acknowledgement, and it acknowledges the FIN of the other side
};

struct FaultSpec {
  std::string name;  // how often it struck is measured under this
  enum class Deed : std::uint8_t { Drop, Delay, Duplicate, Corrupt, Reject } deed = Deed::Drop;
  SegmentKind segment = SegmentKind::Any;
  std::string from, to;                       // empty: anybody
  std::uint32_t connection = 0;               // only of the n-th SYN on a four-tuple; 0: all
  std::uint64_t first = 1, last = 1;          // the n-th such segments, from 1
  std::string after;                          // counts only once this step has ended
  Duration begins{}, ends = Duration::max();  // counts only then, from the start
  // Reject: which ICMP error comes back.
  enum class Icmp : std::uint8_t { Prohibited, Port, Host, Net } icmp = Icmp::Prohibited;
  Duration by{};  // Delay: so long; Duplicate: the copy comes so much later
};

// --- Programs

enum class Closing : std::uint8_t {
  First,  // this side, as soon as it has done its part
  After,  // only when the other side has
  Never,  // not until the program ends
  Reset,  // with a RST instead (SO_LINGER with zero time)
};

// "server:80", or an address of its own choice: "10.0.0.9:80", "[fd00::9]:80".
struct Destination {
  std::string host;                    // empty: whoever has the address, or nobody
  std::optional<IpAddress> address{};  // else one of the host's
  Port port = 0;
};

// When a program runs: from the start of the scenario, or from when a step has ended.
struct Timetable {
  std::string after;  // a step; empty: the start
  Duration begins{}, ends = Duration::max();
};

struct ServerSpec {
  std::string name, host;
  std::optional<IpAddress> address;
  Port port = 80;
  int backlog = 128;
  std::size_t request = 1;     // bytes of a request
  std::size_t answer = 1;      // and of its answer
  std::string says, until;     // as with clients
  Duration think{};            // between them
  std::uint32_t requests = 1;  // of a connection; 0: as many as come
  Closing closes = Closing::After;
  Duration idle_limit = Duration::max();  // closes a connection on which nothing came for so long
  bool accepts = true;                    // never calls accept() if not
  bool reads = true;                      // never reads if not
  Timetable when;
};

// Connections, each for `requests` requests.
struct ClientsSpec {
  std::string name, host;
  std::vector<Destination> to;     // in turn
  std::vector<IpAddress> sources;  // in turn; empty: the host's choice
  double rate = 0;                 // connections a second; 0: as fast as `at_once` lets
  std::uint32_t at_once = 1'000'000;
  std::uint64_t count = UINT64_MAX;
  std::size_t request = 1, answer = 1;
  // What it says, and what the other side's part ends with; empty: any bytes, so many.
  std::string says, until;
  std::uint32_t requests = 1;
  Duration pause{};  // between the answer and the next request, or the close
  Closing closes = Closing::First;
  Duration patience = 10s;  // of one connection
  std::vector<std::pair<Option, int>> options;
  Timetable when;
};

// Requests over connections that are kept.
struct PoolSpec {
  std::string name, host;
  Destination to;
  double rate = 100;  // requests a second
  std::uint32_t size = 8;
  std::size_t request = 1, answer = 1;
  Duration waiting = 1s;                  // how long a request waits for a free connection
  Duration connecting = 1s;               // how long connect() may take
  Duration reading = 1s;                  // how long an answer may take
  Duration idle_limit = Duration::max();  // closes what has not been used for so long
  Duration heartbeat = Duration::max();   // asks on what has not been used for so long
  std::vector<std::pair<Option, int>> options;
  Timetable when;
};

// A real program of the machine, on a kernel host.
struct ProgramSpec {
  std::string name, host;
  std::vector<std::string> run;              // argv
  std::map<std::string, std::string> files;  // by name, written into the folder of the run
  std::map<std::string, std::string> environment;
  std::map<std::string, std::string> addresses;  // by host: what {HOST.address} stands for
  Port ready_port = 0;                           // it is ready when it listens there
  std::optional<Duration> ready_after;           // or so long after it began
  Duration within = 30s;                         // it has to be ready by then, or else to end
  int signal = 15;                               // that it is ended with
  std::vector<int> statuses{0};                  // what it may end with by itself; empty: anything
  std::string after;  // a step or a program that has ended; empty: the start
  Duration begins{}, ends = Duration::max();
};

// --- Steps: one thing after the other

struct StepSpec {
  enum class Deed : std::uint8_t {
    Listen,
    Connect,
    Accept,
    Read,
    Write,
    Shutdown,
    Close,
    Abort,
    Option,
    Wait,   // for a time
    Until,  // a condition holds
    Set,    // a sysctl
    Crash,  // an endpoint loses its memory, and begins anew
  } deed = Deed::Wait;
  std::string name;  // what it measures goes by this name
  std::string host;
  std::string socket;  // what it is called, or to be called
  std::string of;      // Accept: the listener
  Destination to;      // Connect
  Port port = 0;       // Listen
  Port from_port = 0;  // Connect: bind() to it first
  std::optional<IpAddress> from_address;
  std::vector<std::pair<Option, int>> options;  // before bind()
  int backlog = 128;
  std::optional<std::uint64_t> bytes;
  std::string text;  // Write: these bytes
  char fill = 'x';   // Write: what the bytes are; Read: what they ought to be
  bool check_fill = false;
  ShutdownHow how = ShutdownHow::Write;
  Option option{};
  int value = 0;
  std::string setting, setting_value;
  Duration time{};
  std::optional<Check> until;
  Duration within = 30s;  // gives up then: "timeout"
  bool background = false;
  bool quiet = false;  // Crash: then it keeps quiet for an MSL
};

struct Scenario {
  std::string name;
  std::string title;
  std::uint64_t seed = 1;
  Duration duration = 10s;       // at most; steps that end earlier end it unless there are programs
  bool programs_decide = false;  // `duration` was given: it lasts so long
  std::vector<HostSpec> hosts;
  std::vector<NatSpec> nats;
  LinkOptions wire;
  std::vector<LinkSpec> links;
  std::vector<FaultSpec> faults;
  std::vector<ChangeSpec> changes;
  std::vector<ServerSpec> servers;
  std::vector<ClientsSpec> clients;
  std::vector<PoolSpec> pools;
  std::vector<ProgramSpec> programs;
  std::vector<StepSpec> steps;
  // Hosts of which somebody asks for the most that there was in a state (HOST.most.SYN_SENT): at each sample their sockets
  // are counted.
  std::set<std::string> counted;
  Duration sample{};  // how often hosts are looked at; zero: a two hundredth of `duration`
};

}  // namespace lastack::lab
