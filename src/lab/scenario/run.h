// Runs a scenario file: each of its variants in one world, then its conditions and what they decide.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/scenario/play.h"
#include "lab/scenario/scenario_file.h"

namespace lastack::lab {

// A wire that is late by so much is another wire (PlayResult::late).
inline constexpr Duration kLate = std::chrono::milliseconds(10);

struct RunRequest {
  Where where = Where::Endpoint;
  std::optional<std::uint64_t> seed;  // else the scenario's
  std::vector<Override> overrides;
  std::vector<std::string> variants;  // empty: all
  bool full = false;                  // also what takes long on a kernel
  bool keep_looks = false;            // PlayResult::looks
  bool for_page = false;              // PlayOptions::for_page
  bool once = false;                  // not again where the lab was late
  std::string tool_version;
  // Where the lifecycle log goes; with several variants "-VARIANT" is added. Empty: none is made.
  std::string log;
  // Where a capture of the wire goes, likewise; with several variants "-VARIANT" is put before the ending.
  std::string capture;
  std::vector<std::string> capture_at;  // hosts and NATs; empty: all
  std::function<void(double share)> progress;
};

struct VariantRun {
  std::string variant;
  std::uint64_t seed = 0;
  std::optional<PlayResult> result;
  std::string why_not;     // it was not run, or ended early
  bool skipped = false;    // it cannot be there, or was not asked for
  bool forbidden = false;  // for want of a permission, such as that to open a device
  std::string log;         // the file
  std::string capture;     // and the other one
  std::string page;        // where the caller has written one
  bool unwritten = false;  // why_not is that one of them could not be written
  // It was played so often in vain before: a condition did not hold, and the lab was late by so much.
  unsigned in_vain = 0;
  Duration late{};
};

struct CheckOutcome {
  std::string variant;
  std::string text, why;
  Check::Verdict verdict = Check::Verdict::Unknown;
  std::string seen;
  std::vector<std::string> wrong;  // Check::Answer
};

struct VerdictOutcome {
  std::string claim, verdict, because;
  bool stands = false;   // every condition that was looked at here holds
  bool in_part = false;  // variants were left out
};

struct RunReport {
  Where where = Where::Endpoint;
  std::string why_not;  // nothing was run, and why
  bool skipped =
      false;  // because it cannot be there, or was not asked for; not because something failed
  bool denied = false;  // this machine does not permit private namespaces
  std::vector<VariantRun> variants;
  std::string overview;  // the page of all of them, where the caller has written one
  std::vector<CheckOutcome> checks;
  std::vector<VerdictOutcome> verdicts;

  std::size_t failures() const;
  const Measure* find(std::string_view variant, std::string_view name) const;
  // Null: it was not played.
  const VariantRun* run_of(std::string_view variant) const;
};

// A run in real time that fails a condition, and in which the lab was late, says little: the machine was busy, and the
// wire was not what the scenario asks for. It is played again, twice at most, and the report says so.
//
// An error is one of the request: an override that leads nowhere. What cannot be done here is told in the report.
// With kernel hosts the work is done in a child process, in private namespaces that go with it; the calling process must
// have one thread only.
Result<RunReport> run(const ScenarioFile& file, const RunRequest& request);

// Asks the conditions of the file of what was measured, and decides: once all variants are in the report.
void judge(const ScenarioFile& file, RunReport& report);
// Of a verdict's text: what was measured stands where {name} and {variant:name} are. The flag: it was measured.
std::vector<std::pair<std::string, bool>> filled_pieces(const std::string& text,
                                                        const RunReport& report);
// Where a variant's file goes, when there are several: "-VARIANT" before the ending.
std::string file_of_variant(const std::string& path, const std::string& variant, bool several);

// Several, those with kernel hosts side by side: they wait more than they work. `progress` of the requests is not asked.
Result<std::vector<RunReport>> run_all(
    const std::vector<std::pair<const ScenarioFile*, RunRequest>>& requests,
    const std::function<void(double share)>& progress);

}  // namespace lastack::lab
