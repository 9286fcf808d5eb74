// SYN cookies (RFC 4987, 3.6): when the SYN queue is full, the SYN,ACK's sequence number holds what a
// connection needs to begin, and nothing is kept. The MSS is one of four; window scale and SACK come back in
// the low bits of the timestamp, where the client has that option.
#pragma once

#include <optional>

#include "lastack/four_tuple.h"
#include "lastack/time.h"
#include "stack/secret_hash.h"
#include "tcp/settings.h"
#include "wire/tcp_segment.h"

namespace lastack {

// After that no cookie is good any more.
inline constexpr Duration kCookieLifetime = std::chrono::minutes(3);

SeqNum make_syn_cookie(const SecretKey& key, const FourTuple& tuple, const TcpSegment& syn,
                       Instant now);
// The offset that makes our next timestamp carry what was agreed upon.
std::uint32_t encode_in_timestamp(const TcpSegment& syn, const TcpSettings& settings,
                                  std::uint32_t clock, std::uint32_t offset);
// The SYN as far as it can be known from the ACK of a cookie: nothing when it is none of ours, or older than
// two minutes.
std::optional<TcpSegment> check_syn_cookie(const SecretKey& key, const FourTuple& tuple,
                                           const TcpSegment& ack, Instant now,
                                           const TcpSettings& settings);

}  // namespace lastack
