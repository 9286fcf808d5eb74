#include "conformance/recorder.h"

#include "tcp/diagram.h"

namespace lastack::test {

std::string flags_of(const SeenSegment& s) {
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

namespace {

// What a segment is to the diagram.
std::string event_of(const SeenSegment& s) {
  if (s.rst()) return "RST";
  if (s.syn()) return s.ack_flag() ? "SYN,ACK" : "SYN";
  if (s.fin()) return "FIN";
  if (s.length > 0) return "data";
  return "ACK";
}

std::string test_name() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  if (test == nullptr) return "";
  return std::string(test->test_suite_name()) + "." + test->name();
}

}  // namespace

std::map<Transition, Seen>& Recorder::all() {
  static std::map<Transition, Seen> all;
  return all;
}

void Recorder::begin(const std::string& event) {
  finish_event();
  event_ = event;
}

void Recorder::finish_event() {
  for (const auto& [tuple, change] : changes_) {
    if (change.from == change.to) continue;
    const Transition t{change.from, event_, change.to};
    if (find_transition(t.from, t.event, t.to) == nullptr) {
      ADD_FAILURE() << "a change that the diagram does not have: " << to_string(t.from) << " -- "
                    << t.event << " --> " << to_string(t.to) << " of " << tuple.to_string();
    }
    Seen& seen = all()[t];
    const auto sent = sent_.find(tuple);
    seen.sent.insert(sent == sent_.end() ? "-" : sent->second);
    seen.tests.insert(test_name());
  }
  changes_.clear();
  sent_.clear();
}

void Recorder::received(Instant, const FourTuple&, const SeenSegment& s) {
  begin(event_of(s));
}

void Recorder::called(Instant, const FourTuple&, SeenCall call) {
  begin(std::string(to_string(call)) + "()");
}

void Recorder::timer_fired(Instant, const FourTuple&, SeenTimer timer) {
  switch (timer) {
    case SeenTimer::FinWait2:
    case SeenTimer::TimeWait:
    case SeenTimer::KeepAlive:
      begin(std::string(to_string(timer)));
      break;
    case SeenTimer::Retransmit:
    case SeenTimer::LossProbe:
    case SeenTimer::Reorder:
    case SeenTimer::WindowProbe:
    case SeenTimer::DelayedAck:
      begin("time-out");
      break;
  }
}

void Recorder::sent(Instant, const FourTuple& tuple, const SeenSegment& segment) {
  std::string& text = sent_[tuple];
  const std::string flags = flags_of(segment);
  if (text == flags) return;
  if (!text.empty()) text += " + ";
  text += flags;
}

void Recorder::state_changed(Instant, const FourTuple& tuple, TcpState from, TcpState to,
                             SeenEnd how) {
  if (!legal_step(from, to)) {
    ADD_FAILURE() << "a step that the diagram does not have: " << to_string(from) << " -> "
                  << to_string(to) << " (" << event_ << ") of " << tuple.to_string();
  }
  states_[tuple] = to;
  // Two steps of one event are one change: FIN_WAIT_1 -> FIN_WAIT_2 -> TIME_WAIT.
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
    case SeenEnd::Evicted: {  // by another connection, whose event goes on
      Seen& seen = all()[{from, "eviction", to}];
      seen.sent.insert("-");
      seen.tests.insert(test_name());
      return;
    }
    case SeenEnd::Other:
    case SeenEnd::Reset:
    case SeenEnd::Reopened:
      break;
  }
  const auto [at, fresh] = changes_.try_emplace(tuple, Change{from, to});
  if (!fresh) at->second.to = to;
  if (how != SeenEnd::Other && how != SeenEnd::Reset) finish_event();
}

TcpState Recorder::state(const FourTuple& tuple) const {
  const auto at = states_.find(tuple);
  return at == states_.end() ? TcpState::Closed : at->second;
}

}  // namespace lastack::test
