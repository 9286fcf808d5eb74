// A host of a scenario that is the running kernel: a network namespace whose only way out is a TUN device held here.
// A socket belongs to the namespace in which it was made, and may be used from anywhere; so one thread does it all.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>

#include "kernel/file.h"
#include "kernel/proc_net.h"
#include "kernel/settings_read.h"
#include "kernel/sock_diag.h"
#include "kernel/text.h"
#include "lab/epoll_watch.h"
#include "lab/kernel_option.h"
#include "lab/scenario/lab_host.h"
#include "lab/scenario/look_apart.h"
#include "lab/sysctl.h"
#include "lab/tcp_socket.h"
#include "lab/unique_fd.h"
#include "lastack/kernel.h"
#include "lastack/tun_device.h"
#include "net/rtnetlink.h"
#include "wire/ip_packet.h"

namespace lastack::lab {
namespace {

using tl::unexpected;

constexpr std::uint64_t kDevice = UINT64_MAX;
const std::string kCongestionControl = "tcp_congestion_control";

Err last_error() {
  return static_cast<Err>(errno);
}
Outcome<void> outcome(int result) {
  if (result != 0) return unexpected(last_error());
  return {};
}
Outcome<std::size_t> transferred(ssize_t n) {
  if (n < 0) return unexpected(last_error());
  return static_cast<std::size_t>(n);
}

std::string path_of(const std::string& name) {
  std::string path = (name == "rmem_max" || name == "wmem_max" ? "net.core." : "net.ipv4.") + name;
  if (const SettingInfo* info = find_setting(name)) path = info->path;
  std::replace(path.begin(), path.end(), '/', '.');
  return path;
}

// Of the namespace that the thread is in, which has not all that the machine has.
Result<void> set_here(const std::string& name, const std::string& value) {
  const auto set = write_sysctl({path_of(name), value});
  if (set) return set;
  Error error = set.error();
  if (error.number == ENOENT) {
    error.message +=
        ": a host of its own (a network namespace) has none; it is the whole machine's, or this "
        "kernel does not know it";
  } else if (error.number == EACCES || error.number == EPERM) {
    error.message +=
        ": a host of its own (a network namespace) can only read it; it is the whole machine's";
  } else {
    return unexpected(error);
  }
  error.message += ". An endpoint has one for each host: kind = \"endpoint\", or --on endpoint";
  return unexpected(error);
}

Result<void> set_mtu(std::string_view device, std::uint16_t mtu) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  device.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_mtu = mtu;
  if (!socket || ioctl(socket.get(), SIOCSIFMTU, &request) != 0)
    return unexpected(system_error(errno, "cannot give a device an MTU"));
  return {};
}

// The limit of descriptors that leaves the process room for `more`. One above it, which another has left open, takes none
// of that room.
std::optional<rlim_t> limit_for(rlim_t more) {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc/self/fd"), ::closedir);
  if (!all) return std::nullopt;
  std::vector<rlim_t> open;
  while (const dirent* one = ::readdir(all.get())) {
    const auto number = parse_number<int>(one->d_name);
    if (number && *number != ::dirfd(all.get())) open.push_back(static_cast<rlim_t>(*number));
  }
  std::sort(open.begin(), open.end());
  rlim_t limit = more;
  for (const rlim_t number : open) limit += number < limit ? 1 : 0;
  return limit;
}

class Namespaced final : public KernelHost, private PacketNode {
 public:
  Namespaced(const HostSpec& spec, VirtualNetwork& network, HostObserver* observer, UniqueFd space,
             TunDevice tun, SockDiag diag, UniqueFd epoll, LookApart doctor)
      : KernelHost(spec),
        net_(network),
        observer_(observer),
        space_(std::move(space)),
        tun_(std::move(tun)),
        diag_(std::move(diag)),
        epoll_(std::move(epoll)),
        doctor_(std::move(doctor)),
        cubic_(!spec.settings.contains(kCongestionControl) &&
               read_sysctl(path_of(kCongestionControl)).value_or("") != "cubic") {
    current_ = this;  // it has just been made here
    net_.attach(*this);
    (void)epoll_watch(epoll_.get(), EPOLL_CTL_ADD, tun_.descriptor(), EPOLLIN, kDevice);
  }
  ~Namespaced() override {
    if (current_ == this) current_ = nullptr;
    if (limit_before_) (void)setrlimit(RLIMIT_NOFILE, &*limit_before_);
  }

  NodeId id() const override { return net_.id(static_cast<const PacketNode&>(*this)); }
  int descriptor() const override { return epoll_.get(); }
  void limit_process() override {
    if (spec_.options.most_sockets >= HostOptions{}.most_sockets) return;
    const auto wanted = limit_for(spec_.options.most_sockets);
    rlimit limit{};
    if (!wanted || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlimit before = limit;
    limit.rlim_cur = std::min(*wanted, before.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) limit_before_ = before;
  }
  Result<ProgramProcess> start(const CommandLine& command) override {
    if (!enter()) return unexpected(system_error(errno, "cannot enter a namespace"));
    // The limit that it is given; else it has the one that this process was given.
    std::optional<UnlimitedDescriptors> room;
    if (command.descriptors) room.emplace();
    return ProgramProcess::start(command);
  }
  bool listens(Port port) override {
    const UnlimitedDescriptors room;
    DiagRequest request;
    request.states = diag_states::kListen;
    bool any = false;
    (void)diag_.dump(request, [&](const DiagRow& row) {
      any = any || row.socket.tuple.local.port == port;
      return true;  // a dump that is given up is followed by one of the namespace that the thread is in
    });
    return any;
  }
  void wake() override {
    std::array<epoll_event, 256> room;
    for (;;) {
      const auto events = epoll_collect(epoll_.get(), room, Duration::zero());
      for (const epoll_event& event : events) {
        if (event.data.u64 == kDevice) {
          touch();
          continue;
        }
        const auto slot = static_cast<std::size_t>(event.data.u64);
        if (slot < users_.size() && users_[slot] != nullptr) users_[slot]->ready();
      }
      // The device stays ready until the network has taken its packets.
      if (events.size() < room.size()) return;
    }
  }

  // --- PacketNode
  void receive(std::span<const std::byte> packet, Instant) override { (void)tun_.write(packet); }
  std::span<const std::byte> next_packet() override {
    for (auto packet = tun_.read(); packet && *packet; packet = tun_.read()) {
      const auto ip = parse_ip((*packet)->bytes);  // not neighbour discovery and the like
      if (ip && (ip->header.protocol == kProtocolTcp || ip->header.protocol == 1 ||
                 ip->header.protocol == 58)) {
        return (*packet)->bytes;
      }
    }
    return {};
  }
  Instant next_deadline() const override { return Instant::max(); }
  void advance(Instant) override {}
  bool has_address(const IpAddress& address) const override {
    return std::find(spec_.addresses.begin(), spec_.addresses.end(), address) !=
           spec_.addresses.end();
  }

  // --- Calls
  Outcome<Sock> open(bool v6, SocketUser& user) override {
    if (!enter()) return unexpected(last_error());
    const DescriptorLimit limit(*this);
    const int made =
        ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made >= 0 && cubic_) use_cubic(made);
    return keep(made, user);
  }
  Outcome<void> bind(Sock socket, const Endpoint& local) override {
    const SocketAddress address = socket_address(local);
    return outcome(::bind(fd(socket), address.get(), address.length));
  }
  Outcome<void> listen(Sock socket, int backlog) override {
    const auto listens = outcome(::listen(fd(socket), backlog));
    if (listens) tell(socket, SeenCall::Listen);
    rewatch(socket);
    return listens;
  }
  Outcome<void> connect(Sock socket, const Endpoint& remote) override {
    const SocketAddress address = socket_address(remote);
    const auto begun = outcome(::connect(fd(socket), address.get(), address.length));
    if (!begun && begun.error() == Err::address_not_available) {
      // With a port of its own choice it is that port which is taken, and not all of them.
      if (local_endpoint(fd(socket)).port == 0) ++ports_exhausted_;
    }
    const auto slot = static_cast<std::size_t>(socket);
    if (slot < tuples_.size()) tuples_[slot].remote = remote;
    tell(socket, SeenCall::Connect);
    // An epoll that was asked about a socket before connect() has told that it hangs up, and tells no more.
    rewatch(socket);
    return seen(begun, remote);
  }
  Outcome<Sock> accept(Sock listener, SocketUser& user) override {
    const DescriptorLimit limit(*this);
    const auto socket =
        keep(accept4(fd(listener), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK), user);
    if (socket) tell(*socket, SeenCall::Accept);
    return socket;
  }
  Outcome<std::size_t> read(Sock socket, std::span<std::byte> out) override {
    const auto n = transferred(::recv(fd(socket), out.data(), out.size(), 0));
    if (n && *n > 0) tell(socket, SeenCall::Read);  // as an endpoint has it
    return n;
  }
  Outcome<std::size_t> write(Sock socket, std::span<const std::byte> data) override {
    const auto n = transferred(::send(fd(socket), data.data(), data.size(), MSG_NOSIGNAL));
    // As an endpoint has it: not one that came to nothing, but for want of room.
    const bool full = !n && n.error() == Err::would_block && state(socket) != TCP_SYN_SENT;
    if ((n && *n > 0) || full) tell(socket, SeenCall::Write);
    return n;
  }
  Outcome<void> shutdown(Sock socket, ShutdownHow how) override {
    const int number = how == ShutdownHow::Read    ? SHUT_RD
                       : how == ShutdownHow::Write ? SHUT_WR
                                                   : SHUT_RDWR;
    const auto shut = outcome(::shutdown(fd(socket), number));
    // A listener has nothing to write.
    if (shut && (how != ShutdownHow::Write || state(socket) != TCP_LISTEN))
      tell(socket, SeenCall::Shutdown);
    return shut;
  }
  Outcome<void> close(Sock socket) override { return end(socket, SeenCall::Close); }
  Outcome<void> end(Sock socket, SeenCall call) {
    const auto slot = static_cast<std::size_t>(socket);
    if (slot >= sockets_.size() || !sockets_[slot]) return unexpected(Err::bad_descriptor);
    tell(socket, call);
    users_[slot] = nullptr;
    const int closed = ::close(sockets_[slot].release());
    --open_;
    return outcome(closed);
  }
  Outcome<void> abort(Sock socket) override {
    (void)set_option(socket, Option::linger, 0);
    return end(socket, SeenCall::Abort);
  }
  Outcome<void> set_option(Sock socket, Option option, int value) override {
    return outcome(set_kernel_option(fd(socket), option, value));
  }
  Outcome<Err> take_error(Sock socket) override {
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(fd(socket), SOL_SOCKET, SO_ERROR, &value, &length) != 0)
      return unexpected(last_error());
    return static_cast<Err>(value);
  }
  Outcome<Endpoint> local(Sock socket) override { return local_endpoint(fd(socket)); }
  Readiness readiness(Sock socket) override { return kernel_readiness(fd(socket)); }

  Result<void> set(const std::string& name, const std::string& value) override {
    if (!enter()) return unexpected(system_error(errno, "cannot enter a namespace"));
    const UnlimitedDescriptors room;
    if (name == kCongestionControl) cubic_ = false;
    return set_here(name, value);
  }
  Settings settings() override {
    Settings all;
    std::vector<NotRead> not_read;
    const UnlimitedDescriptors room;
    if (enter()) read_settings(all, not_read);
    return all;
  }
  HostCounts counts() override {
    const UnlimitedDescriptors room;
    HostCounts all;
    DiagRequest request;
    request.states = diag_states::kConnected | diag_states::kListen;
    (void)diag_.dump(request, [&](const DiagRow& row) {
      if (!row.bound_inactive) all.add(row.socket);
      return true;
    });
    if (enter()) {
      SocketTotals totals;
      std::vector<NotRead> not_read;
      (void)read_counters("/proc/thread-self/net", all.counters, totals, not_read);
    }
    all.ports_exhausted = ports_exhausted_;
    all.descriptors = open_;
    return all;
  }
  std::uint64_t time_waits() override {
    SocketTotals totals;
    if (!enter()) return 0;
    const UnlimitedDescriptors room;
    const auto text = read_file("/proc/thread-self/net/sockstat", 65536);
    if (text) (void)parse_sockstat(*text, totals);
    return totals.tw;
  }
  std::uint64_t descriptors() override { return open_; }
  std::optional<std::uint64_t> memory() override {
    const UnlimitedDescriptors room;
    const auto text = read_file("/proc/meminfo", 65536);
    constexpr std::string_view kName = "\nSUnreclaim:";
    const std::size_t at = text ? text->find(kName) : std::string::npos;
    if (at == std::string::npos) return std::nullopt;
    std::uint64_t kilobytes = 0;
    const std::size_t digit = text->find_first_not_of(' ', at + kName.size());
    if (digit == std::string::npos ||
        std::from_chars(text->data() + digit, text->data() + text->size(), kilobytes).ec !=
            std::errc{}) {
      return std::nullopt;
    }
    return kilobytes << 10;
  }
  Result<HostSnapshot> snapshot() override {
    if (!enter()) return unexpected(system_error(errno, "cannot enter a namespace"));
    return doctor_.look({});
  }

 private:
  // A process has one limit for all its descriptors. While this host asks for one, it is such that the kernel refuses
  // what would be beyond this host's.
  class DescriptorLimit {
   public:
    explicit DescriptorLimit(const Namespaced& host) {
      if (host.limit_before_) return;  // the process's own limit does it
      if (host.spec_.options.most_sockets >= HostOptions{}.most_sockets) return;
      const UniqueFd probe(
          ::dup(0));  // the lowest that is free, which is what the kernel would take
      if (!probe || getrlimit(RLIMIT_NOFILE, &before_) != 0) return;
      rlimit during = before_;
      const bool full = host.open_ >= host.spec_.options.most_sockets;
      during.rlim_cur = full ? static_cast<rlim_t>(probe.get()) : before_.rlim_cur;
      limited_ = full && setrlimit(RLIMIT_NOFILE, &during) == 0;
    }
    ~DescriptorLimit() {
      if (!limited_) return;
      const int number = errno;
      (void)setrlimit(RLIMIT_NOFILE, &before_);
      errno = number;
    }
    DescriptorLimit(const DescriptorLimit&) = delete;

   private:
    rlimit before_{};
    bool limited_ = false;
  };

  // The thread is in this host's namespace.
  bool enter() {
    if (current_ == this) return true;
    if (setns(space_.get(), CLONE_NEWNET) != 0) return false;
    current_ = this;
    return true;
  }
  int fd(Sock socket) const {
    const auto slot = static_cast<std::size_t>(socket);
    return slot < sockets_.size() ? sockets_[slot].get() : -1;
  }
  Outcome<Sock> keep(int made, SocketUser& user) {
    if (made < 0) return unexpected(last_error());
    const auto slot = static_cast<std::size_t>(made);
    if (slot >= sockets_.size()) {
      sockets_.resize(slot + 1);
      users_.resize(slot + 1, nullptr);
      tuples_.resize(slot + 1);
    }
    sockets_[slot] = UniqueFd(made);
    users_[slot] = &user;
    tuples_[slot] = {};
    ++open_;
    (void)epoll_watch(epoll_.get(), EPOLL_CTL_ADD, made, kEvents, slot);
    return static_cast<Sock>(slot);
  }
  void rewatch(Sock socket) {
    (void)epoll_watch(epoll_.get(), EPOLL_CTL_MOD, fd(socket), kEvents,
                      static_cast<std::uint64_t>(socket));
  }
  // As the kernel numbers states; 0: not known.
  int state(Sock socket) const {
    tcp_info info{};
    socklen_t length = sizeof info;
    if (getsockopt(fd(socket), IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
    return info.tcpi_state;
  }
  // What the lifecycle log is told, as an endpoint has it: the kernel does not say it by itself.
  void tell(Sock socket, SeenCall call) {
    const auto slot = static_cast<std::size_t>(socket);
    if (observer_ == nullptr || slot >= sockets_.size()) return;
    // The remote end is not to be had any more once a connection is over.
    FourTuple& tuple = tuples_[slot];
    if (tuple.local.port == 0) tuple.local = local_endpoint(fd(socket));
    sockaddr_storage remote{};
    socklen_t length = sizeof remote;
    if (tuple.remote.port == 0 &&
        getpeername(fd(socket), reinterpret_cast<sockaddr*>(&remote), &length) == 0) {
      tuple.remote = endpoint_of(remote);
    }
    // One that came to nothing at once is an app:refused. What a host says to itself may have been answered already.
    if (call == SeenCall::Connect && state(socket) == TCP_CLOSE &&
        !has_address(tuple.remote.address) && !tuple.remote.address.is_loopback()) {
      return;
    }
    observer_->called(net_.now(), tuple, call);
  }

  static constexpr std::uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
  static Namespaced* current_;

  VirtualNetwork& net_;
  HostObserver* observer_;
  UniqueFd space_;
  TunDevice tun_;
  SockDiag diag_;
  UniqueFd epoll_;
  LookApart doctor_;
  bool cubic_;                          // sockets have to be told of it
  std::optional<rlimit> limit_before_;  // of the process, where this host has set another
  std::vector<UniqueFd> sockets_;       // by descriptor
  std::vector<SocketUser*> users_;
  std::vector<FourTuple> tuples_;
  std::uint64_t open_ = 0;
  std::uint64_t ports_exhausted_ = 0;
};

Namespaced* Namespaced::current_ = nullptr;

}  // namespace

Result<std::unique_ptr<KernelHost>> KernelHost::make(const HostSpec& spec, VirtualNetwork& network,
                                                     HostObserver* observer) {
  if (::unshare(CLONE_NEWNET) != 0) {
    return unexpected(
        system_error(errno, fmt::format("cannot make a network namespace for host {}", spec.name)));
  }
  UniqueFd space(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!space) return unexpected(system_error(errno, "cannot open a network namespace"));
  auto tun = TunDevice::open("wire", {.create = true, .offloads = false});
  if (!tun) return unexpected(tun.error());
  if (auto set = set_mtu("wire", spec.options.mtu); !set) return unexpected(set.error());
  auto links = Rtnetlink::open();
  if (!links) return unexpected(links.error());
  if (auto up = links->set_link_up("lo"); !up) return unexpected(up.error());
  // No router solicitations nor addresses by itself.
  (void)write_sysctl({"net.ipv6.conf.wire.router_solicitations", "0"});
  (void)write_sysctl({"net.ipv6.conf.wire.addr_gen_mode", "1"});
  std::vector<TunAddress> addresses;
  for (const IpAddress& address : spec.addresses)
    addresses.push_back({address, Rtnetlink::full_prefix(address)});
  if (auto given = tun->configure(addresses); !given) return unexpected(given.error());
  if (auto all = links->add_route(IpAddress::v4(0), 0, "wire"); !all)
    return unexpected(all.error());
  const bool v6 = std::any_of(spec.addresses.begin(), spec.addresses.end(),
                              [](const auto& a) { return !a.is_v4(); });
  if (v6) {
    if (auto all = links->add_route(IpAddress::v6({}), 0, "wire"); !all)
      return unexpected(all.error());
  }
  // As the endpoint, whatever this machine has. A machine may not let namespaces choose it
  // (tcp_allowed_congestion_control): then it is each socket that does.
  (void)write_sysctl({path_of(kCongestionControl), "cubic"});
  // A namespace inherits those of the machine, which has them by its memory, and with them how windows are scaled.
  (void)write_sysctl({"net.ipv4.tcp_rmem", "4096 131072 6291456"});
  (void)write_sysctl({"net.ipv4.tcp_wmem", "4096 16384 4194304"});
  for (const auto& [name, value] : spec.settings) {
    if (auto set = set_here(name, value); !set) return unexpected(set.error());
  }
  auto diag = SockDiag::open();
  if (!diag) return unexpected(diag.error());
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return unexpected(system_error(errno, "cannot make an epoll"));
  auto doctor = LookApart::open();
  if (!doctor) return unexpected(doctor.error());
  return std::make_unique<Namespaced>(spec, network, observer, std::move(space), *std::move(tun),
                                      *std::move(diag), std::move(epoll), *std::move(doctor));
}

}  // namespace lastack::lab
