#include "plan/trial.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <vector>

#include "lastack/virtual_network.h"
#include "plan/closed_form.h"

namespace lastack {

namespace {

constexpr Port kServicePort = 80;
constexpr int kSamples = 4000;
// A connection ends so much late: what it held is not there for one that comes at the very moment when it should have
// ended, whatever order events of one moment have. A kernel's timers are never early either.
constexpr Duration kLate = 10ns;
constexpr std::int64_t kPlenty = 0x7fffffff;

IpAddress source_address(std::uint32_t i) {
  return IpAddress::v4(0x0a000001 + i);  // 10.0.0.1 and on
}

IpAddress service_address(std::uint32_t i) {
  return IpAddress::v4(0x0a010001 + i);  // 10.1.0.1 and on
}

Settings client_settings(const Load& load) {
  const Settings& told = load.settings;
  Settings s;
  s.tcp_timestamps = told.tcp_timestamps;
  s.tcp_tw_reuse_delay = told.tcp_tw_reuse_delay;
  s.tcp_tw_timeout = told.tcp_tw_timeout;
  s.tcp_max_tw_buckets = static_cast<std::int64_t>(most_records(load));
  s.ip_local_port_range = port_room(load).range;
  s.ip_local_reserved_ports = told.ip_local_reserved_ports;
  s.ip_local_reserved_ports |= load.held;
  // The addresses of a trial are none of loopback.
  s.tcp_tw_reuse = load.source_port != PortSource::Explicit && reuse_applies(load) ? 1 : 0;
  s.ip_unprivileged_port_start = 0;
  return s;
}

Settings server_settings(const Load& load) {
  Settings s;
  s.tcp_timestamps = load.peer_timestamps ? 1 : 0;
  s.tcp_tw_timeout = load.settings.tcp_tw_timeout;
  s.tcp_max_tw_buckets = kPlenty;
  s.somaxconn = kPlenty;
  s.tcp_max_syn_backlog = kPlenty;
  return s;
}

class Trial {
 public:
  Trial(const Load& load, const TrialOptions& options)
      : load_(load),
        options_(options),
        room_(port_room(load)),
        net_(options.seed, {.delay = load.round_trip / 2}),
        server_(net_.add_node({.name = "server", .settings = server_settings(load)}, {})),
        client_(net_.add_node({.name = "client", .settings = client_settings(load)}, {})) {
    for (std::uint32_t i = 0; i < load.sources; ++i) client_.host().add_address(source_address(i));
    for (std::uint32_t i = 0; i < load.destinations; ++i) {
      server_.host().add_address(service_address(i));
      listening_.push_back(
          *server_.serve({service_address(i), kServicePort},
                         [this](TcpStream stream) { return serve(std::move(stream)); },
                         {.backlog = 1 << 20, .reuse_address = true, .options = {}}));
    }
    if (load.source_port == PortSource::Explicit) list_ports();
  }

  Measured run() {
    start_ = net_.now();
    from_ = start_ + options_.warm;
    end_ = from_ + options_.measured;
    client_.spawn(offer());
    client_.spawn(sample());
    net_.run_until(from_);
    const std::uint64_t overflow = client_.host().counters().TCPTimeWaitOverflow;
    net_.run_until(end_);
    const double length = seconds(options_.measured);
    result_.overflow_per_second =
        static_cast<double>(client_.host().counters().TCPTimeWaitOverflow - overflow) / length;
    net_.run_until(end_ + 2 * load_.round_trip);  // what had begun
    result_.opened_per_second = static_cast<double>(opened_) / length;
    result_.failed_per_second = static_cast<double>(failed_) / length;
    result_.without_descriptor_per_second = static_cast<double>(without_descriptor_) / length;
    if (opened_ > 0) {
      result_.second_parity_share =
          static_cast<double>(second_parity_) / static_cast<double>(opened_);
    }
    const double samples = std::max(1, samples_);
    result_.open /= samples;
    result_.time_waits_here /= samples;
    result_.time_waits_there /= samples;
    return result_;
  }

 private:
  bool counts(Instant begun) const { return begun >= from_ && begun < end_; }

  Task<> offer() {
    for (std::uint64_t i = 0;; ++i) {
      const double at = static_cast<double>(i) / options_.rate;
      co_await client_.sleep_until(start_ +
                                   std::chrono::round<Duration>(std::chrono::duration<double>(at)));
      ++result_.connections;
      client_.spawn(connection(i));
    }
  }

  Task<> connection(std::uint64_t number) {
    const Instant begun = client_.now();
    // Evenly over the sources as well, and so evenly for the pool of each of them.
    const auto pair =
        static_cast<std::uint32_t>(number % (std::uint64_t{load_.sources} * load_.destinations));
    if (options_.limit_descriptors && descriptors_ >= load_.descriptors) {
      fail(Err::too_many_files, begun);
      co_return;
    }
    ++descriptors_;
    ConnectOptions options;
    options.from = Endpoint{source_address(pair % load_.sources), 0};
    OwnPorts* own = nullptr;
    switch (load_.source_port) {
      case PortSource::OwnRange:
        options.set(Option::local_port_range, room_.range.high << 16 | room_.range.low);
        [[fallthrough]];
      case PortSource::Connect:
        options.set(Option::bind_address_no_port, 1);
        break;
      case PortSource::BindZero:
        break;
      case PortSource::Explicit:
        own = &ports_[pair];
        options.set(Option::reuse_address, 1);
        break;
    }
    const Endpoint to{service_address(pair / load_.sources), kServicePort};
    Outcome<TcpStream> stream = tl::unexpected(Err::address_not_available);
    if (own != nullptr) {
      stream = co_await connect_from(*own, to, options);
    } else {
      stream = co_await client_.connect(to, options);
    }
    if (!stream) {
      --descriptors_;
      fail(stream.error(), begun);
      co_return;
    }
    if (counts(begun)) {
      ++opened_;
      if (const auto local = stream->local(); local && is_second(local->port)) ++second_parity_;
    }
    if (load_.peer_closes_first) {
      std::array<std::byte, 64> nothing;
      (void)co_await stream->read(nothing);
    } else {
      co_await client_.sleep_until(begun + load_.lifetime + kLate);
    }
    (void)stream->close();
    --descriptors_;
    if (own != nullptr) {
      // It is to be had again when the other end has closed as well.
      const Port port = options.from->port;
      co_await client_.sleep_for(load_.round_trip);
      own->ended.push_back(port);
    }
  }

  // A program with a list of ports of its own: those whose connection has ended, longest ago first; and what was refused
  // it, since it is in TIME_WAIT: of these the one that has waited longest, if there is no other.
  struct OwnPorts {
    std::deque<Port> ended, refused;
  };

  Task<Outcome<TcpStream>> connect_from(OwnPorts& own, Endpoint to, ConnectOptions& options) {
    while (!own.ended.empty()) {
      options.from->port = own.ended.front();
      own.ended.pop_front();
      auto stream = co_await client_.connect(to, options);
      if (stream) co_return stream;
      own.refused.push_back(options.from->port);
    }
    if (own.refused.empty()) co_return tl::unexpected(Err::address_not_available);
    options.from->port = own.refused.front();
    own.refused.pop_front();
    auto stream = co_await client_.connect(to, options);
    if (!stream) own.refused.push_front(options.from->port);
    co_return stream;
  }

  // Of the parity that is tried when the first has nothing left (linux-facts 19, 22).
  bool is_second(Port port) const {
    const bool of_low_end = (port - room_.range.low) % 2 == 0;
    return of_low_end == (load_.source_port == PortSource::BindZero);
  }

  Task<> serve(TcpStream stream) {
    if (load_.peer_closes_first) {
      // Accepted one and a half round trips after connect(), and the FIN takes another half.
      co_await server_.sleep_for(std::max(Duration{}, load_.lifetime - 2 * load_.round_trip) +
                                 kLate);
      (void)stream.shutdown(ShutdownHow::Write);
    }
    std::array<std::byte, 64> nothing;
    (void)co_await stream.read(nothing);
  }

  void fail(Err error, Instant begun) {
    if (!result_.first_failure_s) result_.first_failure_s = seconds(begun - start_);
    if (!counts(begun)) return;
    if (error == Err::too_many_files) {
      ++without_descriptor_;
    } else {
      ++failed_;
    }
  }

  Task<> sample() {
    for (int i = 0; i < kSamples; ++i) {
      co_await client_.sleep_until(from_ + options_.measured * (2 * i + 1) / (2 * kSamples));
      ++samples_;
      result_.open += static_cast<double>(std::as_const(client_).host().connections());
      result_.time_waits_here += static_cast<double>(std::as_const(client_).host().time_waits());
      result_.time_waits_there += static_cast<double>(std::as_const(server_).host().time_waits());
    }
  }

  void list_ports() {
    PortSet gone = load_.settings.ip_local_reserved_ports;
    gone |= load_.held;
    ports_.resize(std::size_t{load_.sources} * load_.destinations);
    for (auto& list : ports_) {
      for (std::uint32_t p = room_.range.low; p <= room_.range.high; ++p) {
        if (!gone.contains(static_cast<Port>(p))) list.ended.push_back(static_cast<Port>(p));
      }
    }
  }

  const Load& load_;
  const TrialOptions options_;
  const RangeRoom room_;
  VirtualNetwork net_;
  Node& server_;
  Node& client_;
  std::vector<Job> listening_;
  std::vector<OwnPorts> ports_;  // of Explicit, for each pair
  Instant start_{}, from_{}, end_{};
  std::uint64_t descriptors_ = 0;  // that the connecting process has open
  std::uint64_t opened_ = 0, failed_ = 0, without_descriptor_ = 0, second_parity_ = 0;
  int samples_ = 0;
  Measured result_;
};

}  // namespace

Measured measure(const Load& load, const TrialOptions& options) {
  return Trial(load, options).run();
}

}  // namespace lastack
