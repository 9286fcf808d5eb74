#include "cli/lab_choice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cli/exit_codes.h"
#include "cli/output.h"
#include "kernel/text.h"
#include "lab/scenario/library.h"
#include "model/nearest_word.h"
#include "model/printable.h"

namespace lastack {
namespace {

bool is_file(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".toml");
}

}  // namespace

std::optional<lab::ScenarioFile> find_scenario(const std::string& name, int& code) {
  Result<lab::ScenarioFile> file = failure("");
  if (is_file(name)) {
    file = lab::ScenarioFile::read(name);
    code = file ? 0 : file.error().number == EINVAL ? exit_code::kBadData : exit_code::kNoInput;
  } else if (const lab::LibraryScenario* known = lab::find_in_library(name)) {
    file = lab::ScenarioFile::parse(known->text, std::string(known->name));
    code = file ? 0 : exit_code::kInternal;
  } else {
    std::vector<std::string_view> names;
    for (const auto& one : lab::library()) names.push_back(one.name);
    const std::string_view near = nearest_word(name, names);
    file = failure(fmt::format("there is no scenario '{}'{}; a file's name ends in .toml",
                               printable(name),
                               near.empty() ? "; 'lastack lab list' lists them"
                                            : fmt::format("; did you mean {}?", near)));
    code = exit_code::kUsage;
  }
  if (file) return *std::move(file);
  complain(kLab, file.error().message);
  return std::nullopt;
}

std::optional<std::vector<lab::ScenarioFile>> whole_library() {
  std::vector<lab::ScenarioFile> files;
  for (const auto& one : lab::library()) {
    auto file = lab::ScenarioFile::parse(one.text, std::string(one.name));
    if (!file) {
      complain(kLab, file.error().message);
      return std::nullopt;
    }
    files.push_back(*std::move(file));
  }
  return files;
}

std::optional<std::vector<lab::Override>> overrides_of(const LabArguments& arguments) {
  std::vector<lab::Override> all;
  for (const std::string& set : arguments.settings) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      complain(kLab,
               fmt::format("--set {}: it is KEY=VALUE, such as host.client.settings.tcp_tw_reuse=1",
                           printable(set)));
      return std::nullopt;
    }
    all.push_back({set.substr(0, equals), set.substr(equals + 1)});
  }
  return all;
}

bool known_variants(const lab::ScenarioFile& file, const LabArguments& arguments) {
  for (const std::string& variant : arguments.variants) {
    const std::vector<std::string_view> known(file.variants().begin(), file.variants().end());
    if (std::find(known.begin(), known.end(), variant) != known.end()) continue;
    const bool none = known.size() == 1 && known[0].empty();
    complain(kLab, fmt::format("--variant {}: {} has {}", printable(variant), file.name(),
                               none ? "no variants" : fmt::format("{}", fmt::join(known, ", "))));
    return false;
  }
  return true;
}

bool known_places(const lab::ScenarioFile& file, const LabArguments& arguments) {
  if (arguments.pcap_at.empty()) return true;
  const auto scenario = file.scenario(file.variants().front(), lab::Where::Endpoint);
  if (!scenario) return true;  // it is said when it is run
  std::vector<std::string_view> known;
  for (const lab::HostSpec& host : scenario->hosts) known.push_back(host.name);
  for (const lab::NatSpec& nat : scenario->nats) known.push_back(nat.name);
  for (const std::string& place : arguments.pcap_at) {
    if (std::find(known.begin(), known.end(), place) != known.end()) continue;
    complain(kLab, fmt::format("--pcap-at {}: {} has {}", printable(place), file.name(),
                               fmt::join(known, ", ")));
    return false;
  }
  return true;
}

std::optional<std::vector<std::uint64_t>> seeds_of(const std::string& text) {
  constexpr std::uint64_t kMost = 1'000'000;
  std::vector<std::uint64_t> all;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t dash = part.find('-');
    const auto first = parse_number<std::uint64_t>(part.substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : parse_number<std::uint64_t>(part.substr(dash + 1));
    if (!first || !last || *last < *first || *last > INT64_MAX ||
        *last - *first >= kMost - all.size()) {
      complain(
          kLab,
          fmt::format(
              "--seeds {}: it is one number or more, with commas, or from-to: 1-20; at most a million",
              printable(text)));
      return std::nullopt;
    }
    for (std::uint64_t seed = *first; seed <= *last; ++seed) all.push_back(seed);
    begin = end + 1;
  }
  return all;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "lastack-lab-XXXXXX").string();
  if (::mkdtemp(name.data()) != nullptr) {
    path_ = name;
  } else {
    complain(kLab, system_error(errno, "cannot make a folder for logs, " + name).message);
  }
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Progress::Progress()
    : terminal_(::isatty(STDERR_FILENO) == 1), begun_(std::chrono::steady_clock::now()) {}
Progress::~Progress() {
  clear();
}
void Progress::clear() {
  if (!shown_) return;
  shown_ = false;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
}
void Progress::operator()(std::string_view what, double share) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - begun_ < std::chrono::seconds(2) || now - last_ < std::chrono::milliseconds(500))
    return;
  last_ = now;
  shown_ = true;
  fmt::print(stderr, "\r\x1b[K{} {:3.0f} %", printable(what), share * 100);
  std::fflush(stderr);
}

}  // namespace lastack
