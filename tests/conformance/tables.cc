// docs/conformance.md and docs/transitions.md, of what the tests of this process did.
#include <algorithm>
#include <map>
#include <vector>

#include "conformance/recorder.h"
#include "conformance/verdicts.h"
#include "tcp/diagram.h"

namespace lastack::test {
namespace {

std::string prefix_of(const Row& row) {
  std::string prefix(row.id);
  for (char& c : prefix) {
    if (c == ' ' || c == '-') c = '_';
  }
  return prefix + "_";
}

// All tests of a suite, with whether they ran and passed.
std::map<std::string, bool> tests_of(const char* suite_name) {
  std::map<std::string, bool> tests;
  const auto* unit = ::testing::UnitTest::GetInstance();
  for (int i = 0; i < unit->total_test_suite_count(); ++i) {
    const auto* suite = unit->GetTestSuite(i);
    if (std::string_view(suite->name()) != suite_name) continue;
    for (int t = 0; t < suite->total_test_count(); ++t) {
      const auto* info = suite->GetTestInfo(t);
      tests[info->name()] = info->should_run() && info->result()->Passed();
    }
  }
  return tests;
}

// Of several tests the one with most to say: a deviation in one is a deviation of the row.
std::string verdict_of(const std::vector<std::string>& tests, Profile profile) {
  std::string verdict = "meets";
  for (const std::string& test : tests) {
    const std::string& of_test = verdicts()[test][profile];
    if (of_test != "meets") verdict = of_test;
  }
  return verdict;
}

}  // namespace

std::string conformance_table(std::string& wrong) {
  const auto tests = tests_of("Conformance");
  std::map<std::string, bool> used;
  std::string text =
      "# What the endpoint conforms to\n\n"
      "Made by `test_conformance --tables=write` from the tests that ran; a build whose tests say something "
      "else fails.\nIdentifiers MUST-n, SHLD-n and MAY-n are RFC 9293's, and the words are ours. U1 to U10 are "
      "duties that the RFC does not\nnumber. Each test runs in two [profiles](profiles.md), `linux` (the "
      "default) and `rfc9293`; its name begins with the\nidentifier and it is in `tests/conformance`.\n";
  std::string group;
  for (const Row& row : rows()) {
    std::vector<std::string> mine;
    for (const auto& [name, passed] : tests) {
      if (name.rfind(prefix_of(row), 0) != 0) continue;
      used[name] = true;
      if (passed) {
        mine.push_back(name);
      } else {
        wrong += "  " + name + " did not run and pass\n";
      }
    }
    if (mine.empty()) wrong += "  " + std::string(row.id) + " has no test that ran and passed\n";
    if (group != row.group) {
      group = row.group;
      text +=
          "\n## " + group +
          "\n\n| | what is asked for | `linux` | `rfc9293` | shown by |\n|---|---|---|---|---|\n";
    }
    std::string shown;
    for (const std::string& test : mine) shown += (shown.empty() ? "`" : "<br>`") + test + "`";
    text += "| " + std::string(row.id) + " | " + row.words + " | " +
            verdict_of(mine, Profile::Linux) + " | " + verdict_of(mine, Profile::Rfc9293) + " | " +
            shown + " |\n";
  }
  for (const auto& [name, passed] : tests) {
    if (!used.contains(name)) wrong += "  " + name + " belongs to no row\n";
  }
  return text;
}

std::string transition_table(std::string& wrong) {
  const auto& seen = Recorder::all();
  std::string text =
      "# Every change of state\n\n"
      "Made by `test_conformance --tables=write` from the changes that were observed in its tests. "
      "The legal ones are listed in\n`src/tcp/diagram.cc`; one that no test reaches, or one that is seen and "
      "is not in the list, fails the build. The swarm\nwatches its hosts by the same list. Where two "
      "changes happen in one event (a FIN that acknowledges ours leads from\nFIN_WAIT_1 through FIN_WAIT_2 to "
      "TIME_WAIT) the first and the last state are given. Time-outs are those of\nretransmission and of "
      "window probes. \"Sent\" is what went out in the same event, in one test or another.\n";
  TcpState from{};
  bool first = true;
  for (const TcpState state :
       {TcpState::Closed, TcpState::Listen, TcpState::SynSent, TcpState::SynReceived,
        TcpState::Established, TcpState::FinWait1, TcpState::FinWait2, TcpState::CloseWait,
        TcpState::Closing, TcpState::LastAck, TcpState::TimeWait}) {
    for (const DiagramEdge& edge : diagram()) {
      if (edge.from != state) continue;
      if (first || from != edge.from) {
        from = edge.from;
        first = false;
        text += "\n## " + std::string(to_string(from)) +
                "\n\n| event | next | sent | because of | test |\n|---|---|---|---|---|\n";
      }
      const auto found = seen.find({edge.from, std::string(edge.event), edge.to});
      std::string sent, test;
      if (found == seen.end()) {
        wrong += "  no test reaches " + std::string(to_string(edge.from)) + " -- " +
                 std::string(edge.event) + " --> " + std::string(to_string(edge.to)) + "\n";
      } else {
        for (const std::string& s : found->second.sent) sent += (sent.empty() ? "" : "; ") + s;
        // One that is about transitions, if there is one.
        const auto& tests = found->second.tests;
        const auto of_diagram = std::find_if(tests.begin(), tests.end(), [](const std::string& t) {
          return t.rfind("Transitions.", 0) == 0;
        });
        test = of_diagram != tests.end() ? *of_diagram : *tests.begin();
      }
      text += "| " + std::string(edge.event) + " | " + std::string(to_string(edge.to)) + " | " +
              sent + " | " + std::string(edge.section) + " | `" + test + "` |\n";
    }
  }
  text +=
      "\nNot there: LISTEN to SYN_SENT by OPEN or SEND (RFC 9293, 3.10.1 and 3.10.2). Sockets have no such "
      "call: connect() on\na listener is EISCONN, write() EPIPE (`Transitions.Listen_is_left_only_by_a_SYN_or_close`).\n";
  return text;
}

}  // namespace lastack::test
