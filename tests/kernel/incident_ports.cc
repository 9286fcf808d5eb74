// Incidents of local ports: burnt by TIME_WAIT or by ESTABLISHED, pooled by bind() before connect(), past
// half the range, and running out while one watches.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "kernel/incident.h"
#include "lab/clock.h"

namespace lastack::incident {
namespace {

constexpr Port kDatabase = 3306;

// Which addresses the load runs between, and over which kind of socket.
struct Path {
  KernelConnectOptions connect;
  Endpoint server;
  bool server_there = false;  // on the second host
};

Path path_of(Options& options) {
  const std::string family = options.word("family", "v4");
  Path path;
  path.connect.source = kHere;
  path.server = {kAlsoHere, kDatabase};
  if (family == "v6") {
    path.connect.source = here_v6();
    path.server.address = also_here_v6();
  } else if (family == "v6-loopback") {
    path.connect.source = *IpAddress::parse("::1");
    path.server.address = *IpAddress::parse("::1");
  } else if (family == "v4-loopback") {
    path.connect.source = IpAddress::v4(0x7f000001);
    path.server.address = IpAddress::v4(0x7f000001);
  } else if (family == "mapped") {
    path.connect.mapped = true;
  } else if (family == "wire") {
    path.connect.source = kHereOnWire;
    path.server.address = kThere;
    path.server_there = true;
  }
  path.connect.destination = path.server;
  return path;
}

std::vector<SysctlValue> range_of(Options& options, std::int64_t usual_ports, bool reuse_off) {
  std::vector<SysctlValue> settings{port_range(options.number("ports", usual_ports))};
  // Mode 2 would take loopback's TIME_WAIT ports again after a second.
  if (reuse_off) settings.push_back({"net.ipv4.tcp_tw_reuse", options.word("reuse", "0")});
  return settings;
}

void tell_destination(Json& truth, const Path& path, std::uint64_t range) {
  truth["destination"] = arrow(path.connect.source, path.server);
  truth["range"] = range;
}

// Opens `count` connections that stay ESTABLISHED, and keeps them on the stage.
Result<void> hold_open(Stage& stage, const Path& path, std::int64_t count) {
  if (count == 0) return {};
  LoadOptions load;
  load.connect = path.connect;
  load.rate = 20'000;
  load.most = static_cast<std::uint64_t>(count);
  load.most_at_once = 256;
  load.closes = LoadOptions::Closes::Nobody;
  auto held = ShortConnections::start(load);
  if (!held) return tl::unexpected(std::move(held.error()));
  auto answered = run_until_answered(*held, load.most, 15s);
  if (!answered) return tl::unexpected(std::move(answered.error()));
  stage.keep(*std::move(held));
  return {};
}

// Short connections closed by this side first, at a steady rate, until the range is used up or, with
// --taken, so many ports are. Some stay open, so that the burner can be found. With --keep-going the load
// goes on while the incident is held.
Result<Json> burn_by_time_wait(Options& options, Stage& stage) {
  const Path path = path_of(options);
  const auto range = options.number("ports", 1000);
  const auto held = options.number("held", 5);
  const auto taken = std::min(options.number("taken", range), range);
  const double rate = options.real("rate", 250);
  const bool keep_going = options.flag("keep-going");
  const ServerOptions service{.listen_on = {path.server}};
  if (auto server = path.server_there ? stage.spawn_server_there("database", service)
                                      : stage.spawn_server("database", service);
      !server) {
    return tl::unexpected(std::move(server.error()));
  }
  if (auto open = hold_open(stage, path, held); !open) return tl::unexpected(open.error());

  LoadOptions load;
  load.connect = path.connect;
  load.rate = rate;
  if (!keep_going) load.most = static_cast<std::uint64_t>(taken - held);
  auto burner = ShortConnections::start(load);
  if (!burner) return tl::unexpected(std::move(burner.error()));
  const auto wanted = static_cast<std::uint64_t>(taken - held);
  auto counts = run_until_answered(*burner, wanted, 100s);
  if (!counts) return tl::unexpected(std::move(counts.error()));
  if (!keep_going) burner->finish();

  Json truth;
  tell_destination(truth, path, static_cast<std::uint64_t>(range));
  truth["ports_taken"] = taken;
  truth["time_wait"] = taken - held;
  truth["established"] = held;
  truth["rate"] = rate;
  truth["closed_first"] = "connecting side";
  truth["owner"] = "ports-time-wait";
  if (keep_going) {
    auto running = std::make_shared<ShortConnections>(*std::move(burner));
    stage.meanwhile = [running] { running->run_for(50ms); };
  }
  return truth;
}

Result<Json> burn_by_established(Options& options, Stage& stage) {
  const Path path = path_of(options);
  const auto range = options.number("ports", 1000);
  const auto taken = std::min(options.number("taken", range), range);
  auto server = stage.spawn_server("database", {.listen_on = {path.server}});
  if (!server) return tl::unexpected(std::move(server.error()));
  if (auto open = hold_open(stage, path, taken); !open) return tl::unexpected(open.error());
  Json truth;
  tell_destination(truth, path, static_cast<std::uint64_t>(range));
  truth["ports_taken"] = taken;
  truth["established"] = taken;
  truth["time_wait"] = 0;
  truth["owner"] = "ports-established";
  truth["server_pid"] = *server;
  return truth;
}

// bind(address, 0) and then connect(), to several destinations in turn: they share one pool of ports, which
// is used up when each of them has only a part of the range.
Result<Json> bind_before_connect(Options& options, Stage& stage) {
  const auto range = options.number("ports", 900);
  const auto destinations = std::max<std::int64_t>(options.number("destinations", 3), 1);
  const bool established = options.word("state", "established") == "established";
  const auto held = established ? range : std::min<std::int64_t>(options.number("held", 6), range);
  ServerOptions service;
  for (std::int64_t i = 0; i < destinations; ++i) {
    service.listen_on.push_back({kAlsoHere, static_cast<Port>(kDatabase + i)});
  }
  auto server = stage.spawn_server("databases", service);
  if (!server) return tl::unexpected(std::move(server.error()));

  LoadOptions load;
  load.connect.source = kHere;
  load.connect.destination = service.listen_on.front();
  load.further_destinations.assign(service.listen_on.begin() + 1, service.listen_on.end());
  load.connect.source_port = SourcePort::BindZero;
  load.rate = options.real("rate", 2000);
  load.most_at_once = 64;
  load.most = static_cast<std::uint64_t>(held);
  load.closes = LoadOptions::Closes::Nobody;
  for (const auto closes : {LoadOptions::Closes::Nobody, LoadOptions::Closes::Client}) {
    load.closes = closes;
    load.most =
        static_cast<std::uint64_t>(closes == LoadOptions::Closes::Nobody ? held : range - held);
    if (load.most == 0) continue;
    auto connections = ShortConnections::start(load);
    if (!connections) return tl::unexpected(std::move(connections.error()));
    auto counts = run_until_answered(*connections, load.most, 30s);
    if (!counts) return tl::unexpected(std::move(counts.error()));
    connections->finish();
    if (closes == LoadOptions::Closes::Nobody) stage.keep(*std::move(connections));
  }

  // The proof that the pool is empty although no destination has the range.
  KernelConnectOptions probe = load.connect;
  const auto refused = start_connect(probe);
  probe.source_port = SourcePort::BindZeroNoPort;
  const auto without = start_connect(probe);
  Json truth;
  truth["range"] = range;
  truth["destinations"] = Json::array();
  for (std::int64_t i = 0; i < destinations; ++i) {
    const auto at = static_cast<std::size_t>(i);
    truth["destinations"].push_back(arrow(kHere, service.listen_on[at]));
  }
  truth["ports_taken"] = range;
  truth["established"] = held;
  truth["time_wait"] = range - held;
  truth["owner"] = "bind-before-connect";
  truth["bind_errno"] = refused ? 0 : refused.error().number;
  truth["connect_errno_without_bind"] = without ? 0 : without.error().number;
  return truth;
}

// More than half of the range taken: each connect() walks one parity to its end first (linux-facts 20).
Result<Json> connect_cliff(Options& options, Stage& stage) {
  const Path path = path_of(options);
  const auto range = options.number("ports", 10000);
  const auto taken = std::min(options.number("taken", range * 55 / 100), range);
  auto server = stage.spawn_server("database", {.listen_on = {path.server}});
  if (!server) return tl::unexpected(std::move(server.error()));
  LatencyHistogram before;
  LatencyHistogram after;
  const auto measure = [&](LatencyHistogram& into) {
    for (int i = 0; i < 100; ++i) {
      const Instant start = monotonic_now();
      auto fd = start_connect(path.connect);
      into.add(monotonic_now() - start);
      // Leaves no TIME_WAIT behind, and so no trace in the count of ports.
      if (fd) close_socket(*std::move(fd), CloseHow::Reset);
    }
  };
  measure(before);
  if (auto open = hold_open(stage, path, taken); !open) return tl::unexpected(open.error());
  measure(after);
  Json truth;
  tell_destination(truth, path, static_cast<std::uint64_t>(range));
  truth["ports_taken"] = taken;
  truth["established"] = taken;
  truth["connect_us_before"] = static_cast<double>(before.median().count()) / 1e3;
  truth["connect_us_after"] = static_cast<double>(after.median().count()) / 1e3;
  truth["owner"] = "connect-cliff";
  return truth;
}

// A steady rate on a range of some thousand ports. Says "ready" when --at of it is taken, and then
// "exhausted", with the seconds in between, when connect() first fails.
Result<Json> forecast(Options& options, Stage& stage) {
  const Path path = path_of(options);
  const auto range = options.number("ports", 4000);
  const double rate = options.real("rate", 400);
  const double share = options.real("at", 0.4);
  auto server = stage.spawn_server("database", {.listen_on = {path.server}});
  if (!server) return tl::unexpected(std::move(server.error()));
  LoadOptions load;
  load.connect = path.connect;
  load.rate = rate;
  auto started = ShortConnections::start(load);
  if (!started) return tl::unexpected(std::move(started.error()));
  auto running = std::make_shared<ShortConnections>(*std::move(started));
  const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(range));
  const Instant begun = monotonic_now();
  auto counts = run_until_answered(*running, wanted, 100s);
  if (!counts) return tl::unexpected(std::move(counts.error()));
  const Instant ready = monotonic_now();
  const std::uint64_t made = counts->ok;
  Json truth;
  tell_destination(truth, path, static_cast<std::uint64_t>(range));
  truth["rate"] = rate;
  truth["ports_taken"] = made;
  truth["owner"] = "forecast";
  truth["rate_kept"] = static_cast<double>(made) / seconds(ready - begun);
  stage.meanwhile = [running, ready, made = std::uint64_t{0}, over = false]() mutable {
    const LoadCounts turn = running->run_for(20ms);
    if (over) return;
    made += turn.ok;
    if (turn.failed_with(EADDRNOTAVAIL) == 0) return;
    over = true;
    const double passed = seconds(monotonic_now() - ready);
    timespec wall{};
    clock_gettime(CLOCK_REALTIME, &wall);
    announce("exhausted", {{"seconds_after_ready", passed},
                           {"rate_kept", static_cast<double>(made) / passed},
                           {"wall_time_ns", wall.tv_sec * 1'000'000'000LL + wall.tv_nsec}});
  };
  return truth;
}

std::vector<SysctlValue> reuse_off_1000(Options& o) {
  return range_of(o, 1000, true);
}
std::vector<SysctlValue> plain_1000(Options& o) {
  return range_of(o, 1000, false);
}
std::vector<SysctlValue> plain_900(Options& o) {
  return range_of(o, 900, false);
}
std::vector<SysctlValue> plain_10000(Options& o) {
  return range_of(o, 10000, false);
}
std::vector<SysctlValue> reuse_off_4000(Options& o) {
  return range_of(o, 4000, true);
}

constexpr Incident kIncidents[] = {
    {"ports-time-wait", "local ports used up by TIME_WAIT", burn_by_time_wait, reuse_off_1000},
    {"ports-established", "local ports used up by open connections", burn_by_established,
     plain_1000},
    {"bind-before-connect", "bind() to port 0 pools all destinations", bind_before_connect,
     plain_900},
    {"connect-cliff", "a destination past half the range", connect_cliff, plain_10000},
    {"forecast", "ports running out while one watches", forecast, reuse_off_4000},
};

}  // namespace

std::span<const Incident> port_incidents() {
  return kIncidents;
}

}  // namespace lastack::incident
