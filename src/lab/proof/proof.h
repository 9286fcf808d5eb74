// A finding of the doctor made to happen in small, on the running kernel in private namespaces, and made to go by what the
// doctor recommends: first as it comes about, then once for each remedy, whose commands are taken from what the doctor said
// of the first; and once for what is said not to help.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/scenario/library.h"
#include "lab/scenario/run.h"
#include "lastack/doctor.h"

namespace lastack::lab {

struct ProofRow {
  ProofSpec::Part part;
  bool full_only = false;          // takes long, and was not asked for
  std::string why_not;             // it was not played
  Diagnosis diagnosis;             // of the host, at the end
  std::optional<Finding> finding;  // of the diagnosis
  std::size_t remedy_number = 0;   // from 1, among those of the finding as it came about
  std::optional<Remedy> remedy;
  std::string no_help;                        // the finding's own words
  std::vector<Override> applied;              // settings, by the remedy's commands
  std::vector<std::optional<Measure>> shows;  // as the proof's columns
  bool as_told = false;                       // the finding is there, or is not, as it ought to be
};

struct Proof {
  ProofSpec spec;
  std::string title;
  std::string kernel;
  std::string why_not;  // nothing was played, and why
  bool denied = false;  // since this machine does not permit it
  std::vector<ProofRow> rows;
  std::vector<CheckOutcome> checks;

  // Each row is as told, and each condition of the scenario holds.
  bool holds() const;
};

struct ProofRequest {
  bool full = false;  // also what takes a minute
  std::string tool_version;
  std::function<void(double share)> progress;
};

// What can be proved, in the order of the catalogue.
struct Provable {
  std::string_view finding;
  std::string_view about;  // of the catalogue
  const LibraryScenario* scenario = nullptr;
  std::string_view why_not;  // where there is no scenario
};
std::vector<Provable> provable();

// An error: a scenario of the program cannot be read, or a remedy is not what the scenario takes it for.
Result<Proof> prove(const ScenarioFile& file, const ProofRequest& request);

struct ProofStyle {
  bool color = false;
  std::size_t width = 100;
};
std::string proof_text(const Proof& proof, const ProofStyle& style);
std::string proof_json(const Proof& proof);

}  // namespace lastack::lab
