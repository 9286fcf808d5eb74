// The wire in memory: who is reached by which link, what happens to a packet on it, and whose turn is next.
//
// An instant is played in three steps: what arrives is received, what is due is done, and everybody who was touched
// reacts and sends. Those in the same instant take turns in an order that only the calls before it decide.
#include "lastack/virtual_network.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "net/deadline_heap.h"
#include "net/link.h"
#include "net/link_check.h"
#include "net/parcel_pool.h"
#include "stack/options_check.h"
#include "wire/bytes.h"
#include "wire/icmp_error.h"
#include "wire/segmentation.h"

namespace lastack {
namespace {

constexpr std::uint32_t kNobody = static_cast<std::uint32_t>(NodeId::None);

// Nothing for what is neither IPv4 nor IPv6.
std::optional<IpAddress> destination_of(std::span<const std::byte> packet) {
  if (packet.size() < 20) return std::nullopt;
  const auto version = std::to_integer<unsigned>(packet[0]) >> 4;
  if (version == 4) return IpAddress::v4(load32(packet.data() + 16));
  if (version != 6 || packet.size() < 40) return std::nullopt;
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), packet.data() + 24, bytes.size());
  return IpAddress::v6(bytes);
}

// Nobody attacks a network in memory by its addresses.
struct PlainHash {
  std::size_t operator()(const IpAddress& address) const {
    const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
    return static_cast<std::size_t>((words[0] ^ words[1]) * 0x9e3779b97f4a7c15ULL >> 16);
  }
};

// A host without tasks: whoever owns it asks it, or has given a handler.
class HostNode final : public PacketNode {
 public:
  explicit HostNode(HostOptions options) : host(std::move(options)) {}

  void receive(std::span<const std::byte> packet, Instant now) override {
    host.receive(packet, now);
  }
  std::span<const std::byte> next_packet() override { return host.next_packet(); }
  std::uint16_t segment_size() const override { return host.segment_size(); }
  Instant next_deadline() const override { return host.next_deadline(); }
  void advance(Instant now) override { host.advance(now); }
  void pump(Instant) override {
    if (!handler) return;
    while (const auto socket = host.next_event()) handler(*socket);
  }
  bool has_address(const IpAddress& address) const override { return host.has_address(address); }

  Host host;
  std::function<void(SocketId)> handler;
};

struct Route {
  std::uint32_t to = kNobody;
  Link* link = nullptr;
};

struct Entry {
  PacketNode* node = nullptr;  // null: it has left
  std::unique_ptr<PacketNode> owned;
  HostNode* plain = nullptr;  // the same, if that is what it is
  const Host* host = nullptr;
  bool dirty = false;
  // --- DeadlineHeap
  Instant due = Instant::max();
  std::uint64_t order = 0;
  std::uint32_t heap_at = 0;
  // --- Where its packets go
  std::unordered_map<IpAddress, Route, PlainHash> routes;
  IpAddress last_destination;
  Route last_route;
};

// What arrives, and when.
struct Arrival {
  Instant at;
  std::uint64_t order;
  Parcel* parcel;
  // For a heap with the first at the top.
  friend bool operator<(const Arrival& a, const Arrival& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
};

}  // namespace

class VirtualNetwork::Impl {
 public:
  Impl(std::uint64_t seed_of_all, const LinkOptions& for_all)
      : seed(seed_of_all), everywhere(for_all) {}

  std::uint64_t seed;
  LinkOptions everywhere;
  LinkOptions loopback{.delay = 1us};
  Instant now{1s};
  Counts counts;
  Fault fault;
  std::vector<Tap> taps;
  std::vector<std::unique_ptr<Entry>> entries;  // by NodeId
  std::vector<std::unique_ptr<PacketNode>> removed;
  DeadlineHeap<Entry> deadlines;
  std::vector<std::uint32_t> dirty;
  std::unordered_map<std::uint64_t, std::unique_ptr<Link>> links;
  ParcelPool pool;
  std::vector<Arrival> arrivals;
  std::size_t under_way = 0;
  std::uint64_t next_order = 0;
  bool running = false;

  // --- Whose turn it is
  void mark(std::uint32_t id) {
    Entry& entry = *entries[id];
    if (entry.dirty || entry.node == nullptr) return;
    entry.dirty = true;
    dirty.push_back(id);
  }
  void mark_all() {
    dirty.clear();
    for (std::uint32_t id = 0; id < entries.size(); ++id) {
      entries[id]->dirty = false;
      mark(id);
    }
  }
  void flush() {
    for (std::size_t i = 0; i < dirty.size(); ++i) {
      const std::uint32_t id = dirty[i];
      Entry& entry = *entries[id];
      entry.dirty = false;
      if (entry.node != nullptr) entry.node->pump(now);
      if (entry.node == nullptr) continue;
      for (auto packet = entry.node->next_packet(); !packet.empty();
           packet = entry.node->next_packet()) {
        send(id, packet, entry.node->segment_size());
      }
      deadlines.set(&entry, entry.node->next_deadline());
    }
    dirty.clear();
    removed.clear();
  }
  Instant next() const {
    return arrivals.empty() ? deadlines.next() : std::min(deadlines.next(), arrivals.front().at);
  }
  void play(Instant at) {
    now = std::max(now, at);
    while (!arrivals.empty() && arrivals.front().at <= now) deliver();
    while (!deadlines.empty() && deadlines.next() <= now) {
      Entry* entry = deadlines.top();
      deadlines.remove(entry);
      if (entry->node == nullptr) continue;
      entry->node->advance(now);
      mark(static_cast<std::uint32_t>(entry->order));
    }
    flush();
  }

  // --- A packet's way
  void tell(WireEvent event, std::uint32_t from, std::uint32_t to, Instant arrives,
            std::span<const std::byte> bytes) {
    if (taps.empty()) return;
    const WireNote note{event, now, arrives, NodeId{from}, NodeId{to}, bytes};
    for (const Tap& tap : taps) tap(note);
  }
  void tell(WireEvent event, Parcel* parcel) {
    tell(event, parcel->from, parcel->to, std::max(parcel->at, now), parcel->bytes());
  }

  Link* link_between(std::uint32_t from, std::uint32_t to) {
    auto& link = links[std::uint64_t{from} << 32 | to];
    if (link == nullptr) {
      link = std::make_unique<Link>(from == to ? loopback : everywhere, seed, from, to);
    }
    return link.get();
  }
  std::uint32_t owner_of(const IpAddress& address) const {
    for (std::uint32_t id = 0; id < entries.size(); ++id) {
      if (entries[id]->node != nullptr && entries[id]->node->has_address(address)) return id;
    }
    return kNobody;
  }
  Route route(std::uint32_t from, const IpAddress& destination) {
    Entry& entry = *entries[from];
    if (entry.last_route.to != kNobody && entry.last_destination == destination) {
      return entry.last_route;
    }
    Route found;
    if (const auto known = entry.routes.find(destination); known != entry.routes.end()) {
      found = known->second;
    } else {
      const bool own = destination.is_loopback() || entry.node->has_address(destination);
      found.to = own ? from : owner_of(destination);
      if (found.to == kNobody) return found;
      found.link = link_between(from, found.to);
      entry.routes.emplace(destination, found);
    }
    entry.last_destination = destination;
    entry.last_route = found;
    return found;
  }
  void forget_routes() {
    for (const auto& entry : entries) {
      entry->routes.clear();
      entry->last_route = {};
    }
  }

  void send(std::uint32_t from, std::span<const std::byte> packet, std::uint16_t segment_size) {
    const auto destination = destination_of(packet);
    const Route to = destination ? route(from, *destination) : Route{};
    if (to.to == kNobody) {
      ++counts.sent;
      ++counts.unroutable;
      tell(WireEvent::Sent, from, kNobody, now, packet);
      tell(WireEvent::Unroutable, from, kNobody, now, packet);
      return;
    }
    if (segment_size == 0 || to.link->options.whole_segments) {
      if (packet.size() > kMostParcel) return;
      Parcel* parcel = pool.take(packet.size());
      std::memcpy(parcel->bytes().data(), packet.data(), packet.size());
      launch(parcel, from, to);
      return;
    }
    for (Segmentation pieces(packet, segment_size); !pieces.done();) {
      Parcel* parcel = pool.take(pieces.length());
      pieces.write(parcel->bytes().data());
      launch(parcel, from, to);
    }
  }
  void launch(Parcel* parcel, std::uint32_t from, const Route& to) {
    ++counts.sent;
    parcel->from = from;
    parcel->to = to.to;
    parcel->at = now;
    tell(WireEvent::Sent, parcel);
    if (!fault) {
      carry(parcel, *to.link);
      return;
    }
    Passage passage(now, NodeId{from}, NodeId{to.to}, parcel->bytes());
    fault(passage);
    for (std::uint8_t i = 0; i < passage.copies_; ++i) {
      Parcel* copy = copy_of(parcel);
      copy->at = now + to.link->options.delay + passage.delay_ + passage.copy_[i];
      ++counts.duplicated;
      tell(WireEvent::Duplicated, copy);
      schedule(copy);
    }
    if (passage.dropped_) {
      ++counts.dropped;
      end(WireEvent::Dropped, parcel, passage.rejected_, passage.type_, passage.code_,
          passage.rest_);
      return;
    }
    if (passage.delay_ > Duration::zero()) {
      parcel->at = now + to.link->options.delay + passage.delay_;
      tell(WireEvent::Delayed, parcel);
      schedule(parcel);
      return;
    }
    carry(parcel, *to.link);
  }

  void carry(Parcel* parcel, Link& link) {
    const LinkOptions& o = link.options;
    if (o.down || link.chance(o.loss)) {
      ++counts.lost;
      end(WireEvent::Lost, parcel);
      return;
    }
    if (o.mtu != 0 && parcel->length > o.mtu) {
      ++counts.too_big;
      const bool v4 = std::to_integer<unsigned>(parcel->bytes()[0]) >> 4 == 4;
      end(WireEvent::TooBig, parcel, true, v4 ? 3 : 2, v4 ? 4 : 0, o.mtu);
      return;
    }
    const auto departs = link.departure(now, parcel->length);
    if (!departs) {
      ++counts.queue_full;
      end(WireEvent::QueueFull, parcel);
      return;
    }
    if (link.chance(o.corrupt)) {
      const std::uint64_t bit = link.below(std::uint64_t{parcel->length} * 8);
      parcel->bytes()[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      ++counts.corrupted;
      tell(WireEvent::Corrupted, parcel);
    }
    parcel->at = *departs + o.delay + link.up_to(o.jitter);
    const bool duplicated = link.chance(o.duplicate);
    const bool replayed = link.chance(o.replay);
    const Instant arrives = parcel->at;
    if (duplicated) {
      Parcel* copy = copy_of(parcel);
      copy->at = arrives + o.duplicate_delay;
      ++counts.duplicated;
      tell(WireEvent::Duplicated, copy);
      schedule(copy);
    }
    if (replayed) {
      Parcel* copy = copy_of(parcel);
      copy->at = arrives + link.up_to(o.replay_delay);
      ++counts.replayed;
      tell(WireEvent::Replayed, copy);
      schedule(copy);
    }
    if (link.chance(o.reorder)) {
      parcel->at += link.up_to(o.reorder_delay);
      ++counts.reordered;
      tell(WireEvent::Reordered, parcel);
      schedule(parcel);
      return;
    }
    parcel->at = std::max(parcel->at, link.last_arrival);
    link.last_arrival = parcel->at;
    ++under_way;
    parcel->order = next_order++;
    // Only the first of those that come in order is in the heap.
    if (link.push(parcel)) push_arrival(parcel);
  }

  Parcel* copy_of(Parcel* parcel) {
    Parcel* copy = pool.take(parcel->length);
    copy->from = parcel->from;
    copy->to = parcel->to;
    std::memcpy(copy->bytes().data(), parcel->bytes().data(), parcel->length);
    return copy;
  }
  void schedule(Parcel* parcel) {
    ++under_way;
    parcel->order = next_order++;
    push_arrival(parcel);
  }
  void push_arrival(Parcel* parcel) {
    arrivals.push_back({parcel->at, parcel->order, parcel});
    std::push_heap(arrivals.begin(), arrivals.end());
  }

  // It goes no further. Perhaps its sender is told.
  void end(WireEvent event, Parcel* parcel, bool icmp = false, std::uint8_t type = 0,
           std::uint8_t code = 0, std::uint32_t rest = 0) {
    parcel->at = now;
    tell(event, parcel);
    if (icmp && parcel->from != kNobody && entries[parcel->from]->node != nullptr) {
      const auto by = destination_of(parcel->bytes());
      Parcel* error = pool.take(kMostIcmpError);
      const std::size_t length =
          by ? write_icmp_error(error->bytes().data(), parcel->bytes(), *by, type, code, rest) : 0;
      error->length = static_cast<std::uint32_t>(length);
      if (length == 0) {
        pool.give_back(error);
      } else {
        error->from = parcel->to;
        error->to = parcel->from;
        error->at = now + link_between(parcel->to, parcel->from)->options.delay;
        ++counts.sent;
        tell(WireEvent::Sent, error);
        schedule(error);
      }
    }
    pool.give_back(parcel);
  }

  void deliver() {
    Parcel* parcel = arrivals.front().parcel;
    std::pop_heap(arrivals.begin(), arrivals.end());
    arrivals.pop_back();
    --under_way;
    if (parcel->in != nullptr) {
      if (Parcel* following = parcel->in->pop()) push_arrival(following);
    }
    Entry& entry = *entries[parcel->to];
    if (entry.node == nullptr) {
      ++counts.gone;
      end(WireEvent::Gone, parcel);
      return;
    }
    ++counts.delivered;
    counts.bytes += parcel->length;
    tell(WireEvent::Delivered, parcel);
    entry.node->receive(parcel->bytes(), now);
    mark(parcel->to);
    pool.give_back(parcel);
  }

  // --- Nodes
  std::uint32_t add(PacketNode* node) {
    const auto id = static_cast<std::uint32_t>(entries.size());
    entries.push_back(std::make_unique<Entry>());
    entries[id]->node = node;
    entries[id]->order = id;
    return id;
  }
  std::uint32_t add(std::unique_ptr<PacketNode> node, Driver* driver);
  void choose_seed(HostOptions& options) const {
    if (options.seed == 0) options.seed = SeededRandom(seed ^ entries.size() << 32).next();
  }
  void take_out(std::uint32_t id) {
    Entry& entry = *entries[id];
    deadlines.remove(&entry);
    if (entry.node != nullptr) entry.node->set_driver(nullptr);
    entry.node = nullptr;
    // Its handler may be what is running.
    if (entry.owned != nullptr) removed.push_back(std::move(entry.owned));
    if (!running) removed.clear();
    forget_routes();
  }
  std::uint32_t find(const Host& host) const {
    for (std::uint32_t id = 0; id < entries.size(); ++id) {
      if (entries[id]->node != nullptr && entries[id]->host == &host) return id;
    }
    return kNobody;
  }
};

namespace {

// One run at a time: run_*() from within a handler does nothing.
class Running {
 public:
  explicit Running(bool& running) : running_(running) { running_ = true; }
  ~Running() { running_ = false; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  bool& running_;
};

}  // namespace

std::string_view to_string(WireEvent event) {
  switch (event) {
    case WireEvent::Sent:
      return "sent";
    case WireEvent::Delivered:
      return "delivered";
    case WireEvent::Lost:
      return "lost";
    case WireEvent::QueueFull:
      return "queue full";
    case WireEvent::TooBig:
      return "too big";
    case WireEvent::Unroutable:
      return "unroutable";
    case WireEvent::Gone:
      return "gone";
    case WireEvent::Dropped:
      return "dropped";
    case WireEvent::Delayed:
      return "delayed";
    case WireEvent::Corrupted:
      return "corrupted";
    case WireEvent::Duplicated:
      return "duplicated";
    case WireEvent::Reordered:
      return "reordered";
    case WireEvent::Replayed:
      return "replayed";
  }
  return "?";
}

void Passage::duplicate(Duration later) {
  if (copies_ < kMostCopies) copy_[copies_++] = later;
}
void Passage::fix_checksums() {
  lastack::fix_checksums(bytes_);
}
void Passage::reject(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
  dropped_ = rejected_ = true;
  type_ = type;
  code_ = code;
  rest_ = rest;
}

VirtualNetwork::VirtualNetwork(std::uint64_t seed, const LinkOptions& everywhere)
    : impl_(std::make_unique<Impl>(seed, checked(everywhere))) {}
VirtualNetwork::~VirtualNetwork() {
  for (const auto& entry : impl_->entries) {
    if (entry->node != nullptr) entry->node->set_driver(nullptr);
  }
}

// --- Hosts

std::uint32_t VirtualNetwork::Impl::add(std::unique_ptr<PacketNode> node, Driver* driver) {
  const std::uint32_t id = add(node.get());
  node->set_driver(driver, id);
  entries[id]->owned = std::move(node);
  return id;
}

Host& VirtualNetwork::add_host(HostOptions options, std::initializer_list<IpAddress> addresses) {
  impl_->choose_seed(options);
  auto node = std::make_unique<HostNode>(checked(std::move(options), addresses));
  HostNode* plain = node.get();
  for (const IpAddress& address : addresses) plain->host.add_address(address);
  Entry& entry = *impl_->entries[impl_->add(std::move(node), this)];
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
  if (id != kNobody && impl_->entries[id]->plain != nullptr) {
    impl_->entries[id]->plain->handler = std::move(handler);
  }
}

void VirtualNetwork::remove(Host& host) {
  const std::uint32_t id = impl_->find(host);
  if (id != kNobody) impl_->take_out(id);
}

void VirtualNetwork::remove(Node& node) {
  detach(node);
}

void VirtualNetwork::attach(PacketNode& node) {
  const std::uint32_t id = impl_->add(&node);
  node.set_driver(this, id);
  impl_->mark(id);
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
  if (id != kNobody) impl_->mark(id);
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
}
void VirtualNetwork::set_loopback(const LinkOptions& options) {
  impl_->loopback = checked(options);
  for (std::uint32_t id = 0; id < impl_->entries.size(); ++id) {
    link_one_way(NodeId{id}, NodeId{id}, options);
  }
}

// --- Faults and taps

void VirtualNetwork::set_fault(Fault fault) {
  impl_->fault = std::move(fault);
}
void VirtualNetwork::add_tap(Tap tap) {
  impl_->taps.push_back(std::move(tap));
}
void VirtualNetwork::inject(std::span<const std::byte> packet, Duration after) {
  const auto destination = destination_of(packet);
  const std::uint32_t to = destination ? impl_->owner_of(*destination) : kNobody;
  ++impl_->counts.sent;
  if (to == kNobody || packet.size() > kMostParcel) {
    ++impl_->counts.unroutable;
    impl_->tell(WireEvent::Unroutable, kNobody, kNobody, impl_->now, packet);
    return;
  }
  Parcel* parcel = impl_->pool.take(packet.size());
  parcel->from = kNobody;
  parcel->to = to;
  parcel->at = impl_->now + after;
  std::memcpy(parcel->bytes().data(), packet.data(), packet.size());
  impl_->tell(WireEvent::Sent, parcel);
  impl_->schedule(parcel);
}

// --- Time

Instant VirtualNetwork::now() const {
  return impl_->now;
}

void VirtualNetwork::run_until(Instant stop) {
  Impl& net = *impl_;
  if (net.running) return;
  const Running running(net.running);
  net.mark_all();
  net.flush();
  for (Instant next = net.next(); next <= stop && next != Instant::max(); next = net.next()) {
    net.play(next);
  }
  // For ever is until nothing will happen any more; the clock stays there.
  if (stop != Instant::max()) net.now = std::max(net.now, stop);
}

bool VirtualNetwork::run_until_idle(Instant limit) {
  Impl& net = *impl_;
  if (net.running) return false;
  const Running running(net.running);
  net.mark_all();
  net.flush();
  for (Instant next = net.next(); next != Instant::max(); next = net.next()) {
    if (next > limit) {
      net.now = std::max(net.now, limit);
      return false;
    }
    net.play(next);
  }
  return true;
}

bool VirtualNetwork::step(Instant limit) {
  Impl& net = *impl_;
  if (net.running) return false;
  const Running running(net.running);
  net.mark_all();
  net.flush();
  const Instant next = net.next();
  if (next > limit || next == Instant::max()) {
    if (limit != Instant::max()) net.now = std::max(net.now, limit);
    return false;
  }
  net.play(next);
  return true;
}

const VirtualNetwork::Counts& VirtualNetwork::counts() const {
  return impl_->counts;
}
std::size_t VirtualNetwork::under_way() const {
  return impl_->under_way;
}

}  // namespace lastack
