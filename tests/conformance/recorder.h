// Writes down every change of state that a host makes. All hosts of the tests of conformance have one; the table of
// transitions is made of what they saw, and a change that the diagram does not have fails the test in which it
// was seen.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>

#include "audit/diagram_audit.h"

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

class Recorder final : public DiagramAudit {
 public:
  // Fails the test if anything was wrong.
  ~Recorder() override;

  static std::map<Transition, Seen>& all();

 private:
  void changed(TcpState from, const std::string& event, TcpState to,
               const std::string& sent) override;
};

}  // namespace lastack::test
