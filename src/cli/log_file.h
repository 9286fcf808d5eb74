// A file that lines are added to for as long as a command runs. Writing never stops the command: what goes wrong is told
// once, and by the exit code.
#pragma once

#include <string>
#include <string_view>

#include "kernel/unique_fd.h"
#include "lastack/result.h"

namespace lastack {

class LogFile {
 public:
  explicit LogFile(std::string command) : command_(std::move(command)) {}
  ~LogFile() { flush(); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // What is there is replaced.
  Result<void> open(const std::string& path);
  bool is_open() const { return static_cast<bool>(fd_); }
  // Whole lines; they are in the file after flush().
  void add(std::string_view lines);
  // False if anything is missing in the file; nothing more is written then.
  bool flush();

 private:
  static constexpr std::size_t kAtOnce = std::size_t{64} << 10;

  std::string command_;
  std::string path_;
  UniqueFd fd_;
  std::string waiting_;
  bool broken_ = false;
};

}  // namespace lastack
