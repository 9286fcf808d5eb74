// LISTEN (RFC 9293, 3.10.7.2), and which listener of a port a segment is for: the cost is the same however many there
// are.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/time.h"
#include "stack/connection_table.h"

namespace lastack {

using ConnectionIndex = ConnectionTable::Index;
inline constexpr ConnectionIndex kNoConnection = ConnectionTable::kNone;

// The socket's own Connection keeps the options that children inherit.
struct Listener {
  Endpoint local;
  ConnectionIndex socket = kNoConnection;  // whose options and number it has
  std::uint32_t number = 0;                // 1 + its place among the host's
  std::uint32_t place = 0;                 // among those of the same address
  bool v6_only = false;
  bool v4 = true;  // an IPv4 socket
  std::uint32_t backlog = 0;
  std::uint32_t half_open = 0;  // in SYN_RECEIVED
  // The first of them, and by ControlBlock::half_open_next the others: 1 + index, 0: none.
  std::uint32_t first_half_open = 0;
  std::deque<ConnectionIndex> ready;
  std::uint64_t overflows = 0;
  // Of Fast Open: who has not confirmed the SYN,ACK, and until when a RST in place of that counts.
  std::vector<ConnectionIndex> fast_open;
  std::deque<Instant> fast_open_resets;

  // Linux counts one more than the backlog (linux: sk_acceptq_is_full).
  bool accept_queue_full() const { return ready.size() > backlog; }
  bool syn_queue_full() const { return half_open > backlog; }
};

// Those of one port. Several of the same address are a group of SO_REUSEPORT, of which the four-tuple chooses one.
class PortListeners {
 public:
  // In no order: the last takes the place of one that goes (as Linux has it, reuseport_detach_sock).
  using Group = std::vector<Listener*>;

  bool empty() const { return v4_.empty() && v6_.empty() && v6_only_.empty() && at_.empty(); }
  void add(Listener& listener) {
    Group& group = group_of(listener);
    listener.place = static_cast<std::uint32_t>(group.size());
    group.push_back(&listener);
  }
  void remove(const Listener& listener) {
    Group& group = group_of(listener);
    group.back()->place = listener.place;
    group[listener.place] = group.back();
    group.pop_back();
    if (group.empty() && !listener.local.address.is_unspecified()) {
      at_.erase(listener.local.address);
    }
  }
  // A listener for this very address before one for all, and one for all of the same family before one for both.
  // `choose` is asked where there are several: for a number that is the same for the same four-tuple.
  template <class Choose>
  Listener* find(const IpAddress& local, Choose&& choose) const {
    const auto one_of = [&](const Group& group) {
      return group.size() == 1 ? group[0] : group[choose() % group.size()];
    };
    if (!at_.empty()) {
      if (const auto found = at_.find(local); found != at_.end()) return one_of(found->second);
    }
    if (local.is_v4()) {
      if (!v4_.empty()) return one_of(v4_);
      return v6_.empty() ? nullptr : one_of(v6_);
    }
    if (v6_only_.empty()) return v6_.empty() ? nullptr : one_of(v6_);
    if (v6_.empty()) return one_of(v6_only_);
    const std::size_t n = choose() % (v6_.size() + v6_only_.size());
    return n < v6_.size() ? v6_[n] : v6_only_[n - v6_.size()];
  }

 private:
  // The user's own addresses: nobody chooses them to collide.
  struct PlainHash {
    std::size_t operator()(const IpAddress& address) const {
      const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
      return static_cast<std::size_t>((words[0] ^ words[1]) * 0x9e3779b97f4a7c15ULL >> 32);
    }
  };

  Group& group_of(const Listener& listener) {
    if (!listener.local.address.is_unspecified()) return at_[listener.local.address];
    if (listener.v4) return v4_;
    return listener.v6_only ? v6_only_ : v6_;
  }

  Group v4_, v6_,
      v6_only_;  // for all addresses: of an IPv4 socket, of one for both families, of one for IPv6
  std::unordered_map<IpAddress, Group, PlainHash> at_;
};

}  // namespace lastack
