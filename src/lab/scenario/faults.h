// Strikes segments by what they are: "the first ACK of a FIN from client", "the second SYN on a four-tuple".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lab/scenario/scenario.h"
#include "lastack/four_tuple.h"
#include "lastack/virtual_network.h"

namespace lastack::lab {

class Faults {
 public:
  // `began`: the time from which FaultSpec::begins counts. `id_of` names hosts and NATs.
  Faults(const std::vector<FaultSpec>& specs, Instant began,
         const std::map<std::string, NodeId>& ids);

  // A packet that has just been sent.
  void look_at(Passage& passage);
  // A host that has crashed is another node of the network.
  void moved(NodeId before, NodeId now);
  // This step is over.
  void ended(const std::string& step);
  // How often each has struck, in the order of the specs.
  const std::vector<std::uint64_t>& struck() const { return struck_; }
  // Those that struck the packet that was looked at last.
  const std::vector<std::size_t>& struck_last() const { return struck_last_; }

 private:
  struct Rule {
    FaultSpec spec;
    NodeId from = NodeId::None, to = NodeId::None;
    bool waits = false;  // for a step
    std::uint64_t seen = 0;
  };
  // What is known of a four-tuple, from its sender.
  struct Side {
    std::uint32_t syns = 0;  // without ACK: connections that it has begun
    std::uint32_t last_syn = 0;
    bool finished = false;
    std::uint32_t fin_end = 0;  // one past the FIN
  };
  SegmentKind kind_of(const PacketView& segment, const Side* other) const;
  static bool is(SegmentKind wanted, SegmentKind kind, const PacketView& segment);

  std::vector<Rule> rules_;
  std::vector<std::uint64_t> struck_;
  std::vector<std::size_t> struck_last_;
  Instant began_;
  std::map<FourTuple, Side> sides_;
};

}  // namespace lastack::lab
