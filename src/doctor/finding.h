// What every finding is made from, and small words they share.
#pragma once

#include <string>
#include <vector>

#include "doctor/bind_pool.h"
#include "doctor/headroom.h"
#include "lastack/doctor.h"

namespace lastack {

// One namespace on the table, with what was worked out about it before any finding.
struct Case {
  const HostSnapshot& host;
  const NamespaceSnapshot& ns;
  const NamespaceSnapshot* before = nullptr;  // the same namespace at an earlier look
  double sampled_s = 0;
  RangeRoom room{};
  BindPool pool{};
  std::vector<PortUse> uses{};  // one a destination, in the census's order

  const Settings& settings() const { return ns.settings; }
  const SocketCensus& sockets() const { return ns.sockets; }
  // How a counter moved between the looks; the whole count since the namespace was made from one look.
  std::uint64_t moved(std::uint64_t Counters::*counter) const;
  bool sampled() const { return before != nullptr && sampled_s > 0; }
};

// Each looks for its own kind of trouble and adds what it finds.
using Findings = std::vector<Finding>;
void find_port_trouble(const Case& c, Findings& out);       // ports.cc
void find_listener_trouble(const Case& c, Findings& out);   // listeners.cc
void find_time_wait(const Case& c, Findings& out);          // time_wait.cc
void find_close_wait(const Case& c, Findings& out);         // close_wait.cc
void find_piling_up(const Case& c, Findings& out);          // piling_up.cc
void find_short_connections(const Case& c, Findings& out);  // short_connections.cc
void find_conntrack(const Case& c, Findings& out);          // conntrack.cc
void find_idle(const Case& c, Findings& out);               // idle.cc
void review_settings(const Case& c, Findings& out);         // settings_review.cc
// Of the whole host, once:
void find_descriptor_trouble(const HostSnapshot& host, Findings& out);  // descriptors.cc
void review_host_settings(const HostSnapshot& host, Findings& out);     // settings_review.cc

Finding& add(const Case& c, Findings& out, std::string id, Severity severity, std::string subject);
void note(Finding& f, std::string name, std::uint64_t value);
void note(Finding& f, std::string name, double value);
void note(Finding& f, std::string name, std::string value);

// The owners of the sockets of a destination or a service in any of `states`, most first.
enum class Side : std::uint8_t { Destination, Service };
std::vector<Owner> owners_of(const HostSnapshot& host, const SocketCensus& sockets, Side side,
                             std::uint32_t index, std::initializer_list<TcpState> states);
Owner owner_of(const HostSnapshot& host, std::uint32_t process, std::uint64_t sockets);
// "php-fpm (pid 2211, php-fpm.service)"; "an unknown process" without one.
std::string name_of(const Owner& owner);
std::string name_of(const Process& process);
// One line on who owns the sockets, or on why that is not known.
std::string owners_line(const Case& c, const std::vector<Owner>& owners, std::uint64_t of,
                        const std::string& what);

// A command as it has to be typed to act inside the namespace.
std::string inside(const Case& c, const std::string& command);
// "sysctl -w net.ipv4.tcp_tw_reuse=1" and the command that puts the present value back.
std::string set_command(const Case& c, const std::string& name, const std::string& value);
std::string undo_command(const Case& c, const std::string& name, Settings::Value now);

// The finding's remedies as they are done at a host of liblastack.
void speak_of_an_endpoint(Finding& f);  // endpoint_words.cc

// Of a process that runs out of descriptors.
Remedy raise_descriptor_limit(const Process& process);

constexpr std::initializer_list<TcpState> kLiveStates = {
    TcpState::SynSent,  TcpState::SynReceived, TcpState::Established, TcpState::FinWait1,
    TcpState::FinWait2, TcpState::CloseWait,   TcpState::Closing,     TcpState::LastAck};

}  // namespace lastack
