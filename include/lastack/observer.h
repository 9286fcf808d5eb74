// Watching a host: every segment, call, time-out and change of state, in the order in which they happen. The
// lifecycle log and the tests of the state diagram are made of this; a host without an observer pays a test of
// a null pointer.
//
// Calls come from inside the host, which must not be called back. No ownership, no threads: the observer
// lives longer than the host and is called on the host's thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lastack/four_tuple.h"
#include "lastack/tcp_state.h"
#include "lastack/time.h"

namespace lastack {

// A segment's header, in host byte order, flags as on the wire (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32).
struct SeenSegment {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint32_t length = 0;  // bytes of data
  std::uint16_t flags = 0;
  std::uint16_t window = 0;  // not scaled
  struct Stamps {
    std::uint32_t value = 0;
    std::uint32_t echo = 0;
  };
  std::optional<Stamps> timestamps{};
  struct Block {
    std::uint32_t left = 0;
    std::uint32_t right = 0;  // one past its last number
  };
  std::array<Block, 4> sack{};
  std::uint8_t sack_count = 0;

  bool fin() const { return (flags & 1) != 0; }
  bool syn() const { return (flags & 2) != 0; }
  bool rst() const { return (flags & 4) != 0; }
  bool ack_flag() const { return (flags & 16) != 0; }
};

// What the user asked for (RFC 9293, 3.10.1 to 3.10.6).
enum class SeenCall : std::uint8_t { Listen, Connect, Accept, Read, Write, Shutdown, Close, Abort };

enum class SeenTimer : std::uint8_t {
  Retransmit,
  LossProbe,
  Reorder,
  WindowProbe,
  DelayedAck,
  KeepAlive,
  FinWait2,  // an orphan has waited long enough for its peer's FIN
  TimeWait,  // 2 MSL are over
};

std::string_view to_string(SeenCall call);
std::string_view to_string(SeenTimer timer);

// Why TIME_WAIT, or the record of an orphan in FIN_WAIT_2, ended before its time, or never began.
enum class SeenEnd : std::uint8_t {
  Other,
  Refused,  // tcp_max_tw_buckets
  NotKept,  // the length is nothing
  Evicted,
  Reset,
  Reused,    // by connect()
  Reopened,  // by a SYN
  Aborted,
};

// The four-tuple is as the host sees it; of a listener it has no remote part.
class HostObserver {
 public:
  virtual ~HostObserver() = default;

  virtual void received(Instant, const FourTuple&, const SeenSegment&) {}
  // An error of ICMP about a segment of this connection.
  virtual void received_icmp(Instant, const FourTuple&) {}
  // Each segment of a super-segment by itself, before it is cut.
  virtual void sent(Instant, const FourTuple&, const SeenSegment&) {}
  virtual void called(Instant, const FourTuple&, SeenCall) {}
  virtual void timer_fired(Instant, const FourTuple&, SeenTimer) {}
  // R1 (RFC 9293, 3.8.3; tcp_retries1): so much was sent again in vain that another path ought to be looked for.
  // Told at every time-out from there on. This is the advice to the IP layer, which is whoever owns the device.
  virtual void path_doubted(Instant, const FourTuple&) {}
  // A connection that a SYN makes comes from Listen, and goes back there when its handshake fails; one that a
  // SYN makes out of a record comes from TimeWait.
  virtual void state_changed(Instant, const FourTuple&, TcpState /*from*/, TcpState /*to*/,
                             SeenEnd) {}
};

}  // namespace lastack
