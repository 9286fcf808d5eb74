#include "differential/endpoint_incidents.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <set>

#include "wire/ip_packet.h"

namespace lastack::differential {
namespace {

const IpAddress kHere = IpAddress::v4(0x0a000001);
const IpAddress kAlsoHere = IpAddress::v4(0x0a000002);
const IpAddress kHereOnWire = IpAddress::v4(0x0a010001);
const IpAddress kThere = IpAddress::v4(0x0a010002);
const IpAddress kLoopback = IpAddress::v4(0x7f000001);
constexpr Duration kStep = std::chrono::microseconds(200);

std::int64_t number(const IncidentOptions& options, const std::string& name, std::int64_t usual) {
  const auto found = options.find(name);
  return found == options.end() ? usual : std::stoll(found->second);
}
std::string word(const IncidentOptions& options, const std::string& name,
                 const std::string& usual) {
  const auto found = options.find(name);
  return found == options.end() ? usual : found->second;
}

void set_range(Host& host, std::int64_t ports) {
  EXPECT_TRUE(host.set("ip_local_port_range", "40000 " + std::to_string(40000 + ports - 1)));
}

std::array<std::byte, 64> buffer_of_a_request() {
  return {};
}

SocketId start_listen(Host& host, const Endpoint& local, int backlog, Instant now) {
  const auto socket = host.open();
  EXPECT_TRUE(socket);
  EXPECT_TRUE(host.set_option(*socket, Option::reuse_address, 1, now));
  EXPECT_TRUE(host.bind(*socket, local));
  EXPECT_TRUE(host.listen(*socket, backlog));
  return *socket;
}

enum class Closes { Client, Server, Nobody };

// A server as lab/echo_server.h is one: accepts, answers each request, and closes first or second, or never.
struct Server {
  Server(Town& t, std::size_t where, std::vector<Endpoint> at, Closes who, bool half = false)
      : town(t), host(where), closes(who), half_close(half) {
    for (const Endpoint& local : at) {
      listeners.push_back(start_listen(town[host], local, 4096, town.now()));
    }
  }

  // Does what can be done now.
  void serve() {
    Host& h = town[host];
    for (const SocketId listener : listeners) {
      for (auto s = h.accept(listener); s; s = h.accept(listener)) open.insert(*s);
    }
    for (auto at = open.begin(); at != open.end();) {
      bool over = false;
      auto buffer = buffer_of_a_request();
      for (;;) {
        const auto n = h.read(*at, buffer, town.now());
        if (!n) {
          over = n.error() != Err::would_block;
          break;
        }
        if (*n == 0) {
          over = closes != Closes::Nobody;  // whoever never closes leaks it
          break;
        }
        (void)h.write(*at, std::span(buffer).first(*n), town.now());
        if (closes != Closes::Server) continue;
        if (half_close) {
          (void)h.shutdown(*at, ShutdownHow::Write, town.now());
        } else {
          over = true;
          break;
        }
      }
      if (over) {
        EXPECT_TRUE(h.close(*at, town.now()));
        at = open.erase(at);
      } else {
        ++at;
      }
    }
  }

  Town& town;
  std::size_t host;
  Closes closes;
  bool half_close;
  std::vector<SocketId> listeners;
  std::set<SocketId> open;
};

// A client as lab/workload.h is one: connects, asks, is answered, and closes first or second, or never.
struct Client {
  Client(Town& t, std::size_t where, Closes who) : town(t), host(where), closes(who) {}

  std::optional<SocketId> dial(const Endpoint& to, std::optional<IpAddress> from = {},
                               bool bind_zero = false) {
    Host& h = town[host];
    const auto s = h.open();
    if (!s) return std::nullopt;
    if (from) {
      if (!bind_zero) (void)h.set_option(*s, Option::bind_address_no_port, 1, town.now());
      if (!h.bind(*s, {*from, 0})) {
        (void)h.close(*s, town.now());
        return std::nullopt;
      }
    }
    const auto begun = h.connect(*s, to, town.now());
    if (!begun && begun.error() != Err::in_progress) {
      (void)h.close(*s, town.now());
      return std::nullopt;
    }
    asking.insert(*s);
    return *s;
  }

  void go_on() {
    Host& h = town[host];
    for (auto at = asking.begin(); at != asking.end();) {
      const std::array<std::byte, 16> request{};
      if (h.write(*at, request, town.now())) {
        waiting.insert(*at);
        at = asking.erase(at);
      } else {
        ++at;
      }
    }
    for (auto at = waiting.begin(); at != waiting.end();) {
      auto buffer = buffer_of_a_request();
      const auto n = h.read(*at, buffer, town.now());
      if (!n && n.error() == Err::would_block) {
        ++at;
        continue;
      }
      const SocketId s = *at;
      if (n && *n > 0) {
        if (!answered.contains(s)) ++answers;
        answered.insert(s);
        if (closes == Closes::Nobody) {
          held.insert(s);
          at = waiting.erase(at);
          continue;
        }
        if (closes == Closes::Server) {
          ++at;  // until the end comes
          continue;
        }
      }
      (void)h.close(s, town.now());
      answered.erase(s);
      at = waiting.erase(at);
    }
  }

  Town& town;
  std::size_t host;
  Closes closes;
  std::set<SocketId> asking, waiting, answered, held;
  std::uint64_t answers = 0;
};

// Everybody acts and time passes, until `duration` is over.
void live(Town& town, std::vector<Server*> servers, std::vector<Client*> clients,
          Duration duration) {
  const Instant stop = town.now() + duration;
  while (town.now() < stop) {
    town.run_for(std::min<Duration>(kStep, stop - town.now()));
    for (Server* s : servers) s->serve();
    for (Client* c : clients) c->go_on();
  }
}

// `count` connections, one every `pause`.
void load(Town& town, std::vector<Server*> servers, Client& client, std::int64_t count,
          Duration pause, const std::function<void(std::int64_t)>& dial) {
  for (std::int64_t i = 0; i < count; ++i) {
    dial(i);
    live(town, servers, {&client}, pause);
  }
  live(town, servers, {&client}, std::chrono::milliseconds(5));
}

constexpr std::size_t kThisHost = 0, kOther = 1;

HostOptions options_of(const std::string& name, const IncidentOptions&) {
  HostOptions o;
  o.name = name;
  o.seed = 7;
  o.port_choice = PortChoice::LinuxWalk;
  return o;
}

Town one_host(const std::string& name, const IncidentOptions& given) {
  Town town;
  town.settle(options_of(name, given), {kLoopback, kHere, kAlsoHere});
  return town;
}
Town two_hosts(HostOptions here) {
  Town town;
  town.settle(std::move(here), {kLoopback, kHere, kAlsoHere, kHereOnWire});
  HostOptions there;
  there.name = "there";
  there.seed = 8;
  town.settle(std::move(there), {IpAddress::v4(0x7f000001), kThere});
  return town;
}

HostSnapshot look(Town& town) {
  return town[kThisHost].snapshot(town.now());
}

HostSnapshot ports_time_wait(const std::string& name, const IncidentOptions& o) {
  Town town = one_host(name, o);
  const auto ports = number(o, "ports", 1000), held = number(o, "held", 5);
  set_range(town[0], ports);
  EXPECT_TRUE(town[0].set("tcp_tw_reuse", "0"));
  Server database(town, kThisHost, {{kAlsoHere, 3306}}, Closes::Client);
  Client keeps(town, kThisHost, Closes::Nobody);
  load(town, {&database}, keeps, held, std::chrono::microseconds(500), [&](auto) {
    EXPECT_TRUE(keeps.dial({kAlsoHere, 3306}, kHere));
  });
  Client burns(town, kThisHost, Closes::Client);
  load(town, {&database}, burns, ports - held, std::chrono::milliseconds(4), [&](auto) {
    EXPECT_TRUE(burns.dial({kAlsoHere, 3306}, kHere));
  });
  EXPECT_FALSE(burns.dial({kAlsoHere, 3306}, kHere));
  return look(town);
}

HostSnapshot ports_established(const std::string& name, const IncidentOptions& o) {
  Town town = one_host(name, o);
  const auto ports = number(o, "ports", 1000);
  const auto taken = number(o, "taken", name == "connect-cliff" ? ports * 55 / 100 : ports);
  set_range(town[0], ports);
  Server database(town, kThisHost, {{kAlsoHere, 3306}}, Closes::Client);
  Client keeps(town, kThisHost, Closes::Nobody);
  for (std::int64_t i = 0; i < taken; i += 100) {
    for (std::int64_t j = i; j < std::min(taken, i + 100); ++j) {
      EXPECT_TRUE(keeps.dial({kAlsoHere, 3306}, kHere));
    }
    live(town, {&database}, {&keeps}, std::chrono::milliseconds(5));
  }
  return look(town);
}

HostSnapshot bind_before_connect(const std::string& name, const IncidentOptions& o) {
  Town town = one_host(name, o);
  const auto ports = number(o, "ports", 900), destinations = number(o, "destinations", 3);
  const bool established = word(o, "state", "established") == "established";
  const auto held = established ? ports : number(o, "held", 6);
  set_range(town[0], ports);
  std::vector<Endpoint> at;
  for (std::int64_t i = 0; i < destinations; ++i) {
    at.push_back({kAlsoHere, static_cast<Port>(3306 + i)});
  }
  Server databases(town, kThisHost, at, Closes::Client);
  Client keeps(town, kThisHost, Closes::Nobody);
  const auto to = [&](std::int64_t i) { return at[static_cast<std::size_t>(i % destinations)]; };
  load(town, {&databases}, keeps, held, std::chrono::microseconds(500),
       [&](std::int64_t i) { EXPECT_TRUE(keeps.dial(to(i), kHere, true)); });
  Client burns(town, kThisHost, Closes::Client);
  load(town, {&databases}, burns, ports - held, std::chrono::microseconds(500),
       [&](std::int64_t i) { EXPECT_TRUE(burns.dial(to(i), kHere, true)); });
  return look(town);
}

HostSnapshot close_wait_leak(const std::string& name, const IncidentOptions& o) {
  const auto limit = number(o, "limit", 256), connections = number(o, "connections", 200);
  HostOptions here = options_of(name, o);
  here.most_sockets = static_cast<std::uint32_t>(limit);
  Town town = two_hosts(here);
  if (word(o, "side", "server") == "server") {
    const Endpoint local{kHereOnWire, 8080};
    Server reports(town, kThisHost, {local}, Closes::Nobody);
    Client clients(town, kOther, Closes::Client);
    load(town, {&reports}, clients, connections, std::chrono::milliseconds(1),
         [&](auto) { clients.dial(local); });
    live(town, {&reports}, {&clients}, std::chrono::milliseconds(950));
    // A client that waits a second for its answer goes as well.
    for (const SocketId s : clients.waiting) (void)town[kOther].close(s, town.now());
    live(town, {&reports}, {}, std::chrono::milliseconds(100));
    return look(town);
  }
  const Endpoint remote{kThere, 8080};
  Server closing(town, kOther, {remote}, Closes::Server);
  Client forgetful(town, kThisHost, Closes::Nobody);
  load(town, {&closing}, forgetful, connections, std::chrono::milliseconds(1),
       [&](auto) { forgetful.dial(remote); });
  live(town, {&closing}, {&forgetful}, std::chrono::milliseconds(200));
  return look(town);
}

HostSnapshot time_wait_overflow(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  const auto connections = number(o, "connections", 500);
  EXPECT_TRUE(town[0].set("tcp_max_tw_buckets", std::to_string(number(o, "buckets", 100))));
  const Endpoint local{kHereOnWire, 8080};
  Server web(town, kThisHost, {local}, Closes::Server);
  Client clients(town, kOther, Closes::Server);
  load(town, {&web}, clients, connections, std::chrono::microseconds(500),
       [&](auto) { EXPECT_TRUE(clients.dial(local)); });
  live(town, {&web}, {&clients}, std::chrono::milliseconds(200));
  return look(town);
}

HostSnapshot fin_wait_2(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  const auto connections = number(o, "connections", 300);
  const Endpoint local{kHereOnWire, 8080};
  Server web(town, kThisHost, {local}, Closes::Server, word(o, "how", "close") == "shutdown");
  Client clients(town, kOther, Closes::Nobody);
  load(town, {&web}, clients, connections, std::chrono::microseconds(500),
       [&](auto) { EXPECT_TRUE(clients.dial(local)); });
  live(town, {&web}, {&clients}, std::chrono::milliseconds(200));
  return look(town);
}

HostSnapshot last_ack(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  const Endpoint remote{kThere, 8080};
  Server closing(town, kOther, {remote}, Closes::Server);
  Client keeps(town, kThisHost, Closes::Nobody);
  load(town, {&closing}, keeps, number(o, "connections", 200), std::chrono::microseconds(500),
       [&](auto) { EXPECT_TRUE(keeps.dial(remote)); });
  live(town, {&closing}, {&keeps}, std::chrono::milliseconds(200));
  town.set_deaf(kOther, true);
  for (const SocketId s : keeps.held) EXPECT_TRUE(town[0].close(s, town.now()));
  town.run_for(std::chrono::milliseconds(10));
  return look(town);
}

HostSnapshot closing(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  const Endpoint local{kHereOnWire, 8080};
  const SocketId listener = start_listen(town[0], local, 4096, town.now());
  std::vector<SocketId> theirs, ours;
  Client clients(town, kOther, Closes::Nobody);
  for (std::int64_t i = 0; i < number(o, "connections", 200); ++i) {
    theirs.push_back(*clients.dial(local));
    town.run_for(kStep * 10);
    ours.push_back(*town[0].accept(listener));
  }
  town.set_deaf(kOther, true);
  for (const SocketId s : ours) EXPECT_TRUE(town[0].close(s, town.now()));
  town.run_for(std::chrono::milliseconds(500));
  for (const SocketId s : theirs) EXPECT_TRUE(town[1].close(s, town.now()));
  town.run_for(std::chrono::milliseconds(50));
  return look(town);
}

HostSnapshot syn_sent(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  town.set_deaf(kOther, true);
  Client swallowed(town, kThisHost, Closes::Nobody);
  for (std::int64_t i = 0; i < number(o, "connections", 300); ++i) {
    EXPECT_TRUE(swallowed.dial({kThere, 8080}));
  }
  town.run_for(std::chrono::milliseconds(10));
  return look(town);
}

HostSnapshot accept_queue_overflow(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  const Endpoint local{kHereOnWire, 8080};
  start_listen(town[0], local, static_cast<int>(number(o, "backlog", 16)), town.now());
  Client clients(town, kOther, Closes::Nobody);
  for (std::int64_t i = 0; i < number(o, "connections", 64); ++i) {
    EXPECT_TRUE(clients.dial(local));
    town.run_for(std::chrono::microseconds(50));
  }
  town.run_for(std::chrono::milliseconds(1500));
  return look(town);
}

HostSnapshot self_connect(const std::string& name, const IncidentOptions& o) {
  Town town = one_host(name, o);
  for (std::int64_t i = 0; i < number(o, "connections", 1); ++i) {
    const Endpoint self{kHere, static_cast<Port>(41000 + i)};
    const auto s = town[0].open();
    EXPECT_TRUE(town[0].bind(*s, self));
    const auto begun = town[0].connect(*s, self, town.now());
    EXPECT_TRUE(!begun && begun.error() == Err::in_progress);
    town.run_for(std::chrono::milliseconds(5));
    EXPECT_EQ(town[0].state(*s), TcpState::Established);
  }
  return look(town);
}

HostSnapshot idle_no_keepalive(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  const Endpoint remote{kThere, 5432};
  Server database(town, kOther, {remote}, Closes::Client);
  Client keeps(town, kThisHost, Closes::Nobody);
  load(town, {&database}, keeps, number(o, "connections", 200), std::chrono::microseconds(500),
       [&](auto) { EXPECT_TRUE(keeps.dial(remote)); });
  return look(town);
}

HostSnapshot healthy_server(const std::string& name, const IncidentOptions& o) {
  Town town = two_hosts(options_of(name, o));
  const Endpoint closes_first{kHereOnWire, 80}, closes_second{kHereOnWire, 8080},
      database{kThere, 3306};
  Server eager(town, kThisHost, {closes_first}, Closes::Server);
  Server patient(town, kThisHost, {closes_second}, Closes::Client);
  Server far(town, kOther, {database}, Closes::Client);
  Client of_eager(town, kOther, Closes::Server), of_patient(town, kOther, Closes::Client);
  Client pool(town, kOther, Closes::Nobody), reporter(town, kThisHost, Closes::Client);
  for (std::int64_t i = 0; i < number(o, "pool", 50); ++i) EXPECT_TRUE(pool.dial(closes_second));
  for (int i = 0; i < 400 * 6; ++i) {
    EXPECT_TRUE(of_eager.dial(closes_first));
    EXPECT_TRUE(of_patient.dial(closes_second));
    if (i % 40 == 0) {
      EXPECT_TRUE(reporter.dial(database));
    }
    live(town, {&eager, &patient, &far}, {&of_eager, &of_patient, &pool, &reporter},
         std::chrono::microseconds(2500));
  }
  return look(town);
}

}  // namespace

Host& Town::settle(HostOptions options, std::vector<IpAddress> addresses) {
  Resident resident{Host(std::move(options)), std::move(addresses)};
  for (const IpAddress& address : resident.addresses) resident.host.add_address(address);
  residents_.push_back(std::move(resident));
  return residents_.back().host;
}

bool Town::carry() {
  bool any = false;
  for (Resident& from : residents_) {
    for (auto packet = from.host.next_packet(); !packet.empty(); packet = from.host.next_packet()) {
      any = true;
      const std::vector<std::byte> bytes(packet.begin(), packet.end());
      const auto ip = parse_ip(bytes);
      if (!ip) continue;
      const auto has = [&](const Resident& r) {
        return std::find(r.addresses.begin(), r.addresses.end(), ip->header.destination) !=
               r.addresses.end();
      };
      if (has(from)) {
        from.host.receive(bytes, now_);
        continue;
      }
      for (Resident& to : residents_) {
        if (!to.deaf && has(to)) to.host.receive(bytes, now_);
      }
    }
  }
  return any;
}

void Town::run_for(Duration duration) {
  const Instant stop = now_ + duration;
  for (;;) {
    while (carry()) {
    }
    Instant next = Instant::max();
    for (Resident& r : residents_) next = std::min(next, r.host.next_deadline());
    if (next > stop) break;
    now_ = std::max(next, now_ + std::chrono::microseconds(1));
    for (Resident& r : residents_) r.host.advance(now_);
  }
  now_ = std::max(now_, stop);
}

HostSnapshot endpoint_incident(const std::string& name, const IncidentOptions& options) {
  using Make = HostSnapshot (*)(const std::string&, const IncidentOptions&);
  static const std::map<std::string, Make> kMake = {
      {"ports-time-wait", ports_time_wait},
      {"ports-established", ports_established},
      {"connect-cliff", ports_established},
      {"bind-before-connect", bind_before_connect},
      {"close-wait-leak", close_wait_leak},
      {"time-wait-overflow", time_wait_overflow},
      {"fin-wait-2", fin_wait_2},
      {"last-ack", last_ack},
      {"closing", closing},
      {"syn-sent", syn_sent},
      {"accept-queue-overflow", accept_queue_overflow},
      {"self-connect", self_connect},
      {"idle-no-keepalive", idle_no_keepalive},
      {"healthy-server", healthy_server},
  };
  IncidentOptions complete = options;
  if (name == "connect-cliff") complete.emplace("ports", "10000");
  return kMake.at(name)(name, complete);
}

}  // namespace lastack::differential
