// A real program of the machine (nginx, curl), in the network namespace that the calling thread is in, with whatever it
// starts in a process namespace of their own: their end is one end, be they daemons or not, and however this process ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lab/child_process.h"
#include "lab/unique_fd.h"
#include "lastack/result.h"

namespace lastack::lab {

// A file that may be run: `name` itself if it has a '/', else what a shell would find, or what is in the folders of programs
// for administrators. The error says how to come by it.
Result<std::string> find_program(const std::string& name);

struct CommandLine {
  std::string file;                // find_program()
  std::vector<std::string> words;  // argv, with its own name first
  // All that it has: nothing comes from this process's own.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string folder;                        // where it runs
  std::optional<std::uint32_t> descriptors;  // its RLIMIT_NOFILE; nothing: as this process has it
};

class ProgramProcess {
 public:
  // Three processes: one that makes the namespaces, the first inside (it waits for all others and ends with the last of
  // them), and the program. The calling process has one thread, and may administer its namespaces.
  static Result<ProgramProcess> start(const CommandLine& command);

  ProgramProcess(ProgramProcess&&) noexcept = default;
  ProgramProcess& operator=(ProgramProcess&&) noexcept;
  ~ProgramProcess();

  // Of what it writes to standard output and error: to be read, does not block, ends when nobody has it any more.
  int output() const { return output_.get(); }
  // Readable when status() may have changed.
  int line() const { return line_.get(); }
  // Its exit status, or 128 and the number of the signal that ended it. Nothing: it runs. What it started may outlive it.
  std::optional<int> status();
  // All are gone.
  bool gone() const { return gone_; }
  // To the program; where it has ended, to what it has left behind.
  void signal(int number);
  // Ends all, and waits until they are gone.
  void kill();

 private:
  ProgramProcess(ChildProcess outer, UniqueFd line, UniqueFd output)
      : outer_(std::move(outer)), line_(std::move(line)), output_(std::move(output)) {}

  ChildProcess outer_;
  UniqueFd line_;
  UniqueFd output_;
  std::optional<int> status_;
  bool gone_ = false;
};

}  // namespace lastack::lab
