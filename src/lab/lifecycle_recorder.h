// Makes the lifecycle log of endpoint hosts and of the wire between them: each host gets an observer of its own, and
// all of them write into one log, in the order in which things happen. Nothing is concluded; what is written was seen.
//
//   LifecycleRecorder log(header, sink);
//   net.add_host({.name = "client", .observer = log.observe("client")}, ...);
//   log.watch(net);
//
// The recorder lives longer than the hosts and the network.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/observer.h"
#include "lastack/packet_view.h"
#include "lastack/virtual_network.h"
#include "model/lifecycle_event.h"

namespace lastack {

// What an observer on the wire is told of a packet.
SeenSegment seen(const PacketView& view);

class LifecycleRecorder {
 public:
  // Whole lines, the header's first, at once. It may be empty: nothing is written.
  using Sink = std::function<void(std::string_view)>;
  LifecycleRecorder(LifecycleHeader header, Sink sink);
  ~LifecycleRecorder();
  LifecycleRecorder(const LifecycleRecorder&) = delete;
  LifecycleRecorder& operator=(const LifecycleRecorder&) = delete;

  // Whether a host tells of its changes of state. Of one that does not (a kernel) uses of a four-tuple are counted by
  // its connect() and by the sequence numbers of its SYNs.
  enum class States : std::uint8_t { Told, Untold };
  // The observer of one more host, which the recorder owns.
  HostObserver* observe(std::string host, States states = States::Told);
  // What becomes of segments on the wire. Hosts are called as in observe().
  void watch(VirtualNetwork& network);
  // What no observer tells of: a crash, a segment that a box on the way has dropped. Its time may be that of the last event.
  void tell(LifecycleEvent event) { write(std::move(event)); }
  // Faults, by name, that have struck the packet that is about to be told of; empty: none.
  void struck(std::string faults) { faults_ = std::move(faults); }
  // The segment that whoever is on the wire is about to be given.
  std::uint64_t arriving() const { return arriving_; }
  // Told of each event as it is written.
  void read_by(std::function<void(const LifecycleEvent&)> reader) { reader_ = std::move(reader); }
  // The number of the segment that a packet of the watched network is; 0: not known.
  std::uint64_t segment_of(std::uint64_t packet) const;

 private:
  class Witness;
  void write(LifecycleEvent event);
  std::uint64_t number_sent(const FourTuple& sender, const SeenSegment& segment);
  // A packet begins its way: the number of the segment that it is; 0 if nobody here has sent it.
  std::uint64_t take_number(const FourTuple& sender, std::uint32_t seq, std::uint32_t length);

  Sink sink_;
  std::function<void(const LifecycleEvent&)> reader_;
  std::string line_;
  std::vector<std::unique_ptr<Witness>> witnesses_;
  Instant last_{};
  std::uint64_t last_id_ = 0;
  bool watching_ = false;
  std::string faults_;
  // Sent by a host, and not on the wire yet; in order, which is that of the wire.
  struct Waiting {
    std::uint32_t seq = 0;
    std::uint32_t length = 0;  // in sequence numbers
    std::uint64_t id = 0;
  };
  std::map<FourTuple, std::deque<Waiting>> waiting_;
  // The packets sent last, by their number.
  struct OnWire {
    std::uint64_t packet = 0;
    std::uint64_t id = 0;
  };
  std::vector<OnWire> on_wire_;
  std::uint64_t arriving_ = 0;  // the segment that a host is about to be given
};

}  // namespace lastack
