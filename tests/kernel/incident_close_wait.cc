// Incidents of connections that a process never closes: CLOSE_WAIT at a server and at a client, up to the
// end of its descriptors.
#include <algorithm>
#include <cerrno>
#include <thread>

#include "kernel/incident.h"
#include "lab/clock.h"

namespace lastack::incident {
namespace {

constexpr Port kReports = 8080;

Result<Json> tell(pid_t owner, const std::string& name, std::int64_t limit, std::uint64_t owned) {
  const auto states = count_states();
  const auto found = states.find("CLOSE_WAIT");
  const std::uint64_t close_wait = found == states.end() ? 0 : found->second;
  Json truth;
  truth["owner"] = name;
  truth["owner_pid"] = owner;
  truth["close_wait"] = close_wait;   // of the namespace, those never accepted included
  truth["close_wait_owned"] = owned;  // that hold a descriptor
  truth["descriptors"] = open_descriptors(owner);
  truth["descriptor_limit"] = limit;
  if (owned > close_wait) return failure("fewer CLOSE_WAIT than descriptors held");
  return truth;
}

// A server whose peers close first and which never does. With more connections than descriptors the rest
// stay in the accept queue, in CLOSE_WAIT too, with no descriptor.
Result<Json> leaking_server(Options& options, Stage& stage) {
  const auto limit = options.number("limit", 256);
  const auto connections = options.number("connections", 200);
  const std::string name = "report-svc";
  const Endpoint local{kHereOnWire, kReports};
  // Once, so that the address on the wire exists.
  auto wire = stage.spawn_there("ping", [](const Stage::Say& say) {
    say("there");
    return 0;
  });
  if (!wire) return tl::unexpected(std::move(wire.error()));
  ServerOptions service{.listen_on = {local}, .closes = ServerOptions::Closes::Never};
  auto server = stage.spawn_server(name, service, limit);
  if (!server) return tl::unexpected(std::move(server.error()));

  auto clients = stage.spawn_there("clients", [&](const Stage::Say& say) {
    LoadOptions load;
    load.connect.destination = local;
    load.rate = 1000;
    load.most = static_cast<std::uint64_t>(connections);
    load.timeout = 1s;
    auto started = ShortConnections::start(load);
    if (!started) return 1;
    LoadCounts counts = started->run_for(std::chrono::milliseconds(connections + 50));
    counts += started->finish();
    say(std::to_string(counts.ok));
    return 0;
  });
  if (!clients) return tl::unexpected(std::move(clients.error()));
  // The last FINs are still on their way.
  std::this_thread::sleep_for(100ms);
  auto truth = tell(*server, name, limit, open_sockets(*server) - 1);  // without the listener
  if (!truth) return truth;
  (*truth)["side"] = "server";
  (*truth)["service"] = local.to_string();
  return truth;
}

// A client whose server closes first, and which forgets its sockets.
Result<Json> leaking_client(Options& options, Stage& stage) {
  const auto limit = options.number("limit", 256);
  const auto connections = options.number("connections", 200);
  const Endpoint remote{kThere, kReports};
  ServerOptions service{.listen_on = {remote}, .closes = ServerOptions::Closes::AfterReply};
  if (auto server = stage.spawn_server_there("closing-server", service); !server) {
    return tl::unexpected(std::move(server.error()));
  }
  const auto owner = stage.spawn("forgetful", [&](const Stage::Say& say) {
    if (!limit_descriptors(limit)) return 1;
    LoadOptions load;
    load.connect.destination = remote;
    load.rate = 1000;
    load.most = static_cast<std::uint64_t>(connections);
    load.closes = LoadOptions::Closes::Nobody;
    auto started = ShortConnections::start(load);
    if (!started) return 1;
    started->run_for(std::chrono::milliseconds(connections + 50));
    started->finish();
    say("done");
    for (;;) pause();
  });
  if (!owner) return tl::unexpected(std::move(owner.error()));
  std::this_thread::sleep_for(100ms);
  auto truth = tell(owner->pid, "forgetful", limit, open_sockets(owner->pid));
  if (!truth) return truth;
  (*truth)["side"] = "client";
  (*truth)["destination"] = arrow(kHereOnWire, remote);
  return truth;
}

Result<Json> close_wait_leak(Options& options, Stage& stage) {
  const std::string side = options.word("side", "server");
  return side == "client" ? leaking_client(options, stage) : leaking_server(options, stage);
}

std::vector<SysctlValue> longest_queue(Options& options) {
  return {{"net.core.somaxconn", options.word("somaxconn", "4096")}};
}

constexpr Incident kIncidents[] = {
    {"close-wait-leak", "a process that never closes", close_wait_leak, longest_queue},
};

}  // namespace

std::span<const Incident> close_wait_incidents() {
  return kIncidents;
}

}  // namespace lastack::incident
