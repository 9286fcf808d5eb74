// Inside the wire in memory: its hosts, its links, and what is on its way.
//
//   virtual_network.cc   who is there: hosts, nodes, links, faults and taps come and go
//   packet_way.cc        a packet's way: by which link, what the fault and the link do to it, when it arrives
//   turns.cc             whose turn it is, one instant after the other
#pragma once

#include <array>
#include <bit>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "lastack/virtual_network.h"
#include "net/deadline_heap.h"
#include "net/host_node.h"
#include "net/link.h"
#include "net/parcel_pool.h"

namespace lastack {

// Nothing for what is neither IPv4 nor IPv6.
std::optional<IpAddress> destination_of(std::span<const std::byte> packet);

class VirtualNetwork::Impl {
 public:
  static constexpr std::uint32_t kNobody = static_cast<std::uint32_t>(NodeId::None);

  // Nobody attacks a network in memory by its addresses.
  struct PlainHash {
    std::size_t operator()(const IpAddress& address) const {
      const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
      return static_cast<std::size_t>((words[0] ^ words[1]) * 0x9e3779b97f4a7c15ULL >> 16);
    }
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
    std::uint32_t gateway = kNobody;  // all of them go there, but what it sends to itself
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

  Impl(std::uint64_t seed_of_all, const LinkOptions& for_all)
      : seed(seed_of_all), everywhere(for_all) {}

  std::uint64_t seed;
  LinkOptions everywhere;
  LinkOptions loopback{.delay = 1us};
  Instant now{1s};
  Counts counts;
  Fault fault;
  std::deque<Tap> taps;                         // where they are they stay
  std::vector<std::unique_ptr<Entry>> entries;  // by NodeId
  std::unordered_map<std::uint64_t, std::unique_ptr<Link>> links;
  ParcelPool pool;

  // --- Whose turn it is (turns.cc)
  DeadlineHeap<Entry> deadlines;
  std::vector<std::uint32_t> dirty;    // who was touched
  std::vector<std::uint32_t> unasked;  // hosts, which do not say that they were called
  bool running = false;
  // What was taken out or replaced, and may be at work: kept until everybody has had his turn.
  std::vector<std::unique_ptr<PacketNode>> removed;
  std::vector<std::function<void(SocketId)>> old_handlers;
  std::vector<Fault> old_faults;

  void mark(std::uint32_t id);
  // A run begins: who may have been called from outside has a turn, in the order of their numbers.
  void begin();
  void flush();
  void forget_old();
  Instant next() const;
  void play(Instant at);

  // --- A packet's way (packet_way.cc)
  std::vector<Arrival> arrivals;
  std::size_t under_way = 0;
  std::uint64_t next_order = 0;
  std::uint64_t last_number = 0;

  void tell(WireEvent event, std::uint32_t from, std::uint32_t to, Instant arrives,
            std::span<const std::byte> bytes, std::uint64_t number);
  void tell(WireEvent event, Parcel* parcel);
  Link* link_between(std::uint32_t from, std::uint32_t to);
  std::uint32_t owner_of(const IpAddress& address) const;
  Route route(std::uint32_t from, const IpAddress& destination);
  void forget_routes();
  void send(std::uint32_t from, std::span<const std::byte> packet, std::uint16_t segment_size);
  void launch(Parcel* parcel, std::uint32_t from, const Route& to);
  void carry(Parcel* parcel, Link& link);
  void deliver();
  Parcel* copy_of(Parcel* parcel);
  void schedule(Parcel* parcel);
  void push_arrival(Parcel* parcel);
  // It goes no further. Perhaps its sender is told.
  void end(WireEvent event, Parcel* parcel, bool icmp = false, std::uint8_t type = 0,
           std::uint8_t code = 0, std::uint32_t rest = 0);

  // --- Nodes (virtual_network.cc)
  std::uint32_t add(PacketNode* node);
  std::uint32_t add(std::unique_ptr<PacketNode> node, Driver* driver);
  void choose_seed(HostOptions& options) const;
  void take_out(std::uint32_t id);
  std::uint32_t find(const Host& host) const;
};

}  // namespace lastack
