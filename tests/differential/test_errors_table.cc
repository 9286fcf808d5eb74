// docs/errors.md: what every call answers in every state, on the running kernel and on the endpoint, side by side (claim
// D9). The test runs all of it in both worlds, fails where they differ, and fails where the document says something else.
//
//   LASTACK_WRITE=1 build/dev/tests/differential/test_errors_table     writes the document anew
#include <sys/utsname.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
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

// --- Options: what set_option() answers to every value that might be refused, and what option() then says.

struct Named {
  Option option;
  const char* name;
};
constexpr Named kOptions[] = {
    {Option::reuse_address, "reuse_address"},
    {Option::reuse_port, "reuse_port"},
    {Option::keep_alive, "keep_alive"},
    {Option::linger, "linger"},
    {Option::send_buffer, "send_buffer"},
    {Option::receive_buffer, "receive_buffer"},
    {Option::no_delay, "no_delay"},
    {Option::cork, "cork"},
    {Option::max_segment, "max_segment"},
    {Option::keep_idle, "keep_idle"},
    {Option::keep_interval, "keep_interval"},
    {Option::keep_count, "keep_count"},
    {Option::syn_count, "syn_count"},
    {Option::linger2, "linger2"},
    {Option::defer_accept, "defer_accept"},
    {Option::window_clamp, "window_clamp"},
    {Option::quick_ack, "quick_ack"},
    {Option::user_timeout, "user_timeout"},
    {Option::not_sent_low, "not_sent_low"},
    {Option::v6_only, "v6_only"},
    {Option::bind_address_no_port, "bind_address_no_port"},
    {Option::local_port_range, "local_port_range"},
    {Option::traffic_class, "traffic_class"},
    {Option::hop_limit, "hop_limit"},
    {Option::urgent_inline, "urgent_inline"},
    {Option::read_low, "read_low"},
    {Option::hears_icmp, "hears_icmp"},
    {static_cast<Option>(200), "200, which is none"},
};
constexpr int kLeast = std::numeric_limits<int>::min(), kMost = std::numeric_limits<int>::max();
constexpr int kValues[] = {kLeast, -7,  -1,  0,     1,     87,    88,   127,
                           128,    255, 256, 32767, 32768, 65535, kMost};

struct OptionAnswer {
  std::string set;
  std::optional<int> reads;  // afterwards, if it was taken
};
// By option, by value.
using OptionAnswers = std::vector<std::vector<OptionAnswer>>;

OptionAnswers set_options(World& world, Instant now, bool connected) {
  OptionAnswers answers;
  Play play(world, now);
  for (const Named& o : kOptions) {
    answers.emplace_back();
    const Handle s = connected ? play.connected() : play.fresh();
    for (const int value : kValues) {
      OptionAnswer answer{text(world.set_option(s, o.option, value, play.now())), {}};
      // How long for ever is, is cut off in what the kernel reads (linger).
      const bool for_ever = o.option == Option::linger && value < -1;
      if (const auto read = world.option(s, o.option); read && answer.set == "ok" && !for_ever) {
        answer.reads = *read;
      }
      answers.back().push_back(answer);
    }
    play.option(s, Option::linger,
                0);  // or close() of the kernel waits, though nothing blocks here
    (void)world.close(s, play.now());
  }
  return answers;
}

std::string word(int value) {
  return value == kLeast ? "-2^31" : value == kMost ? "2^31-1" : std::to_string(value);
}
// "-2^31 to 0: EINVAL; 1 to 32767: ok": of what was tried.
std::string ranges(const std::vector<OptionAnswer>& answers) {
  std::string all;
  for (std::size_t i = 0; i < answers.size();) {
    std::size_t end = i;
    while (end + 1 < answers.size() && answers[end + 1].set == answers[i].set) ++end;
    if (i == 0 && end + 1 == answers.size()) return "all: " + answers[i].set;
    if (!all.empty()) all += "; ";
    all += word(kValues[i]);
    if (end > i) all += " to " + word(kValues[end]);
    all += ": " + answers[i].set;
    i = end + 1;
  }
  return all;
}

struct BothWorlds {
  OptionAnswers kernel, endpoint;
};

std::string options_part(const BothWorlds& fresh, const BothWorlds& connected,
                         std::vector<std::string>& differences) {
  std::ostringstream out;
  out << "\n## setsockopt()\n\nOptions of `lastack/host.h`, of an IPv4 socket that is not connected, and where it is "
         "another answer, of one in\nESTABLISHED. Tried were";
  for (const int value : kValues) out << (value == kLeast ? " " : ", ") << word(value);
  out << ".\nWhat an option then reads is compared as well, but is not shown. linger: -1 stands for l_onoff = 0.\n\n"
         "| option | Linux | endpoint |\n|---|---|---|\n";
  for (std::size_t i = 0; i < std::size(kOptions); ++i) {
    const auto row = [&](const std::string& name, const BothWorlds& both) {
      const auto &kernel = both.kernel[i], &endpoint = both.endpoint[i];
      const std::string of_kernel = ranges(kernel), of_endpoint = ranges(endpoint);
      const char* mark = of_kernel == of_endpoint ? "" : "**";
      for (std::size_t j = 0; j < kernel.size(); ++j) {
        if (kernel[j].set == endpoint[j].set && kernel[j].reads == endpoint[j].reads) continue;
        differences.push_back(name + " = " + std::to_string(kValues[j]) + ": Linux " +
                              kernel[j].set + ' ' + std::to_string(kernel[j].reads.value_or(0)) +
                              ", endpoint " + endpoint[j].set + ' ' +
                              std::to_string(endpoint[j].reads.value_or(0)));
      }
      return "| " + name + " | " + of_kernel + " | " + mark + of_endpoint + mark + " |\n";
    };
    const std::string plain = row(kOptions[i].name, fresh);
    const std::string open = row(std::string(kOptions[i].name) + ", ESTABLISHED", connected);
    out << plain;
    if (plain.substr(plain.find(" | ")) != open.substr(open.find(" | "))) out << open;
  }
  return out.str();
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
    // What an option reads follows from these.
    for (const char* name : {"tcp_rmem", "tcp_wmem", "rmem_max", "wmem_max"}) {
      if (const auto value = (*kernel)->setting(name)) {
        EXPECT_TRUE(endpoint->set(name, *value)) << name << ' ' << *value;
      }
    }
    const auto options = [&](bool connected) {
      return BothWorlds{set_options(**kernel, monotonic_now(), connected),
                        set_options(*endpoint, monotonic_now(), connected)};
    };
    const BothWorlds fresh = options(false), connected = options(true);
    std::vector<std::string> differences;
    const std::string text =
        document(of_kernel, of_endpoint, differences) + options_part(fresh, connected, differences);
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
