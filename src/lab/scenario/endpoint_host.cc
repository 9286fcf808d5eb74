// A host of a scenario that is an endpoint of our own.
#include <algorithm>

#include "lab/scenario/lab_host.h"
#include "net/host_node.h"

namespace lastack::lab {
namespace {

class EndpointHost final : public LabHost {
 public:
  EndpointHost(const HostSpec& spec, VirtualNetwork& network, std::uint64_t seed,
               HostObserver* observer)
      : LabHost(spec), net_(network) {
    spec_.options.seed = seed;
    spec_.options.observer = observer;
    begin();
  }
  ~EndpointHost() override { net_.detach(*node_); }

  NodeId id() const override { return net_.id(*node_); }

  Outcome<Sock> open(bool v6, SocketUser& user) override {
    return keep(host_->open(v6 ? Host::Family::V6 : Host::Family::V4), user);
  }
  Outcome<void> bind(Sock socket, const Endpoint& local) override {
    return host_->bind(id(socket), local);
  }
  Outcome<void> listen(Sock socket, int backlog) override {
    touch();
    return host_->listen(id(socket), backlog);
  }
  Outcome<void> connect(Sock socket, const Endpoint& remote) override {
    touch();
    return seen(host_->connect(id(socket), remote, net_.now()), remote);
  }
  Outcome<Sock> accept(Sock listener, SocketUser& user) override {
    touch();
    return keep(host_->accept(id(listener)), user);
  }
  Outcome<std::size_t> read(Sock socket, std::span<std::byte> out) override {
    touch();
    return host_->read(id(socket), out, net_.now());
  }
  Outcome<std::size_t> write(Sock socket, std::span<const std::byte> data) override {
    touch();
    return host_->write(id(socket), data, net_.now());
  }
  Outcome<void> shutdown(Sock socket, ShutdownHow how) override {
    touch();
    return host_->shutdown(id(socket), how, net_.now());
  }
  Outcome<void> close(Sock socket) override {
    touch();
    forget(socket);
    return host_->close(id(socket), net_.now());
  }
  Outcome<void> abort(Sock socket) override {
    touch();
    forget(socket);
    const auto aborted = host_->abort(id(socket), net_.now());
    (void)host_->close(id(socket), net_.now());
    return aborted;
  }
  Outcome<void> set_option(Sock socket, Option option, int value) override {
    touch();
    return host_->set_option(id(socket), option, value, net_.now());
  }
  Outcome<Err> take_error(Sock socket) override { return host_->take_error(id(socket)); }
  Outcome<Endpoint> local(Sock socket) override { return host_->local(id(socket)); }
  Readiness readiness(Sock socket) override { return host_->readiness(id(socket)); }

  Settings settings() override {
    const auto seen = snapshot();
    return seen && !seen->namespaces.empty() ? seen->namespaces.front().settings : Settings{};
  }
  Result<void> set(const std::string& name, const std::string& value) override {
    touch();
    return host_->set(name, value);
  }
  HostCounts counts() override {
    HostCounts all;
    for (const SocketRecord& row : host_->sockets(net_.now())) all.add(row);
    all.counters = host_->counters();
    // It has them all: what it never does, it never counts.
    all.counters.known = (std::uint64_t{1} << counter_table().size()) - 1;
    all.ports_exhausted = host_->ports_exhausted();
    all.descriptors = open_;
    return all;
  }
  std::uint64_t time_waits() override { return host_->time_waits(); }
  std::uint64_t descriptors() override { return open_; }
  std::optional<std::uint64_t> memory() override { return host_->time_wait_memory(); }
  Result<HostSnapshot> snapshot() override { return host_->snapshot(net_.now()); }
  bool crash(bool quiet) override {
    net_.detach(*node_);
    spec_.options.lost_memory_at.reset();
    if (quiet) spec_.options.lost_memory_at = net_.now();
    std::fill(users_.begin(), users_.end(), nullptr);
    open_ = 0;
    begin();
    return true;
  }

 private:
  // A host does not say that it was called.
  void touch() { net_.touched(*node_); }
  static SocketId id(Sock socket) { return static_cast<SocketId>(socket); }
  void begin() {
    crashed_ = std::move(node_);  // whose handler may be what is running
    node_ = std::make_unique<HostNode>(spec_.options);
    host_ = &node_->host;
    for (const IpAddress& address : spec_.addresses) host_->add_address(address);
    net_.attach(*node_);
    // What only Linux has does nothing here.
    for (const auto& [name, value] : spec_.settings) (void)host_->set(name, value);
    node_->handler = [this](SocketId socket) {
      const std::uint32_t slot = socket_slot(socket);
      if (slot < users_.size() && users_[slot] != nullptr) users_[slot]->ready();
    };
  }
  Outcome<Sock> keep(const Outcome<SocketId>& socket, SocketUser& user) {
    if (!socket) return tl::unexpected(socket.error());
    const std::uint32_t slot = socket_slot(*socket);
    if (slot >= users_.size()) users_.resize(slot + std::size_t{1}, nullptr);
    users_[slot] = &user;
    ++open_;
    return static_cast<Sock>(*socket);
  }
  void forget(Sock socket) {
    SocketUser*& user = users_[socket_slot(id(socket))];
    if (user != nullptr) --open_;
    user = nullptr;
  }

  VirtualNetwork& net_;
  std::unique_ptr<HostNode> node_, crashed_;
  Host* host_ = nullptr;            // of node_
  std::vector<SocketUser*> users_;  // by slot
  std::uint64_t open_ = 0;
};

}  // namespace

IpAddress LabHost::address(std::optional<IpAddress> like) const {
  for (const IpAddress& address : spec_.addresses) {
    if (!like || address.is_v4() == like->is_v4()) return address;
  }
  return spec_.addresses.front();
}

IpAddress LabHost::any() const {
  const bool v6 = std::any_of(spec_.addresses.begin(), spec_.addresses.end(),
                              [](const IpAddress& address) { return !address.is_v4(); });
  return v6 ? IpAddress::v6({}) : IpAddress::v4(0);
}

std::unique_ptr<LabHost> make_endpoint_host(const HostSpec& spec, VirtualNetwork& network,
                                            std::uint64_t seed, HostObserver* observer) {
  return std::make_unique<EndpointHost>(spec, network, seed, observer);
}

}  // namespace lastack::lab
