// Short connections: open, one byte each way, close, the client first, so that each leaves a record in
// TIME_WAIT. Two hosts of ours joined in memory, both ends of lwIP, and both ends of the running kernel over
// loopback, each in one thread. And what an idle connection costs in memory.
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "lab/private_namespace.h"
#include "lastack/host.h"
#include "measure.h"
#ifdef LASTACK_BENCH_LWIP
#include "lwip_ends.h"
#endif

namespace lastack::bench {
namespace {

constexpr Port kPort = 80;
constexpr std::uint32_t kClient = 0x0a000001;
constexpr std::uint32_t kServer = 0x0a000100;  // the first of the server's addresses
constexpr std::byte kByte{'x'};

enum class Checksums : std::uint8_t { Made, Left };

// Steady: as many end as come. Time goes on by a part of TIME_WAIT's length with each connection.
class OurEnds {
 public:
  // With so many in TIME_WAIT: 0 means that each has ended when the next connection begins.
  explicit OurEnds(std::size_t time_waits, Checksums checksums = Checksums::Made)
      : addresses_(static_cast<std::uint32_t>(time_waits / 50'000 + 1)),
        step_(time_waits == 0 ? kShort : Duration(kUsual / static_cast<std::int64_t>(time_waits))),
        client_({.name = "client",
                 .seed = 1,
                 .time_wait_length = time_waits == 0 ? kShort : kUsual,
                 .checksum_offload = checksums == Checksums::Left}),
        server_({.name = "server", .seed = 2, .checksum_offload = checksums == Checksums::Left}) {
    client_.add_address(IpAddress::v4(kClient));
    if (!client_.set("ip_local_port_range", "1024 65535") ||
        !client_.set("tcp_max_tw_buckets", "4000000")) {
      std::abort();
    }
    for (std::uint32_t i = 0; i < addresses_; ++i) {
      server_.add_address(IpAddress::v4(kServer + i));
    }
    listener_ = *server_.open();
    if (!server_.bind(listener_, {IpAddress::v4(0), kPort}) || !server_.listen(listener_, 128)) {
      std::abort();
    }
    for (std::size_t i = 0; i < time_waits; ++i) cycle();
  }

  void cycle() {
    now_ += step_;
    client_.advance(now_);
    server_.advance(now_);
    begin();
    exchange();
    if (!closed_) std::abort();
  }

  // Opens without closing, and leaves it so.
  void open_idle() {
    idle_ = true;
    begin();
    exchange();
  }
  void pass(Duration time) {
    now_ += time;
    for (int i = 0; i < 3; ++i) {
      client_.advance(now_);
      server_.advance(now_);
      exchange();
    }
  }

  std::size_t time_waits() const { return client_.time_waits(); }
  std::size_t connections() const { return client_.connections() + server_.connections(); }

 private:
  static constexpr Duration kUsual = std::chrono::seconds(60);
  static constexpr Duration kShort = std::chrono::milliseconds(2);

  void begin() {
    closed_ = written_ = false;
    const auto to = static_cast<std::uint32_t>(scatter(++cycles_) % addresses_);
    const SocketId socket = *client_.open();
    const auto begun = client_.connect(socket, {IpAddress::v4(kServer + to), kPort}, now_);
    if (begun || begun.error() != Err::in_progress) std::abort();
  }
  // Packets go to and fro, and users act on what they bring, until nobody has anything to send.
  void exchange() {
    for (bool more = true; more;) {
      more = false;
      for (auto p = client_.next_packet(); !p.empty(); p = client_.next_packet()) {
        server_.receive(p, now_);
      }
      while (const auto socket = server_.next_event()) on_server(*socket);
      for (auto p = server_.next_packet(); !p.empty(); p = server_.next_packet()) {
        client_.receive(p, now_);
        more = true;
      }
      while (const auto socket = client_.next_event()) on_client(*socket);
    }
  }
  // Told that something has happened, they do what comes next: as edge-triggered programs do.
  void on_client(SocketId socket) {
    if (!written_) {
      if (client_.write(socket, {&kByte, 1}, now_) != 1U) std::abort();
      written_ = true;
      return;
    }
    std::array<std::byte, 16> bytes;
    const auto n = client_.read(socket, bytes, now_);
    if (!n && n.error() == Err::would_block) return;
    if (n != 1U) std::abort();
    if (!idle_ && !client_.close(socket, now_)) std::abort();
  }
  void on_server(SocketId socket) {
    if (socket == listener_) {
      while (const auto child = server_.accept(listener_)) on_server(*child);
      return;
    }
    std::array<std::byte, 16> bytes;
    const auto n = server_.read(socket, bytes, now_);
    if (!n) return;
    if (*n == 0) {
      if (!server_.close(socket, now_)) std::abort();
      closed_ = true;
    } else if (server_.write(socket, {&kByte, 1}, now_) != 1U) {
      std::abort();
    }
  }

  std::uint32_t addresses_;
  Duration step_;
  Host client_;
  Host server_;
  SocketId listener_{};
  Instant now_{std::chrono::seconds(1)};
  std::uint64_t cycles_ = 0;
  bool written_ = false;  // the client's byte of the connection that goes on
  bool closed_ = false;
  bool idle_ = false;
};

constexpr std::array<std::size_t, 4> kTimeWaits{0, 2'000, 16'000, 1'000'000};
using Rows = std::array<std::vector<double>, kTimeWaits.size()>;  // ns of each round

void print(const char* name, const Rows& rows) {
  fmt::print("  {:<34}", name);
  for (const auto& row : rows) {
    if (row.empty()) {
      fmt::print("{:>14}", "");
    } else {
      fmt::print("{:>14}", fmt::format("{:.0f} ns", median(row)));
    }
  }
  fmt::print("\n");
}
#ifdef LASTACK_BENCH_LWIP
void print_ratio(const char* name, const Rows& theirs, const Rows& ours) {
  fmt::print("  {:<34}", name);
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    if (theirs[i].empty()) {
      fmt::print("{:>14}", "");
    } else {
      fmt::print("{:>14.1f}", median_ratio(theirs[i], ours[i]));
    }
  }
  fmt::print("\n");
}

// The median of short runs, after each of which what it left in TIME_WAIT is taken away.
double lwip_round(LwipEnds& ends, LwipEnds::Ports ports, std::size_t time_waits) {
  const int cycles = time_waits == 0 ? 8 : 32;
  const int runs = time_waits == 0 ? 400 : time_waits > 10'000 ? 8 : 40;
  ends.keep(time_waits);
  while (ends.time_waits() < time_waits) {
    if (!ends.cycle(LwipEnds::Ports::Bound)) std::abort();
  }
  std::vector<double> each;
  for (int run = 0; run < runs; ++run) {
    each.push_back(ns_each(static_cast<std::size_t>(cycles), [&] {
      for (int i = 0; i < cycles; ++i) {
        if (!ends.cycle(ports)) std::abort();
      }
    }));
    ends.keep(time_waits);
  }
  return median(each);
}
#endif

// Both ends in this thread; loopback hands each packet over within the call that sends it.
class KernelEnds {
 public:
  KernelEnds() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = address(0);
    at.sin_addr.s_addr = htonl(INADDR_ANY);
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener_, 128) != 0) {
      std::abort();
    }
    socklen_t length = sizeof at;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &length);
    port_ = ntohs(at.sin_port);
  }
  ~KernelEnds() { ::close(listener_); }

  void cycle() {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // Another address every time: a destination never has half of its ports taken, where connect() is slow.
    sockaddr_in to = address(++cycles_ % 64);
    to.sin_port = htons(port_);
    if (client < 0 || ::connect(client, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail();
    const int server = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    char byte = 'x';
    if (server < 0 || ::send(client, &byte, 1, 0) != 1 || ::recv(server, &byte, 1, 0) != 1 ||
        ::send(server, &byte, 1, 0) != 1 || ::recv(client, &byte, 1, 0) != 1) {
      fail();
    }
    ::close(client);
    if (::recv(server, &byte, 1, 0) != 0) fail();
    ::close(server);
  }

 private:
  static sockaddr_in address(std::uint64_t n) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(0x7f000001 + static_cast<std::uint32_t>(n));
    return a;
  }
  [[noreturn]] static void fail() {
    fmt::print("the kernel's connection failed: {}\n", std::strerror(errno));
    std::abort();
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::uint64_t cycles_ = 0;
};

void pin() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

void speed() {
  constexpr int kRounds = 11;
  constexpr int kCycles = 4'000;
  std::array<std::unique_ptr<OurEnds>, kTimeWaits.size()> ours;
  for (std::size_t i = 0; i < kTimeWaits.size(); ++i) {
    ours[i] = std::make_unique<OurEnds>(kTimeWaits[i]);
  }
  Rows our_ns;
  Rows lwip_ns;
  Rows lwip_bound_ns;
  std::vector<double> kernel_ns;
#ifdef LASTACK_BENCH_LWIP
  LwipEnds lwip;
#endif
  OurEnds without_checksums(0, Checksums::Left);
  std::vector<double> without_checksums_ns;
  const auto entered = enter_private_namespace({});
  std::unique_ptr<KernelEnds> kernel;
  if (entered) kernel = std::make_unique<KernelEnds>();
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kTimeWaits.size(); ++i) {
      our_ns[i].push_back(ns_each(kCycles, [&] {
        for (int n = 0; n < kCycles; ++n) ours[i]->cycle();
      }));
#ifdef LASTACK_BENCH_LWIP
      if (kTimeWaits[i] <= 16'000) {
        lwip_bound_ns[i].push_back(lwip_round(lwip, LwipEnds::Ports::Bound, kTimeWaits[i]));
      }
      if (kTimeWaits[i] <= 2'000) {
        lwip_ns[i].push_back(lwip_round(lwip, LwipEnds::Ports::Chosen, kTimeWaits[i]));
      }
#endif
    }
    without_checksums_ns.push_back(ns_each(kCycles, [&] {
      for (int n = 0; n < kCycles; ++n) without_checksums.cycle();
    }));
    if (kernel) {
      kernel_ns.push_back(ns_each(kCycles, [&] {
        for (int n = 0; n < kCycles; ++n) kernel->cycle();
      }));
    }
  }
  fmt::print(
      "Open, one byte each way, close, the client first; both ends in one thread, pinned. Time is\n"
      "the thread's processor time, medians of {} rounds; ratios are medians of those within a round.\n"
      "  ours    two hosts joined in memory, checksums made and checked, driven by events; SACK,\n"
      "          timestamps and window scale; each record in TIME_WAIT ends after its time, as others come\n"
      "  lwIP    Debian's library, its raw API without its thread, checksums made and checked, packets\n"
      "          copied once as its loopback does; no timestamps; no time passes, and its timers cost nothing\n"
      "  kernel  this one, blocking sockets over loopback, which leaves the checksums of TCP out\n\n",
      kRounds);
  fmt::print("  {:<34}", "in TIME_WAIT");
  for (const std::size_t n : kTimeWaits) fmt::print("{:>14}", n);
  fmt::print("\n");
  print("ours", our_ns);
#ifdef LASTACK_BENCH_LWIP
  print("lwIP, which chooses the port", lwip_ns);
  print("lwIP, the port given", lwip_bound_ns);
  Rows best = lwip_bound_ns;
  for (std::size_t i = 0; i < best.size(); ++i) {
    if (!lwip_ns[i].empty() && median(lwip_ns[i]) < median(best[i])) best[i] = lwip_ns[i];
  }
  print_ratio("the better of lwIP's / ours", best, our_ns);
  fmt::print("  {:<34}{:>56.2f}\n", "lwIP with 0 / ours with 1,000,000",
             median_ratio(best[0], our_ns.back()));
#else
  fmt::print("  lwIP was not there when this was built (liblwip-dev)\n");
#endif
  fmt::print("  {:<34}", "ours / ours with 0");
  for (const auto& row : our_ns) fmt::print("{:>14.2f}", median_ratio(row, our_ns[0]));
  fmt::print("\n");
  if (kernel) {
    fmt::print("  {:<34}{:>14}\n", "the kernel over loopback",
               fmt::format("{:.0f} ns", median(kernel_ns)));
    fmt::print("  {:<34}{:>14.1f}\n", "the kernel's / ours with 0",
               median_ratio(kernel_ns, our_ns[0]));
    fmt::print("  {:<34}{:>14}\n", "ours, checksums left out too",
               fmt::format("{:.0f} ns", median(without_checksums_ns)));
    fmt::print("  {:<34}{:>14.1f}\n", "the kernel's / that",
               median_ratio(kernel_ns, without_checksums_ns));
  } else {
    fmt::print("  the kernel: not measured, {}\n", entered.error().message);
  }
}

double heap_bytes() {
  const auto info = ::mallinfo2();
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

// Everything that the process has allocated, before and after; both ends are ours, so each connection counts
// twice, and each has a socket.
void memory() {
  constexpr std::size_t kConnections = 50'000;
  fmt::print(
      "\nAn established connection, idle for 10 s after a byte each way; {} of them, bytes each\n",
      2 * kConnections);
  OurEnds ends(0);
  ends.cycle();
  const double before = heap_bytes();
  for (std::size_t i = 0; i < kConnections; ++i) ends.open_idle();
  ends.pass(std::chrono::seconds(5));
  ends.pass(std::chrono::seconds(5));
  if (ends.connections() != 2 * kConnections) std::abort();
  fmt::print("  {:<34}{:>14.0f}\n", "allocated, all included",
             (heap_bytes() - before) / (2.0 * kConnections));
}

}  // namespace
}  // namespace lastack::bench

int main() {
  lastack::bench::pin();
  lastack::bench::speed();
  lastack::bench::memory();
}
