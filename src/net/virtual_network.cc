// The wire in memory, for its users: hosts, nodes, links, faults and taps come and go. Where the rest is:
// virtual_network_impl.h.
#include "lastack/virtual_network.h"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "net/link_check.h"
#include "net/virtual_network_impl.h"
#include "stack/options_check.h"

namespace lastack {

VirtualNetwork::VirtualNetwork(std::uint64_t seed, const LinkOptions& everywhere)
    : impl_(std::make_unique<Impl>(seed, checked(everywhere))) {}
VirtualNetwork::~VirtualNetwork() {
  for (const auto& entry : impl_->entries) {
    if (entry->node != nullptr) entry->node->set_driver(nullptr);
  }
}

// --- Hosts

std::uint32_t VirtualNetwork::Impl::add(PacketNode* node) {
  const auto id = static_cast<std::uint32_t>(entries.size());
  entries.push_back(std::make_unique<Entry>());
  entries[id]->node = node;
  entries[id]->order = id;
  mark(id);
  return id;
}

std::uint32_t VirtualNetwork::Impl::add(std::unique_ptr<PacketNode> node, Driver* driver) {
  const std::uint32_t id = add(node.get());
  node->set_driver(driver, id);
  entries[id]->owned = std::move(node);
  return id;
}

void VirtualNetwork::Impl::choose_seed(HostOptions& options) const {
  if (options.seed == 0) options.seed = SeededRandom(seed ^ entries.size() << 32).next();
}

void VirtualNetwork::Impl::take_out(std::uint32_t id) {
  Entry& entry = *entries[id];
  deadlines.remove(&entry);
  if (entry.node != nullptr) entry.node->set_driver(nullptr);
  entry.node = nullptr;
  // Its handler may be what is running.
  if (entry.owned != nullptr) removed.push_back(std::move(entry.owned));
  std::erase(unasked, id);
  if (!running) forget_old();
  forget_routes();
}

std::uint32_t VirtualNetwork::Impl::find(const Host& host) const {
  for (std::uint32_t id = 0; id < entries.size(); ++id) {
    if (entries[id]->node != nullptr && entries[id]->host == &host) return id;
  }
  return kNobody;
}

Host& VirtualNetwork::add_host(HostOptions options, std::initializer_list<IpAddress> addresses) {
  impl_->choose_seed(options);
  auto node = std::make_unique<HostNode>(checked(std::move(options), addresses));
  HostNode* plain = node.get();
  for (const IpAddress& address : addresses) plain->host.add_address(address);
  const std::uint32_t id = impl_->add(std::move(node), this);
  impl_->unasked.push_back(id);
  Impl::Entry& entry = *impl_->entries[id];
  entry.plain = plain;
  entry.host = &plain->host;
  return plain->host;
}

Node& VirtualNetwork::add_node(HostOptions options, std::initializer_list<IpAddress> addresses) {
  impl_->choose_seed(options);
  auto node = std::make_unique<Node>(std::move(options), addresses);
  Node& added = *node;
  impl_->entries[impl_->add(std::move(node), this)]->host = &std::as_const(added).host();
  return added;
}

void VirtualNetwork::on_event(Host& host, std::function<void(SocketId)> handler) {
  const std::uint32_t id = impl_->find(host);
  if (id != Impl::kNobody && impl_->entries[id]->plain != nullptr) {
    impl_->old_handlers.push_back(
        std::exchange(impl_->entries[id]->plain->handler, std::move(handler)));
    if (!impl_->running) impl_->forget_old();
  }
}

void VirtualNetwork::remove(Host& host) {
  const std::uint32_t id = impl_->find(host);
  if (id != Impl::kNobody) impl_->take_out(id);
}

void VirtualNetwork::remove(Node& node) {
  detach(node);
}

void VirtualNetwork::attach(PacketNode& node) {
  if (node.driver() != nullptr) {
    throw std::invalid_argument("a node has one driver: detach() it from the other one first");
  }
  node.set_driver(this, impl_->add(&node));
}

void VirtualNetwork::detach(PacketNode& node) {
  if (node.driver() == this) impl_->take_out(node.driver_slot());
}

NodeId VirtualNetwork::id(const Host& host) const {
  return NodeId{impl_->find(host)};
}
NodeId VirtualNetwork::id(const PacketNode& node) const {
  return node.driver() == this ? NodeId{node.driver_slot()} : NodeId::None;
}

void VirtualNetwork::touch(Host& host) {
  const std::uint32_t id = impl_->find(host);
  if (id != Impl::kNobody) impl_->mark(id);
}
void VirtualNetwork::touched(PacketNode& node) {
  impl_->mark(node.driver_slot());
}
void VirtualNetwork::gone(PacketNode& node) {
  impl_->take_out(node.driver_slot());
}

// --- Links

void VirtualNetwork::link(NodeId a, NodeId b, const LinkOptions& both) {
  link_one_way(a, b, both);  // which checks them
  if (a != b) link_one_way(b, a, both);
}
void VirtualNetwork::link_one_way(NodeId from, NodeId to, const LinkOptions& options) {
  checked(options);
  if (from == NodeId::None || to == NodeId::None) return;
  Link* link =
      impl_->link_between(static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to));
  link->options = options;
  link->last_arrival = {};
  link->named = true;
}
void VirtualNetwork::set_everywhere(const LinkOptions& options) {
  impl_->everywhere = checked(options);
  for (const auto& [ends, link] : impl_->links) {
    const bool loopback = ends >> 32 == (ends & 0xffffffff);
    if (link->named || loopback) continue;
    link->options = options;
    link->last_arrival = {};
  }
}
void VirtualNetwork::set_gateway(NodeId node, NodeId gateway) {
  if (node == NodeId::None) return;
  impl_->entries[static_cast<std::uint32_t>(node)]->gateway = static_cast<std::uint32_t>(gateway);
  impl_->forget_routes();
}
void VirtualNetwork::set_loopback(const LinkOptions& options) {
  impl_->loopback = checked(options);
  for (std::uint32_t id = 0; id < impl_->entries.size(); ++id) {
    link_one_way(NodeId{id}, NodeId{id}, options);
  }
}

// --- Faults and taps

void VirtualNetwork::set_fault(Fault fault) {
  impl_->old_faults.push_back(std::exchange(impl_->fault, std::move(fault)));
  if (!impl_->running) impl_->forget_old();
}
void VirtualNetwork::add_tap(Tap tap) {
  impl_->taps.push_back(std::move(tap));
}
void VirtualNetwork::inject(std::span<const std::byte> packet, Duration after) {
  const auto destination = destination_of(packet);
  const std::uint32_t to = destination ? impl_->owner_of(*destination) : Impl::kNobody;
  ++impl_->counts.sent;
  if (to == Impl::kNobody || packet.size() > kMostParcel) {
    ++impl_->counts.unroutable;
    impl_->tell(WireEvent::Unroutable, Impl::kNobody, Impl::kNobody, impl_->now, packet,
                ++impl_->last_number);
    return;
  }
  Parcel* parcel = impl_->pool.take(packet.size());
  parcel->from = Impl::kNobody;
  parcel->to = to;
  parcel->number = ++impl_->last_number;
  parcel->at = later(impl_->now, after);
  std::memcpy(parcel->bytes().data(), packet.data(), packet.size());
  impl_->tell(WireEvent::Sent, parcel);
  impl_->schedule(parcel);
}

// --- Time

Instant VirtualNetwork::now() const {
  return impl_->now;
}

const VirtualNetwork::Counts& VirtualNetwork::counts() const {
  return impl_->counts;
}
std::size_t VirtualNetwork::under_way() const {
  return impl_->under_way;
}

}  // namespace lastack
