// One line of the lifecycle log: what happened to a connection, where, when and why, in either world. Drawings,
// comparisons, reports and checks are made of these and of nothing else. docs/lifecycle-log.md describes the file,
// report/lifecycle_log.h reads and writes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/observer.h"
#include "lastack/tcp_state.h"
#include "lastack/time.h"

namespace lastack {

// "segment:sent" and so on; the names are in lifecycle_event.cc, in this order.
enum class Happening : std::uint8_t {
  SegmentSent,
  SegmentReceived,
  SegmentDropped,
  SegmentDelayed,
  SegmentDuplicated,
  SegmentCorrupted,
  StateChanged,
  TimerFired,
  AppListen,
  AppConnect,
  AppAccept,
  AppRead,
  AppWrite,
  AppShutdown,
  AppClose,
  AppAbort,
  IcmpReceived,
  PathDoubted,
  TimeWaitEntered,
  TimeWaitEnded,         // after its time
  TimeWaitOverflowed,    // never began: tcp_max_tw_buckets
  TimeWaitSkipped,       // never began: its length is nothing
  TimeWaitEvicted,       // for a newer one
  TimeWaitAssassinated,  // by a RST
  TimeWaitReused,        // by connect()
  TimeWaitReopened,      // by a SYN
  TimeWaitAborted,
  AppRefused,   // a connect() that came to nothing at once; `why` says for what and whereto
  HostCrashed,  // it has lost its memory
  SettingChanged,
};
std::string_view to_string(Happening happening);
std::optional<Happening> happening_from(std::string_view name);

struct LifecycleEvent {
  Instant at{};
  std::string host;
  // As that host sees it; of a listener the remote part is unspecified. Nothing: of no connection.
  std::optional<FourTuple> tuple;
  // Which use of that four-tuple by that host, from 1; 0: not known, or a listener.
  std::uint32_t incarnation = 0;
  Happening what{};
  // Seen as it happened, or concluded from something else.
  bool inferred = false;
  // The same number for the same segment wherever it is seen; 0: none.
  std::uint64_t segment_id = 0;
  std::optional<SeenSegment> segment;
  // StateChanged.
  std::optional<TcpState> from, to;
  std::string timer;  // TimerFired: which
  std::string why;    // what brought it about: "segment 17", "close()", "time-out"
  std::string rule;   // where it is written
};

// Of a kind of events.
enum class Coverage : std::uint8_t { Absent, Sampled, Complete };
std::string_view to_string(Coverage coverage);
std::optional<Coverage> coverage_from(std::string_view name);

enum class World : std::uint8_t { Endpoint, Kernel, Capture, Mixed };
std::string_view to_string(World world);
std::optional<World> world_from(std::string_view name);

// The first line.
struct LifecycleHeader {
  std::string tool_version;
  World world = World::Endpoint;
  std::string vantage;  // from where it was seen
  std::optional<std::uint64_t> seed;
  std::string profile;
  // The clock's zero in nanoseconds after 1970, where that is known.
  std::optional<std::int64_t> zero_at;
  std::map<std::string, std::string>
      settings;  // those that were set, by host and name: "client tcp_tw_reuse"
  // Boxes that let hosts share an address: by name.
  struct Nat {
    std::string address;
    std::vector<std::string> inside;  // hosts
  };
  std::map<std::string, Nat> nats{};
  std::map<std::string, Coverage>
      coverage;  // by category: "segment", "state", "timer", "app", "timewait", ...
};

}  // namespace lastack
