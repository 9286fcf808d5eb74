// Running the programs `incident` and `lastack doctor`, and reading what they say: for tests that put the doctor
// in front of incidents. LASTACK_INCIDENT and LASTACK_PROGRAM are the programs' paths.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lab/unique_fd.h"

namespace lastack {

using Json = nlohmann::json;

inline constexpr int kNotPermitted = 77;

struct Program {
  pid_t pid = -1;
  UniqueFd input;
  UniqueFd output;
};

inline Program run(const char* path, std::vector<std::string> arguments) {
  int in[2];
  int out[2];
  EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  Program program{-1, UniqueFd(in[1]), UniqueFd(out[0])};
  UniqueFd their_input(in[0]);
  UniqueFd their_output(out[1]);
  std::fflush(stdout);
  program.pid = fork();
  if (program.pid == 0) {
    dup2(their_input.get(), STDIN_FILENO);
    dup2(their_output.get(), STDOUT_FILENO);
    std::string name = path;
    std::vector<char*> argv{name.data()};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(path, argv.data());
    _exit(127);
  }
  return program;
}

inline int exit_code(pid_t pid) {
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// An incident, held for as long as this lives.
class Incident {
 public:
  explicit Incident(std::vector<std::string> arguments)
      : arguments_(arguments), program_(run(LASTACK_INCIDENT, std::move(arguments))) {
    if (const auto line = read_line("ready ")) {
      truth_ = Json::parse(*line, nullptr, false);
      EXPECT_FALSE(truth_.is_discarded()) << *line;
    } else {
      const int code = exit_code(program_.pid);
      program_.pid = -1;
      if (code == kNotPermitted) {
        denied_ = true;
      } else {
        ADD_FAILURE() << "the incident could not be made; exit code " << code;
      }
    }
  }
  Incident(const Incident&) = delete;
  Incident& operator=(const Incident&) = delete;
  ~Incident() {
    program_.input.reset();
    if (program_.pid >= 0) exit_code(program_.pid);
  }

  // What the program was told: "ports-time-wait", and "--ports=1000" as "ports" -> "1000".
  const std::string& name() const { return arguments_.front(); }
  std::map<std::string, std::string> options() const {
    std::map<std::string, std::string> all;
    for (const std::string& argument : arguments_) {
      const auto equals = argument.find('=');
      if (argument.starts_with("--") && equals != argument.npos) {
        all.emplace(argument.substr(2, equals - 2), argument.substr(equals + 1));
      }
    }
    return all;
  }
  bool denied() const { return denied_; }
  bool made() const { return program_.pid >= 0 && truth_.is_object(); }
  const Json& truth() const { return truth_; }
  // The rest of the next line that begins so.
  std::optional<std::string> read_line(const std::string& beginning) {
    for (;;) {
      for (auto end = text_.find('\n'); end != text_.npos; end = text_.find('\n')) {
        const std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        if (line.starts_with(beginning)) return line.substr(beginning.size());
      }
      char buffer[4096];
      const ssize_t length = read(program_.output.get(), buffer, sizeof buffer);
      if (length < 0 && errno == EINTR) continue;
      if (length <= 0) return std::nullopt;
      text_.append(buffer, static_cast<std::size_t>(length));
    }
  }

 private:
  std::vector<std::string> arguments_;
  Program program_;
  std::string text_;
  Json truth_;
  bool denied_ = false;
};

struct Visit {
  Json page;
  int code = -1;

  const Json* find(const std::string& id) const {
    for (const Json& finding : page["findings"]) {
      if (finding["id"] == id) return &finding;
    }
    return nullptr;
  }
  // What it says about this namespace or a process of it. Other processes of the machine may be in whatever
  // trouble they like meanwhile.
  std::vector<std::string> alarms(const Json& truth) const {
    std::vector<std::string> found;
    for (const Json& finding : page["findings"]) {
      if (finding["severity"] == "notice") continue;
      const bool elsewhere = finding["namespace"].get<std::string>().empty();
      bool ours = !elsewhere;
      for (const Json& owner : finding["owners"]) {
        for (const char* name : {"pid", "owner_pid", "server_pid"}) {
          ours = ours || (truth.contains(name) && owner["pid"] == truth[name]);
        }
      }
      if (ours) found.push_back(finding["id"]);
    }
    return found;
  }
};

// `lastack doctor --json` with these arguments.
inline Visit ask_doctor(const std::vector<std::string>& further) {
  std::vector<std::string> arguments{"doctor", "--json"};
  arguments.insert(arguments.end(), further.begin(), further.end());
  Program doctor = run(LASTACK_PROGRAM, arguments);
  doctor.input.reset();
  std::string text;
  char buffer[65536];
  for (ssize_t n = 0; (n = read(doctor.output.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  Visit result;
  result.code = exit_code(doctor.pid);
  result.page = Json::parse(text, nullptr, false);
  EXPECT_TRUE(result.page.is_object() && result.page.contains("findings")) << text;
  if (!result.page.contains("findings")) result.page = {{"findings", Json::array()}};
  return result;
}

// In front of an incident.
inline Visit visit(const Json& truth, std::vector<std::string> further = {}) {
  further.insert(further.begin(), {"--pid", std::to_string(truth["netns_pid"].get<int>())});
  return ask_doctor(further);
}

}  // namespace lastack

#define MAKE_INCIDENT(name, ...)                                                           \
  Incident name({__VA_ARGS__});                                                            \
  if (name.denied())                                                                       \
    GTEST_SKIP() << "this machine permits no private namespaces, or lacks something else"; \
  ASSERT_TRUE(name.made())
