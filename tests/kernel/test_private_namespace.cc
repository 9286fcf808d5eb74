// Private namespaces on the running kernel: what is inside stays inside, and nothing outlives its maker,
// however that ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "lab/child_process.h"
#include "lab/clock.h"
#include "lab/kernel_option.h"
#include "lab/private_namespace.h"
#include "lab/sysctl.h"
#include "lab/tcp_socket.h"
#include "net/rtnetlink.h"
#include "private_test.h"

namespace lastack {
namespace {

const IpAddress kOne = IpAddress::v4(0x0a4d0001);
const IpAddress kTwo = IpAddress::v4(0x0a4d0002);

ino_t network_namespace() {
  struct stat file {};
  return stat("/proc/self/ns/net", &file) == 0 ? file.st_ino : 0;
}

#define SKIP_IF_DENIED(result)                    \
  if (!(result) && is_denial((result).error())) { \
    GTEST_SKIP() << (result).error().message;     \
  }                                               \
  ASSERT_TRUE(result) << (result).error().message

TEST(PrivateNamespace, HasItsAddressesAndSettings) {
  NamespaceOptions options;
  options.addresses = {kOne, kTwo};
  options.sysctls = {{"net.ipv4.ip_local_port_range", "40000 40099"}};
  const ino_t outside = network_namespace();
  const std::string range_outside = read_sysctl("net.ipv4.ip_local_port_range").value_or("");
  RUN_IN_PRIVATE_NAMESPACE(
      options, ([&] {
        EXPECT_NE(network_namespace(), outside);
        const auto range = read_sysctl("net.ipv4.ip_local_port_range");
        ASSERT_TRUE(range);
        EXPECT_EQ(*range, "40000\t40099");
        // Both addresses are there and lo is up: a connection between them stands.
        const auto listener = start_listen({kTwo, 3306}, 4);
        ASSERT_TRUE(listener) << listener.error().message;
        const auto client = start_connect({.source = kOne, .destination = {kTwo, 3306}});
        ASSERT_TRUE(client) << client.error().message;
        pollfd ready{listener->get(), POLLIN, 0};
        ASSERT_EQ(poll(&ready, 1, 5000), 1);
        EXPECT_EQ(local_endpoint(client->get()).address, kOne);
        // Nothing else is reachable.
        EXPECT_FALSE(start_connect({.source = {}, .destination = {IpAddress::v4(0x01010101), 80}}));
      }));
  EXPECT_EQ(network_namespace(), outside);
  EXPECT_EQ(read_sysctl("net.ipv4.ip_local_port_range").value_or(""), range_outside);
}

TEST(PrivateNamespace, AWrongSettingIsNoDenial) {
  NamespaceOptions options;
  options.sysctls = {{"net.ipv4.no_such_setting", "1"}};
  auto process = PrivateProcess::start(options, [] { return 0; });
  ASSERT_FALSE(process);
  if (is_denial(process.error())) GTEST_SKIP() << process.error().message;
  EXPECT_EQ(process.error().number, ENOENT);
  EXPECT_NE(process.error().message.find("no_such_setting"), std::string::npos);

  options.sysctls.clear();
  options.addresses = {kOne, kOne};
  process = PrivateProcess::start(options, [] { return 0; });
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().number, EEXIST);
}

TEST(PrivateProcess, EndsWithTheValueOfItsBody) {
  auto process = PrivateProcess::start({}, [] { return 41; });
  SKIP_IF_DENIED(process);
  EXPECT_EQ(process->wait(), 41);
  auto aborted = PrivateProcess::start({}, []() -> int {
    // A first process of a namespace ignores its own deadly signals; leaving is up to it.
    raise(SIGTERM);
    return 7;
  });
  ASSERT_TRUE(aborted);
  EXPECT_EQ(aborted->wait(), 7);
}

TEST(PrivateProcess, SeesOnlyItsOwnProcesses) {
  auto process = PrivateProcess::start({}, [] {
    if (getpid() != 1) return 2;
    int processes = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") == name.npos) ++processes;
    }
    // Where /proc may not be mounted (a container) the maker's is seen; 77 says so.
    std::ifstream stat_file("/proc/self/stat");
    int self = 0;
    stat_file >> self;
    if (self != 1) return 77;
    return processes == 1 ? 0 : 3;
  });
  SKIP_IF_DENIED(process);
  const int code = process->wait();
  if (code == 77) GTEST_SKIP() << "this machine does not let /proc be mounted in namespaces";
  EXPECT_EQ(code, 0);
}

// Waits until nobody holds the other end of the pipe any more: the processes that had inherited it are
// gone. The bound only ends a test that has failed.
bool ended(int lifeline) {
  pollfd end{lifeline, POLLIN, 0};
  char byte;
  while (poll(&end, 1, 20'000) == 1) {
    const ssize_t length = read(lifeline, &byte, 1);
    if (length == 0) return true;
    if (length < 0 && errno != EINTR) return false;
  }
  return false;
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

Pipe make_pipe() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// A body with children and grandchildren that mean to stay, each a holder of the lifeline. One of them
// tries to get away: its own session, all signals ignored.
int settle_down(int word) {
  auto child = ChildProcess::start([word]() -> int {
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      setsid();
      for (int number = 1; number < 32; ++number) signal(number, SIG_IGN);
      if (write(word, "g", 1) != 1) return 1;
      for (;;) pause();
    }
    for (;;) pause();
  });
  if (!child) return 1;
  for (;;) pause();
}

void wait_for_grandchild(int fd) {
  char byte = 0;
  ssize_t length;
  do {
    length = read(fd, &byte, 1);
  } while (length < 0 && errno == EINTR);
  ASSERT_EQ(length, 1);
  ASSERT_EQ(byte, 'g');
}

TEST(PrivateProcess, KillEndsEverythingInside) {
  Pipe line = make_pipe();
  auto process = PrivateProcess::start({}, [&] { return settle_down(line.write_end.get()); });
  SKIP_IF_DENIED(process);
  line.write_end.reset();
  wait_for_grandchild(line.read_end.get());
  process->kill();
  // Not "soon": when kill() returns they are gone.
  pollfd end{line.read_end.get(), POLLIN, 0};
  ASSERT_EQ(poll(&end, 1, 0), 1);
  EXPECT_TRUE(ended(line.read_end.get()));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child was left behind";
  EXPECT_EQ(errno, ECHILD);
}

TEST(PrivateProcess, EndsWithItsMakerEvenIfThatIsKilled) {
  Pipe line = make_pipe();
  const pid_t maker = fork();
  ASSERT_GE(maker, 0);
  if (maker == 0) {
    line.read_end.reset();
    auto process = PrivateProcess::start({}, [&] { return settle_down(line.write_end.get()); });
    if (!process) {
      if (write(line.write_end.get(), "n", 1) != 1) _exit(2);
      _exit(is_denial(process.error()) ? 77 : 1);
    }
    for (;;) pause();
  }
  line.write_end.reset();
  char byte = 0;
  ASSERT_EQ(read(line.read_end.get(), &byte, 1), 1);
  ASSERT_EQ(kill(maker, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(waitpid(maker, &status, 0), maker);
  if (byte == 'n') GTEST_SKIP() << "no private namespaces here";
  EXPECT_EQ(byte, 'g');
  EXPECT_TRUE(ended(line.read_end.get()));
}

TEST(ChildProcess, DiesWithItsParent) {
  Pipe line = make_pipe();
  const pid_t parent = fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    line.read_end.reset();
    auto child = ChildProcess::start([]() -> int {
      for (;;) pause();
    });
    _exit(0);  // without running the destructor, which would kill it
  }
  line.write_end.reset();
  ASSERT_EQ(waitpid(parent, nullptr, 0), parent);
  EXPECT_TRUE(ended(line.read_end.get()));
}

TEST(ChildProcess, TellsHowItEnded) {
  auto child = ChildProcess::start([] { return 3; });
  ASSERT_TRUE(child);
  EXPECT_EQ(child->wait(), 3);
  EXPECT_EQ(child->wait(), -1) << "it can be reaped once";
  child = ChildProcess::start([]() -> int {
    for (;;) pause();
  });
  ASSERT_TRUE(child);
  EXPECT_EQ(child->wait_no_longer(), -1);
  ASSERT_EQ(::kill(child->pid(), SIGKILL), 0);
  EXPECT_EQ(child->wait(), 128 + SIGKILL);
}

TEST(Rtnetlink, RoutesAndLinksComeAndGo) {
  RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [] {
    auto links = Rtnetlink::open();
    ASSERT_TRUE(links);
    EXPECT_EQ(links->set_link_up("nosuch").error().number, ENODEV);
    ASSERT_TRUE(links->add_address("lo", kOne, 32));
    EXPECT_EQ(links->add_address("lo", kOne, 32).error().number, EEXIST);
    EXPECT_TRUE(start_listen({kOne, 80}, 1));
    ASSERT_TRUE(links->delete_address("lo", kOne, 32));
    EXPECT_EQ(start_listen({kOne, 80}, 1).error().number, EADDRNOTAVAIL);
    EXPECT_EQ(start_connect({.source = {}, .destination = {kTwo, 80}}).error().number, ENETUNREACH);
    ASSERT_TRUE(links->add_route(kTwo, 32, "lo"));
    // On its way, where nobody answers.
    EXPECT_TRUE(start_connect({.source = {}, .destination = {kTwo, 80}}));
    ASSERT_TRUE(
        links->add_veth({"here", {2, 0, 0, 0, 0, 1}}, {"there", {2, 0, 0, 0, 0, 2}}, getpid()));
    EXPECT_TRUE(links->set_link_up("here"));
    EXPECT_TRUE(links->set_link_down("here"));
    EXPECT_TRUE(links->delete_link("here"));
    EXPECT_FALSE(links->set_link_up("there")) << "the pair goes together";
  });
}

// A machine may keep namespaces from choosing it for all of their sockets; each socket may, by the right of who made the
// namespace.
TEST(PrivateNamespace, ASocketIsGivenCubic) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    const auto all = read_sysctl("net.ipv4.tcp_available_congestion_control");
    ASSERT_TRUE(all);
    if (all->find("cubic") == std::string::npos) return;  // a module that nobody has loaded
    const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    use_cubic(socket.get());
    std::array<char, 16> name{};
    socklen_t length = name.size();
    ASSERT_EQ(getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &length), 0);
    EXPECT_STREQ(name.data(), "cubic");
  });
}

}  // namespace
}  // namespace lastack
