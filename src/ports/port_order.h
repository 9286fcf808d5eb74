// The order in which Linux's connect() tries its local ports (linux-facts 19 and 22; __inet_hash_connect() of 6.18), of
// which RFC 6056 has the plan as its algorithm 4 (3.3.4). It begins at a place that a keyed hash of source, destination
// and destination port gives, moved on by each earlier connect() that shared an entry of a table with it, and goes on
// with every second port, those of the parity of the range's low end, all round; then come the others. A socket with a
// range of its own has each port in turn.
//
// Two ways go along it: linux_walk.h, port by port as Linux does, and ephemeral_ports.h, which finds the same one at once.
#pragma once

#include <cstdint>
#include <vector>

#include "lastack/four_tuple.h"
#include "ports/local_port_rules.h"
#include "timewait/siphash.h"

namespace lastack {

// A range as it is walked: from low up to, and without, high, with an even number of places unless it goes in steps of
// one. When that leaves the last port over, Linux reaches it only if it begins before it.
struct PortWalk {
  explicit PortWalk(const RangeToChooseFrom& r)
      : low(r.range.low), high(r.range.high + 1U), step(r.own ? 1 : 2), places(high - low) {
    if (!r.own && places > 1) places &= ~1U;
  }
  // Has it ports of the other parity?
  bool has_second_round() const { return step == 2 && places > 1; }

  std::uint32_t low;
  std::uint32_t high;
  std::uint32_t step;
  std::uint32_t places;
};

class PortOrder {
 public:
  explicit PortOrder(const SipKey& key) : key_(key) {}

  // Of whom a connection goes to whom: what the other calls ask for.
  std::uint64_t hash(const IpAddress& source, const Endpoint& destination) const;
  // Where the next connect() begins, as an offset from the low end.
  std::uint32_t offset(std::uint64_t hash, const PortWalk& walk);
  // It found a port `walked` beyond. The next one begins behind it, and a little further by chance: up to seven more of
  // its steps, as long as fewer were walked.
  void move_on(std::uint64_t hash, const PortWalk& walk, std::uint32_t walked,
               std::uint64_t random);

  // A part of n, by the lower half of a random number.
  static std::uint32_t part_of(std::uint32_t n, std::uint64_t random);

 private:
  std::uint32_t& moved_on(std::uint64_t hash);

  SipKey key_;
  // table_perturb, 2^16 entries as most distributions build it. There from the first connect() on.
  std::vector<std::uint32_t> moved_on_;
};

}  // namespace lastack
