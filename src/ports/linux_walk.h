// How Linux walks its local ports (linux-facts 19 to 22), to foretell what it does: __inet_hash_connect() and
// inet_csk_find_open_port() of 6.18. The other way to choose is in ephemeral_ports.h.
//
// connect() begins at a place that a keyed hash of source, destination and destination port gives (RFC 6056,
// 3.3.4), moved on by each earlier connect() that shared an entry of a table with it. It tries every second
// port, those of the parity of the range's low end, all round; then the others. bind() to port 0 begins
// anywhere, with the other parity. A socket with a range of its own tries each port in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <tl/expected.hpp>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/port_set.h"
#include "ports/local_port_rules.h"
#include "ports/port_error.h"
#include "timewait/siphash.h"

namespace lastack {

class LinuxPortWalk {
 public:
  // The key also fills the table, 2^16 entries as most distributions build it.
  explicit LinuxPortWalk(const SipKey& key);

  // May the connection have this port? The caller takes it when it says so.
  using Test = std::function<bool(Port)>;

  // `random`: up to eight further ports are passed over after this one, by chance. Reserved ports are not
  // tried.
  tl::expected<Port, PortError> connect(const IpAddress& source, const Endpoint& destination,
                                        const RangeToChooseFrom& range, const PortSet& reserved,
                                        std::uint64_t random, const Test& test);

  // With SO_REUSEADDR the lower half of the range is tried first. Nothing is remembered.
  static tl::expected<Port, PortError> bind_zero(const RangeToChooseFrom& range,
                                                 const PortSet& reserved, bool reuse_address,
                                                 std::uint64_t random, const Test& test);

  // How many ports the last connect() looked at, reserved ones included: what it cost (claim C2).
  std::uint32_t looked_at() const { return looked_at_; }

 private:
  SipKey key_;
  std::vector<std::uint32_t> moved_on_;  // table_perturb
  std::uint32_t looked_at_ = 0;
};

}  // namespace lastack
