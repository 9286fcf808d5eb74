// The running kernel as a world: sockets in the private namespace that the process has entered, and a TUN
// device. What is written to the device has gone through the whole of the kernel's TCP when write() returns,
// answers included; only what a timer does comes later.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "differential/world.h"
#include "kernel/file.h"
#include "kernel/proc_net.h"
#include "kernel/sock_diag.h"
#include "lab/clock.h"
#include "lab/kernel_option.h"
#include "lab/sysctl.h"
#include "lab/tcp_socket.h"
#include "lab/unique_fd.h"
#include "lastack/tun_device.h"
#include "wire/ip_packet.h"

namespace lastack::differential {
namespace {

using tl::unexpected;

Err last_error() {
  return static_cast<Err>(errno);
}
Outcome<void> outcome(int result) {
  if (result != 0) return unexpected(last_error());
  return {};
}

class KernelWorld final : public World {
 public:
  KernelWorld(TunDevice tun, SockDiag diag) : tun_(std::move(tun)), diag_(std::move(diag)) {}

  std::string_view name() const override { return "kernel"; }
  bool set(const std::string& name, const std::string& value) override {
    return write_sysctl({path_of(name), value}).has_value();
  }
  std::optional<std::string> setting(const std::string& name) override {
    const auto value = read_sysctl(path_of(name));
    if (!value) return std::nullopt;
    return *value;
  }

  void receive(std::span<const std::byte> packet, Instant) override {
    if (const auto written = tun_.write(packet); !written) {
      std::fprintf(stderr, "TUN: %s\n", written.error().message.c_str());
    }
  }
  std::vector<Bytes> sent() override {
    std::vector<Bytes> all;
    for (auto packet = tun_.read(); packet && *packet; packet = tun_.read()) {
      // Not neighbour discovery and the like.
      const auto ip = parse_ip((*packet)->bytes);
      if (ip && ip->header.protocol == kProtocolTcp) {
        all.emplace_back((*packet)->bytes.begin(), (*packet)->bytes.end());
      }
    }
    return all;
  }
  void advance(Instant now) override {
    for (Instant here = monotonic_now(); here < now; here = monotonic_now()) {
      std::this_thread::sleep_for(now - here);
    }
  }

  Outcome<Handle> open(bool v6) override {
    const int made = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made >= 0) use_cubic(made);
    return keep(made);
  }
  Outcome<void> bind(Handle socket, const Endpoint& local) override {
    const SocketAddress address = socket_address(local);
    return outcome(::bind(fd(socket), address.get(), address.length));
  }
  Outcome<void> listen(Handle socket, int backlog) override {
    return outcome(::listen(fd(socket), backlog));
  }
  Outcome<void> connect(Handle socket, const Endpoint& remote, Instant) override {
    const SocketAddress address = socket_address(remote);
    return outcome(::connect(fd(socket), address.get(), address.length));
  }
  Outcome<Handle> accept(Handle listener) override {
    return keep(accept4(fd(listener), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }
  Outcome<std::size_t> read(Handle socket, std::size_t most, Instant) override {
    Bytes buffer(most);
    return transferred(recv(fd(socket), buffer.data(), buffer.size(), 0));
  }
  Outcome<std::size_t> write(Handle socket, std::size_t length, Instant) override {
    const Bytes data(length, std::byte{'x'});
    return transferred(send(fd(socket), data.data(), data.size(), MSG_NOSIGNAL));
  }
  Outcome<void> shutdown(Handle socket, ShutdownHow how, Instant) override {
    const int number = how == ShutdownHow::Read    ? SHUT_RD
                       : how == ShutdownHow::Write ? SHUT_WR
                                                   : SHUT_RDWR;
    return outcome(::shutdown(fd(socket), number));
  }
  Outcome<void> close(Handle socket, Instant) override {
    UniqueFd& entry = sockets_[static_cast<std::size_t>(socket)];
    if (!entry) return unexpected(Err::bad_descriptor);
    entry.reset();
    return {};
  }
  Outcome<void> set_option(Handle socket, Option option, int value, Instant) override {
    return outcome(set_kernel_option(fd(socket), option, value));
  }
  Outcome<int> option(Handle socket, Option option) override {
    int value = 0;
    if (get_kernel_option(fd(socket), option, value) != 0) return unexpected(last_error());
    return value;
  }
  Outcome<Err> take_error(Handle socket) override {
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(fd(socket), SOL_SOCKET, SO_ERROR, &value, &length) != 0) {
      return unexpected(last_error());
    }
    return static_cast<Err>(value);
  }
  Outcome<Endpoint> local(Handle socket) override {
    if (fd(socket) < 0) return unexpected(Err::bad_descriptor);
    return local_endpoint(fd(socket));
  }
  Outcome<Endpoint> remote(Handle socket) override {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (getpeername(fd(socket), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      return unexpected(last_error());
    }
    return Endpoint{};
  }
  Readiness readiness(Handle socket) override { return kernel_readiness(fd(socket)); }

  std::vector<SocketRecord> rows(Instant) override {
    std::vector<SocketRecord> all;
    DiagRequest request;
    request.states = diag_states::kConnected | diag_states::kListen;
    const auto done = diag_.dump(request, [&](const DiagRow& row) {
      if (!row.bound_inactive) all.push_back(row.socket);
      return true;
    });
    if (!done) std::fprintf(stderr, "sock_diag: %s\n", done.error().message.c_str());
    return all;
  }
  Counters counters() override {
    Counters counters;
    SocketTotals totals;
    std::vector<NotRead> not_read;
    if (!read_counters("/proc/thread-self/net", counters, totals, not_read)) {
      std::fprintf(stderr, "no counters\n");
    }
    return counters;
  }
  std::uint64_t small_records(Instant) override {
    SocketTotals totals;
    const auto text = read_file("/proc/thread-self/net/sockstat", 65536);
    if (!text || !parse_sockstat(*text, totals)) std::fprintf(stderr, "no sockstat\n");
    return totals.tw;
  }

 private:
  static std::string path_of(const std::string& name) {
    const bool of_all = name == "rmem_max" || name == "wmem_max";
    std::string path = (of_all ? "net.core." : "net.ipv4.") + name;
    if (const SettingInfo* info = find_setting(name)) path = info->path;
    for (char& c : path) {
      if (c == '/') c = '.';
    }
    return path;
  }
  int fd(Handle socket) const { return sockets_[static_cast<std::size_t>(socket)].get(); }
  Outcome<Handle> keep(int fd) {
    if (fd < 0) return unexpected(last_error());
    sockets_.emplace_back(fd);
    return static_cast<Handle>(sockets_.size() - 1);
  }
  static Outcome<std::size_t> transferred(ssize_t n) {
    if (n < 0) return unexpected(last_error());
    return static_cast<std::size_t>(n);
  }

  TunDevice tun_;
  SockDiag diag_;
  std::vector<UniqueFd> sockets_;
};

}  // namespace

Result<std::unique_ptr<World>> make_kernel_world() {
  auto tun = TunDevice::open("tun0", {.create = true, .offloads = false});
  if (!tun) return unexpected(tun.error());
  // No router solicitations nor addresses by itself.
  (void)write_sysctl({"net.ipv6.conf.tun0.router_solicitations", "0"});
  (void)write_sysctl({"net.ipv6.conf.tun0.addr_gen_mode", "1"});
  if (auto given = tun->configure({{kHere, 24}}); !given) return unexpected(given.error());
  (void)tun->configure({{kHereV6, 64}});  // IPv6 may be switched off
  auto diag = SockDiag::open();
  if (!diag) return unexpected(diag.error());
  return std::make_unique<KernelWorld>(*std::move(tun), *std::move(diag));
}

}  // namespace lastack::differential
