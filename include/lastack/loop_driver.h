// Nodes on TUN devices, in real time: what VirtualNetwork is in virtual time.
//
//   auto tun = TunDevice::open("la0", {.create = true});        // needs CAP_NET_ADMIN
//   if (!tun || !tun->configure({{"10.77.0.1"_ip, 24}})) ...
//   Node node(tun->fitting({}), {"10.77.0.2"_ip});
//   EventLoop loop;
//   LoopDriver driver(loop);
//   if (!driver.attach(node, *tun)) ...
//   node.spawn(...);
//   const auto ended = loop.run();                              // until loop.stop()
//
// One driver may have many nodes, each with a device of its own. Threads: that of the loop.
#pragma once

#include <memory>

#include "lastack/event_loop.h"
#include "lastack/node.h"
#include "lastack/result.h"
#include "lastack/tun_device.h"

namespace lastack {

class LoopDriver final : public Driver {
 public:
  // The loop must outlive it.
  explicit LoopDriver(EventLoop& loop);
  ~LoopDriver();
  LoopDriver(const LoopDriver&) = delete;
  LoopDriver& operator=(const LoopDriver&) = delete;

  // The device must outlive it or the node, or be detached first.
  Result<void> attach(Node& node, TunDevice& device);
  void detach(Node& node);

  // --- Driver
  Instant now() const override { return EventLoop::now(); }
  void touched(PacketNode& node) override;
  void gone(PacketNode& node) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lastack
