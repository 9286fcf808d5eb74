// The endpoint as a world: a Host with the addresses and the settings of the kernel's namespace. What it sends
// to itself comes back to it, as over lo. It makes super-segments, as Linux always does, and the device cuts them.
#include <map>

#include "differential/world.h"
#include "wire/ip_packet.h"
#include "wire/segmentation.h"

namespace lastack::differential {
namespace {

class EndpointWorld final : public World {
 public:
  explicit EndpointWorld(const EndpointOptions& options)
      : host_({.name = "endpoint",
               .seed = options.seed,
               .port_choice = PortChoice::LinuxWalk,
               .gso_max_size = 65536}),
        now_(options.now) {
    for (const IpAddress& address : {kHere, kHereV6, kLoopback, *IpAddress::parse("::1")}) {
      host_.add_address(address);
    }
    host_.advance(now_);
  }

  std::string_view name() const override { return "endpoint"; }
  bool set(const std::string& name, const std::string& value) override {
    return host_.set(name, value).has_value();
  }

  void receive(std::span<const std::byte> packet, Instant now) override {
    see(now);
    host_.receive(packet, now_);
    collect();
  }
  std::vector<Bytes> sent() override {
    collect();
    return std::exchange(sent_, {});
  }
  void advance(Instant now) override {
    for (Instant next = host_.next_deadline(); next <= now; next = host_.next_deadline()) {
      // What is late at once is late by a step, or time would stand still.
      now_ = std::max(now_, next);
      host_.advance(now_);
      collect();
      if (host_.next_deadline() <= now_) now_ += std::chrono::microseconds(1);
    }
    see(now);
    host_.advance(now_);
    collect();
  }
  Instant next_deadline() override { return host_.next_deadline(); }

  Outcome<Handle> open(bool v6) override {
    const auto opened = host_.open(v6 ? Host::Family::V6 : Host::Family::V4);
    if (!opened) return tl::unexpected(opened.error());
    return keep(*opened);
  }
  Outcome<void> bind(Handle socket, const Endpoint& local) override {
    return host_.bind(id(socket), local);
  }
  Outcome<void> listen(Handle socket, int backlog) override {
    return host_.listen(id(socket), backlog);
  }
  Outcome<void> connect(Handle socket, const Endpoint& remote, Instant now) override {
    return after(host_.connect(id(socket), remote, see(now)));
  }
  Outcome<Handle> accept(Handle listener) override {
    const auto accepted = host_.accept(id(listener));
    if (!accepted) return tl::unexpected(accepted.error());
    return keep(*accepted);
  }
  Outcome<std::size_t> read(Handle socket, std::size_t most, Instant now) override {
    Bytes buffer(most);
    return after(host_.read(id(socket), buffer, see(now)));
  }
  Outcome<std::size_t> write(Handle socket, std::size_t length, Instant now) override {
    const Bytes data(length, std::byte{'x'});
    return after(host_.write(id(socket), data, see(now)));
  }
  Outcome<void> shutdown(Handle socket, ShutdownHow how, Instant now) override {
    return after(host_.shutdown(id(socket), how, see(now)));
  }
  Outcome<void> close(Handle socket, Instant now) override {
    return after(host_.close(id(socket), see(now)));
  }
  Outcome<void> set_option(Handle socket, Option option, int value, Instant now) override {
    return after(host_.set_option(id(socket), option, value, see(now)));
  }
  Outcome<int> option(Handle socket, Option option) override {
    return host_.option(id(socket), option);
  }
  Outcome<Err> take_error(Handle socket) override { return host_.take_error(id(socket)); }
  Outcome<Endpoint> local(Handle socket) override { return host_.local(id(socket)); }
  Outcome<Endpoint> remote(Handle socket) override { return host_.remote(id(socket)); }
  Readiness readiness(Handle socket) override { return host_.readiness(id(socket)); }

  std::vector<SocketRecord> rows(Instant now) override { return host_.sockets(see(now)); }
  Counters counters() override { return host_.counters(); }
  std::uint64_t small_records(Instant now) override {
    return host_.snapshot(see(now)).namespaces.at(0).totals.tw;
  }

 private:
  Instant see(Instant now) { return now_ = std::max(now_, now); }
  SocketId id(Handle socket) const { return sockets_[static_cast<std::size_t>(socket)]; }
  Handle keep(SocketId socket) {
    sockets_.push_back(socket);
    return static_cast<Handle>(sockets_.size() - 1);
  }
  template <class T>
  T after(T result) {
    collect();
    return result;
  }
  // Takes what the host has to send, and gives it back what is for itself.
  void collect() {
    for (auto packet = host_.next_packet(); !packet.empty(); packet = host_.next_packet()) {
      std::vector<Bytes> pieces;
      if (const std::uint16_t size = host_.segment_size(); size != 0) {
        for (Segmentation cut(packet, size); !cut.done();) {
          pieces.emplace_back(cut.length());
          cut.write(pieces.back().data());
        }
      } else {
        pieces.emplace_back(packet.begin(), packet.end());
      }
      for (const Bytes& piece : pieces) {
        const auto ip = parse_ip(piece);
        const auto is_own = [&](const IpAddress& to) {
          return to.is_loopback() || to == kHere || to == kHereV6;
        };
        if (ip && is_own(ip->header.destination)) {
          host_.receive(piece, now_);
        } else {
          sent_.push_back(piece);
        }
      }
    }
  }

  Host host_;
  Instant now_;
  std::vector<SocketId> sockets_;
  std::vector<Bytes> sent_;
};

}  // namespace

std::unique_ptr<World> make_endpoint_world(const EndpointOptions& options) {
  return std::make_unique<EndpointWorld>(options);
}

}  // namespace lastack::differential
