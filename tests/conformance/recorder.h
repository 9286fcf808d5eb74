// Watches hosts and writes down every change of state: what it was, what happened, what it became, what was
// sent. All hosts of the tests of conformance have it; the table of transitions is made of it, and a change
// that the diagram does not have fails the test in which it was seen.
#pragma once

#include <gtest/gtest.h>

#include <compare>
#include <map>
#include <set>
#include <string>

#include "lastack/observer.h"

namespace lastack::test {

struct Transition {
  TcpState from;
  std::string event;
  TcpState to;
  friend auto operator<=>(const Transition&, const Transition&) = default;
};

// What was seen of one: with which segments, in which tests.
struct Seen {
  std::set<std::string> sent;
  std::set<std::string> tests;
};

class Recorder final : public HostObserver {
 public:
  ~Recorder() override { finish_event(); }

  void received(Instant, const FourTuple& tuple, const SeenSegment& segment) override;
  void sent(Instant, const FourTuple& tuple, const SeenSegment& segment) override;
  void called(Instant, const FourTuple& tuple, SeenCall call) override;
  void timer_fired(Instant, const FourTuple& tuple, SeenTimer timer) override;
  void state_changed(Instant, const FourTuple& tuple, TcpState from, TcpState to,
                     SeenEnd how) override;
  // For what has no callback of its own.
  void begin(const std::string& event);

  // The last that was heard of a connection; CLOSED of one that was never heard of.
  TcpState state(const FourTuple& tuple) const;
  void finish_event();

  static std::map<Transition, Seen>& all();

 private:
  struct Change {
    TcpState from;
    TcpState to;
  };
  std::string event_ = "-";
  std::map<FourTuple, Change> changes_;  // of the event at hand
  std::map<FourTuple, std::string> sent_;
  std::map<FourTuple, TcpState> states_;
};

std::string flags_of(const SeenSegment& segment);

}  // namespace lastack::test
