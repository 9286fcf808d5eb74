#include "lastack/loop_driver.h"

#include <vector>

namespace lastack {

struct LoopDriver::Impl {
  struct Attached {
    Node* node = nullptr;  // null: detached
    Host* host = nullptr;
    EventLoop::TimerId timer{};
    Instant wakes = Instant::max();  // when the timer will call
  };

  explicit Impl(EventLoop& of) : loop(of) {}

  EventLoop& loop;
  std::vector<Attached> nodes;  // by Driver's slot

  void wake_at(std::uint32_t slot, Instant when) {
    Attached& at = nodes[slot];
    if (when >= at.wakes) return;
    if (at.wakes != Instant::max()) loop.cancel(at.timer);
    at.wakes = when;
    at.timer = loop.call_at(when, [this, slot] {
      nodes[slot].wakes = Instant::max();
      pump(slot);
    });
  }
  void pump(std::uint32_t slot) {
    // Also when a task has thrown.
    struct Again {
      Impl& impl;
      std::uint32_t slot;
      ~Again() {
        if (const Node* node = impl.nodes[slot].node) impl.wake_at(slot, node->next_task());
      }
    };
    const Again again{*this, slot};
    if (Node* node = nodes[slot].node) node->pump(EventLoop::now());
  }
  void detach(std::uint32_t slot) {
    Attached& at = nodes[slot];
    if (at.node == nullptr) return;
    if (at.wakes != Instant::max()) loop.cancel(at.timer);
    at.wakes = Instant::max();
    loop.detach(*at.host);
    at.node->set_driver(nullptr);
    at.node = nullptr;
  }
};

LoopDriver::LoopDriver(EventLoop& loop) : impl_(std::make_unique<Impl>(loop)) {}
LoopDriver::~LoopDriver() {
  for (std::uint32_t slot = 0; slot < impl_->nodes.size(); ++slot) impl_->detach(slot);
}

Result<void> LoopDriver::attach(Node& node, TunDevice& device) {
  if (node.driver() != nullptr) {
    return failure("a node has one driver: detach() it from the other one first");
  }
  Impl& impl = *impl_;
  const auto slot = static_cast<std::uint32_t>(impl.nodes.size());
  auto attached = impl.loop.attach(node.host(), device, [&impl, slot](SocketId socket) {
    if (Node* at = impl.nodes[slot].node) {
      at->on_event(socket);
      impl.pump(slot);
    }
  });
  if (!attached) return attached;
  impl.nodes.push_back({.node = &node, .host = &node.host()});
  node.set_driver(this, slot);
  touched(node);
  return {};
}

void LoopDriver::detach(Node& node) {
  if (node.driver() == this) impl_->detach(node.driver_slot());
}

void LoopDriver::touched(PacketNode& node) {
  impl_->wake_at(node.driver_slot(), EventLoop::now());
}

void LoopDriver::gone(PacketNode& node) {
  impl_->detach(node.driver_slot());
}

}  // namespace lastack
