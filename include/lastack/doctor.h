// The diagnosis: what a snapshot means. A pure function of what was observed: no clock, no file, no
// kernel; the same observation gives the same findings on any machine.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lastack/host_snapshot.h"

namespace lastack {

enum class Severity : std::uint8_t {
  Notice,   // worth knowing, nothing to do
  Warning,  // costs something now, or will hurt if it goes on
  Problem,  // hurts now, or within minutes
};
std::string_view to_string(Severity severity);

// What a remedy changes, in the order in which to try them: the earlier the layer, the less it
// hides.
enum class Layer : std::uint8_t {
  Program,     // fix the program: pool, keep connections open, close what it leaks
  WhoCloses,   // let the other side close first
  PortChoice,  // IP_BIND_ADDRESS_NO_PORT, IP_LOCAL_PORT_RANGE, a wider range, reserved ports
  MoreTuples,  // more addresses or ports at either end
  Reuse,       // tcp_tw_reuse, with its preconditions
  Limits,      // raise what ran out
  Kill,        // end sockets by hand
};
std::string_view to_string(Layer layer);

struct Remedy {
  Layer layer = Layer::Program;
  std::string text;                   // what to do and what it gives, with this host's numbers
  std::vector<std::string> commands;  // exact, for a shell; empty where it is not a command
  std::string undo;                   // exact command; empty where there is nothing to undo
  std::string check;                  // how to see that it worked
  std::string caution;                // what it may break; empty if nothing
};

// One number or word of evidence, by a stable snake_case name; the unit is part of the name.
struct Evidence {
  std::string name;
  std::variant<std::int64_t, double, bool, std::string> value;
};

struct Owner {
  std::int32_t pid = 0;
  std::string command;
  std::string unit;             // systemd unit or container, whichever is known
  std::uint64_t sockets = 0;    // of those the finding is about
  double opens_per_second = 0;  // seen while watching; 0 also when nobody watched
};

struct Finding {
  std::string id;  // stable: "ports-exhausting-time-wait"
  Severity severity = Severity::Notice;
  std::string net_namespace;         // name of the namespace; empty for the whole host
  std::string subject;               // "10.0.3.7 -> 10.0.9.2:3306", "*:8080", "nginx (pid 12)"
  std::string sentence;              // one sentence, with the numbers that matter
  std::vector<std::string> details;  // lines of evidence for people
  std::vector<Evidence> evidence;    // the same for programs
  std::string who_closed_first;      // never empty where connections have ended (claim D3)
  std::vector<Owner> owners;
  std::string why;               // why it matters, or why it does not
  std::vector<Remedy> remedies;  // best first
  std::vector<std::string> will_not_help;
};

// Room for connections from one source to one destination.
struct Headroom {
  std::string net_namespace;
  IpAddress source;
  Endpoint remote;
  std::uint32_t range = 0;     // ports in ip_local_port_range
  std::uint32_t reserved = 0;  // of those, reserved
  std::uint32_t held = 0;      // of the rest, held by a bind() anywhere in the namespace
  std::uint32_t capacity = 0;  // what is left for this destination's connections
  std::uint32_t taken = 0;     // by its four-tuples
  std::uint32_t free = 0;
  std::uint64_t established =
      0;  // live sockets, any state but TIME_WAIT and small FIN_WAIT_2 records
  std::uint64_t time_wait = 0;
  bool reuse_possible = false;     // tcp_tw_reuse applies to this destination
  std::uint32_t reusable_now = 0;  // TIME_WAIT ports connect() would take
  std::uint32_t within_delay = 0;  // will be reusable within tcp_tw_reuse_delay
  double opens_per_second = 0;
  double sustains_per_second = 0;        // what the range can carry for ever, at this holding time
  std::optional<double> exhausted_in_s;  // 0: now; nothing: not at this rate
  // Whether connect() has to walk one parity of the range to its end first (linux-facts 20).
  bool past_half = false;

  double share() const { return capacity == 0 ? 1.0 : static_cast<double>(taken) / capacity; }
};

struct Diagnosis {
  std::string hostname;
  std::string kernel;
  std::int64_t wall_time_ns = 0;
  std::vector<std::string> namespaces;  // names of those looked at
  double took_s = 0;                    // reading the sockets
  double sampled_s = 0;                 // between the two looks; 0 for one look
  std::vector<Finding> findings;        // most severe first
  std::vector<Headroom> headroom;       // tightest first
  // How connections end here and what room there is: label and text, for the page that has nothing to
  // complain about.
  std::vector<std::pair<std::string, std::string>> summary;
  std::vector<Evidence> totals;  // the same for programs
  std::vector<NotRead> not_read;
  // Whether any socket at all could be read.
  bool looked = false;
  // Whether something that the findings rest on had to be assumed; `not_read` says what.
  bool guessed = false;

  Severity worst() const;  // Notice when there is none
  bool healthy() const { return worst() == Severity::Notice; }
};

Diagnosis diagnose(const Observation& observation);

// What each finding is about, for people who meet one: every id that diagnose() can give.
struct FindingInfo {
  std::string_view id;
  std::string_view about;      // one sentence
  std::string_view mechanism;  // how it comes about and what settles it, a short paragraph
};
std::span<const FindingInfo> finding_catalogue();

}  // namespace lastack
