#include "lab/lifecycle_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "report/lifecycle_log.h"
#include "tcp/diagram.h"

namespace lastack {
namespace {

constexpr std::size_t kRemembered = std::size_t{1} << 16;  // packets, for copies that come late

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
  return hash ^ hash >> 29;
}
std::uint64_t mixed(std::uint64_t hash, const Endpoint& endpoint) {
  for (const unsigned char part : endpoint.address.bytes()) {
    hash = mixed(hash, part);
  }
  return mixed(hash, endpoint.port);
}
std::string rule_of(TcpState from, std::string_view event, TcpState to) {
  const bool opening = from == TcpState::SynSent || from == TcpState::SynReceived;
  if (event == "SYN,ACK" && !opening) event = "SYN";  // as the diagram has it
  // It acknowledges ours as well, and the next step is the FIN's.
  if (event == "FIN" && from == TcpState::FinWait1 && to == TcpState::FinWait2) event = "ACK";
  const DiagramEdge* const edge = find_transition(from, event, to);
  if (edge == nullptr) return "";
  const bool of_rfc_9293 = edge->section.front() >= '0' && edge->section.front() <= '9';
  return fmt::format("{}{}", of_rfc_9293 ? "RFC9293:" : "", edge->section);
}

Happening happening_of(SeenCall call) {
  switch (call) {
    case SeenCall::Listen:
      return Happening::AppListen;
    case SeenCall::Connect:
      return Happening::AppConnect;
    case SeenCall::Accept:
      return Happening::AppAccept;
    case SeenCall::Read:
      return Happening::AppRead;
    case SeenCall::Write:
      return Happening::AppWrite;
    case SeenCall::Shutdown:
      return Happening::AppShutdown;
    case SeenCall::Close:
      return Happening::AppClose;
    case SeenCall::Abort:
      return Happening::AppAbort;
  }
  return Happening::AppAbort;
}

Happening end_of(SeenEnd how) {
  switch (how) {
    case SeenEnd::Other:
      return Happening::TimeWaitEnded;
    case SeenEnd::Refused:
      return Happening::TimeWaitOverflowed;
    case SeenEnd::NotKept:
      return Happening::TimeWaitSkipped;
    case SeenEnd::Evicted:
      return Happening::TimeWaitEvicted;
    case SeenEnd::Reset:
      return Happening::TimeWaitAssassinated;
    case SeenEnd::Reused:
      return Happening::TimeWaitReused;
    case SeenEnd::Reopened:
      return Happening::TimeWaitReopened;
    case SeenEnd::Aborted:
      return Happening::TimeWaitAborted;
  }
  return Happening::TimeWaitEnded;
}

// Neither a connection yet, nor one any more.
bool is_rest(TcpState state) {
  return state == TcpState::Closed || state == TcpState::Listen || state == TcpState::TimeWait;
}

}  // namespace

// One host's observer.
class LifecycleRecorder::Witness final : public HostObserver {
 public:
  Witness(LifecycleRecorder& log, std::string host, States states)
      : log_(log), host_(std::move(host)), states_(states) {}

  void received(Instant at, const FourTuple& tuple, const SeenSegment& segment) override {
    LifecycleEvent e = event(at, tuple, Happening::SegmentReceived);
    e.segment = segment;
    e.segment_id = std::exchange(log_.arriving_, 0);
    cause(event_of(segment), e.segment_id == 0 ? std::string(event_of(segment))
                                               : fmt::format("segment {}", e.segment_id));
    log_.write(e);
  }
  void received_icmp(Instant at, const FourTuple& tuple) override {
    cause("ICMP", "ICMP");
    log_.write(event(at, tuple, Happening::IcmpReceived));
  }
  void sent(Instant at, const FourTuple& tuple, const SeenSegment& segment) override {
    if (states_ == States::Untold && segment.syn()) count_by_syn(uses_[tuple], segment.seq);
    LifecycleEvent e = event(at, tuple, Happening::SegmentSent);
    e.segment = segment;
    e.segment_id = log_.number_sent(tuple, segment);
    e.why = why_;
    log_.write(e);
  }
  void called(Instant at, const FourTuple& tuple, SeenCall call) override {
    if (call == SeenCall::Connect && states_ == States::Untold) {
      Use& use = uses_[tuple];
      ++use.number;
      use.syn_to_come = true;
    }
    LifecycleEvent e = event(at, tuple, happening_of(call));
    // Of the one that begins with it.
    if (call == SeenCall::Connect && states_ == States::Told) ++e.incarnation;
    if (call == SeenCall::Listen) e.incarnation = 0;
    std::string name = fmt::format("{}()", to_string(call));
    cause(name, name);
    log_.write(e);
  }
  void timer_fired(Instant at, const FourTuple& tuple, SeenTimer timer) override {
    LifecycleEvent e = event(at, tuple, Happening::TimerFired);
    e.timer = to_string(timer);
    const bool named = timer == SeenTimer::FinWait2 || timer == SeenTimer::TimeWait ||
                       timer == SeenTimer::KeepAlive;
    cause(named ? to_string(timer) : "time-out", fmt::format("time-out: {}", to_string(timer)));
    log_.write(e);
  }
  void path_doubted(Instant at, const FourTuple& tuple) override {
    log_.write(event(at, tuple, Happening::PathDoubted));
  }
  void state_changed(Instant at, const FourTuple& tuple, TcpState from, TcpState to,
                     SeenEnd how) override {
    if (is_rest(from) && !is_rest(to)) ++uses_[tuple].number;
    LifecycleEvent e = event(at, tuple, Happening::StateChanged);
    e.from = from;
    e.to = to;
    e.why = why_;
    switch (how) {
      case SeenEnd::Refused:
        e.rule = rule_of(from, "table full", to);
        break;
      case SeenEnd::NotKept:
        e.rule = rule_of(from, "length 0", to);
        break;
      case SeenEnd::Evicted:
        e.rule = rule_of(from, "eviction", to);
        e.why = "eviction";
        break;
      case SeenEnd::Reused:
        e.rule = rule_of(from, "connect()", to);
        e.why = "connect()";  // of which the host tells when it has a port
        break;
      case SeenEnd::Aborted:
        e.rule = rule_of(from, "destroy()", to);
        break;
      case SeenEnd::Other:
      case SeenEnd::Reset:
      case SeenEnd::Reopened:
        e.rule = rule_of(from, event_, to);
        break;
    }
    log_.write(e);
    if (to == TcpState::TimeWait) {
      e.what = Happening::TimeWaitEntered;
    } else if (from == TcpState::TimeWait) {
      e.what = end_of(how);
    } else if (how == SeenEnd::Refused || how == SeenEnd::NotKept) {
      e.what = end_of(how);
    } else {
      return;
    }
    e.from = e.to = std::nullopt;
    log_.write(e);
  }

 private:
  LifecycleEvent event(Instant at, const FourTuple& tuple, Happening what) const {
    LifecycleEvent e;
    e.at = at;
    e.host = host_;
    e.tuple = tuple;
    e.what = what;
    const auto use = uses_.find(tuple);
    if (use != uses_.end()) e.incarnation = use->second.number;
    return e;
  }
  // Of what the host does next, until there is another.
  void cause(std::string_view event, std::string why) {
    event_ = event;
    why_ = std::move(why);
  }

  struct Use {
    std::uint32_t number = 0;
    // Only where states are not told.
    std::optional<std::uint32_t> iss;  // of the SYN sent last
    bool syn_to_come = false;          // counted already, by connect()
  };
  // The same SYN again, with an ACK or without, is of the same use.
  static void count_by_syn(Use& use, std::uint32_t iss) {
    if (!use.syn_to_come && use.iss != iss) ++use.number;
    use.syn_to_come = false;
    use.iss = iss;
  }

  struct TupleHash {
    std::size_t operator()(const FourTuple& tuple) const {
      return static_cast<std::size_t>(mixed(mixed(2, tuple.local), tuple.remote));
    }
  };

  LifecycleRecorder& log_;
  std::string host_;
  States states_;
  std::string event_;  // to the diagram
  std::string why_;
  std::unordered_map<FourTuple, Use, TupleHash> uses_;
};

SeenSegment seen(const PacketView& view) {
  SeenSegment segment{.seq = view.seq,
                      .ack = view.ack,
                      .length = static_cast<std::uint32_t>(view.payload.size()),
                      .flags = view.flags,
                      .window = view.window};
  if (view.ts_value && view.ts_echo) segment.timestamps = {*view.ts_value, *view.ts_echo};
  for (std::uint8_t i = 0; i < view.sack_count; ++i)
    segment.sack[segment.sack_count++] = {view.sack[i].left, view.sack[i].right};
  return segment;
}

LifecycleRecorder::LifecycleRecorder(LifecycleHeader header, Sink sink)
    : sink_(std::move(sink)), on_wire_(kRemembered) {
  if (!sink_) return;
  append_line(line_, header);
  sink_(line_);
}

LifecycleRecorder::~LifecycleRecorder() = default;

HostObserver* LifecycleRecorder::observe(std::string host, States states) {
  return witnesses_.emplace_back(std::make_unique<Witness>(*this, std::move(host), states)).get();
}

void LifecycleRecorder::watch(VirtualNetwork& network) {
  watching_ = true;
  last_ = std::max(last_, network.now());
  network.add_tap([this](const WireNote& note) {
    const auto view = PacketView::of(note.bytes);
    if (note.event == WireEvent::Sent) {
      on_wire_[note.number % kRemembered] = {
          note.number, view ? take_number(view->tuple, view->seq, view->length()) : 0};
      return;
    }
    if (note.event == WireEvent::Delivered) {
      arriving_ = segment_of(note.number);
      return;
    }
    Happening what{};
    std::string why;
    // A fault may do what chance does as well.
    const auto named_fault = [&](std::string_view otherwise) {
      return faults_.empty() ? std::string(otherwise) : "fault " + faults_;
    };
    switch (note.event) {
      case WireEvent::Sent:
      case WireEvent::Delivered:
        break;
      case WireEvent::Lost:
        what = Happening::SegmentDropped, why = "loss";
        break;
      case WireEvent::QueueFull:
        what = Happening::SegmentDropped, why = "queue full";
        break;
      case WireEvent::TooBig:
        what = Happening::SegmentDropped, why = "too big";
        break;
      case WireEvent::Unroutable:
        what = Happening::SegmentDropped, why = "nobody has that address";
        break;
      case WireEvent::Gone:
        what = Happening::SegmentDropped, why = "the host has gone";
        break;
      case WireEvent::Dropped:
        what = Happening::SegmentDropped, why = named_fault("fault");
        break;
      case WireEvent::Delayed:
        what = Happening::SegmentDelayed, why = named_fault("fault");
        break;
      case WireEvent::Reordered:
        what = Happening::SegmentDelayed, why = "reordering";
        break;
      case WireEvent::Corrupted:
        what = Happening::SegmentCorrupted, why = "corruption";
        break;
      case WireEvent::Duplicated:
        what = Happening::SegmentDuplicated, why = named_fault("duplication");
        break;
      case WireEvent::Replayed:
        what = Happening::SegmentDuplicated, why = "replay";
        break;
    }
    if (!view) return;
    LifecycleEvent e;
    e.at = note.at;
    e.host = "wire";
    e.tuple = view->tuple;
    e.what = what;
    e.why = why;
    e.segment = seen(*view);
    e.segment_id = segment_of(note.number);
    write(e);
  });
}

void LifecycleRecorder::write(LifecycleEvent event) {
  // listen() and accept() are not told the time: of them the host knows only when it was called last.
  event.at = last_ = std::max(event.at, last_);
  if (reader_) reader_(event);
  if (!sink_) return;
  line_.clear();
  append_line(line_, event);
  sink_(line_);
}

std::uint64_t LifecycleRecorder::number_sent(const FourTuple& sender, const SeenSegment& segment) {
  ++last_id_;
  if (watching_) {
    const std::uint32_t length = segment.length + (segment.syn() ? 1 : 0) + (segment.fin() ? 1 : 0);
    waiting_[sender].push_back({segment.seq, length, last_id_});
  }
  return last_id_;
}

std::uint64_t LifecycleRecorder::take_number(const FourTuple& sender, std::uint32_t seq,
                                             std::uint32_t length) {
  const auto found = waiting_.find(sender);
  if (found == waiting_.end()) return 0;
  auto& waiting = found->second;
  if (seq != waiting.front().seq || length < waiting.front().length)
    return 0;  // not from this host
  const std::uint64_t id = waiting.front().id;
  // A link that does not cut super-segments carries several in one packet.
  std::uint32_t carried = 0;
  do {
    carried += waiting.front().length;
    waiting.pop_front();
  } while (carried < length && !waiting.empty());
  if (waiting.empty()) waiting_.erase(found);
  return id;
}

std::uint64_t LifecycleRecorder::segment_of(std::uint64_t packet) const {
  const OnWire& found = on_wire_[packet % kRemembered];
  return found.packet == packet ? found.id : 0;
}

}  // namespace lastack
