// What one event of a connection may use: the time, the rules, and where counts and packets go. Made by the
// stack for each call; nothing of it is kept.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lastack/counters.h"
#include "lastack/observer.h"
#include "lastack/time.h"
#include "tcp/settings.h"
#include "wire/packet_queue.h"

namespace lastack {

// Challenge ACKs of a whole host are limited, to a number in each second that an attacker cannot learn
// (RFC 5961, 10; CVE-2016-5696). Linux 6 has a limit per namespace only when asked for: the default is
// unlimited there, but each connection sends one per tcp_invalid_ratelimit.
struct ChallengeLimit {
  std::uint32_t per_second = 0x7fffffff;  // tcp_challenge_ack_limit
  std::uint32_t left = 0;
  Instant second{};
  std::uint64_t random = 0;  // the state of its own sequence; the host seeds it

  // A new second: half of the limit, and up to as much again as the whole (Linux: tcp_send_challenge_ack), so that
  // what is left tells nobody how many others had theirs.
  void refill() {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const auto drawn = static_cast<std::uint32_t>(random >> 33);
    left = (per_second + 1) / 2 + (per_second == 0 ? 0 : drawn % per_second);
  }
};

struct TcpContext {
  Instant now;
  const TcpSettings& settings;
  Counters& counters;
  PacketQueue& out;
  ChallengeLimit& challenges;
  bool checksum_offload = false;  // the device, or nobody, cares for checksums
  HostObserver* observer = nullptr;
  // The buffers of all connections together have what tcp_mem allows: nothing is taken that can wait.
  bool memory_full = false;
};

// The clock of RFC 7323 timestamps: milliseconds, as Linux's.
inline std::uint32_t timestamp_clock(Instant now) {
  return static_cast<std::uint32_t>(now.time_since_epoch() / std::chrono::milliseconds(1));
}

// The same where 0 means none.
inline std::uint32_t stamp_of(Instant now) {
  return std::max(timestamp_clock(now), 1U);
}

}  // namespace lastack
