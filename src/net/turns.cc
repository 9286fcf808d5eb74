// Whose turn it is in the wire in memory. An instant is played in three steps: what arrives is received, what is due is
// done, and everybody who was touched reacts and sends. Those in the same instant take turns in an order that only the
// calls before it decide.
#include <algorithm>

#include "net/virtual_network_impl.h"

namespace lastack {
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

void VirtualNetwork::Impl::mark(std::uint32_t id) {
  Entry& entry = *entries[id];
  if (entry.dirty || entry.node == nullptr) return;
  entry.dirty = true;
  dirty.push_back(id);
}

void VirtualNetwork::Impl::begin() {
  for (const std::uint32_t id : unasked) mark(id);
  std::sort(dirty.begin(), dirty.end());
}

void VirtualNetwork::Impl::flush() {
  for (std::size_t i = 0; i < dirty.size(); ++i) {
    const std::uint32_t id = dirty[i];
    Entry& entry = *entries[id];
    // What its own handlers do to it has its turn here; what a fault or a tap does to it has another one.
    if (entry.node != nullptr) entry.node->pump(now);
    entry.dirty = false;
    if (entry.node == nullptr) continue;
    while (entry.node != nullptr) {  // the fault may take it out
      const auto packet = entry.node->next_packet();
      if (packet.empty()) break;
      send(id, packet, entry.node->segment_size());
    }
    if (entry.node == nullptr) continue;
    deadlines.set(&entry, entry.node->next_deadline());
  }
  dirty.clear();
  forget_old();
}

void VirtualNetwork::Impl::forget_old() {
  removed.clear();
  old_handlers.clear();
  old_faults.clear();
}

Instant VirtualNetwork::Impl::next() const {
  return arrivals.empty() ? deadlines.next() : std::min(deadlines.next(), arrivals.front().at);
}

void VirtualNetwork::Impl::play(Instant at) {
  now = std::max(now, at);
  while (!arrivals.empty() && arrivals.front().at <= now) deliver();
  while (!deadlines.empty() && deadlines.next() <= now) {
    Entry* entry = deadlines.top();
    deadlines.remove(entry);
    if (entry->node == nullptr) continue;
    mark(static_cast<std::uint32_t>(entry->order));  // also when an exception comes out of it
    entry->node->advance(now);
  }
  flush();
}

void VirtualNetwork::run_until(Instant stop) {
  Impl& net = *impl_;
  if (net.running) return;
  const Running running(net.running);
  net.begin();
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
  net.begin();
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

Instant VirtualNetwork::next_time() {
  Impl& net = *impl_;
  if (net.running) return net.now;
  const Running running(net.running);
  net.begin();
  net.flush();
  return net.next();
}

bool VirtualNetwork::step(Instant limit) {
  Impl& net = *impl_;
  if (net.running) return false;
  const Running running(net.running);
  net.begin();
  net.flush();
  const Instant next = net.next();
  if (next > limit || next == Instant::max()) {
    if (limit != Instant::max()) net.now = std::max(net.now, limit);
    return false;
  }
  net.play(next);
  return true;
}

}  // namespace lastack
