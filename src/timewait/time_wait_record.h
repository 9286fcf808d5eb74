// What is kept of a connection in TIME_WAIT (RFC 9293, 3.3.2 and 3.10.7.4; linux-facts 12 to 18).
//
// In a table, for one local address, a record is
//
//                              IPv4   IPv6
//     remote address              4     16
//     remote port, local port     4      4
//     rcv_nxt                     4      4    what the peer has to send next; its FIN is before it
//     snd_nxt                     4      4    what we would send next; our FIN is before it
//     ts_recent                   4      4    the peer's last timestamp, if it sent any
//     flags and time              4      4    7 bits and 25 bits: milliseconds, modulo 9.3 hours
//                                24     36
//
// and a word of about 5 bytes (with the slack of its table) finds it: 29.3 and 41.3 bytes. There is no timer:
// a record's place in the ring is its age. There is no local address: each has its own table. There is no
// window either: what TIME_WAIT sends announces none, as nothing is expected any more.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lastack/four_tuple.h"
#include "lastack/time.h"
#include "wire/seq_num.h"

namespace lastack {

// How the socket had come to its local port, and whom it lets in beside itself. The record goes on holding
// the port against bind() under the same terms (linux-facts 17, 19).
struct PortHold {
  bool bound = false;  // by bind() or a listener, and not chosen by connect()
  bool reuse_address = false;
  bool reuse_port = false;

  friend bool operator==(const PortHold&, const PortHold&) = default;
};

// A record as it goes in and out.
struct TimeWaitRecord {
  FourTuple tuple;
  SeqNum rcv_nxt;
  SeqNum snd_nxt;
  std::optional<std::uint32_t> ts_recent{};  // nothing: the connection had no timestamps
  PortHold port{};
  Instant armed{};  // when its stay began, or began again; whole milliseconds, rounded up

  friend bool operator==(const TimeWaitRecord&, const TimeWaitRecord&) = default;
};

namespace timewait {

enum Flag : std::uint32_t {
  kTimestamps = 1,
  kBound = 2,
  kReuseAddress = 4,
  kReusePort = 8,
  kAgain = 16,       // its time is not that of its place in the ring; its end is kept apart
  kRested = 32,      // older than the delay after which its port may be used again
  kRestQueued = 64,  // when it will be is kept apart
};
constexpr unsigned kFlagBits = 7;
constexpr std::uint32_t kFlagMask = (1U << kFlagBits) - 1;
constexpr unsigned kTimeBits = 32 - kFlagBits;
constexpr std::uint64_t kTimeRange = std::uint64_t{1} << kTimeBits;

// Milliseconds since `kTimeRange` of them before the epoch of the caller's clock, so that what lies before
// the epoch needs no sign.
using Millis = std::uint64_t;
constexpr Millis round_down(Instant t) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
  return kTimeRange + static_cast<Millis>(ms < 0 ? 0 : ms);
}
constexpr Millis round_up(Instant t) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(t.time_since_epoch()).count();
  return kTimeRange + static_cast<Millis>(ms < 0 ? 0 : ms);
}
constexpr Instant to_instant(Millis ms) {
  return Instant(std::chrono::milliseconds(static_cast<std::int64_t>(ms - kTimeRange)));
}

using V4 = std::uint32_t;                 // host byte order
using V6 = std::array<std::uint32_t, 4>;  // as on the wire

template <class Address>
struct Key {
  Address remote{};
  Port remote_port = 0;
  Port local_port = 0;

  friend bool operator==(const Key&, const Key&) = default;
};

template <class Address>
struct Packed {
  Key<Address> key{};  // local_port is 0 once the record has gone
  std::uint32_t rcv_nxt = 0;
  std::uint32_t snd_nxt = 0;
  std::uint32_t ts_recent = 0;
  std::uint32_t word = 0;

  bool gone() const { return key.local_port == 0; }
  bool has(Flag flag) const { return (word & flag) != 0; }
  void set(Flag flag) { word |= flag; }
  void clear(Flag flag) { word &= ~std::uint32_t{flag}; }
  std::uint32_t time() const { return word >> kFlagBits; }
  void set_time(Millis at) {
    word = (word & kFlagMask) | static_cast<std::uint32_t>(at % kTimeRange) << kFlagBits;
  }
};

using PackedV4 = Packed<V4>;
using PackedV6 = Packed<V6>;
static_assert(sizeof(PackedV4) == 24);
static_assert(sizeof(PackedV6) == 36);

}  // namespace timewait
}  // namespace lastack
