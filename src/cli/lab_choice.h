// What the arguments of lastack lab choose: a scenario, other values in it, variants, seeds. What cannot be is said on
// standard error, and nothing is returned.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/lab_runs.h"
#include "lab/scenario/scenario_file.h"

namespace lastack {

inline constexpr const char* kLab = "lab";

// Of the library by its name, or a file by its path; `code`: that of the program, where there is none.
std::optional<lab::ScenarioFile> find_scenario(const std::string& name, int& code);
// All of the library. Nothing: one of them cannot be read, a fault of the program.
std::optional<std::vector<lab::ScenarioFile>> whole_library();
// --set KEY=VALUE
std::optional<std::vector<lab::Override>> overrides_of(const LabArguments& arguments);
// --pcap-at: hosts and NATs of the scenario.
bool known_places(const lab::ScenarioFile& file, const LabArguments& arguments);
bool known_variants(const lab::ScenarioFile& file, const LabArguments& arguments);
// "1-20", "7", "1-3,9"
std::optional<std::vector<std::uint64_t>> seeds_of(const std::string& text);

// A folder that goes when this does: for logs that nobody asked for. Its path is empty where it could not be made.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// On a terminal, twice a second, from the second second on.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  void operator()(std::string_view what, double share);
  // Nothing of it is on the line any more, until it is told again.
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point begun_, last_{};
};

}  // namespace lastack
