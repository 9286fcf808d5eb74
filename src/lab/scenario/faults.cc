#include "lab/scenario/faults.h"

#include <algorithm>

namespace lastack::lab {
namespace {

FourTuple turned(const FourTuple& tuple) {
  return {tuple.remote, tuple.local};
}

// Destination unreachable, with the code that says why (RFC 792, RFC 1812, RFC 4443).
void reject(Passage& passage, FaultSpec::Icmp why, bool v4) {
  using Icmp = FaultSpec::Icmp;
  std::uint8_t code = 0;
  switch (why) {
    case Icmp::Prohibited:
      code = v4 ? 13 : 1;
      break;
    case Icmp::Port:
      code = v4 ? 3 : 4;
      break;
    case Icmp::Host:
      code = v4 ? 1 : 3;
      break;
    case Icmp::Net:
      code = 0;
      break;
  }
  passage.reject(v4 ? 3 : 1, code);
}

}  // namespace

Faults::Faults(const std::vector<FaultSpec>& specs, Instant began,
               const std::map<std::string, NodeId>& ids)
    : struck_(specs.size()), began_(began) {
  const auto id = [&](const std::string& name) {
    const auto found = ids.find(name);
    return found == ids.end() ? NodeId::None : found->second;
  };
  for (const FaultSpec& spec : specs) {
    rules_.push_back({spec, id(spec.from), id(spec.to), !spec.after.empty()});
  }
}

void Faults::moved(NodeId before, NodeId now) {
  for (Rule& rule : rules_) {
    if (rule.from == before) rule.from = now;
    if (rule.to == before) rule.to = now;
  }
}

void Faults::ended(const std::string& step) {
  for (Rule& rule : rules_) {
    if (rule.spec.after == step) rule.waits = false;
  }
}

SegmentKind Faults::kind_of(const PacketView& segment, const Side* other) const {
  if (segment.rst()) return SegmentKind::Rst;
  if (segment.syn()) return segment.ack_flag() ? SegmentKind::SynAck : SegmentKind::Syn;
  if (segment.fin()) return SegmentKind::Fin;
  if (!segment.payload.empty()) return SegmentKind::Data;
  const bool last =
      other != nullptr && other->finished && segment.ack_flag() && segment.ack == other->fin_end;
  return last ? SegmentKind::LastAck : SegmentKind::Ack;
}

bool Faults::is(SegmentKind wanted, SegmentKind kind, const PacketView& segment) {
  if (wanted == SegmentKind::Any || wanted == kind) return true;
  // A FIN may bring data, and an acknowledgement of the FIN is one.
  if (wanted == SegmentKind::Data) return !segment.payload.empty();
  return wanted == SegmentKind::Ack && kind == SegmentKind::LastAck;
}

void Faults::look_at(Passage& passage) {
  struck_last_.clear();
  const auto segment = passage.segment();
  if (!segment) return;
  Side& side = sides_[segment->tuple];
  if (segment->syn() && !segment->ack_flag()) {
    if (side.syns == 0 || segment->seq != side.last_syn) {  // not the same one again
      ++side.syns;
      side.last_syn = segment->seq;
      sides_[turned(segment->tuple)].finished = false;
    }
    side.finished = false;
  }
  const auto other = sides_.find(turned(segment->tuple));
  const SegmentKind kind = kind_of(*segment, other == sides_.end() ? nullptr : &other->second);
  if (segment->fin()) {
    side.finished = true;
    side.fin_end = segment->seq + segment->length();
  }
  const std::uint32_t connection =
      std::max(side.syns, other == sides_.end() ? 0 : other->second.syns);

  for (std::size_t i = 0; i < rules_.size(); ++i) {
    Rule& rule = rules_[i];
    const FaultSpec& spec = rule.spec;
    if (rule.waits) continue;
    if (rule.from != NodeId::None && rule.from != passage.from()) continue;
    if (rule.to != NodeId::None && rule.to != passage.to()) continue;
    if (spec.connection != 0 && spec.connection != connection) continue;
    if (!is(spec.segment, kind, *segment)) continue;
    const Duration since = passage.now() - began_;
    if (since < spec.begins || since >= spec.ends) continue;
    ++rule.seen;
    if (rule.seen < spec.first || rule.seen > spec.last) continue;
    ++struck_[i];
    struck_last_.push_back(i);
    switch (spec.deed) {
      case FaultSpec::Deed::Drop:
        passage.drop();
        break;
      case FaultSpec::Deed::Delay:
        passage.delay(spec.by);
        break;
      case FaultSpec::Deed::Duplicate:
        passage.duplicate(spec.by);
        break;
      case FaultSpec::Deed::Corrupt:
        passage.bytes().back() ^= std::byte{1};
        break;
      case FaultSpec::Deed::Reject:
        reject(passage, spec.icmp, segment->tuple.local.address.is_v4());
        break;
    }
  }
}

}  // namespace lastack::lab
