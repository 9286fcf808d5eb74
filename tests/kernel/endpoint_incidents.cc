#include "kernel/endpoint_incidents.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lastack::endpoint_incident {
namespace {

using namespace std::chrono_literals;

// As in incident.h.
const IpAddress kHere = IpAddress::v4(0x0a000001);        // 10.0.0.1
const IpAddress kAlsoHere = IpAddress::v4(0x0a000002);    // 10.0.0.2
const IpAddress kThere = IpAddress::v4(0x0a010002);       // 10.1.0.2
const IpAddress kHereOnWire = IpAddress::v4(0x0a010001);  // 10.1.0.1
const IpAddress kLoopback = IpAddress::v4(0x7f000001);
const IpAddress kHereV6 = *IpAddress::parse("fd00::1");
const IpAddress kAlsoHereV6 = *IpAddress::parse("fd00::2");
const IpAddress kLoopbackV6 = *IpAddress::parse("::1");
constexpr Port kDatabase = 3306, kWeb = 8080;

struct Making {
  std::string name;
  Options options;
  std::string process;

  std::int64_t number(const std::string& option, std::int64_t usual) const {
    const auto found = options.find(option);
    return found == options.end() ? usual : std::stoll(found->second);
  }
  std::string word(const std::string& option, const std::string& usual) const {
    const auto found = options.find(option);
    return found == options.end() ? usual : found->second;
  }
  std::unique_ptr<Place> one_host() const {
    return std::make_unique<Place>(
        process, std::vector{kHere, kAlsoHere, kLoopback, kHereV6, kAlsoHereV6, kLoopbackV6},
        1U << 20, 0);
  }
  // The source of connect() is the first address, as the kernel's is that of the wire.
  std::unique_ptr<Place> wired_host(std::uint32_t limit = 1U << 20,
                                    std::uint32_t others = 0) const {
    return std::make_unique<Place>(process, std::vector{kHereOnWire, kLoopback, kHere, kAlsoHere},
                                   limit, others);
  }
};

Duration every(std::int64_t per_second) {
  return Duration(1s) / per_second;
}

void set(Place& place, const std::string& name, const std::string& value) {
  EXPECT_TRUE(place.here().host->set(name, value)) << name << '=' << value;
}
void set_range(Place& place, std::int64_t ports) {
  set(place, "ip_local_port_range", "40000 " + std::to_string(40000 + ports - 1));
}

// `count` connections, all of which must come through.
void open_all(Place& place, Client& client, std::vector<Endpoint> to, std::int64_t count,
              Duration interval) {
  place.add_load(interval, static_cast<std::uint64_t>(count), [&client, to](std::uint64_t i) {
    EXPECT_EQ(client.dial(to[i % to.size()]), Err::none);
  });
  place.run_loads();
}

struct Path {
  IpAddress source = kHere;
  Endpoint server{kAlsoHere, kDatabase};
  bool v6 = false;
};
Path path_of(const Making& m) {
  const std::string family = m.word("family", "v4");
  if (family == "v6") return {kHereV6, {kAlsoHereV6, kDatabase}, true};
  if (family == "v6-loopback") return {kLoopbackV6, {kLoopbackV6, kDatabase}, true};
  if (family == "v4-loopback") return {kLoopback, {kLoopback, kDatabase}};
  if (family == "mapped") return {kHere, {kAlsoHere, kDatabase}, true};
  return {};
}

std::unique_ptr<Place> ports_time_wait(const Making& m) {
  auto place = m.one_host();
  Side& here = place->here();
  const Path path = path_of(m);
  const auto ports = m.number("ports", 1000), held = m.number("held", 5);
  set_range(*place, ports);
  set(*place, "tcp_tw_reuse", m.word("reuse", "0"));
  place->add_server(here, {.listen_on = {path.server}});
  Client& keeps = place->add_client(here, Closes::Nobody, path.source, false, path.v6);
  open_all(*place, keeps, {path.server}, held, every(20'000));
  Client& burns = place->add_client(here, Closes::Client, path.source, false, path.v6);
  open_all(*place, burns, {path.server}, ports - held, every(m.number("rate", 250)));
  return place;
}

std::unique_ptr<Place> ports_established(const Making& m) {
  auto place = m.one_host();
  const Path path = path_of(m);
  const bool cliff = m.name == "connect-cliff";
  const auto ports = m.number("ports", cliff ? 10'000 : 1000);
  set_range(*place, ports);
  place->add_server(place->here(), {.listen_on = {path.server}});
  // What a connect() costs is measured before and after, by connections that end with a RST.
  const auto measure = [&] {
    Client& client = place->add_client(place->here(), Closes::Nobody, path.source, false, path.v6);
    for (int i = 0; cliff && i < 100; ++i) {
      EXPECT_EQ(client.dial(path.server), Err::none);
      place->run_for(100us);
      client.abort_all();
    }
    place->run_for(1ms);
  };
  measure();
  Client& keeps = place->add_client(place->here(), Closes::Nobody, path.source, false, path.v6);
  open_all(*place, keeps, {path.server}, m.number("taken", cliff ? ports * 55 / 100 : ports),
           every(20'000));
  measure();
  return place;
}

std::unique_ptr<Place> bind_before_connect(const Making& m) {
  auto place = m.one_host();
  const auto ports = m.number("ports", 900), destinations = m.number("destinations", 3);
  const bool established = m.word("state", "established") == "established";
  const auto held = established ? ports : m.number("held", 6);
  set_range(*place, ports);
  std::vector<Endpoint> at;
  for (std::int64_t i = 0; i < destinations; ++i) {
    at.push_back({kAlsoHere, static_cast<Port>(kDatabase + i)});
  }
  place->add_server(place->here(), {.listen_on = at});
  Client& keeps = place->add_client(place->here(), Closes::Nobody, kHere, true);
  open_all(*place, keeps, at, held, every(2000));
  Client& burns = place->add_client(place->here(), Closes::Client, kHere, true);
  open_all(*place, burns, at, ports - held, every(2000));
  EXPECT_EQ(burns.dial(at.front()), Err::address_in_use);
  return place;
}

std::unique_ptr<Place> close_wait_leak(const Making& m) {
  const auto limit = static_cast<std::uint32_t>(m.number("limit", 256));
  // Standard input, output and error, an epoll, and what else the kernel's process has open.
  const auto others = static_cast<std::uint32_t>(m.number("other-descriptors", 0));
  const auto connections = m.number("connections", 200);
  if (m.word("side", "server") == "server") {
    auto place = m.wired_host(limit, others);
    Side& there = place->add_second_host(kThere);
    const Endpoint local{kHereOnWire, kWeb};
    place->add_server(place->here(), {.listen_on = {local}, .closes = Closes::Nobody});
    Client& clients = place->add_client(there, Closes::Client);
    open_all(*place, clients, {local}, connections, every(1000));
    place->run_for(1s);
    clients.give_up();
    place->run_for(100ms);
    return place;
  }
  auto place = m.wired_host(limit, others);
  const auto pipe = place->here().host->open();  // by which it says that it is done
  Side& there = place->add_second_host(kThere);
  const Endpoint remote{kThere, kWeb};
  place->add_server(there, {.listen_on = {remote}, .closes = Closes::Server});
  Client& forgetful = place->add_client(place->here(), Closes::Nobody);
  place->add_load(every(1000), static_cast<std::uint64_t>(connections),
                  [&](std::uint64_t) { (void)forgetful.dial(remote); });
  place->run_loads();
  EXPECT_TRUE(place->here().host->close(*pipe, place->now()));
  place->run_for(200ms);
  return place;
}

std::unique_ptr<Place> time_wait_overflow(const Making& m) {
  auto place = m.wired_host();
  Side& there = place->add_second_host(kThere);
  set(*place, "tcp_max_tw_buckets", std::to_string(m.number("buckets", 100)));
  const Endpoint local{kHereOnWire, kWeb};
  place->add_server(place->here(), {.listen_on = {local}, .closes = Closes::Server});
  Client& clients = place->add_client(there, Closes::Server);
  open_all(*place, clients, {local}, m.number("connections", 500), every(2000));
  place->run_for(200ms);
  return place;
}

std::unique_ptr<Place> fin_wait_2(const Making& m) {
  auto place = m.wired_host();
  Side& there = place->add_second_host(kThere);
  set(*place, "tcp_fin_timeout", std::to_string(m.number("fin-timeout", 60)));
  const Endpoint local{kHereOnWire, kWeb};
  place->add_server(place->here(), {.listen_on = {local},
                                    .closes = Closes::Server,
                                    .half_close = m.word("how", "close") == "shutdown"});
  Client& clients = place->add_client(there, Closes::Nobody);
  open_all(*place, clients, {local}, m.number("connections", 300), every(2000));
  place->run_for(200ms);
  return place;
}

std::unique_ptr<Place> last_ack(const Making& m) {
  auto place = m.wired_host();
  Side& there = place->add_second_host(kThere);
  const Endpoint remote{kThere, kWeb};
  place->add_server(there, {.listen_on = {remote}, .closes = Closes::Server});
  Client& keeps = place->add_client(place->here(), Closes::Nobody);
  open_all(*place, keeps, {remote}, m.number("connections", 200), every(2000));
  place->run_for(200ms);
  place->set_second_host_deaf();
  for (const SocketId s : keeps.open()) {
    EXPECT_TRUE(place->here().host->close(s, place->now()));
  }
  place->run_for(700ms);
  return place;
}

std::unique_ptr<Place> closing(const Making& m) {
  auto place = m.wired_host();
  Side& there = place->add_second_host(kThere);
  const Endpoint local{kHereOnWire, kWeb};
  const Server& server =
      place->add_server(place->here(), {.listen_on = {local}, .closes = Closes::Nobody});
  Client& clients = place->add_client(there, Closes::Nobody);
  for (std::int64_t i = 0; i < m.number("connections", 200); ++i) {
    EXPECT_EQ(clients.dial(local), Err::none);
  }
  place->run_for(50ms);
  place->set_second_host_deaf();
  for (const SocketId s : server.open()) {
    EXPECT_TRUE(place->here().host->close(s, place->now()));
  }
  place->run_for(1450ms);
  for (const SocketId s : clients.open()) EXPECT_TRUE(there.host->close(s, place->now()));
  place->run_for(50ms);
  return place;
}

std::unique_ptr<Place> syn_sent(const Making& m) {
  auto place = m.wired_host();
  place->add_second_host(kThere);
  place->set_second_host_deaf();
  Client& swallowed = place->add_client(place->here(), Closes::Nobody);
  for (std::int64_t i = 0; i < m.number("connections", 300); ++i) {
    EXPECT_EQ(swallowed.dial({kThere, kWeb}), Err::none);
  }
  place->run_for(10ms);
  return place;
}

std::unique_ptr<Place> syn_received(const Making& m) {
  auto place = m.wired_host();
  Side& there = place->add_second_host(kThere);
  set(*place, "tcp_max_syn_backlog", m.word("syn-backlog", "100"));
  const Endpoint local{kHereOnWire, kWeb};
  place->add_server(place->here(), {.listen_on = {local}});
  place->set_second_host_deaf();
  Client& clients = place->add_client(there, Closes::Nobody);
  for (std::int64_t i = 0; i < m.number("connections", 100); ++i) {
    EXPECT_EQ(clients.dial(local), Err::none);
  }
  place->run_for(10ms);
  return place;
}

std::unique_ptr<Place> accept_queue_overflow(const Making& m) {
  auto place = m.wired_host();
  Side& there = place->add_second_host(kThere);
  const Endpoint local{kHereOnWire, kWeb};
  place->add_server(place->here(), {.listen_on = {local},
                                    .backlog = static_cast<int>(m.number("backlog", 16)),
                                    .accepts = false});
  Client& clients = place->add_client(there, Closes::Nobody);
  for (std::int64_t i = 0; i < m.number("connections", 64); ++i) {
    EXPECT_EQ(clients.dial(local), Err::none);
    place->run_for(200us);
  }
  place->run_for(1500ms);
  return place;
}

std::unique_ptr<Place> self_connect(const Making& m) {
  auto place = m.one_host();
  Host& here = *place->here().host;
  for (std::int64_t i = 0; i < m.number("connections", 1); ++i) {
    const Endpoint self{kHere, static_cast<Port>(41000 + i)};
    const auto s = here.open();
    EXPECT_TRUE(here.bind(*s, self));
    const auto begun = here.connect(*s, self, place->now());
    EXPECT_TRUE(!begun && begun.error() == Err::in_progress);
    place->run_for(5ms);
    EXPECT_EQ(here.state(*s), TcpState::Established);
  }
  return place;
}

std::unique_ptr<Place> idle_no_keepalive(const Making& m) {
  auto place = m.wired_host();
  Side& there = place->add_second_host(kThere);
  const Endpoint remote{kThere, 5432};
  place->add_server(there, {.listen_on = {remote}});
  Client& keeps = place->add_client(place->here(), Closes::Nobody);
  open_all(*place, keeps, {remote}, m.number("connections", 200), every(2000));
  return place;
}

// It goes on while it is looked at, as the kernel's does.
std::unique_ptr<Place> healthy_server(const Making& m) {
  auto place = m.wired_host();
  Side& here = place->here();
  Side& there = place->add_second_host(kThere);
  EXPECT_TRUE(there.host->set("ip_local_port_range", "1024 65535"));
  const Endpoint closes_first{kHereOnWire, 80}, closes_second{kHereOnWire, 8080};
  const Endpoint database{kThere, kDatabase};
  place->add_server(here, {.listen_on = {closes_first}, .closes = Closes::Server});
  place->add_server(here, {.listen_on = {closes_second}});
  place->add_server(there, {.listen_on = {database}});
  Client& of_eager = place->add_client(there, Closes::Server);
  Client& of_patient = place->add_client(there, Closes::Client);
  Client& pool = place->add_client(there, Closes::Nobody);
  Client& reporter = place->add_client(here, Closes::Client);
  for (std::int64_t i = 0; i < m.number("pool", 50); ++i) {
    EXPECT_EQ(pool.dial(closes_second), Err::none);
  }
  const auto go_on = [&](Client& client, const Endpoint& to, std::int64_t per_second) {
    place->add_load(every(per_second), UINT64_MAX,
                    [&client, to](auto) { EXPECT_EQ(client.dial(to), Err::none); });
  };
  go_on(of_eager, closes_first, m.number("rate", 400));
  go_on(of_patient, closes_second, m.number("rate", 400));
  go_on(reporter, database, 10);
  place->run_for(std::chrono::milliseconds(m.number("warm-up-ms", 6000)));
  return place;
}

// A steady rate, which goes on.
std::unique_ptr<Place> forecast(const Making& m) {
  auto place = m.one_host();
  const auto ports = m.number("ports", 4000);
  set_range(*place, ports);
  set(*place, "tcp_tw_reuse", "0");
  const Endpoint server{kAlsoHere, kDatabase};
  place->add_server(place->here(), {.listen_on = {server}});
  Client& burns = place->add_client(place->here(), Closes::Client, kHere);
  const auto rate = m.number("rate", 400);
  place->add_load(every(rate), UINT64_MAX, [&burns, server](auto) { (void)burns.dial(server); });
  const double share = std::stod(m.word("at", "0.4"));
  const auto made = static_cast<std::int64_t>(share * static_cast<double>(ports));
  place->run_for(every(rate) * made);
  return place;
}

using Make = std::unique_ptr<Place> (*)(const Making&);
const std::map<std::string, Make>& makers() {
  static const std::map<std::string, Make> all = {
      {"ports-time-wait", ports_time_wait},
      {"ports-established", ports_established},
      {"connect-cliff", ports_established},
      {"bind-before-connect", bind_before_connect},
      {"forecast", forecast},
      {"close-wait-leak", close_wait_leak},
      {"time-wait-overflow", time_wait_overflow},
      {"fin-wait-2", fin_wait_2},
      {"last-ack", last_ack},
      {"closing", closing},
      {"syn-sent", syn_sent},
      {"syn-received", syn_received},
      {"accept-queue-overflow", accept_queue_overflow},
      {"self-connect", self_connect},
      {"idle-no-keepalive", idle_no_keepalive},
      {"healthy-server", healthy_server},
  };
  return all;
}

}  // namespace

EndpointIncident::EndpointIncident(const std::string& name, const Options& options,
                                   const std::string& process)
    : place_(makers().at(name)({name, options, process})) {}
EndpointIncident::~EndpointIncident() = default;

bool EndpointIncident::is_known(const std::string& name) {
  return makers().contains(name);
}

Observation EndpointIncident::look(double sampled_s) {
  const auto now = [this] { return place_->here().host->snapshot(place_->now()); };
  Observation looks;
  if (sampled_s > 0) {
    looks.earlier = now();
    place_->run_for(Duration(static_cast<Duration::rep>(sampled_s * 1e9)));
  }
  looks.now = now();
  return looks;
}

std::optional<Duration> EndpointIncident::until_ports_run_out(Duration longest) {
  constexpr Duration kStep = 10ms;
  const Host& here = *place_->here().host;
  const std::uint64_t before = here.ports_exhausted();
  for (Duration passed{}; passed < longest; passed += kStep) {
    if (here.ports_exhausted() > before) return passed;
    place_->run_for(kStep);
  }
  return std::nullopt;
}

}  // namespace lastack::endpoint_incident
