// The seam between what speaks (a host, a host with tasks, a NAT box) and what carries its packets and tells it the
// time (a network in memory, an event loop). Whoever writes either needs nothing else.
//
//   the driver      receive(packet, now) -> next_packet() until empty -> sleeps until next_deadline() -> advance(now)
//   the node        touched(): "I was called from elsewhere; look at me before you sleep"
//
// Not thread-safe: a node and its driver belong to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lastack/ip_address.h"
#include "lastack/time.h"

namespace lastack {

class PacketNode;

class Driver {
 public:
  virtual Instant now() const = 0;
  // The node may have packets to send, tasks to run, or a deadline earlier than the one it told last.
  virtual void touched(PacketNode& node) = 0;
  // The node is being destroyed.
  virtual void gone(PacketNode& node) = 0;

 protected:
  ~Driver() = default;
};

class PacketNode {
 public:
  PacketNode() = default;
  PacketNode(const PacketNode&) = delete;
  PacketNode& operator=(const PacketNode&) = delete;
  virtual ~PacketNode() {
    if (driver_ != nullptr) driver_->gone(*this);
  }

  // Bare IPv4 or IPv6, from the wire.
  virtual void receive(std::span<const std::byte> packet, Instant now) = 0;
  // The oldest packet to send; its bytes are good until the next call. Empty: none.
  virtual std::span<const std::byte> next_packet() = 0;
  // Of that packet: bytes of each piece that it has to be cut into, 0: none (Host::segment_size()).
  virtual std::uint16_t segment_size() const { return 0; }
  // Instant::max(): nothing is to be done before something else happens.
  virtual Instant next_deadline() const = 0;
  // Does what is due.
  virtual void advance(Instant now) = 0;
  // Lets those who use the node react to what has come. After receive(), advance() and touched(), before
  // next_packet().
  virtual void pump(Instant now) { static_cast<void>(now); }
  // Whether packets to this address are for this node. What was true stays true.
  virtual bool has_address(const IpAddress& address) const = 0;

  // Set by the driver. A node has at most one.
  Driver* driver() const { return driver_; }
  void set_driver(Driver* driver, std::uint32_t slot = 0) {
    driver_ = driver;
    driver_slot_ = slot;
  }
  // What the driver finds it by.
  std::uint32_t driver_slot() const { return driver_slot_; }

 protected:
  void touch() {
    if (driver_ != nullptr) driver_->touched(*this);
  }

 private:
  Driver* driver_ = nullptr;
  std::uint32_t driver_slot_ = 0;
};

}  // namespace lastack
