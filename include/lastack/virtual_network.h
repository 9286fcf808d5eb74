// A network in memory, in virtual time: any number of hosts, and links between them that delay, lose, double, reorder,
// corrupt and replay. An hour of it takes as long as the packets in it take to compute; the same seed and the same
// calls give the same packets at the same nanoseconds, on every machine.
//
//   VirtualNetwork net(42);
//   Host& client = net.add_host({.name = "client"}, {*IpAddress::parse("10.0.0.1")});
//   Host& server = net.add_host({.name = "server"}, {*IpAddress::parse("10.0.0.2")});
//   net.link(client, server, {.delay = 2ms, .loss = 0.01});
//   ... listen, connect ...
//   net.run_for(60s);
//
// Everybody reaches everybody by address; the links say how. In steady state nothing is allocated for a packet.
//
// Not thread-safe: a network and its hosts belong to one thread. Networks share nothing. Taps, faults and handlers are
// called from within run_*(); what they throw comes out of it, and the network stays usable. Options of hosts and links
// that check() refuses are a std::invalid_argument of the call that was given them, and nothing has changed then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include "lastack/host.h"
#include "lastack/node.h"
#include "lastack/packet_node.h"
#include "lastack/packet_view.h"
#include "lastack/result.h"
#include "lastack/time.h"

namespace lastack {

// One direction of a wire. Probabilities are per packet, 0 to 1; durations 0 to a day.
struct LinkOptions {
  Duration delay = 1ms;  // from one end to the other
  Duration jitter{};     // uniformly up to so much more; the order stays
  double loss = 0;
  double duplicate = 0;  // a second copy, `duplicate_delay` after the first
  Duration duplicate_delay = 1us;
  double reorder = 0;  // takes up to `reorder_delay` longer; others overtake it
  Duration reorder_delay = 5ms;
  double corrupt = 0;  // one bit is turned over
  double replay =
      0;  // arrives, and a copy of it arrives again up to `replay_delay` later (RFC 9293, 3.4.1)
  Duration replay_delay = 60s;
  std::uint64_t rate = 0;  // bits a second; 0: no limit
  // Bytes that wait where there is a rate, at most 2^30; what comes beyond is lost.
  std::size_t queue = 1 << 20;
  // Bytes, 68 and up; 0: no limit. A longer packet is dropped, and its sender told by ICMP (RFC 1191, RFC 8201).
  std::uint16_t mtu = 0;
  // Super-segments (HostOptions::gso_max_size) pass in one piece, as with LRO at the other end. Else they are cut, as
  // by a device with TSO.
  bool whole_segments = false;
  bool down = false;  // loses everything
};
// What is wrong with them, in a sentence (EINVAL): for options that come from outside the program, since a network that
// is given such throws std::invalid_argument.
[[nodiscard]] Result<void> check(const LinkOptions& options);

// Names a host or node of a network.
enum class NodeId : std::uint32_t { None = 0xffffffff };

// What becomes of packets.
enum class WireEvent : std::uint8_t {
  Sent,        // a host gave it to the wire
  Delivered,   // and the other one has it
  Lost,        // by chance, or the link is down
  QueueFull,   // LinkOptions::queue
  TooBig,      // LinkOptions::mtu
  Unroutable,  // nobody has that address
  Gone,        // the receiver was removed meanwhile
  Dropped,     // by the fault
  Delayed,     // by the fault
  Corrupted,
  Duplicated,
  Reordered,
  Replayed,  // is to arrive again
};
std::string_view to_string(WireEvent event);

// What a tap is shown. `bytes` only during the call.
struct WireNote {
  WireEvent event;
  Instant at;
  Instant arrives;  // when it is to arrive, where it is under way; else `at`
  NodeId from;      // None: injected
  NodeId to;        // None: nobody
  std::span<const std::byte> bytes;
  std::uint64_t number;  // of the packet, from 1 in the order of sending; its copies have the same
};

// A packet that has just been sent, in the hands of a fault. Without a call it goes its way.
class Passage {
 public:
  Instant now() const { return now_; }
  NodeId from() const { return from_; }
  NodeId to() const { return to_; }
  // May be changed; fix_checksums() afterwards, unless it is to arrive corrupt.
  std::span<std::byte> bytes() const { return bytes_; }
  // What it says; nothing if it is not TCP.
  std::optional<PacketView> segment() const { return PacketView::of(bytes_); }

  // This one; copies that duplicate() asks for go their way.
  void drop() { dropped_ = true; }
  // On top of what the link does. It does not hold up those behind it.
  // Delays saturate: Duration::max() is for ever; less than nothing is nothing.
  void delay(Duration more);
  // Another copy, so much later than the first would come: 0 for a double, a minute for an old duplicate. At most 8.
  void duplicate(Duration later = Duration::zero());
  void fix_checksums();
  // Drops it, and its sender gets an ICMP error from the receiver's address: type and code of RFC 792, or of RFC 4443
  // for IPv6 (3, 1 and 1, 3: host or address unreachable). `rest` is the second word of the message: the MTU.
  void reject(std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0);

 private:
  friend class VirtualNetwork;
  Passage(Instant now, NodeId from, NodeId to, std::span<std::byte> bytes)
      : now_(now), from_(from), to_(to), bytes_(bytes) {}
  static constexpr std::size_t kMostCopies = 8;

  Instant now_;
  NodeId from_, to_;
  std::span<std::byte> bytes_;
  Duration delay_{};
  bool dropped_ = false;
  bool rejected_ = false;
  std::uint8_t type_ = 0, code_ = 0;
  std::uint32_t rest_ = 0;
  std::uint8_t copies_ = 0;
  Duration copy_[kMostCopies]{};
};

class VirtualNetwork final : public Driver {
 public:
  // `everywhere`: the links that link() does not name.
  explicit VirtualNetwork(std::uint64_t seed = 0, const LinkOptions& everywhere = {});
  ~VirtualNetwork();
  VirtualNetwork(const VirtualNetwork&) = delete;
  VirtualNetwork& operator=(const VirtualNetwork&) = delete;

  // --- Hosts
  // The network owns it; the reference is good until remove(). Where options.seed is 0 it gets one derived from the
  // network's. More addresses may be added later, with Host::add_address().
  Host& add_host(HostOptions options, std::initializer_list<IpAddress> addresses);
  // The same with tasks. Also of add_node(): host().
  Node& add_node(HostOptions options, std::initializer_list<IpAddress> addresses);
  // Called for each socket that next_event() names, while the network runs. (Without it the events stay for whoever
  // asks.) A handler may take its own place, and so may a fault.
  void on_event(Host& host, std::function<void(SocketId)> handler);
  // As if it lost power: what is on its way to it is lost, nobody is told. The reference is invalid afterwards.
  void remove(Host& host);
  void remove(Node& node);
  // A node that somebody else owns, of whatever kind: NAT, a load balancer, a host with tasks. It must be detached, or destroyed,
  // before the network. One that has a driver already is a std::invalid_argument.
  void attach(PacketNode& node);
  void detach(PacketNode& node);
  NodeId id(const Host& host) const;
  NodeId id(const PacketNode& node) const;
  // Run_*() sees to a host when a packet or a deadline comes, and to all of add_host() when it begins. Who calls a host
  // from a handler or fault of another host says so. (A Node says it itself, and so does whatever else is attached.)
  void touch(Host& host);

  // --- Links
  // Both directions. May be changed at any time; what is under way arrives as it was sent.
  void link(NodeId a, NodeId b, const LinkOptions& both);
  void link_one_way(NodeId from, NodeId to, const LinkOptions& options);
  template <class A, class B>
  void link(const A& a, const B& b, const LinkOptions& both) {
    link(id(a), id(b), both);
  }
  template <class A, class B>
  void link_one_way(const A& from, const B& to, const LinkOptions& options) {
    link_one_way(id(from), id(to), options);
  }
  // Of the links that link() does not name, the constructor's options until then. Likewise at any time.
  void set_everywhere(const LinkOptions& options);
  // What the node sends goes to `gateway`, whatever its destination (but what it sends to itself); None: to whoever has
  // the address, as at first. A NAT box is one.
  void set_gateway(NodeId node, NodeId gateway);
  // What a host sends to itself: 1 us, no faults, unless told otherwise.
  void set_loopback(const LinkOptions& options);

  // --- Faults and taps
  // Asked about each packet that is sent, before the link's own faults; nullptr: nobody.
  using Fault = std::function<void(Passage&)>;
  void set_fault(Fault fault);
  // Told everything. A tap may not call hosts, nor the network.
  using Tap = std::function<void(const WireNote&)>;
  void add_tap(Tap tap);
  // A packet from nowhere, to whoever has its destination address.
  void inject(std::span<const std::byte> packet, Duration after = Duration::zero());

  // --- Time. It begins at 1 s after the epoch of Instant.
  Instant now() const override;
  // What is due at `stop` is done. Instant::max(), or Duration::max(): until nothing will happen any more.
  void run_until(Instant stop);
  void run_for(Duration duration) { run_until(later(now(), duration)); }
  // Until nothing is under way and no host has a deadline (TIME_WAIT has ended too), at most until `limit`. Whether it
  // came to that. Then the time is that of the last thing that happened.
  bool run_until_idle(Instant limit = Instant::max());
  // The next instant at which anything happens, up to `limit`: it happens. False: nothing does, and it is `limit` now
  // (unless that is Instant::max()).
  bool step(Instant limit = Instant::max());

  // When the next thing happens that does not come from outside; Instant::max(): nothing. For whoever runs the network
  // by another clock.
  Instant next_time();

  // --- Counts
  struct Counts {
    std::uint64_t sent = 0, delivered = 0, bytes = 0;  // bytes: of those delivered
    std::uint64_t lost = 0, queue_full = 0, too_big = 0, unroutable = 0, gone = 0, dropped = 0;
    std::uint64_t corrupted = 0, duplicated = 0, reordered = 0, replayed = 0;
  };
  const Counts& counts() const;
  std::size_t under_way() const;

  // --- Driver
  void touched(PacketNode& node) override;
  void gone(PacketNode& node) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lastack
