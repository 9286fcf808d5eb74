// A wire in memory between two hosts that does what wires do: it delays, loses, doubles, reorders, flips bits,
// sends old packets again, and at times takes only short packets (and says so by ICMP). Beside what VirtualNetwork
// does, it bounds how old any copy of a packet gets, and knows when one was sent last on a four-tuple: what TCP may be
// blamed for depends on that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/time.h"
#include "swarm/choices.h"

namespace lastack::test {

using Bytes = std::vector<std::byte>;

// What the wire does to a packet, in percent, and how late it may come.
struct WirePlan {
  std::uint32_t loss = 0;
  std::uint32_t doubled = 0;
  std::uint32_t late = 0;     // of those, up to `latest`
  std::uint32_t corrupt = 0;  // one bit
  std::uint32_t replay = 0;   // with a packet goes an old one
  Duration delay = 1ms;
  Duration jitter{};
  Duration latest = 200ms;
  // No copy of a packet arrives later than this after it was sent first: the MSL of this wire.
  Duration lifetime = 25s;
  std::uint32_t mtu = 1500;
  bool tells_mtu = true;  // by ICMP
};

class Wire {
 public:
  Wire(const WirePlan& how, Choices& choices) : plan(how), choices_(choices) {}

  struct Arrival {
    Instant at;
    std::size_t to;
    Instant born;
    Bytes packet;
  };

  WirePlan plan;
  bool faults = true;

  // A packet of host `from`. `segment_size`: not 0, it has to be cut into such pieces first.
  void send(std::size_t from, std::span<const std::byte> packet, std::uint16_t segment_size,
            Instant now);
  bool empty() const { return in_flight_.empty(); }
  Instant next() const { return in_flight_.empty() ? Instant::max() : in_flight_.begin()->first; }
  Arrival take();
  // Whether a copy of a packet of this connection may still arrive: when one was sent last. As host 0 sees it.
  Instant last_sent(const FourTuple& tuple) const {
    const auto found = last_sent_.find(key(tuple));
    return found == last_sent_.end() ? Instant::min() : found->second;
  }

  struct Counts {
    std::array<std::uint64_t, 2> sent{};  // TCP segments, before anything befell them
    std::array<std::uint64_t, 2> resets{};
    std::array<std::uint64_t, 2> arrived{};  // TCP segments that were whole
    std::uint64_t lost = 0, doubled = 0, corrupted = 0, replayed = 0, too_long = 0;
  };
  Counts counts;

 private:
  struct Old {
    Instant born;
    Bytes packet;
  };
  static std::uint64_t key(const FourTuple& tuple);
  void one(std::size_t from, Bytes packet, Instant now);
  void put(std::size_t to, Bytes packet, Instant born, Instant at);
  void tell_too_long(std::size_t from, const Bytes& packet, Instant now);
  Duration delay();

  Choices& choices_;
  std::multimap<Instant, Arrival> in_flight_;
  std::array<std::deque<Old>, 2> old_;
  std::unordered_map<std::uint64_t, Instant> last_sent_;
};

}  // namespace lastack::test
