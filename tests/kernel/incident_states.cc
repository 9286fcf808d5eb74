// Incidents of states that pile up: TIME_WAIT over its limit, FIN_WAIT_2, LAST_ACK, CLOSING, SYN_SENT.
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "kernel/connection_tracking.h"
#include "kernel/incident.h"
#include "lab/clock.h"

namespace lastack::incident {
namespace {

constexpr Port kWeb = 8080;

// The wire has to be there before anything can listen on its address.
Result<void> need_wire(Stage& stage) {
  auto there = stage.spawn_there("ping", [](const Stage::Say& say) {
    say("there");
    return 0;
  });
  if (!there) return tl::unexpected(std::move(there.error()));
  return {};
}

// Clients of the second host, one after another; returns once all have been answered. They stay alive.
Result<pid_t> spawn_clients(Stage& stage, const LoadOptions& load) {
  auto clients = stage.spawn_there("clients", [&](const Stage::Say& say) {
    auto started = ShortConnections::start(load);
    if (!started) return 1;
    auto counts = run_until_answered(*started, load.most, 30s);
    if (!counts) {
      std::fprintf(stderr, "clients: %s\n", counts.error().message.c_str());
      return 1;
    }
    // What the server has closed is noticed, and held all the same.
    started->run_for(200ms);
    say("done");
    for (;;) started->run_for(1s);
  });
  if (!clients) return tl::unexpected(std::move(clients.error()));
  return clients->pid;
}

std::uint64_t state(const char* name) {
  const auto states = count_states();
  const auto found = states.find(name);
  return found == states.end() ? 0 : found->second;
}

std::uint64_t counter(const std::string& wanted) {
  std::ifstream file("/proc/self/net/netstat");
  std::string names;
  std::string values;
  while (std::getline(file, names) && std::getline(file, values)) {
    std::istringstream name_words(names);
    std::istringstream value_words(values);
    std::string name;
    std::string value;
    while (name_words >> name && value_words >> value) {
      if (name == wanted) return std::stoull(value);
    }
  }
  return 0;
}

LoadOptions many(const Endpoint& destination, std::int64_t count) {
  LoadOptions load;
  load.connect.destination = destination;
  load.rate = 2000;
  load.most = static_cast<std::uint64_t>(count);
  load.most_at_once = 128;
  return load;
}

// A server that closes first, with fewer TIME_WAIT records allowed than it makes.
Result<Json> time_wait_overflow(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 500);
  const auto buckets = options.number("buckets", 100);
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  const Endpoint local{kHereOnWire, kWeb};
  auto server = stage.spawn_server(
      "web", {.listen_on = {local}, .closes = ServerOptions::Closes::AfterReply});
  if (!server) return tl::unexpected(std::move(server.error()));
  LoadOptions load = many(local, connections);
  load.closes = LoadOptions::Closes::Server;
  if (auto done = spawn_clients(stage, load); !done) return tl::unexpected(done.error());
  Json truth;
  truth["service"] = local.to_string();
  truth["connections"] = connections;
  truth["buckets"] = buckets;
  truth["time_wait"] = state("TIME_WAIT");
  truth["overflow"] = counter("TCPTimeWaitOverflow");
  return truth;
}

// A server that closes first, and peers that never do. Its process forgets them (orphans; after 60 s or
// less they are small records) or, with --how=shutdown, keeps the sockets.
Result<Json> fin_wait_2(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 300);
  const bool half = options.word("how", "close") == "shutdown";
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  const Endpoint local{kHereOnWire, kWeb};
  auto server = stage.spawn_server("web", {.listen_on = {local},
                                           .closes = ServerOptions::Closes::AfterReply,
                                           .how = half ? CloseHow::Shutdown : CloseHow::Close});
  if (!server) return tl::unexpected(std::move(server.error()));
  LoadOptions load = many(local, connections);
  load.closes = LoadOptions::Closes::Nobody;
  if (auto done = spawn_clients(stage, load); !done) return tl::unexpected(done.error());
  Json truth;
  truth["service"] = local.to_string();
  truth["fin_wait_2"] = state("FIN_WAIT_2");
  truth["orphans"] = half ? 0 : state("FIN_WAIT_2");
  truth["owner"] = "web";
  truth["owner_pid"] = *server;
  return truth;
}

// The peer has closed and is then gone: this side's FIN is never acknowledged.
Result<Json> last_ack(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 200);
  const Endpoint remote{kThere, kWeb};
  ServerOptions closing{.listen_on = {remote}, .closes = ServerOptions::Closes::AfterReply};
  if (auto server = stage.spawn_server_there("peer", closing); !server) {
    return tl::unexpected(std::move(server.error()));
  }
  LoadOptions load = many(remote, connections);
  load.closes = LoadOptions::Closes::Nobody;
  {
    auto held = ShortConnections::start(load);
    if (!held) return tl::unexpected(std::move(held.error()));
    auto counts = run_until_answered(*held, load.most, 30s);
    if (!counts) return tl::unexpected(std::move(counts.error()));
    held->run_for(200ms);  // the peer's FINs arrive
    if (auto deaf = stage.set_second_host_deaf(true); !deaf) return tl::unexpected(deaf.error());
  }                                    // closed here
  std::this_thread::sleep_for(700ms);  // and every FIN goes again, however soon one looks
  Json truth;
  truth["destination"] = arrow(kHereOnWire, remote);
  truth["last_ack"] = state("LAST_ACK");
  return truth;
}

// Both close at once, and what this side sends is lost: its FIN is not acknowledged by the peer's.
Result<Json> closing(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 200);
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  const Endpoint local{kHereOnWire, kWeb};
  auto listener = start_listen(local, 4096);
  if (!listener) return tl::unexpected(std::move(listener.error()));
  // Clients that connect, wait to be told by a byte, and close.
  auto clients = stage.spawn_there("clients", [&](const Stage::Say& say) {
    std::vector<UniqueFd> sockets;
    for (std::int64_t i = 0; i < connections; ++i) {
      auto fd = start_connect({.source = {}, .destination = local});
      if (!fd) return 1;
      sockets.push_back(*std::move(fd));
    }
    say("connecting");
    std::this_thread::sleep_for(1500ms);
    sockets.clear();
    for (;;) pause();
  });
  if (!clients) return tl::unexpected(std::move(clients.error()));
  const Instant close_at = monotonic_now() + 1000ms;
  {
    std::vector<UniqueFd> accepted;
    while (accepted.size() < static_cast<std::size_t>(connections) && monotonic_now() < close_at) {
      UniqueFd fd(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (fd) accepted.push_back(std::move(fd));
    }
    if (auto deaf = stage.set_second_host_deaf(true); !deaf) return tl::unexpected(deaf.error());
  }  // closed here: FIN_WAIT_1, since nothing gets through
  stage.keep(*std::move(listener));
  const Instant stop = monotonic_now() + 5s;
  while (state("CLOSING") < static_cast<std::uint64_t>(connections) && monotonic_now() < stop) {
    std::this_thread::sleep_for(50ms);
  }
  Json truth;
  truth["service"] = local.to_string();
  truth["closing"] = state("CLOSING");
  return truth;
}

// A destination that swallows everything.
Result<Json> syn_sent(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 300);
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  if (auto deaf = stage.set_second_host_deaf(true); !deaf) return tl::unexpected(deaf.error());
  const Endpoint remote{kThere, kWeb};
  for (std::int64_t i = 0; i < connections; ++i) {
    auto fd = start_connect({.source = {}, .destination = remote});
    if (!fd) return tl::unexpected(std::move(fd.error()));
    stage.keep(*std::move(fd));
  }
  Json truth;
  truth["destination"] = arrow(kHereOnWire, remote);
  truth["syn_sent"] = state("SYN_SENT");
  truth["owner"] = "syn-sent";
  return truth;
}

// Clients that are there and hear nothing of us: the last ACK of their handshakes does not come.
Result<Json> syn_received(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 100);
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  const Endpoint local{kHereOnWire, kWeb};
  if (auto server = stage.spawn_server("web", {.listen_on = {local}}); !server) {
    return tl::unexpected(std::move(server.error()));
  }
  if (auto deaf = stage.set_second_host_deaf(true); !deaf) return tl::unexpected(deaf.error());
  auto clients = stage.spawn_there("clients", [&](const Stage::Say& say) {
    std::vector<UniqueFd> sockets;
    for (std::int64_t i = 0; i < connections; ++i) {
      auto fd = start_connect({.source = {}, .destination = local});
      if (!fd) return 1;
      sockets.push_back(*std::move(fd));
    }
    say("connecting");
    for (;;) pause();
  });
  if (!clients) return tl::unexpected(std::move(clients.error()));
  const Instant stop = monotonic_now() + 5s;
  while (state("SYN_RECEIVED") < static_cast<std::uint64_t>(connections) &&
         monotonic_now() < stop) {
    std::this_thread::sleep_for(5ms);
  }
  Json truth;
  truth["service"] = local.to_string();
  truth["syn_received"] = state("SYN_RECEIVED");
  truth["owner"] = "web";
  return truth;
}

// Clients that close first: they have the TIME_WAIT, this host has none. Its connection tracking keeps the
// connections for another two minutes all the same.
Result<Json> conntrack(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 500);
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  if (auto tracking = start_connection_tracking(); !tracking) {
    return tl::unexpected(tracking.error());
  }
  const Endpoint local{kHereOnWire, kWeb};
  if (auto server = stage.spawn_server("web", {.listen_on = {local}}); !server) {
    return tl::unexpected(std::move(server.error()));
  }
  if (auto done = spawn_clients(stage, many(local, connections)); !done) {
    return tl::unexpected(done.error());
  }
  Json truth;
  truth["service"] = local.to_string();
  truth["conntrack_time_wait"] = connections;
  truth["time_wait"] = state("TIME_WAIT");
  return truth;
}

std::vector<SysctlValue> usual(Options&) {
  return {};
}

std::vector<SysctlValue> few_buckets(Options& options) {
  return {{"net.ipv4.tcp_max_tw_buckets", std::to_string(options.number("buckets", 100))}};
}

std::vector<SysctlValue> few_half_open(Options& options) {
  return {{"net.ipv4.tcp_max_syn_backlog", options.word("syn-backlog", "100")}};
}

std::vector<SysctlValue> fin_timeout(Options& options) {
  return {{"net.ipv4.tcp_fin_timeout", std::to_string(options.number("fin-timeout", 60))}};
}

constexpr Incident kIncidents[] = {
    {"time-wait-overflow", "more TIME_WAIT than tcp_max_tw_buckets", time_wait_overflow,
     few_buckets},
    {"fin-wait-2", "peers that never close", fin_wait_2, fin_timeout},
    {"last-ack", "a peer that vanished after its FIN", last_ack, usual},
    {"closing", "a peer that vanished while both closed", closing, usual},
    {"conntrack", "conntrack remembers longer than the sockets", conntrack, usual, true},
    {"syn-received", "clients that hear nothing of us", syn_received, few_half_open},
    {"syn-sent", "a destination that swallows SYNs", syn_sent, usual},
};

}  // namespace

std::span<const Incident> state_incidents() {
  return kIncidents;
}

}  // namespace lastack::incident
