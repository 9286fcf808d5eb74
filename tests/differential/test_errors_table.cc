// docs/errors.md: what every call answers in every state, on the running kernel and on the endpoint, side by side (claim
// D9). The test runs all of it in both worlds, fails where they differ, and fails where the document says something else.
//
//   LASTACK_WRITE=1 build/dev/tests/differential/test_errors_table     writes the document anew
#include <sys/utsname.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "differential/errors_states.h"
#include "kernel/private_test.h"
#include "lab/clock.h"

namespace lastack::differential {
namespace {

std::string number(std::size_t n) {
  return std::to_string(n);
}
template <class T>
std::string text(const Outcome<T>& outcome) {
  if (!outcome) return std::string(to_string(outcome.error()));
  if constexpr (std::is_same_v<T, std::size_t>) {
    return number(*outcome);
  } else if constexpr (std::is_same_v<T, Err>) {
    return std::string(to_string(*outcome));
  } else {
    return "ok";
  }
}

std::string events(const Readiness& ready) {
  std::string all;
  const auto add = [&](bool is, const char* name) {
    if (is) all += (all.empty() ? "" : " ") + std::string(name);
  };
  add(ready.readable, "IN");
  add(ready.writable, "OUT");
  add(ready.read_hung_up, "RDHUP");
  add(ready.hung_up, "HUP");
  add(ready.error, "ERR");
  add(ready.urgent, "PRI");
  return all.empty() ? "-" : all;
}

// A call, or the same twice: what is told once is told apart.
struct Call {
  std::string name;
  std::function<std::string(Play&, Handle)> make;
};

Call twice(const std::string& name, const std::function<std::string(Play&, Handle)>& once) {
  return {name, [once](Play& p, Handle s) {
            const std::string first = once(p, s), second = once(p, s);
            return first == second ? first : first + ", then " + second;
          }};
}

const std::vector<Call>& calls() {
  static const std::vector<Call> all = {
      twice("read", [](Play& p, Handle s) { return text(p.read(s, 100)); }),
      twice("write", [](Play& p, Handle s) { return text(p.world().write(s, 1, p.now())); }),
      {"poll", [](Play& p, Handle s) { return events(p.world().readiness(s)); }},
      twice("SO_ERROR", [](Play& p, Handle s) { return text(p.world().take_error(s)); }),
      {"SHUT_RD",
       [](Play& p, Handle s) { return text(p.world().shutdown(s, ShutdownHow::Read, p.now())); }},
      {"SHUT_WR",
       [](Play& p, Handle s) { return text(p.world().shutdown(s, ShutdownHow::Write, p.now())); }},
      {"SHUT_RDWR",
       [](Play& p, Handle s) { return text(p.world().shutdown(s, ShutdownHow::Both, p.now())); }},
      twice("connect",
            [](Play& p, Handle s) {
              return text(p.world().connect(s, {kThere, 19999}, p.now()));
            }),
      {"accept", [](Play& p, Handle s) { return text(p.world().accept(s)); }},
      {"listen", [](Play& p, Handle s) { return text(p.world().listen(s, 1)); }},
      {"bind",
       [](Play& p, Handle s) {
         return text(p.world().bind(s, {kHere, 0}));
       }},
      {"getpeername", [](Play& p, Handle s) { return text(p.world().remote(s)); }},
      {"close", [](Play& p, Handle s) { return text(p.world().close(s, p.now())); }},
  };
  return all;
}

// By state, by call.
using Answers = std::vector<std::vector<std::string>>;

Answers ask(World& world, Instant now) {
  Answers answers;
  Play play(world, now);
  // One connection for each answer, all of a state at once: so waiting is done once.
  for (const State& state : states()) {
    std::vector<Handle> sockets;
    for (std::size_t i = 0; i < calls().size(); ++i) sockets.push_back(state.make(play));
    if (state.wait > Duration::zero()) play.wait(state.wait);
    answers.emplace_back();
    for (std::size_t i = 0; i < calls().size(); ++i) {
      answers.back().push_back(calls()[i].make(play, sockets[i]));
    }
    for (const Handle socket : sockets) (void)world.close(socket, play.now());
  }
  return answers;
}

std::string document(const Answers& kernel, const Answers& endpoint,
                     std::vector<std::string>& differences) {
  std::ostringstream out;
  out << "# Every call in every state\n\n"
         "What the calls answer, by the state the socket is in: run by `tests/differential/test_errors_table.cc` on the\n"
         "running kernel (Linux 6.18, sockets in a private network namespace, the peer played segment by segment) and on "
         "the\nendpoint, and written by it (`LASTACK_WRITE=1`). The test fails when the two differ, and when this page is "
         "out of date.\n\n"
         "Sockets do not block. A number is what read() and write() return, 0 for SO_ERROR that there is none; \"A, then B\" "
         "is\nwhat the same call answers when it is made again. poll() is asked for all events. connect() goes to another "
         "port\nthan the first one; bind() asks for port 0 of an own address; listen() for a queue of 1. EAGAIN is "
         "`Err::would_block`;\n`to_string(Err)` gives these names.\n";
  for (std::size_t i = 0; i < states().size(); ++i) {
    out << "\n## " << states()[i].name << "\n\n"
        << states()[i].how << "\n\n| call | Linux | endpoint |\n|---|---|---|\n";
    for (std::size_t j = 0; j < calls().size(); ++j) {
      const bool same = kernel[i][j] == endpoint[i][j];
      const char* mark = same ? "" : "**";
      out << "| " << calls()[j].name << " | " << kernel[i][j] << " | " << mark << endpoint[i][j]
          << mark << " |\n";
      if (!same) {
        differences.push_back(states()[i].name + ": " + calls()[j].name + ": Linux " +
                              kernel[i][j] + ", endpoint " + endpoint[i][j]);
      }
    }
  }
  return out.str();
}

TEST(ErrorsTable, TheEndpointAnswersAsTheKernelDoesAndTheDocumentSaysSo) {
  utsname running{};
  ASSERT_EQ(uname(&running), 0);
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    auto kernel = make_kernel_world();
    if (!kernel) GTEST_SKIP() << kernel.error().message;
    const auto endpoint = make_endpoint_world({.seed = 1, .now = monotonic_now()});
    const Answers of_kernel = ask(**kernel, monotonic_now());
    const Answers of_endpoint = ask(*endpoint, monotonic_now());
    std::vector<std::string> differences;
    const std::string text = document(of_kernel, of_endpoint, differences);
    for (const std::string& difference : differences) ADD_FAILURE() << difference;
    const std::string path = LASTACK_SOURCE_DIR "/docs/errors.md";
    if (std::getenv("LASTACK_WRITE") != nullptr) std::ofstream(path) << text;
    std::ifstream in(path);
    const std::string written(std::istreambuf_iterator<char>(in), {});
    EXPECT_TRUE(written == text) << "docs/errors.md is out of date: LASTACK_WRITE=1 writes it anew";
  });
}

}  // namespace
}  // namespace lastack::differential
