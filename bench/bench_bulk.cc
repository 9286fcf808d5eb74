// One bulk flow over TUN: an endpoint of ours and the kernel, beside the kernel and the kernel over a pair of TUN
// devices that a process copies between. All with offloads, then all without, in turn, in one run; medians, and of the
// ratios within a round. Everything is in private namespaces.
//
//   bench_bulk [seconds a flow] [rounds] [per cent of packets to lose, each way; then without offloads only]
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "kernel/unique_fd.h"
#include "lab/private_namespace.h"
#include "lastack/event_loop.h"
#include "lastack/tun_device.h"
#include "measure.h"
#include "stack/secret_hash.h"

namespace lastack {
namespace {

const IpAddress kA = *IpAddress::parse("10.77.0.1");
const IpAddress kB = *IpAddress::parse("10.77.0.2");
constexpr Port kPort = 9;
constexpr std::size_t kPiece = std::size_t{64} << 10;
// The first moments are slow start's.
constexpr double kWarmUp = 0.3;

struct Flow {
  double bytes_per_second = 0;
  double cpu_per_gigabyte = 0;  // s of all processes
};

// Chance of a packet to be lost, 0 to 1.
double loss = 0;
bool is_lost() {
  thread_local SeededRandom dice(0x6275'6c6b);
  return loss > 0 && static_cast<double>(dice.next() >> 11) * 0x1p-53 < loss;
}

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "bench_bulk: {}\n", why);
  std::_Exit(1);
}
void check(bool good, const char* what) {
  if (!good) give_up(std::string(what) + ": " + std::strerror(errno));
}
template <class T>
T take(Result<T> result) {
  if (!result) give_up(result.error().message);
  return std::move(*result);
}

sockaddr_in address_of(const IpAddress& address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(kPort);
  in.sin_addr.s_addr = htonl(address.v4_value());
  return in;
}
UniqueFd kernel_socket() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  check(static_cast<bool>(fd), "socket");
  // The endpoint's, whatever this machine's default is.
  check(::setsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) == 0, "cubic");
  return fd;
}
UniqueFd kernel_listener(const IpAddress& address) {
  UniqueFd fd = kernel_socket();
  const sockaddr_in at = address_of(address);
  check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0, "bind");
  check(::listen(fd.get(), 4) == 0, "listen");
  return fd;
}
void kernel_connect(const UniqueFd& fd, const IpAddress& to) {
  const sockaddr_in at = address_of(to);
  check(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0, "connect");
}

double wall() {
  return seconds(EventLoop::now().time_since_epoch());
}

// Counts what arrives after the warm-up, until `length` is over.
class Meter {
 public:
  explicit Meter(double length) : length_(length) {}
  // Whether it goes on.
  bool add(std::size_t n) {
    const double now = wall();
    if (first_ == 0) first_ = now;
    if (now - first_ < kWarmUp) {
      begun_ = now;
      return true;
    }
    if (begun_ == 0) begun_ = now;
    bytes_ += n;
    ended_ = now;
    return now - begun_ < length_;
  }
  double rate() const { return static_cast<double>(bytes_) / std::max(ended_ - begun_, 1e-9); }

 private:
  double length_;
  double first_ = 0;
  double begun_ = 0;
  double ended_ = 0;
  std::uint64_t bytes_ = 0;
};

void kernel_send(const UniqueFd& fd) {
  const std::vector<char> bytes(kPiece, 'x');
  while (::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
  }
}
double kernel_receive(const UniqueFd& fd, double length) {
  std::vector<char> room(kPiece);
  Meter meter(length);
  for (;;) {
    const ssize_t n = ::recv(fd.get(), room.data(), room.size(), 0);
    if (n <= 0 || !meter.add(static_cast<std::size_t>(n))) return meter.rate();
  }
}

pid_t in_child(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  check(pid >= 0, "fork");
  if (pid == 0) {
    body();
    std::_Exit(0);
  }
  return pid;
}

// Packets as they are, with the header that goes before them.
void pump(const TunDevice& a, const TunDevice& b) {
  std::vector<char> room(70000);
  const int ends[2] = {a.descriptor(), b.descriptor()};
  for (;;) {
    bool idle = true;
    for (int i = 0; i < 2; ++i) {
      for (int n = 0; n < 64; ++n) {
        const ssize_t length = ::read(ends[i], room.data(), room.size());
        if (length <= 0) break;
        idle = false;
        if (is_lost()) continue;
        if (::write(ends[1 - i], room.data(), static_cast<std::size_t>(length)) < 0) break;
      }
    }
    if (!idle) continue;
    pollfd wait[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};
    ::poll(wait, 2, 1000);
  }
}

TunDevice device(const IpAddress& address, bool offloads) {
  if (auto entered = enter_private_namespace({}); !entered) give_up(entered.error().message);
  TunDevice tun = take(TunDevice::open("la0", {.create = true, .offloads = offloads}));
  if (auto done = tun.configure({{address, 24}}); !done) give_up(done.error().message);
  return tun;
}

double kernel_with_kernel(double length, bool offloads) {
  const TunDevice a = device(kA, offloads);
  UniqueFd from = kernel_socket();
  // What was opened stays where it was.
  const TunDevice b = device(kB, offloads);
  const UniqueFd listener = kernel_listener(kB);
  const pid_t pumping = in_child([&] { pump(a, b); });
  kernel_connect(from, kB);
  UniqueFd to(::accept(listener.get(), nullptr, nullptr));
  check(static_cast<bool>(to), "accept");
  const pid_t sending = in_child([&] {
    to.reset();
    kernel_send(from);
  });
  from.reset();
  const double rate = kernel_receive(to, length);
  ::kill(sending, SIGKILL);
  ::kill(pumping, SIGKILL);
  ::waitpid(sending, nullptr, 0);
  ::waitpid(pumping, nullptr, 0);
  return rate;
}

struct Ours {
  explicit Ours(TunDevice& tun) : host(tun.fitting({.seed = 1})) {
    host.add_address(kB);
    if (auto attached = loop.attach(host, tun); !attached) give_up(attached.error().message);
    loop.set_filter(host,
                    [](EventLoop::PacketWay, std::span<const std::byte>) { return !is_lost(); });
  }
  Host host;
  EventLoop loop;
};

double kernel_to_endpoint(double length, bool offloads) {
  TunDevice tun = device(kA, offloads);
  const pid_t sending = in_child([&] {
    const UniqueFd fd = kernel_socket();
    kernel_connect(fd, kB);
    kernel_send(fd);
  });
  Ours ours(tun);
  Host& host = ours.host;
  const auto listener = host.open();
  if (!host.bind(*listener, {kB, kPort}) || !host.listen(*listener, 4)) give_up("listen");
  Meter meter(length);
  std::vector<std::byte> room(kPiece);
  ours.loop.set_handler(host, [&](SocketId socket) {
    if (socket == *listener) {
      (void)host.accept(socket);
      return;
    }
    const Instant now = EventLoop::now();
    for (auto n = host.read(socket, room, now); n; n = host.read(socket, room, now)) {
      if (*n != 0 && meter.add(*n)) continue;
      ours.loop.stop();
      return;
    }
  });
  (void)ours.loop.run_for(20s);
  ::kill(sending, SIGKILL);
  ::waitpid(sending, nullptr, 0);
  return meter.rate();
}

double endpoint_to_kernel(double length, bool offloads) {
  TunDevice tun = device(kA, offloads);
  const UniqueFd listener = kernel_listener(kA);
  int ends[2];
  check(::pipe(ends) == 0, "pipe");
  const pid_t receiving = in_child([&] {
    const UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
    check(static_cast<bool>(fd), "accept");
    const double rate = kernel_receive(fd, length);
    check(::write(ends[1], &rate, sizeof rate) == sizeof rate, "write");
  });
  Ours ours(tun);
  Host& host = ours.host;
  const auto socket = host.open();
  const std::vector<std::byte> bytes(kPiece, std::byte{'x'});
  ours.loop.set_handler(host, [&](SocketId) {
    const Instant now = EventLoop::now();
    while (host.write(*socket, bytes, now)) {
    }
  });
  (void)host.connect(*socket, {kA, kPort}, EventLoop::now());
  double rate = 0;
  (void)ours.loop.watch(ends[0], {.readable = true}, [&](EventLoop::Ready) {
    check(::read(ends[0], &rate, sizeof rate) == sizeof rate, "read");
    ours.loop.stop();
  });
  (void)ours.loop.run_for(20s);
  ::waitpid(receiving, nullptr, 0);
  return rate;
}

// In a process of its own, since it changes its namespace; so its time and its children's are all of the flow's.
Flow measure(double (*body)(double, bool), double length, bool offloads) {
  int ends[2];
  check(::pipe(ends) == 0, "pipe");
  rusage before{};
  ::getrusage(RUSAGE_CHILDREN, &before);
  const double start = wall();
  const pid_t pid = in_child([&] {
    const double rate = body(length, offloads);
    check(::write(ends[1], &rate, sizeof rate) == sizeof rate, "write");
  });
  ::close(ends[1]);
  Flow flow;
  check(::read(ends[0], &flow.bytes_per_second, sizeof(double)) == sizeof(double), "the flow");
  ::close(ends[0]);
  ::waitpid(pid, nullptr, 0);
  rusage after{};
  ::getrusage(RUSAGE_CHILDREN, &after);
  const auto cpu = [](const rusage& r) {
    return static_cast<double>(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           static_cast<double>(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
  };
  const double moved = flow.bytes_per_second * (wall() - start);
  flow.cpu_per_gigabyte = (cpu(after) - cpu(before)) / (moved * 1e-9);
  return flow;
}

void table(double length, int rounds, bool offloads) {
  struct Row {
    const char* name;
    double (*body)(double, bool);
    std::vector<double> rate{}, cpu{};
  };
  Row rows[] = {{"kernel -> kernel", kernel_with_kernel},
                {"kernel -> endpoint", kernel_to_endpoint},
                {"endpoint -> kernel", endpoint_to_kernel}};
  for (int i = 0; i < rounds; ++i) {
    for (Row& row : rows) {
      const Flow flow = measure(row.body, length, offloads);
      row.rate.push_back(flow.bytes_per_second * 1e-6);
      row.cpu.push_back(flow.cpu_per_gigabyte);
    }
  }
  fmt::print("{:<28} {:>10} {:>9} {:>14} {:>9}\n",
             offloads ? "packets of up to 64 KiB" : "packets of 1,500 bytes", "MB/s", "ratio",
             "CPU s per GB", "ratio");
  for (const Row& row : rows) {
    fmt::print("{:<28} {:>10.0f} {:>9.2f} {:>14.2f} {:>9.2f}\n", row.name, bench::median(row.rate),
               bench::median_ratio(row.rate, rows[0].rate), bench::median(row.cpu),
               bench::median_ratio(row.cpu, rows[0].cpu));
  }
  fmt::print("\n");
}

int run(double length, int rounds) {
  fmt::print(
      "one bulk flow over TUN, IPv4, CUBIC, {} rounds of {:g} s each, medians; CPU is that of all processes\n\n",
      rounds, length);
  if (loss > 0) {
    fmt::print("{:g} % of the packets are lost, each way\n", loss * 100);
  } else {
    table(length, rounds, true);
  }
  table(length, rounds, false);
  fmt::print("meant: at least 0.70 of the kernel's own rate, in both directions\n");
  return 0;
}

}  // namespace
}  // namespace lastack

int main(int argc, char** argv) {
  const double length = argc > 1 ? std::atof(argv[1]) : 1.0;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  if (argc > 3) lastack::loss = std::atof(argv[3]) / 100;
  return lastack::run(length > 0 ? length : 1.0, rounds > 0 ? rounds : 5);
}
