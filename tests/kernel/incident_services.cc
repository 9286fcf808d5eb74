// Incidents of services and their ports: a stolen port, a full accept queue, a connection to itself, idle
// connections; and a busy server with which nothing is wrong.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "kernel/incident.h"
#include "lab/clock.h"
#include "lab/sysctl.h"

namespace lastack::incident {
namespace {

constexpr Port kWeb = 8080;

Result<void> need_wire(Stage& stage) {
  auto there = stage.spawn_there("ping", [](const Stage::Say& say) {
    say("there");
    return 0;
  });
  if (!there) return tl::unexpected(std::move(there.error()));
  return {};
}

// An outgoing connection has the port that a service means to listen on. The service is this program again,
// since its command line has to name the port.
Result<Json> stolen_listener(Options& options, Stage& stage) {
  const auto ports = options.number("ports", 10);
  const auto wanted = static_cast<Port>(40000 + options.number("wanted", 5));
  const Endpoint remote{kThere, kWeb};
  if (auto server = stage.spawn_server_there("upstream", {.listen_on = {remote}}); !server) {
    return tl::unexpected(std::move(server.error()));
  }
  // connect() hands the ports out; one of them is the one. The others are given back without a trace.
  std::vector<UniqueFd> others;
  bool taken = false;
  for (std::int64_t i = 0; i < ports && !taken; ++i) {
    auto fd = start_connect({.source = kHereOnWire, .destination = remote});
    if (!fd) return tl::unexpected(std::move(fd.error()));
    taken = local_endpoint(fd->get()).port == wanted;
    if (taken) {
      stage.keep(*std::move(fd));
    } else {
      others.push_back(*std::move(fd));
    }
  }
  if (!taken) return failure("connect() never chose the wanted port");
  std::this_thread::sleep_for(50ms);
  for (UniqueFd& fd : others) close_socket(std::move(fd), CloseHow::Reset);

  auto service = stage.spawn("wanted-service", [&](const Stage::Say& say) {
    const std::string port = "--port=" + std::to_string(wanted);
    say("trying");
    execl("/proc/self/exe", "wanted-service", "want-port", port.c_str(), nullptr);
    return 1;
  });
  if (!service) return tl::unexpected(std::move(service.error()));
  std::this_thread::sleep_for(300ms);
  Json truth;
  truth["port"] = wanted;
  truth["taken_by"] = FourTuple{{kHereOnWire, wanted}, remote}.to_string();
  truth["owner"] = "stolen-listener";
  truth["owner_pid"] = getpid();
  truth["wanted_by"] = "wanted-service";
  truth["wanted_by_pid"] = service->pid;
  return truth;
}

// A listener that never accepts: its queue fills, and further SYNs are dropped.
Result<Json> accept_queue_overflow(Options& options, Stage& stage) {
  const auto backlog = options.number("backlog", 16);
  const auto connections = options.number("connections", 64);
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  const Endpoint local{kHereOnWire, kWeb};
  auto server = stage.spawn_server(
      "stuck-service",
      {.listen_on = {local}, .backlog = static_cast<int>(backlog), .accepts = false});
  if (!server) return tl::unexpected(std::move(server.error()));
  auto clients = stage.spawn_there("clients", [&](const Stage::Say& say) {
    std::vector<UniqueFd> sockets;
    for (std::int64_t i = 0; i < connections; ++i) {
      auto fd = start_connect({.source = {}, .destination = local});
      if (!fd) return 1;
      sockets.push_back(*std::move(fd));
    }
    std::this_thread::sleep_for(1500ms);  // the first repeated SYNs
    say("done");
    for (;;) pause();
  });
  if (!clients) return tl::unexpected(std::move(clients.error()));
  Json truth;
  truth["service"] = local.to_string();
  truth["backlog"] = backlog;
  // A queue of n takes n + 1: the kernel asks whether it holds more than n.
  truth["accept_queue"] = backlog + 1;
  truth["owner"] = "stuck-service";
  truth["owner_pid"] = *server;
  return truth;
}

// Everything at once, and all of it in order: short connections closed by the server and by the clients,
// connections that stay, and a client of its own with plenty of room. It goes on while it is held.
Result<Json> healthy_server(Options& options, Stage& stage) {
  const double rate = options.real("rate", 400);
  const auto warm_up = options.number("warm-up", 6);
  const auto pool = options.number("pool", 50);
  if (auto wire = need_wire(stage); !wire) return tl::unexpected(wire.error());
  const Endpoint closes_first{kHereOnWire, 80};
  const Endpoint closes_second{kHereOnWire, 8080};
  const Endpoint database{kThere, 3306};
  auto eager = stage.spawn_server(
      "web", {.listen_on = {closes_first}, .closes = ServerOptions::Closes::AfterReply});
  if (!eager) return tl::unexpected(std::move(eager.error()));
  auto patient = stage.spawn_server("api", {.listen_on = {closes_second}});
  if (!patient) return tl::unexpected(std::move(patient.error()));
  if (auto far = stage.spawn_server_there("database", {.listen_on = {database}}); !far) {
    return tl::unexpected(std::move(far.error()));
  }

  for (const Endpoint& service : {closes_first, closes_second}) {
    auto clients = stage.spawn_there("browsers", [&](const Stage::Say& say) {
      // So many ports that none is met again for 17 s: a SYN that meets a record takes it away.
      if (!write_sysctl({"net.ipv4.ip_local_port_range", "1024 65535"})) return 1;
      LoadOptions load;
      load.connect.destination = service;
      load.rate = rate;
      load.closes =
          service == closes_first ? LoadOptions::Closes::Server : LoadOptions::Closes::Client;
      auto started = ShortConnections::start(load);
      if (!started) return 1;
      if (started->run_for(200ms).ok == 0) return 1;
      say("running");
      for (;;) started->run_for(1s);
    });
    if (!clients) return tl::unexpected(std::move(clients.error()));
  }
  auto keeping = stage.spawn_there("keep-alive", [&](const Stage::Say& say) {
    PoolOptions requests;
    requests.connect.destination = closes_second;
    requests.rate = 200;
    requests.size = static_cast<std::uint32_t>(pool);
    auto started = RequestPool::start(requests);
    if (!started || !started->fill(5s)) return 1;
    say("running");
    for (;;) started->run_for(1s);
  });
  if (!keeping) return tl::unexpected(std::move(keeping.error()));
  auto client = stage.spawn("reporter", [&](const Stage::Say& say) {
    LoadOptions load;
    load.connect.destination = database;
    load.rate = 10;
    auto started = ShortConnections::start(load);
    if (!started) return 1;
    if (started->run_for(500ms).ok == 0) return 1;
    say("running");
    for (;;) started->run_for(1s);
  });
  if (!client) return tl::unexpected(std::move(client.error()));
  std::this_thread::sleep_for(std::chrono::seconds(warm_up));
  const auto states = count_states();
  Json truth;
  truth["healthy"] = true;
  truth["rate"] = rate;
  truth["pool"] = pool;
  truth["states"] = states;
  return truth;
}

// Connections whose both ends are the same socket: connect() to an own port on which nobody listens, with
// that port as the source.
Result<Json> self_connect(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 1);
  Json ports = Json::array();
  for (std::int64_t i = 0; i < connections; ++i) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return tl::unexpected(system_error(errno, "cannot open a socket"));
    const Endpoint self{kHere, static_cast<Port>(41000 + i)};
    const SocketAddress address = socket_address(self);
    if (bind(fd.get(), address.get(), address.length) != 0 ||
        connect(fd.get(), address.get(), address.length) != 0) {
      return tl::unexpected(system_error(errno, "cannot connect to itself"));
    }
    ports.push_back(self.port);
    stage.keep(std::move(fd));
  }
  Json truth;
  truth["ports"] = ports;
  truth["owner"] = "self-connect";
  return truth;
}

// Open, idle, without keep-alive. A look at it right away must not complain: they are idle for seconds.
Result<Json> idle_no_keepalive(Options& options, Stage& stage) {
  const auto connections = options.number("connections", 200);
  const Endpoint remote{kThere, 5432};
  if (auto server = stage.spawn_server_there("database", {.listen_on = {remote}}); !server) {
    return tl::unexpected(std::move(server.error()));
  }
  LoadOptions load;
  load.connect.destination = remote;
  load.rate = 2000;
  load.most = static_cast<std::uint64_t>(connections);
  load.closes = LoadOptions::Closes::Nobody;
  auto held = ShortConnections::start(load);
  if (!held) return tl::unexpected(std::move(held.error()));
  if (auto counts = run_until_answered(*held, load.most, 10s); !counts) {
    return tl::unexpected(std::move(counts.error()));
  }
  stage.keep(*std::move(held));
  Json truth;
  truth["destination"] = arrow(kHereOnWire, remote);
  truth["established"] = connections;
  truth["owner"] = "idle-no-keepalive";
  return truth;
}

std::vector<SysctlValue> usual(Options&) {
  return {};
}
std::vector<SysctlValue> narrow(Options& options) {
  return {port_range(options.number("ports", 10))};
}

constexpr Incident kIncidents[] = {
    {"stolen-listener", "an outgoing connection has a service's port", stolen_listener, narrow},
    {"accept-queue-overflow", "a listener that never accepts", accept_queue_overflow, usual},
    {"healthy-server", "busy, and nothing wrong", healthy_server, usual},
    {"self-connect", "a socket connected to itself", self_connect, usual},
    {"idle-no-keepalive", "open, idle, without keep-alive", idle_no_keepalive, usual},
};

}  // namespace

std::span<const Incident> service_incidents() {
  return kIncidents;
}

}  // namespace lastack::incident
