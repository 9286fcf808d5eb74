// measure_doctor PATH-OF-LASTACK [time-wait|close-wait|counters]...
//
// What a diagnosis costs as a whole process, against `ss` of the distribution and against a bare sock_diag
// dump that throws away what it reads, all in one run: processor time by the kernel's own accounting of
// the finished process, medians of interleaved runs, and the ratios. Makes its sockets in a private network
// namespace; takes a few minutes.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernel/proc_net.h"
#include "lab/child_process.h"
#include "lab/private_namespace.h"

namespace lastack {
namespace {

constexpr int kRuns = 7;

struct Cost {
  double cpu = 0;   // user and system, seconds
  double wall = 0;  // seconds
  long peak = 0;    // resident, KiB
};

double now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
double of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

Cost run(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const double start = now();
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(null, STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  if (WIFEXITED(status) && WEXITSTATUS(status) >= 64) {
    fmt::print(stderr, "measure_doctor: {} ended with {}\n", command[0], WEXITSTATUS(status));
    std::exit(1);
  }
  return {of(usage.ru_utime) + of(usage.ru_stime), now() - start, usage.ru_maxrss};
}

template <class Member>
double median(const std::vector<Cost>& costs, Member member) {
  std::vector<double> values;
  for (const Cost& c : costs) values.push_back(static_cast<double>(c.*member));
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Contestant {
  std::string name;
  std::vector<std::string> command;
  std::vector<Cost> costs = {};
};

void contest(std::vector<Contestant>& all) {
  for (Contestant& c : all) run(c.command);  // warm
  for (int i = 0; i < kRuns; ++i) {
    for (Contestant& c : all) c.costs.push_back(run(c.command));
  }
  for (const Contestant& c : all) {
    fmt::print("  {:<26} cpu {:7.1f} ms   wall {:7.1f} ms   peak {:6.1f} MiB\n", c.name,
               median(c.costs, &Cost::cpu) * 1e3, median(c.costs, &Cost::wall) * 1e3,
               median(c.costs, &Cost::peak) / 1024);
  }
}

// Ratio of each pair of neighbouring runs, then the median: the machine's drift cancels.
double ratio(const Contestant& a, const Contestant& b, double Cost::*member) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.costs.size(); ++i)
    ratios.push_back(a.costs[i].*member / (b.costs[i].*member));
  std::sort(ratios.begin(), ratios.end());
  return ratios[ratios.size() / 2];
}

// The peer: asks for IPv4 as `ss -t4` would, and looks at nothing.
int bare_dump() {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  struct {
    nlmsghdr header;
    inet_diag_req_v2 body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = AF_INET;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = ~0U;
  if (::send(fd, &request, sizeof request, 0) < 0) return 70;
  static std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n < static_cast<ssize_t>(sizeof(nlmsghdr))) return 70;
    nlmsghdr first;
    std::memcpy(&first, buffer.data(), sizeof first);
    if (first.nlmsg_type == NLMSG_DONE) return 0;
    if (first.nlmsg_type == NLMSG_ERROR) return 70;
  }
}

sockaddr_in address(std::uint32_t ip, std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(ip);
  a.sin_port = htons(port);
  return a;
}

int checked(int result, const char* what) {
  if (result >= 0) return result;
  fmt::print(stderr, "measure_doctor: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

int listen_on(std::uint32_t ip) {
  const int fd = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in a = address(ip, 80);
  checked(::bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a), "bind");
  checked(::listen(fd, 4096), "listen");
  return fd;
}

constexpr std::uint32_t kClient = 0x0a4d0001;  // 10.77.0.1
constexpr std::uint32_t kServer = 0x0a4d0101;  // 10.77.1.1 and on

// A connection from an explicit source port, so that no search for ports spoils the pace.
int connect_from(std::uint16_t port, std::uint32_t server) {
  const int fd = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in from = address(kClient, port);
  const sockaddr_in to = address(server, 80);
  checked(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from), "bind");
  checked(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
  return fd;
}

NamespaceOptions stage() {
  NamespaceOptions options;
  options.addresses.push_back(IpAddress::v4(kClient));
  for (std::uint32_t i = 0; i < 16; ++i) options.addresses.push_back(IpAddress::v4(kServer + i));
  options.sysctls = {{"net.ipv4.tcp_max_tw_buckets", "2000000"}, {"net.core.somaxconn", "8192"}};
  return options;
}

// `count` TIME_WAIT records towards ten destinations, closed by the connecting side, and a thousand open
// connections.
void burn(std::uint32_t count) {
  constexpr std::uint32_t kDestinations = 10;
  std::vector<int> listeners;
  for (std::uint32_t i = 0; i < kDestinations; ++i) listeners.push_back(listen_on(kServer + i));
  for (std::uint32_t n = 0; n < count; ++n) {
    const std::uint32_t to = n % kDestinations;
    const int fd =
        connect_from(static_cast<std::uint16_t>(10'000 + n / kDestinations), kServer + to);
    const int accepted = checked(::accept(listeners[to], nullptr, nullptr), "accept");
    ::close(fd);
    ::close(accepted);
  }
  for (std::uint16_t n = 0; n < 500; ++n) {
    const std::uint32_t to = n % kDestinations;
    connect_from(static_cast<std::uint16_t>(2'000 + n), kServer + to);
    checked(::accept(listeners[to], nullptr, nullptr), "accept");
  }
}

int in_namespace(const std::function<int()>& body) {
  auto child = PrivateProcess::start(stage(), body);
  if (!child) {
    fmt::print(stderr, "measure_doctor: {}\n", child.error().message);
    return 77;
  }
  return child->wait();
}

int time_wait(const std::string& lastack, const std::string& self) {
  int failed = 0;
  for (const std::uint32_t count : {100'000U, 500'000U}) {
    failed |= in_namespace([&] {
      burn(count);
      fmt::print("{} sockets in TIME_WAIT to 10 destinations, and 1,000 open\n", count);
      std::vector<Contestant> all = {{"lastack doctor", {lastack, "doctor"}},
                                     {"bare sock_diag dump", {self, "--bare-dump"}},
                                     {"ss -tan", {"ss", "-tan"}}};
      contest(all);
      fmt::print(
          "  processor time: doctor / bare dump {:.2f} (at most 1.4)   doctor / ss -tan {:.3f} (at most 0.167)\n",
          ratio(all[0], all[1], &Cost::cpu), ratio(all[0], all[2], &Cost::cpu));
      fmt::print("  peak memory of the doctor {:.1f} MiB (at most 32)\n\n",
                 median(all[0].costs, &Cost::peak) / 1024);
      std::fflush(stdout);
      return 0;
    });
  }
  return failed;
}

// 100,000 sockets in CLOSE_WAIT, held by as many processes as the limit on descriptors asks for.
int close_wait(const std::string& lastack) {
  return in_namespace([&] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    constexpr std::uint32_t kSockets = 100'000;
    const auto each = static_cast<std::uint32_t>(std::min<rlim_t>(limit.rlim_max - 64, 17'000));
    std::vector<ChildProcess> holders;
    std::uint32_t made = 0;
    for (std::uint32_t server = 0; made < kSockets; ++server) {
      const std::uint32_t share = std::min(each, kSockets - made);
      int ready[2];
      checked(::pipe(ready), "pipe");
      auto holder = ChildProcess::start([&] {
        const int listener = listen_on(kServer + server % 16);
        for (std::uint32_t n = 0; n < share; ++n) {
          const int fd =
              connect_from(static_cast<std::uint16_t>(10'000 + n), kServer + server % 16);
          checked(::accept(listener, nullptr, nullptr), "accept");
          ::close(fd);
        }
        checked(static_cast<int>(::write(ready[1], "x", 1)), "write");
        for (;;) ::pause();
        return 0;
      });
      if (!holder) return 1;
      char byte = 0;
      checked(static_cast<int>(::read(ready[0], &byte, 1)), "read");
      ::close(ready[0]);
      ::close(ready[1]);
      holders.push_back(std::move(*holder));
      made += share;
    }
    fmt::print("{} sockets in CLOSE_WAIT, owned by {} processes\n", made, holders.size());
    std::vector<Contestant> all = {{"lastack doctor", {lastack, "doctor"}},
                                   {"ss -tanp", {"ss", "-tanp"}}};
    contest(all);
    fmt::print("  processor time: ss -tanp / doctor {:.1f} (at least 10)   wall {:.1f}\n\n",
               ratio(all[1], all[0], &Cost::cpu), ratio(all[1], all[0], &Cost::wall));
    std::fflush(stdout);
    return 0;
  });
}

// Within one process, since reading three files takes less time than starting a program.
int counters() {
  constexpr int kLooks = 2'000;
  const auto cost = [&](const auto& look) {
    const double start = now();
    for (int i = 0; i < kLooks; ++i) look();
    return (now() - start) / kLooks;
  };
  std::vector<double> ratios, bare, ours;
  static std::array<char, 65536> buffer;
  for (int i = 0; i < kRuns; ++i) {
    bare.push_back(cost([&] {
      for (const char* file : {"/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat",
                               "/proc/thread-self/net/sockstat"}) {
        const int fd = ::open(file, O_RDONLY);
        while (::read(fd, buffer.data(), buffer.size()) > 0) {
        }
        ::close(fd);
      }
    }));
    ours.push_back(cost([&] {
      Counters c;
      SocketTotals t;
      std::vector<NotRead> not_read;
      read_counters("/proc/thread-self/net", c, t, not_read);
    }));
    ratios.push_back(ours.back() / bare.back());
  }
  for (auto* v : {&ratios, &bare, &ours}) std::sort(v->begin(), v->end());
  fmt::print("counters alone: {:.1f} us, reading the three files {:.1f} us, ratio {:.2f}\n",
             ours[kRuns / 2] * 1e6, bare[kRuns / 2] * 1e6, ratios[kRuns / 2]);
  return 0;
}

}  // namespace
}  // namespace lastack

int main(int argc, char** argv) {
  using namespace lastack;
  if (argc == 2 && std::strcmp(argv[1], "--bare-dump") == 0) return bare_dump();
  if (argc < 2) {
    fmt::print(stderr,
               "usage: measure_doctor PATH-OF-LASTACK [time-wait|close-wait|counters]...\n");
    return 64;
  }
  char self[4096] = {};
  if (::readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 70;
  std::vector<std::string> what(argv + 2, argv + argc);
  if (what.empty()) what = {"counters", "time-wait", "close-wait"};
  int failed = 0;
  for (const std::string& w : what) {
    if (w == "time-wait") {
      failed |= time_wait(argv[1], self);
    } else if (w == "close-wait") {
      failed |= close_wait(argv[1]);
    } else if (w == "counters") {
      failed |= counters();
    } else {
      fmt::print(stderr, "measure_doctor: there is no '{}'\n", w);
      return 64;
    }
  }
  return failed;
}
