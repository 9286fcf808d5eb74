// A lifecycle log in memory, compact, with what a drawing or a comparison needs beside the lines themselves: the hosts,
// the connections with their uses, and sequence numbers counted from each direction's SYN. One pass over the log; a line
// takes about a hundred bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lastack/result.h"
#include "model/lifecycle_event.h"
#include "report/lifecycle_log.h"

namespace lastack {

inline constexpr std::uint32_t kNoConnection = 0xffffffff;
inline constexpr std::uint16_t kWireHost = 0xffff;

// One line. Sequence numbers are relative: a SYN's own is 0, and they do not wrap.
struct TraceEvent {
  std::int64_t at = 0;      // nanoseconds of the log's clock
  std::uint64_t id = 0;     // of the segment; 0: none
  std::int64_t seq = 0;     // relative
  std::int64_t ack = 0;     // relative; where there is ACK
  std::uint64_t cause = 0;  // the segment that brought it about; 0: none, and `why` says what did
  std::uint32_t line = 0;
  std::uint32_t connection = kNoConnection;
  std::uint32_t length = 0;
  std::uint32_t why = 0;  // texts; 0: none
  std::uint32_t rule = 0;
  std::uint32_t timer = 0;
  std::uint32_t sack = 0;  // "2001-3001 ...", relative
  std::uint32_t detail =
      0;  // a listener's address; what there is to say of a SYN that uses the ports again
  std::uint32_t ts_value = 0, ts_echo = 0;
  std::uint16_t host = kWireHost;
  std::uint16_t flags = 0;
  std::uint16_t window = 0;
  Happening what{};
  TcpState from{}, to{};
  bool has_timestamps : 1 = false;
  bool inferred : 1 = false;
  bool sender_is_opener : 1 =
      false;               // which end of the connection sent the segment, or where it happened
  bool again : 1 = false;  // all of it was sent before
  bool off_sequence : 1 =
      false;  // bears nothing, and its number is not the next one: a probe, a challenge
  bool seq_of_before : 1 = false;  // in numbers of the use before: it belongs there
  bool ack_of_before : 1 = false;

  bool is_segment() const { return what <= Happening::SegmentCorrupted; }
  bool syn() const { return (flags & 2) != 0; }
  bool fin() const { return (flags & 1) != 0; }
  bool rst() const { return (flags & 4) != 0; }
  bool ack_flag() const { return (flags & 16) != 0; }
};

// One use of two endpoints: an incarnation, as both ends have it.
struct TraceConnection {
  Endpoint opener, other;  // whoever was first seen to open it; else whoever was seen first
  std::uint32_t pair = 0;  // the same for all uses of these endpoints
  std::uint32_t use = 1;   // from 1
  std::uint32_t first_event = 0;
  std::uint32_t segments = 0;  // sent, or where the sender is not in the log received
};

class LogTrace {
 public:
  void begin(const LifecycleHeader& header) { header_ = header; }
  void add(const LifecycleEvent& event, std::uint64_t line);

  const LifecycleHeader& header() const { return header_; }
  const std::vector<TraceEvent>& events() const { return events_; }
  const std::vector<TraceConnection>& connections() const { return connections_; }
  // Without the wire, those that open connections first.
  const std::vector<std::string>& hosts() const { return hosts_; }
  const std::string& text(std::uint32_t index) const { return texts_[index]; }
  // Whose endpoint it is, if it is in the log.
  std::optional<std::uint16_t> host_of(const Endpoint& endpoint) const;
  // "client", or the address where the host is not in the log.
  std::string name_of(const Endpoint& endpoint) const;
  // Hosts in the order of drawing: those that open connections before those that accept them.
  std::vector<std::uint16_t> drawing_order() const;
  // How many of them open connections.
  std::size_t openers() const { return openers_; }
  // "client 10.0.0.1:40000 -> server 10.0.0.2:80, use 2"
  std::string describe(std::uint32_t connection) const;

  // The connections that `which` names: numbers from 1, or endpoints ("10.0.0.1:40000", ":40000"), with commas between.
  Result<std::vector<std::uint32_t>> find(std::string_view which) const;

 private:
  struct Direction {
    bool known = false;
    bool guessed = false;  // no SYN was seen: counted from the first number
    std::uint32_t base = 0;
    std::uint32_t last = 0;     // the highest number sent, and
    std::int64_t last_rel = 0;  // the same, relative
  };
  struct Incarnation {
    std::uint16_t host = 0;
    std::uint32_t number = 0;
  };
  // What is known of a use beside what is shown of it.
  struct Use {
    Direction direction[2];  // sender: 0 the lower endpoint, 1 the higher
    std::vector<Incarnation> incarnations;
    bool opener_known = false;
  };
  struct Pair {
    Endpoint low, high;
    std::vector<std::uint32_t> uses;  // connections
    std::vector<std::pair<std::uint16_t, TcpState>> states;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  struct PairHash {
    std::size_t operator()(const FourTuple& tuple) const;
  };

  std::uint32_t intern(std::string_view text);
  std::uint16_t host_index(const std::string& name);
  std::uint32_t pair_index(const Endpoint& a, const Endpoint& b);
  std::uint32_t new_use(std::uint32_t pair);
  std::uint32_t use_of(std::uint32_t pair, std::uint16_t host, std::uint32_t incarnation);
  std::uint32_t use_of_segment(const LifecycleEvent& event, std::uint32_t pair, std::uint16_t host);
  std::uint32_t use_without_number(const LifecycleEvent& event, std::uint32_t pair,
                                   std::uint16_t host);
  static bool knows_states(const Pair& pair, std::uint16_t host);
  bool at_rest(const Pair& pair, std::uint16_t host) const;
  void number_segment(TraceEvent& e, const SeenSegment& s, std::uint32_t pair, int sender);

  LifecycleHeader header_;
  std::vector<TraceEvent> events_;
  std::vector<TraceConnection> connections_;
  std::vector<Use> uses_;
  std::vector<Pair> pairs_;
  std::unordered_map<FourTuple, std::uint32_t, PairHash> pair_index_;
  std::vector<std::string> hosts_;
  std::uint32_t openers_ = 0;
  std::vector<std::uint32_t>
      opened_;  // when each host was the first time an opener, from 1; 0: never
  std::unordered_map<std::string, std::uint16_t> host_index_;
  std::map<Endpoint, std::uint16_t> endpoint_host_;
  std::map<IpAddress, std::uint16_t> address_host_;
  std::unordered_map<std::uint64_t, std::uint32_t> sent_;  // segment, connection
  std::vector<std::string> texts_{""};
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> text_index_;
};

// Feeds a log, in pieces of any size, into a trace. An error names the line.
class LogTraceReader {
 public:
  Result<void> feed(std::string_view piece);
  // After the last piece.
  Result<void> finish();
  const LogTrace& trace() const { return trace_; }
  LogTrace take() { return std::move(trace_); }

 private:
  Result<void> line(std::string_view line);

  LifecycleReader reader_;
  LogTrace trace_;
  std::string rest_;  // a line that has only begun
};

Result<LogTrace> trace_of(std::string_view log);
LogTrace trace_of(const LifecycleHeader& header, std::span<const LifecycleEvent> events);

}  // namespace lastack
