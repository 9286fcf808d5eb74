#include "unit/report/real_logs.h"

#include <array>

namespace lastack::test {
namespace {

LifecycleHeader header_of(std::uint64_t seed, const std::string& profile) {
  LifecycleHeader header;
  header.tool_version = "test";
  header.vantage = "both";
  header.seed = seed;
  header.profile = profile;
  for (const char* category : {"segment", "state", "timer", "app", "timewait", "icmp", "path"}) {
    header.coverage[category] = Coverage::Complete;
  }
  return header;
}

const std::vector<std::byte> kRequest(100), kAnswer(3000);

HostOptions host_options(std::string name, const std::string& profile, HostObserver* observer) {
  HostOptions options;
  options.name = std::move(name);
  options.profile = profile == "rfc9293" ? Profile::Rfc9293 : Profile::Linux;
  options.observer = observer;
  return options;
}

}  // namespace

LoggedPair::LoggedPair(std::uint64_t seed, std::string client_name, std::string profile,
                       LinkOptions link)
    : recorder(header_of(seed, profile), [this](std::string_view lines) { log += lines; }),
      net(seed, link),
      client(net.add_host(host_options(client_name, profile, recorder.observe(client_name)),
                          {kLogClient})),
      server(
          net.add_host(host_options("server", profile, recorder.observe("server")), {kLogServer})) {
  recorder.watch(net);
  EXPECT_TRUE(client.set("ip_local_port_range", "40000 40000"));
  EXPECT_TRUE(client.set("tcp_tw_reuse", "1"));
  listener = *server.open();
  EXPECT_TRUE(server.bind(listener, {kLogServer, 80}));
  EXPECT_TRUE(server.listen(listener, 16));
}

SocketId LoggedPair::dial() {
  const SocketId socket = *client.open();
  (void)client.connect(socket, {kLogServer, 80}, net.now());
  net.run_for(20ms);
  return socket;
}

SocketId LoggedPair::accepted() {
  const auto socket = server.accept(listener);
  EXPECT_TRUE(socket);
  return socket.value_or(SocketId{});
}

void LoggedPair::drain(Host& host, SocketId socket, Instant now) {
  std::array<std::byte, 65536> room;
  while (host.read(socket, room, now).value_or(0) > 0) {
  }
}

std::string plain_log(std::uint64_t seed, const std::string& client_name,
                      const std::string& profile) {
  LoggedPair pair(seed, client_name, profile);
  const SocketId c = pair.dial();
  const SocketId s = pair.accepted();
  (void)pair.client.write(c, kRequest, pair.net.now());
  pair.net.run_for(60ms);
  LoggedPair::drain(pair.server, s, pair.net.now());
  (void)pair.server.write(s, kAnswer, pair.net.now());
  pair.net.run_for(60ms);
  LoggedPair::drain(pair.client, c, pair.net.now());
  (void)pair.client.close(c, pair.net.now());
  pair.net.run_for(20ms);
  (void)pair.server.close(s, pair.net.now());
  pair.net.run_for(2min);
  return pair.log;
}

std::string lost_last_ack_log(std::uint64_t seed) {
  LoggedPair pair(seed);
  const SocketId c = pair.dial();
  const SocketId s = pair.accepted();
  (void)pair.client.close(c, pair.net.now());
  pair.net.run_for(20ms);
  bool lost = false;
  pair.net.set_fault([&](Passage& passage) {
    if (!lost && passage.from() == pair.net.id(pair.client)) {
      lost = true;
      passage.drop();
    }
  });
  (void)pair.server.close(s, pair.net.now());
  pair.net.run_for(2min);
  return pair.log;
}

std::string last_ack_reuse_log(std::uint64_t seed) {
  LoggedPair pair(seed);
  const SocketId c = pair.dial();
  const SocketId s = pair.accepted();
  (void)pair.client.close(c, pair.net.now());
  pair.net.run_for(20ms);
  pair.net.set_fault([&](Passage& passage) {
    const auto segment = passage.segment();
    if (passage.from() == pair.net.id(pair.client) && segment && segment->flags == 16) {
      passage.drop();
    }
  });
  (void)pair.server.close(s, pair.net.now());
  pair.net.run_for(2900ms);
  pair.net.set_fault(nullptr);
  const SocketId again = pair.dial();
  pair.net.run_for(2s);
  (void)pair.client.abort(again, pair.net.now());
  pair.net.run_for(1s);
  return pair.log;
}

std::string three_hosts_log(std::uint64_t seed) {
  std::string log;
  LifecycleRecorder recorder(header_of(seed, "linux"),
                             [&](std::string_view lines) { log += lines; });
  VirtualNetwork net(seed, {.delay = 5ms});
  recorder.watch(net);
  Host& client =
      net.add_host({.name = "client", .observer = recorder.observe("client")}, {kLogClient});
  Host& proxy = net.add_host({.name = "proxy", .observer = recorder.observe("proxy")}, {kLogThird});
  Host& server =
      net.add_host({.name = "server", .observer = recorder.observe("server")}, {kLogServer});
  for (Host* host : {&proxy, &server}) {
    const SocketId listener = *host->open();
    EXPECT_TRUE(host->bind(listener, {host == &proxy ? kLogThird : kLogServer, 80}));
    EXPECT_TRUE(host->listen(listener, 16));
    if (host == &server) break;
    const SocketId c = *client.open();
    (void)client.connect(c, {kLogThird, 80}, net.now());
    net.run_for(20ms);
    (void)client.write(c, kRequest, net.now());
    net.run_for(20ms);
    const auto front = proxy.accept(listener);
    EXPECT_TRUE(front);
    LoggedPair::drain(proxy, *front, net.now());
    const SocketId behind = *proxy.open();
    (void)proxy.connect(behind, {kLogServer, 80}, net.now());  // nobody listens there
    net.run_for(20ms);
    (void)proxy.close(behind, net.now());
    (void)proxy.abort(*front, net.now());
    net.run_for(20ms);
    (void)client.close(c, net.now());
    net.run_for(20ms);
  }
  return log;
}

std::string foul_log(std::uint64_t seed, int connections) {
  LoggedPair pair(seed, "client", "linux",
                  {.delay = 5ms,
                   .jitter = 3ms,
                   .loss = 0.05,
                   .duplicate = 0.05,
                   .reorder = 0.05,
                   .corrupt = 0.02,
                   .replay = 0.02,
                   .replay_delay = 1s});
  EXPECT_TRUE(pair.client.set("ip_local_port_range", "40000 40003"));
  for (int i = 0; i < connections; ++i) {
    const SocketId c = pair.dial();
    pair.net.run_for(3s);
    (void)pair.client.write(c, kRequest, pair.net.now());
    pair.net.run_for(3s);
    const auto s = pair.server.accept(pair.listener);
    if (s) {
      LoggedPair::drain(pair.server, *s, pair.net.now());
      (void)pair.server.write(*s, kAnswer, pair.net.now());
      pair.net.run_for(2s);
    }
    LoggedPair::drain(pair.client, c, pair.net.now());
    if (s && i % 3 == 0) (void)pair.server.close(*s, pair.net.now());
    (void)(i % 5 == 4 ? pair.client.abort(c, pair.net.now())
                      : pair.client.close(c, pair.net.now()));
    pair.net.run_for(1s);
    if (s && i % 3 != 0) (void)pair.server.close(*s, pair.net.now());
  }
  pair.net.run_for(90s);
  return pair.log;
}

}  // namespace lastack::test
