// tcp_tw_recycle, which Linux had until 4.12: the last timestamp of each remote address, whichever of its
// connections it came with. A SYN whose timestamp is older than that is dropped without a word for a minute
// (claim B6); behind a NAT address there are many clocks, and all but the fastest lose. Only history and the
// lab have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "lastack/ip_address.h"
#include "lastack/time.h"
#include "timewait/siphash.h"

namespace lastack::timewait {

class PeerTimestamps {
 public:
  // At most so many addresses; the table is emptied when one more comes.
  static constexpr std::size_t kMost = 1 << 16;

  explicit PeerTimestamps(const SipKey& key) : peers_(16, Hash{key}) {}

  // A connection with this peer entered TIME_WAIT.
  void remember(const IpAddress& peer, std::uint32_t timestamp, Instant now);
  // Whether a SYN with this timestamp, or with none, may become a connection.
  bool accepts(const IpAddress& peer, std::optional<std::uint32_t> timestamp, Instant now) const;

  void clear() { peers_.clear(); }
  std::size_t size() const { return peers_.size(); }
  std::size_t bytes() const;

 private:
  struct Last {
    std::uint32_t timestamp;
    Instant at;
  };
  struct Hash {
    SipKey key;
    std::size_t operator()(const IpAddress& address) const;
  };
  std::unordered_map<IpAddress, Last, Hash> peers_;
};

}  // namespace lastack::timewait
