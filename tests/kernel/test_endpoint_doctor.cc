// `lastack endpoint` on a TUN device in trouble, its bundle before the doctor, and the page held against that of a
// kernel host in the same trouble.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "kernel/private_test.h"
#include "kernel/same_diagnosis.h"
#include "lab/clock.h"
#include "lab/echo_server.h"

namespace lastack {
namespace {

constexpr int kEnded = 128 + SIGTERM;

std::string bundle_path() {
  return (std::filesystem::temp_directory_path() / ("lastack-tun-" + std::to_string(getpid())))
      .string();
}

// `lastack endpoint WHAT` at 10.1.0.1, with the kernel at 10.1.0.2, as on the wire of incident.h.
Program start_endpoint(const std::vector<std::string>& what,
                       const std::vector<std::string>& further) {
  std::vector<std::string> arguments{"endpoint"};
  for (const auto* more : {&what, &further}) {
    arguments.insert(arguments.end(), more->begin(), more->end());
  }
  for (const char* more :
       {"--create", "--address", "10.1.0.1", "--peer", "10.1.0.2/24", "--snapshot"}) {
    arguments.emplace_back(more);
  }
  arguments.push_back(bundle_path());
  return run(LASTACK_PROGRAM, arguments);
}

// The exit code, which is kNotPermitted where there may be no TUN device.
int wait_for(const Program& program, EchoServer* meanwhile) {
  for (int status = 0;;) {
    if (meanwhile != nullptr) meanwhile->poll(5ms);
    const pid_t ended = waitpid(program.pid, &status, meanwhile != nullptr ? WNOHANG : 0);
    if (ended == program.pid) return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    if (ended < 0) return -1;
  }
}

// What `lastack doctor` says of the bundle.
std::vector<Json> page_of_bundle() {
  const Visit visit = ask_doctor({"--from", bundle_path()});
  std::filesystem::remove(bundle_path());
  EXPECT_EQ(visit.page["not_read"], Json::array());
  EXPECT_EQ(visit.page["kernel"], "LastAck endpoint");
  return findings_of(visit, nullptr);
}

TEST(EndpointDoctor, ChurnBurnsItsPorts) {
  MAKE_INCIDENT(incident, "ports-time-wait", "--family=wire", "--ports=200", "--held=0",
                "--rate=1000");
  const Visit kernel = visit(incident.truth());
  RUN_IN_PRIVATE_NAMESPACE({}, [&] {
    auto server = EchoServer::start({.listen_on = {{IpAddress::v4(0), 3306}}});
    ASSERT_TRUE(server) << server.error().message;
    const Program churn =
        start_endpoint({"churn", "10.1.0.2:3306", "--rate", "1000", "--count", "200", "--json"},
                       {"--set", "ip_local_port_range=40000 40199", "--set", "tcp_tw_reuse=0"});
    const int code = wait_for(churn, &*server);
    if (code == kNotPermitted) GTEST_SKIP() << "no TUN device here";
    ASSERT_EQ(code, 0);
    // The endpoint chooses ports without a walk, and nobody has to look for the process whose they are.
    expect_same_findings(
        findings_of(kernel, &incident.truth()), page_of_bundle(),
        {.said = {{"process: (no|owner)[^\n]*",
                   "process: lastack, whose endpoint it is, holds none of them now"},
                  {"  every connect\\(\\) now walks half the range[^\n]*\n", ""}},
         .evidence = {"past_half"}});
  });
}

// Two looks in one bundle tell how fast it goes.
TEST(EndpointDoctor, ChurnIsForecastFromTwoLooks) {
  RUN_IN_PRIVATE_NAMESPACE({}, [&] {
    auto server = EchoServer::start({.listen_on = {{IpAddress::v4(0), 3306}}});
    ASSERT_TRUE(server) << server.error().message;
    const Program churn =
        start_endpoint({"churn", "10.1.0.2:3306", "--rate", "500", "--count", "500", "--json"},
                       {"--set", "ip_local_port_range=40000 44999", "--sample", "0.4"});
    const int code = wait_for(churn, &*server);
    if (code == kNotPermitted) GTEST_SKIP() << "no TUN device here";
    ASSERT_EQ(code, 0);
    const Visit seen = ask_doctor({"--from", bundle_path()});
    std::filesystem::remove(bundle_path());
    EXPECT_GE(seen.page["sampled_s"], 0.2);
    const Json* finding = seen.find("ports-exhausting-time-wait");
    ASSERT_NE(finding, nullptr) << seen.page.dump(1);
    EXPECT_EQ((*finding)["evidence"]["time_wait"], 500);
    EXPECT_GT((*finding)["evidence"]["opens_per_second"], 0);
  });
}

// More connections than sockets: those that are accepted are never closed, and the rest fills the queue. The peers
// have said all they had to say, and read nothing; chargen goes on (RFC 864).
TEST(EndpointDoctor, ServeIsLeftWithHalfClosedConnections) {
  MAKE_INCIDENT(incident, "close-wait-leak", "--connections=300", "--somaxconn=16");
  const Visit kernel = visit(incident.truth());
  const Json& truth = incident.truth();
  const int held = truth["close_wait_owned"].get<int>() + 1;  // with the listener
  const std::string limit = std::to_string(held), kernel_limit = truth["descriptor_limit"].dump();
  RUN_IN_PRIVATE_NAMESPACE({}, [&] {
    Program serve = start_endpoint({"serve", "--echo", "0", "--discard", "0", "--chargen", "8080"},
                                   {"--sockets", limit, "--set", "somaxconn=16"});
    char line[256];
    if (read(serve.output.get(), line, sizeof line) <= 0) {
      ASSERT_EQ(wait_for(serve, nullptr), kNotPermitted);
      GTEST_SKIP() << "no TUN device here";
    }
    std::vector<UniqueFd> peers;
    for (int i = 0; i < 300; ++i) {
      auto peer = start_connect({.source = {}, .destination = {IpAddress::v4(0x0a010001), 8080}});
      ASSERT_TRUE(peer) << peer.error().message;
      const int small = 4096;
      ASSERT_EQ(setsockopt(peer->get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
      peers.push_back(*std::move(peer));
      usleep(500);
    }
    for (const UniqueFd& peer : peers) {
      if (send(peer.get(), "?", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) {
        shutdown(peer.get(), SHUT_WR);
      }
    }
    usleep(300'000);
    kill(serve.pid, SIGTERM);
    ASSERT_EQ(wait_for(serve, nullptr), kEnded);
    // serve listens at all addresses; and a process of the kernel has a few descriptors besides its sockets.
    expect_same_findings(findings_of(kernel, &truth), page_of_bundle(),
                         {.said = {{"report-svc", "lastack"},
                                   {"10\\.1\\.0\\.1:8080", "*:8080"},
                                   {"\\b" + kernel_limit + "\\b", limit}},
                          .evidence = {"where", "descriptors", "descriptor_limit"}});
  });
}

}  // namespace
}  // namespace lastack
