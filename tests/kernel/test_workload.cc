// Workloads against the kernel's own count of what became of them.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "kernel/linux_facts.h"
#include "kernel/private_test.h"
#include "lab/child_process.h"
#include "lab/clock.h"
#include "lab/echo_server.h"
#include "lab/workload.h"

namespace lastack {
namespace {

const IpAddress kClient = IpAddress::v4(0x0a4d0001);
const IpAddress kServer = IpAddress::v4(0x0a4d0002);
constexpr Port kPort = 3306;

NamespaceOptions place(const std::string& range = "40000 49999") {
  NamespaceOptions options;
  options.addresses = {kClient, kServer};
  options.sysctls = {{"net.ipv4.ip_local_port_range", range}, {"net.ipv4.tcp_tw_reuse", "0"}};
  return options;
}

// Sockets by state and side, as /proc/net/tcp has them: {6, true} is TIME_WAIT on the server's port.
std::map<std::pair<unsigned, bool>, std::uint64_t> sockets() {
  std::map<std::pair<unsigned, bool>, std::uint64_t> counts;
  std::ifstream file("/proc/self/net/tcp");
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string slot, local, remote, state;
    words >> slot >> local >> remote >> state;
    const bool server = std::stoul(local.substr(local.find(':') + 1), nullptr, 16) == kPort;
    ++counts[{static_cast<unsigned>(std::stoul(state, nullptr, 16)), server}];
  }
  return counts;
}
constexpr unsigned kEstablished = 1, kFinWait2 = 5, kTimeWait = 6, kCloseWait = 8;

class Server {
 public:
  explicit Server(ServerOptions options = {}) {
    options.listen_on = {{kServer, kPort}};
    auto started = EchoServer::start(options);
    EXPECT_TRUE(started) << started.error().message;
    auto process = ChildProcess::start([&]() -> int { started->serve(); });
    EXPECT_TRUE(process);
    process_ = std::make_unique<ChildProcess>(*std::move(process));
  }

 private:
  std::unique_ptr<ChildProcess> process_;
};

LoadOptions load_of(std::uint64_t most, LoadOptions::Closes closes = LoadOptions::Closes::Client) {
  LoadOptions load;
  load.connect = {.source = kClient, .destination = {kServer, kPort}};
  load.rate = 2000;
  load.most = most;
  load.closes = closes;
  return load;
}

LoadCounts run_all(ShortConnections& load, std::uint64_t most) {
  LoadCounts counts;
  const Instant stop = monotonic_now() + 20s;
  while (load.begun() < most && monotonic_now() < stop) counts += load.run_for(20ms);
  counts += load.finish();
  return counts;
}

TEST(ShortConnections, WhoClosesFirstHasTheTimeWait) {
  for (const bool client : {true, false}) {
    RUN_IN_PRIVATE_NAMESPACE(place(), [&] {
      using Closes = ServerOptions::Closes;
      const Server server(
          {.listen_on = {}, .closes = client ? Closes::AfterPeer : Closes::AfterReply});
      auto load = ShortConnections::start(
          load_of(300, client ? LoadOptions::Closes::Client : LoadOptions::Closes::Server));
      ASSERT_TRUE(load);
      const LoadCounts counts = run_all(*load, 300);
      EXPECT_EQ(counts.offered, 300u);
      EXPECT_EQ(counts.ok, 300u);
      EXPECT_EQ(counts.failed, 0u);
      EXPECT_EQ(counts.connected.count(), 300u);
      // Counted where they are made: a record on the server's side may make room for a client that comes
      // with the same port again (linux-facts 13).
      EXPECT_TRUE(facts::await([] { return facts::counter("TW") >= 300; }));
      EXPECT_EQ(facts::counter("TW"), 300u);
      auto states = sockets();
      EXPECT_GT((states[{kTimeWait, !client}]), client ? 299u : 250u);
      EXPECT_EQ((states[{kTimeWait, client}]), 0u);
      EXPECT_EQ((states[{kEstablished, true}]), 0u);
    });
  }
}

TEST(ShortConnections, ResetLeavesNothing) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const Server server;
    LoadOptions options = load_of(200);
    options.how = CloseHow::Reset;
    auto load = ShortConnections::start(options);
    ASSERT_TRUE(load);
    EXPECT_EQ(run_all(*load, 200).ok, 200u);
    const auto states = sockets();
    EXPECT_FALSE(states.contains({kTimeWait, false}));
    EXPECT_FALSE(states.contains({kTimeWait, true}));
  });
}

TEST(ShortConnections, AVanishedClientLeavesTheServerWaiting) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const Server server;
    LoadOptions options = load_of(50);
    options.how = CloseHow::Vanish;
    auto load = ShortConnections::start(options);
    ASSERT_TRUE(load);
    EXPECT_EQ(run_all(*load, 50).ok, 50u);
    auto states = sockets();
    EXPECT_EQ((states[{kEstablished, true}]), 50u);
    EXPECT_EQ((states[{kEstablished, false}]), 0u);
  });
}

TEST(ShortConnections, ALeakingServerKeepsCloseWait) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const Server server({.listen_on = {}, .closes = ServerOptions::Closes::Never});
    auto load = ShortConnections::start(load_of(80));
    ASSERT_TRUE(load);
    EXPECT_EQ(run_all(*load, 80).ok, 80u);
    auto states = sockets();
    // The server's kernel may take its time to acknowledge a FIN.
    for (int i = 0; i < 100 && states[{kFinWait2, false}] < 80; ++i) {
      usleep(50'000);
      states = sockets();
    }
    EXPECT_EQ((states[{kCloseWait, true}]), 80u);
    EXPECT_EQ((states[{kFinWait2, false}]), 80u);
  });
}

TEST(ShortConnections, PortsRunOutIsCountedAsWhatItIs) {
  RUN_IN_PRIVATE_NAMESPACE(place("40000 40099"), [] {
    const Server server;
    auto load = ShortConnections::start(load_of(300));
    ASSERT_TRUE(load);
    const LoadCounts counts = run_all(*load, 300);
    EXPECT_EQ(counts.ok, 100u);
    EXPECT_EQ(counts.failed_with(EADDRNOTAVAIL), 200u);
    EXPECT_EQ(counts.failed, 200u);
    EXPECT_EQ(counts.connect_call.count(), 300u);
  });
}

TEST(ShortConnections, BindBeforeConnectRunsOutForAllDestinations) {
  for (const bool no_port : {false, true}) {
    RUN_IN_PRIVATE_NAMESPACE(place("40000 40099"), [&] {
      auto server = EchoServer::start({.listen_on = {{kServer, kPort}, {kServer, kPort + 1}}});
      ASSERT_TRUE(server);
      auto process = ChildProcess::start([&]() -> int { server->serve(); });
      ASSERT_TRUE(process);
      LoadOptions options = load_of(200, LoadOptions::Closes::Nobody);
      options.connect.source_port = no_port ? SourcePort::BindZeroNoPort : SourcePort::BindZero;
      options.further_destinations = {{kServer, kPort + 1}};
      auto load = ShortConnections::start(options);
      ASSERT_TRUE(load);
      const LoadCounts counts = run_all(*load, 200);
      EXPECT_EQ(counts.ok, no_port ? 200u : 100u);
      EXPECT_EQ(counts.failed_with(EADDRINUSE), no_port ? 0u : 100u);
    });
  }
}

TEST(ShortConnections, RefusalsAndSilenceAreCounted) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    auto refused = ShortConnections::start(load_of(20));
    ASSERT_TRUE(refused);
    EXPECT_EQ(run_all(*refused, 20).failed_with(ECONNREFUSED), 20u);

    const Server silent({.listen_on = {}, .accepts = false});
    LoadOptions options = load_of(20);
    options.timeout = 300ms;
    auto waiting = ShortConnections::start(options);
    ASSERT_TRUE(waiting);
    const LoadCounts counts = run_all(*waiting, 20);
    EXPECT_EQ(counts.failed_with(ETIMEDOUT), 20u);
    EXPECT_EQ(waiting->in_flight(), 0u);
  });
}

TEST(ShortConnections, DescriptorsRunningOutIsAnErrorLikeOthers) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const Server server;
    auto load = ShortConnections::start(load_of(100, LoadOptions::Closes::Nobody));
    ASSERT_TRUE(load);
    const rlimit limit{40, 40};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    const LoadCounts counts = run_all(*load, 100);
    EXPECT_GT(counts.failed_with(EMFILE), 0u);
    EXPECT_GT(counts.ok, 0u);
    EXPECT_EQ(counts.ok + counts.failed, 100u);
  });
}

TEST(EchoServer, SurvivesItsDescriptorsRunningOut) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    auto server = EchoServer::start({.listen_on = {{kServer, kPort}}});
    ASSERT_TRUE(server);
    auto process = ChildProcess::start([&]() -> int {
      const rlimit limit{32, 32};
      setrlimit(RLIMIT_NOFILE, &limit);
      server->serve();
    });
    ASSERT_TRUE(process);
    {
      LoadOptions options = load_of(100, LoadOptions::Closes::Nobody);
      options.timeout = 500ms;
      auto load = ShortConnections::start(options);
      ASSERT_TRUE(load);
      const LoadCounts counts = run_all(*load, 100);
      EXPECT_GT(counts.ok, 0u);
      EXPECT_GT(counts.failed_with(ETIMEDOUT), 0u);
    }  // they are closed, and it has descriptors again
    LoadOptions options = load_of(20);
    options.timeout = 15s;
    auto load = ShortConnections::start(options);
    ASSERT_TRUE(load);
    EXPECT_EQ(run_all(*load, 20).ok, 20u);
  });
}

TEST(RequestPool, ManyRequestsFewConnections) {
  RUN_IN_PRIVATE_NAMESPACE(place("40000 40009"), [] {
    const Server server;
    PoolOptions options;
    options.connect = {.source = kClient, .destination = {kServer, kPort}};
    options.rate = 1000;
    options.size = 5;
    auto pool = RequestPool::start(options);
    ASSERT_TRUE(pool);
    ASSERT_TRUE(pool->fill(10s));
    const LoadCounts counts = pool->run_for(1s);
    EXPECT_EQ(counts.failed, 0u);
    EXPECT_GT(counts.ok, 100u) << "far more than there are ports";
    EXPECT_EQ(pool->connections_opened(), 5u);
    auto states = sockets();
    EXPECT_EQ((states[{kEstablished, false}]), 5u);
    EXPECT_EQ((states[{kTimeWait, false}]), 0u);
  });
}

TEST(RequestPool, OpensAgainWhatTheServerCloses) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    const Server server({.listen_on = {}, .closes = ServerOptions::Closes::AfterReply});
    PoolOptions options;
    options.connect = {.source = kClient, .destination = {kServer, kPort}};
    options.rate = 50;
    options.size = 4;
    auto pool = RequestPool::start(options);
    ASSERT_TRUE(pool);
    ASSERT_TRUE(pool->fill(10s));
    const LoadCounts counts = pool->run_for(1500ms);
    EXPECT_GT(counts.ok, 4u);
    EXPECT_GT(pool->connections_opened(), 4u);
  });
}

TEST(RequestPool, CannotFillWithoutAServer) {
  RUN_IN_PRIVATE_NAMESPACE(place(), [] {
    PoolOptions options;
    options.connect = {.source = kClient, .destination = {kServer, kPort}};
    auto pool = RequestPool::start(options);
    ASSERT_TRUE(pool);
    EXPECT_FALSE(pool->fill(300ms));
    EXPECT_EQ(pool->connected(), 0u);
    EXPECT_GT(pool->connect_errors().at(ECONNREFUSED), 0u);
    options.timeout = 200ms;
    pool = RequestPool::start(options);
    const LoadCounts counts = pool->run_for(600ms);
    EXPECT_EQ(counts.ok, 0u);
    EXPECT_GT(counts.failed_with(ETIMEDOUT), 0u);
  });
}

}  // namespace
}  // namespace lastack
