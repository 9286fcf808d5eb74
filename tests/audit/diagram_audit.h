// Watches a host and holds every change of state against the diagram (src/tcp/diagram.h): what it was, what
// happened, what it became. For the swarm and the tests of conformance; an empty complaint is a good one.
#pragma once

#include <map>
#include <string>

#include "lastack/observer.h"
#include "tcp/diagram.h"

namespace lastack::test {

// "SYN,ACK", "RST", "FIN,ACK".
inline std::string flags_of(const SeenSegment& s) {
  std::string text;
  const auto add = [&](bool set, const char* name) {
    if (!set) return;
    if (!text.empty()) text += ',';
    text += name;
  };
  add(s.syn(), "SYN");
  add(s.fin(), "FIN");
  add(s.rst(), "RST");
  add(s.ack_flag(), "ACK");
  return text.empty() ? "no flags" : text;
}

class DiagramAudit : public HostObserver {
 public:
  int doubts = 0;  // of a path (R1)
  // The first thing that was wrong.
  const std::string& complaint() const { return complaint_; }

  // The last that was heard of a connection; CLOSED of one that was never heard of.
  TcpState state(const FourTuple& tuple) const {
    const auto at = states_.find(tuple);
    return at == states_.end() ? TcpState::Closed : at->second;
  }

  // Ends the event at hand: what was seen is complete.
  void finish_event() {
    for (const auto& [tuple, change] : changes_) {
      if (change.from == change.to) continue;
      // A SYN is a SYN, but where it answers ours, or is the other half of a simultaneous open.
      const bool opening =
          change.from == TcpState::SynSent ||
          (change.from == TcpState::SynReceived && change.to == TcpState::Established);
      const std::string event = event_ == "SYN,ACK" && !opening ? "SYN" : event_;
      if (find_transition(change.from, event, change.to) == nullptr) {
        complain(change.from, change.to, tuple);
      }
      const auto sent = sent_.find(tuple);
      changed(change.from, event, change.to, sent == sent_.end() ? "-" : sent->second);
    }
    changes_.clear();
    sent_.clear();
  }

  void received(Instant, const FourTuple&, const SeenSegment& s) override {
    begin(std::string(event_of(s)));
  }
  void received_icmp(Instant, const FourTuple&) override { begin("ICMP"); }
  void called(Instant, const FourTuple&, SeenCall call) override {
    begin(std::string(to_string(call)) + "()");
  }
  void timer_fired(Instant, const FourTuple&, SeenTimer timer) override {
    const bool named = timer == SeenTimer::FinWait2 || timer == SeenTimer::TimeWait ||
                       timer == SeenTimer::KeepAlive;
    begin(named ? std::string(to_string(timer)) : "time-out");
  }
  void path_doubted(Instant, const FourTuple&) override { ++doubts; }
  void sent(Instant, const FourTuple& tuple, const SeenSegment& segment) override {
    std::string& text = sent_[tuple];
    const std::string flags = flags_of(segment);
    if (text == flags) return;
    if (!text.empty()) text += " + ";
    text += flags;
  }
  void state_changed(Instant, const FourTuple& tuple, TcpState from, TcpState to,
                     SeenEnd how) override {
    if (!legal_step(from, to)) complain(from, to, tuple);
    if (to == TcpState::Closed) {
      states_.erase(tuple);
    } else {
      states_[tuple] = to;
    }
    switch (how) {
      case SeenEnd::Refused:
        begin("table full");
        break;
      case SeenEnd::NotKept:
        begin("length 0");
        break;
      case SeenEnd::Reused:
        begin("connect()");
        break;
      case SeenEnd::Aborted:
        begin("destroy()");
        break;
      case SeenEnd::Evicted:  // by another connection, whose event goes on
        changed(from, "eviction", to, "-");
        return;
      case SeenEnd::Other:
      case SeenEnd::Reset:
      case SeenEnd::Reopened:
        break;
    }
    // Two steps of one event are one change: FIN_WAIT_1 -> FIN_WAIT_2 -> TIME_WAIT.
    const auto [at, fresh] = changes_.try_emplace(tuple, Change{from, to});
    if (!fresh) at->second.to = to;
    if (how != SeenEnd::Other && how != SeenEnd::Reset) finish_event();
  }

 protected:
  // A change as a whole.
  virtual void changed(TcpState, const std::string& /*event*/, TcpState,
                       const std::string& /*sent*/) {}

 private:
  struct Change {
    TcpState from;
    TcpState to;
  };

  void begin(const std::string& event) {
    finish_event();
    event_ = event;
  }
  void complain(TcpState from, TcpState to, const FourTuple& tuple) {
    if (!complaint_.empty()) return;
    complaint_ = "not in the diagram: " + std::string(to_string(from)) + " -- " + event_ + " --> " +
                 std::string(to_string(to)) + " of " + tuple.to_string();
  }

  std::string event_ = "-";
  std::string complaint_;
  std::map<FourTuple, Change> changes_;  // of the event at hand
  std::map<FourTuple, std::string> sent_;
  std::map<FourTuple, TcpState> states_;  // but for CLOSED
};

}  // namespace lastack::test
