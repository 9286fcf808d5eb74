#include "timewait/peer_timestamps.h"

#include "timewait/tuple_hash.h"

namespace lastack::timewait {
namespace {

constexpr Duration kMinute = 60s;            // TCP_PAWS_MSL
constexpr std::int32_t kMayBeEarlierBy = 1;  // TCP_PAWS_WINDOW

}  // namespace

std::size_t PeerTimestamps::Hash::operator()(const IpAddress& address) const {
  return static_cast<std::size_t>(hash_of(key, address));
}

// A later timestamp is kept; an earlier one only when the one at hand is more than a minute old.
void PeerTimestamps::remember(const IpAddress& peer, std::uint32_t timestamp, Instant now) {
  if (peers_.size() >= kMost && peers_.find(peer) == peers_.end()) peers_.clear();
  const auto [at, fresh] = peers_.try_emplace(peer, Last{timestamp, now});
  Last& last = at->second;
  const bool later = static_cast<std::int32_t>(last.timestamp - timestamp) <= 0;
  if (!fresh && (later || now - last.at > kMinute)) last = {timestamp, now};
}

bool PeerTimestamps::accepts(const IpAddress& peer, std::optional<std::uint32_t> timestamp,
                             Instant now) const {
  const auto at = peers_.find(peer);
  if (at == peers_.end() || now - at->second.at >= kMinute) return true;
  if (!timestamp) return false;
  return static_cast<std::int32_t>(at->second.timestamp - *timestamp) <= kMayBeEarlierBy;
}

std::size_t PeerTimestamps::bytes() const {
  return peers_.bucket_count() * sizeof(void*) +
         peers_.size() * (sizeof(decltype(peers_)::value_type) + 2 * sizeof(void*));
}

}  // namespace lastack::timewait
