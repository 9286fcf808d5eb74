#include "conformance/recorder.h"

#include <gtest/gtest.h>

namespace lastack::test {

std::map<Transition, Seen>& Recorder::all() {
  static std::map<Transition, Seen> all;
  return all;
}

Recorder::~Recorder() {
  finish_event();
  if (!complaint().empty()) ADD_FAILURE() << complaint();
}

void Recorder::changed(TcpState from, const std::string& event, TcpState to,
                       const std::string& sent) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  if (test == nullptr) return;
  Seen& seen = all()[{from, event, to}];
  seen.sent.insert(sent);
  seen.tests.insert(std::string(test->test_suite_name()) + "." + test->name());
}

}  // namespace lastack::test
