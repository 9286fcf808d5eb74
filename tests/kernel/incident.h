// Incidents: what goes wrong with the ends of TCP connections, made on purpose in private namespaces, with
// the truth about it told in numbers. Shared by the program `incident` and by tests.
//
// The process that makes an incident stands inside the namespace itself. A second host, where one is
// needed, is a child process in a network namespace of its own behind a pair of links.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/child_process.h"
#include "lab/echo_server.h"
#include "lab/private_namespace.h"
#include "lab/workload.h"

namespace lastack::incident {

using Json = nlohmann::ordered_json;

// "--ports=1000". Every incident has its own; asking for an option makes it known.
class Options {
 public:
  explicit Options(std::map<std::string, std::string> given) : given_(std::move(given)) {}
  std::int64_t number(const std::string& name, std::int64_t usual);
  double real(const std::string& name, double usual);
  std::string word(const std::string& name, const std::string& usual);
  bool flag(const std::string& name) { return number(name, 0) != 0; }
  // Options that were given but never asked for, or whose value is not a number.
  const std::vector<std::string>& bad() const { return bad_; }
  std::vector<std::string> unknown() const;

 private:
  std::map<std::string, std::string> given_;
  std::map<std::string, bool> asked_;
  std::vector<std::string> bad_;
};

// Where an incident happens. Addresses here and, once connect_second_host() was called, there:
inline const IpAddress kHere = IpAddress::v4(0x0a000001);  // 10.0.0.1
inline const IpAddress kAlsoHere =
    IpAddress::v4(0x0a000002);  // 10.0.0.2, on lo, for one-host incidents
inline const IpAddress kThere = IpAddress::v4(0x0a010002);       // 10.1.0.2
inline const IpAddress kHereOnWire = IpAddress::v4(0x0a010001);  // 10.1.0.1
IpAddress here_v6();                                             // fd00::1
IpAddress also_here_v6();                                        // fd00::2

class Stage {
 public:
  // Enters a fresh namespace with kHere, kAlsoHere and their IPv6 sisters on lo.
  static Result<Stage> enter(const std::vector<SysctlValue>& sysctls);

  // A process of this host. `body` gets a function to say one thing with (that it listens, say); spawn()
  // waits for that and returns it. A body that ends without having spoken is an error.
  using Say = std::function<void(const std::string&)>;
  struct Spawned {
    pid_t pid = -1;
    std::string said;
  };
  Result<Spawned> spawn(const std::string& name, const std::function<int(const Say&)>& body);
  // A process of the second host, reached at kThere from kHereOnWire. The first call makes the host.
  Result<Spawned> spawn_there(const std::string& name, const std::function<int(const Say&)>& body);
  // A server of this host; returns its pid.
  Result<pid_t> spawn_server(const std::string& name, const ServerOptions& options,
                             std::int64_t descriptor_limit = 0);
  Result<pid_t> spawn_server_there(const std::string& name, const ServerOptions& options);

  // What this host sends to the second one vanishes from now on; the other direction still works.
  Result<void> set_second_host_deaf(bool deaf);

  // Kept until the incident is over.
  void keep(UniqueFd fd) { kept_.push_back(std::move(fd)); }
  void keep(ShortConnections load) { loads_.push_back(std::move(load)); }
  // Called again and again while the incident is held; each turn should take about 50 ms.
  std::function<void()> meanwhile;

 private:
  Result<Spawned> spawn_in(bool there, const std::string& name,
                           const std::function<int(const Say&)>& body);
  Result<void> make_second_host();

  std::vector<ChildProcess> children_;
  std::vector<UniqueFd> kept_;
  std::vector<ShortConnections> loads_;
  pid_t second_host_ = -1;
};

// Prints one more line during the hold, for what is only known later.
void announce(const std::string& word, const Json& truth);

struct Incident {
  std::string_view name;
  std::string_view what;
  // Makes it, and returns the truth about it. The namespace is entered by it, with the settings it needs.
  Result<Json> (*make)(Options& options, Stage& stage);
  // Settings, from the options.
  std::vector<SysctlValue> (*settings)(Options& options);
  // Needs a part of the kernel that a machine may lack: failing to make it is no error then.
  bool may_be_lacking = false;
};

std::span<const Incident> port_incidents();
std::span<const Incident> close_wait_incidents();
std::span<const Incident> state_incidents();
std::span<const Incident> service_incidents();

// What many incidents have in common: "net.ipv4.ip_local_port_range" of so many ports from 40000.
SysctlValue port_range(std::int64_t ports);
std::string arrow(const IpAddress& source, const Endpoint& destination);
// Sockets of this namespace by state, as /proc/net/tcp has them: another way than the doctor's own.
// FIN_WAIT_2 records count as FIN_WAIT_2.
std::map<std::string, std::uint64_t> count_states();
// Of another process: looking takes a descriptor itself.
std::uint64_t open_descriptors(pid_t pid);
std::uint64_t open_sockets(pid_t pid);
// Lowers RLIMIT_NOFILE of this process.
bool limit_descriptors(std::int64_t most);
// The number of this namespace's file, and this process's.
void tell_place(Json& truth);
// Names this process, as ps and /proc/PID/comm show it.
void name_process(const std::string& name);
// Runs the load until `wanted` connections were answered. Fails when that takes longer than `longest`.
Result<LoadCounts> run_until_answered(ShortConnections& load, std::uint64_t wanted,
                                      Duration longest);

}  // namespace lastack::incident
