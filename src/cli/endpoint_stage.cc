#include "cli/endpoint_stage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "cli/exit_codes.h"
#include "cli/output.h"
#include "cli/stage_addresses.h"
#include "lastack/bundle.h"
#include "model/shell_word.h"
#include "services/http_message.h"

namespace lastack {
namespace {

constexpr const char* kOurs[] = {"10.77.0.2", "fd77::2"};
constexpr const char* kPeers[] = {"10.77.0.1/24", "fd77::1/64"};

StageError usage(std::string message) {
  return {std::move(message), exit_code::kUsage};
}

// How to make the device by hand, so that this user may use it, and how to undo it.
std::string recipe(const StageOptions& options, const std::vector<std::string>& peers) {
  const std::string inside =
      options.netns.empty() ? "" : fmt::format("ip netns exec {} ", shell_word(options.netns));
  const std::string name = shell_word(options.tun);
  const char* user = std::getenv("USER");
  std::string text = "To make it, as root:\n";
  text += fmt::format("  {}ip tuntap add dev {} mode tun user {}\n", inside, name,
                      shell_word(user == nullptr || *user == '\0' ? "root" : user));
  for (const std::string& peer : peers) {
    text += fmt::format("  {}ip address add {} dev {}\n", inside, peer, name);
  }
  text += fmt::format("  {0}ip link set dev {1} up\nTo undo it:\n  {0}ip link delete dev {1}\n",
                      inside, name);
  text +=
      options.create
          ? "Then without --create. Or run this program as root, or with CAP_NET_ADMIN.\n"
          : "Or let this program do it, as root: --create; then the device goes when the program does.\n";
  return text;
}

// The calling thread's namespace for as long as this lives, then back.
class Inside {
 public:
  static Staged<std::optional<Inside>> enter(const std::string& netns) {
    if (netns.empty()) return std::nullopt;
    const std::string path = netns.find('/') == std::string::npos ? "/run/netns/" + netns : netns;
    UniqueFd there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    UniqueFd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!there || !home || ::setns(there.get(), CLONE_NEWNET) != 0) {
      const int number = errno;
      return tl::unexpected(StageError{
          system_error(number, "cannot enter the network namespace " + path).message,
          number == EPERM || number == EACCES ? exit_code::kNotPermitted : exit_code::kNoInput});
    }
    return Inside(std::move(home));
  }
  Inside(Inside&&) = default;
  ~Inside() {
    if (home_) (void)::setns(home_.get(), CLONE_NEWNET);
  }

 private:
  explicit Inside(UniqueFd home) : home_(std::move(home)) {}
  UniqueFd home_;
};

bool is_up(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), std::min(name.size(), sizeof request.ifr_name - 1));
  // Unknown: do not speak of it.
  return !socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0 ||
         (request.ifr_flags & IFF_UP) != 0;
}

}  // namespace

int report(const std::string& command, const StageError& error) {
  complain(command, error.message);
  (void)std::fwrite(error.advice.data(), 1, error.advice.size(), stderr);
  return error.code;
}

Staged<std::unique_ptr<Stage>> Stage::set(const std::string& command, const StageOptions& options) {
  std::unique_ptr<Stage> stage(new Stage(command));
  // Before anything is made: from here on a signal is a message, and everything is put away in order.
  if (auto taken = stage->take_signals(); !taken) return tl::unexpected(std::move(taken.error()));
  if (auto attached = stage->attach(options); !attached) {
    return tl::unexpected(std::move(attached.error()));
  }
  return stage;
}

Staged<void> Stage::attach(const StageOptions& options) {
  std::vector<std::string> ours = options.addresses;
  peers_ = options.peers;
  if (ours.empty() && peers_.empty()) {
    ours.assign(std::begin(kOurs), std::end(kOurs));
    peers_.assign(std::begin(kPeers), std::end(kPeers));
  } else if (ours.empty()) {
    return tl::unexpected(usage("with --peer the endpoint needs an --address in the same network"));
  } else if (peers_.empty() && options.create) {
    return tl::unexpected(usage("with --address, --create needs --peer, the kernel's side"));
  }
  auto sides = parse_sides(ours, peers_);
  if (!sides) return tl::unexpected(usage(sides.error().message));
  addresses_ = sides->ours;
  const std::vector<TunAddress>& peers = sides->peers;
  for (const IpAddress& address : sides->unreached()) {
    complain(command_, "--address " + address.to_string() +
                           " is in no network of --peer: this machine reaches it once there is a "
                           "route, ip route add " +
                           address.to_string() + " dev " + shell_word(options.tun));
  }
  if (!options.snapshot.empty()) {
    if (const auto fine = check_bundle_path(options.snapshot); !fine) {
      return tl::unexpected(StageError{
          "--snapshot " + options.snapshot + ": " + fine.error().message, exit_code::kCannotWrite});
    }
  }

  auto inside = Inside::enter(options.netns);
  if (!inside) return tl::unexpected(std::move(inside.error()));
  created_ = options.create && if_nametoindex(options.tun.c_str()) == 0;
  if (options.create && !created_) {
    return tl::unexpected(usage("--create: there is a device named " + options.tun +
                                " already; use it without --create, or name another with --tun"));
  }
  auto tun = TunDevice::open(options.tun, {.create = options.create,
                                           .offloads = !options.no_offloads && options.loss <= 0});
  if (!tun) {
    const int number = tun.error().number;
    const bool permission = number == EPERM || number == EACCES;
    std::string message = std::move(tun.error().message);
    return tl::unexpected(
        StageError{std::move(message), permission ? exit_code::kNotPermitted : exit_code::kNoInput,
                   number == ENODEV || number == EPERM ? recipe(options, peers_) : ""});
  }
  tun_ = std::move(*tun);
  if (created_) {
    if (const auto configured = tun_->configure(peers); !configured) {
      const int number = configured.error().number;
      return tl::unexpected(StageError{configured.error().message, number == EPERM
                                                                       ? exit_code::kNotPermitted
                                                                       : exit_code::kNoInput});
    }
  } else if (!is_up(tun_->name())) {
    complain(command_, "the device " + tun_->name() +
                           " is down, and until it is up nothing arrives: ip link set dev " +
                           shell_word(tun_->name()) + " up");
  }
  inside->reset();  // back home

  HostOptions wanted;
  wanted.name = "endpoint-" + tun_->name();
  wanted.profile = options.profile == "rfc793"    ? Profile::Rfc793
                   : options.profile == "rfc9293" ? Profile::Rfc9293
                                                  : Profile::Linux;
  std::uint64_t seed = 0;
  if (options.seed) {
    seed = *options.seed;
  } else if (::getentropy(&seed, sizeof seed) != 0) {
    return tl::unexpected(StageError{"the system has no random numbers", exit_code::kInternal});
  }
  wanted.seed = seed;
  wanted.most_sockets = options.sockets;
  auto observer = start_log(options, seed);
  if (!observer) return tl::unexpected(std::move(observer.error()));
  wanted.observer = *observer;
  wanted = tun_->fitting(std::move(wanted));
  if (const auto fine = check(wanted, addresses_); !fine) {
    return tl::unexpected(usage(tun_->name() + ": " + fine.error().message));
  }
  host_.emplace(std::move(wanted));
  for (const IpAddress& address : addresses_) host_->add_address(address);
  for (const std::string& text : options.settings) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (equals == std::string::npos || name.empty()) {
      return tl::unexpected(usage("--set " + text + ": NAME=VALUE, such as tcp_tw_reuse=1"));
    }
    if (const auto set = host_->set(name, text.substr(equals + 1)); !set) {
      return tl::unexpected(usage("--set " + text + ": " + set.error().message));
    }
  }
  snapshot_ = options.snapshot;
  sample_ = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.sample));
  if (sample_ > Duration{}) {
    latest_ = look();
    every(sample_, [this] { before_ = std::exchange(latest_, look()); });
  }
  if (options.loss > 0) {
    loss_limit_ = static_cast<std::uint64_t>(std::llround(options.loss / 100 * 4294967296.0));
    chance_.emplace(seed ^ 0x6c6f7373);
  }
  auto attached = loop_.attach(
      *host_, *tun_, [this](SocketId socket) { events_.on_event(socket, EventLoop::now()); });
  if (!attached) return tl::unexpected(StageError{attached.error().message, exit_code::kInternal});
  loop_.set_filter(*host_, [this](EventLoop::PacketWay way, std::span<const std::byte> packet) {
    return !lost(way, packet);
  });
  return {};
}

// Nobody, where no log is wanted.
Staged<HostObserver*> Stage::start_log(const StageOptions& options, std::uint64_t seed) {
  if (options.log.empty()) return nullptr;
  if (const auto opened = log_file_.open(options.log); !opened) {
    return tl::unexpected(StageError{"--log: " + opened.error().message, exit_code::kCannotWrite});
  }
  LifecycleHeader header{.tool_version = LASTACK_VERSION,
                         .world = World::Endpoint,
                         .vantage = "endpoint-" + tun_->name(),
                         .seed = seed,
                         .profile = options.profile,
                         .zero_at = {},
                         .settings = {},
                         .coverage = {}};
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  header.zero_at = std::int64_t{wall.tv_sec} * 1'000'000'000 + wall.tv_nsec -
                   EventLoop::now().time_since_epoch().count();
  for (const std::string& text : options.settings) {
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos)
      header.settings[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const char* category : {"segment", "state", "timer", "app", "icmp", "path", "timewait"}) {
    header.coverage[category] = Coverage::Complete;
  }
  for (const char* category : {"port", "fd", "nat", "lab"}) {
    header.coverage[category] = Coverage::Absent;
  }
  log_.emplace(std::move(header), [this](std::string_view lines) { log_file_.add(lines); });
  every(1s, [this] { log_file_.flush(); });
  return log_->observe("endpoint-" + tun_->name());
}

bool Stage::lost(EventLoop::PacketWay way, std::span<const std::byte> packet) {
  if (chance_ && (chance_->next() >> 32) < loss_limit_) return true;
  return filter_ && !filter_(way, packet);
}

Staged<void> Stage::take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, &signals_before_) == 0) {
    signals_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  }
  if (!signals_) {
    return tl::unexpected(
        StageError{system_error(errno, "cannot listen to signals").message, exit_code::kInternal});
  }
  auto watched = loop_.watch(signals_.get(), {.readable = true}, [this](EventLoop::Ready) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      const int number = static_cast<int>(info.ssi_signo);
      if (number == SIGUSR1) {
        if (snapshot_.empty()) {
          complain(command_, "SIGUSR1 writes a bundle where --snapshot FILE was given");
        } else if (write_snapshot()) {
          complain(command_, "wrote " + snapshot_);
        }
        continue;
      }
      const bool again = signal_ != 0;
      signal_ = number;
      if (interrupted_ && !again) {
        interrupted_();
      } else {
        loop_.stop();
      }
    }
  });
  if (!watched) return tl::unexpected(StageError{watched.error().message, exit_code::kInternal});
  return {};
}

void Stage::release_signals() {
  (void)::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
}

void Stage::every(Duration period, std::function<void()> what) {
  // Each time sets the next one; what is late is not made up for.
  const auto again = std::make_shared<std::function<void()>>();
  *again = [this, period, what = std::move(what), weak = std::weak_ptr(again)] {
    what();
    if (const auto self = weak.lock()) loop_.call_after(period, [self] { (*self)(); });
  };
  loop_.call_after(period, [again] { (*again)(); });
}

Staged<int> Stage::run() {
  const auto ended = loop_.run();
  if (!ended) return tl::unexpected(StageError{ended.error().message, exit_code::kNoInput});
  return signal_;
}

// The host's one process is this program.
HostSnapshot Stage::look() const {
  HostSnapshot now = host_->snapshot(EventLoop::now());
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  now.wall_time_ns = std::int64_t{wall.tv_sec} * 1'000'000'000 + wall.tv_nsec;
  for (Process& process : now.processes) {
    process.pid = ::getpid();
    process.parent = ::getppid();
    process.uid = ::getuid();
    process.command = "lastack";
    process.arguments = command_;
  }
  return now;
}

bool Stage::write_files() {
  const bool logged = flush_log();
  return write_snapshot() && logged;
}

bool Stage::write_snapshot() {
  if (snapshot_.empty()) return true;
  Observation observation{.earlier = {}, .now = look()};
  const auto old_enough = [&](const std::optional<HostSnapshot>& then) {
    return then && observation.now.namespaces[0].at - then->namespaces[0].at >= sample_ / 2;
  };
  if (old_enough(latest_)) {
    observation.earlier = latest_;
  } else if (old_enough(before_)) {
    observation.earlier = before_;
  }
  const auto written = write_bundle(observation, snapshot_);
  if (!written) complain(command_, written.error().message);
  return written.has_value();
}

std::string Stage::description() const {
  std::vector<std::string> ours;
  for (const IpAddress& address : addresses_) ours.push_back(address.to_string());
  return fmt::format("{}{} · kernel {} · endpoint {}\n", tun_->name(),
                     created_ ? " (made here, goes with this program)" : "",
                     created_ ? fmt::format("{}", fmt::join(peers_, ", ")) : "as it is",
                     fmt::join(ours, ", "));
}

std::string Stage::reach_hint(const Endpoint& to, Err error) const {
  switch (error) {
    case Err::connection_refused:
      return to.to_string() + " refuses: is a server listening on that address and port?";
    case Err::none:
    case Err::timed_out:
    case Err::host_unreachable:
    case Err::network_unreachable:
      return fmt::format(
          "{} was not reached: the endpoint reaches what this machine routes from {} to there and back. See `ip address "
          "show dev {}`; beyond this machine it has to forward (sysctl net.ipv4.ip_forward), and a firewall may be in the "
          "way",
          to.to_string(), tun_->name(), shell_word(tun_->name()));
    default:
      return "";
  }
}

bool Stage::has_address(bool v4) const {
  return std::any_of(addresses_.begin(), addresses_.end(),
                     [&](const IpAddress& address) { return address.is_v4() == v4; });
}

Result<Endpoint> resolve(const std::string& text, Port port, bool v4, bool v6) {
  std::string name = text;
  if (const auto whole = IpAddress::parse(text); whole && port != 0) return Endpoint{*whole, port};
  const std::size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  if (port == 0 || (colon != std::string::npos && !IpAddress::parse(text))) {
    const auto number =
        colon == std::string::npos ? std::nullopt : parse_decimal(text.substr(colon + 1));
    if (!number || *number == 0 || *number > 65535) {
      return failure(text + ": ADDRESS:PORT, such as 10.77.0.1:80 or [fd77::1]:80");
    }
    port = static_cast<Port>(*number);
    name = text.substr(0, colon);
    if (bracketed && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  }
  if (const auto address = IpAddress::parse(name)) {
    if (!(address->is_v4() ? v4 : v6)) {
      return failure("the endpoint has no address of the family of " + name);
    }
    return Endpoint{*address, port};
  }
  addrinfo hints{};
  hints.ai_family = v4 && v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (error != 0 || found == nullptr) {
    return failure("this machine knows no address of " + name + ": " + ::gai_strerror(error));
  }
  Endpoint endpoint{{}, port};
  if (found->ai_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(found->ai_addr);
    endpoint.address = IpAddress::v4(ntohl(in->sin_addr.s_addr));
  } else {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(found->ai_addr);
    IpAddress::Bytes bytes;
    std::copy_n(in->sin6_addr.s6_addr, bytes.size(), bytes.begin());
    endpoint.address = IpAddress::v6(bytes);
  }
  ::freeaddrinfo(found);
  return endpoint;
}

}  // namespace lastack
