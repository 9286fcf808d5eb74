// What is on the wire between hosts of the lab, as a capture that Wireshark reads (report/pcapng.h): one interface for
// each host and NAT, on which a packet is seen when it is sent and again when it has arrived. What the lifecycle log
// tells is in the packets' comments: why a segment was sent, which state it led to, what the wire did to it.
//
// Times are those of the log. Packets are as on the wire: checksums and all.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/lifecycle_recorder.h"
#include "lastack/host.h"
#include "lastack/virtual_network.h"
#include "model/lifecycle_event.h"
#include "report/pcapng.h"

namespace lastack {

class WireCapture {
 public:
  // Takes whole blocks.
  using Sink = std::function<void(std::string_view)>;
  struct Place {
    NodeId node{};
    PcapngInterface interface;
    bool tells_why = true;  // an endpoint says for each segment why it was sent; a kernel does not
  };
  // `places`: where packets are looked at. All of them are there from the start.
  WireCapture(std::string_view program, std::string_view about, const std::vector<Place>& places,
              Sink sink);
  WireCapture(const WireCapture&) = delete;
  WireCapture& operator=(const WireCapture&) = delete;

  // After log.watch(network), and before anybody who tells the log of what has arrived.
  void watch(VirtualNetwork& network, LifecycleRecorder& log);
  // A fault of this name has struck the packet that has just been sent.
  void struck(const std::string& fault);
  // A call of connect() that came to nothing at once, at the place of that name.
  void refused(const std::string& place, const Endpoint& remote, Err error);
  // A host that has crashed is another node of the network.
  void moved(NodeId before, NodeId now);
  // No packet comes any more.
  void finish(Instant at);

 private:
  struct Seen {
    std::uint32_t place = 0;
    Instant at{};
    std::vector<std::byte> bytes;
    PcapngDirection direction{};
    std::uint64_t number = 0;
    FourTuple tuple;  // as its place sees it
    std::vector<std::string> comments;
  };
  struct Told {
    Instant at{};
    std::string what;
  };
  // What belongs to no packet yet.
  struct Waiting {
    std::map<FourTuple, std::vector<Told>> of_connection;
    std::map<std::pair<Endpoint, Err>, std::uint64_t> refused;
    std::size_t left_out = 0;
    std::uint64_t packets = 0;
    bool tells_why = true;
  };
  void note(const WireNote& note);
  void happened(const LifecycleEvent& event);
  void begin(const WireNote& note, std::uint32_t place, PcapngDirection direction);
  void tell(std::uint32_t place, const FourTuple& tuple, Instant at, std::string what);
  void flush();

  Sink sink_;
  LifecycleRecorder* log_ = nullptr;
  std::map<NodeId, std::uint32_t> places_;
  std::map<std::string, std::uint32_t, std::less<>> by_name_;
  std::vector<Waiting> waiting_;                     // by place
  std::map<std::uint64_t, std::vector<Told>> sent_;  // by segment, until it is on the wire
  std::optional<Seen> open_;                         // may still be told something
  std::string fault_;
  // Of packets that were sent last, by their number.
  struct Fate {
    std::uint64_t number = 0;
    bool arrived = false, corrupted = false;
  };
  std::vector<Fate> fates_;
  std::string block_;
};

}  // namespace lastack
