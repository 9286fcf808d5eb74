// Plays a scenario: hosts of either kind, the wire between them, programs, and what is measured.
//
// All-endpoint scenarios run in virtual time and are the same to the byte for the same seed; with a kernel host time is
// real, and the calling process has to be in a private namespace (enter_private_namespace()).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/scenario/marks.h"
#include "lab/scenario/measures.h"
#include "lab/scenario/scenario.h"
#include "lab/scenario/scenario_file.h"
#include "lab/scenario/stage.h"
#include "lastack/host_snapshot.h"
#include "lastack/result.h"

namespace lastack::lab {

struct PlayOptions {
  Where where = Where::Endpoint;
  std::uint64_t seed = 1;
  std::string tool_version;  // for the log
  // Takes the lifecycle log, whole lines; empty: none is made.
  std::function<void(std::string_view)> log;
  // Takes a capture of the wire, whole blocks of pcapng (wire_capture.h); empty: none is made.
  std::function<void(std::string_view)> capture;
  std::vector<std::string> capture_at;  // hosts and NATs; empty: all
  // Asked now and then: true, and the run ends here, since a file could not be written.
  std::function<bool()> in_vain;
  // Called now and then with how much of `duration` is over, 0 to 1.
  std::function<void(double)> progress;
  bool keep_looks = false;  // PlayResult::looks
  // Also what only a page draws: PlayResult::marks, and at each sample the states of kernels, whose sockets have to be
  // asked for.
  bool for_page = false;
};

// What a host looked like over time.
struct Sample {
  Instant at{};  // from the start of the run
  std::uint64_t time_waits = 0;
  std::uint64_t descriptors = 0;
  // Of kernel hosts, which do not tell them, where there is a log.
  std::optional<StateCounts> states;
};
struct HostSeries {
  std::string host;
  std::vector<Sample> samples;
};
// What became of what a program tried, so far.
struct TallySeries {
  std::string program, host;
  std::vector<std::pair<Instant, Tally>> samples;  // from the start of the run
};

// What became of a [[program]].
struct ProgramOutcome {
  std::string name, command;
  std::string meant, seen;  // what it had to do; what it did
  bool as_meant = false;
  std::string output;       // the end of what it said
  std::uint64_t bytes = 0;  // all of it
};

struct PlayResult {
  Measures measures;
  // Why a measure is what it is, where that is another's fault: "again.result": "c is not open: first came to ECONNREFUSED".
  std::map<std::string, std::string> notes;
  std::vector<HostSeries> series;
  std::vector<TallySeries> tallies;
  std::vector<Mark> marks;  // of PlayOptions::for_page
  // What the doctor saw of each host at the end; of PlayOptions::keep_looks.
  std::map<std::string, HostSnapshot> looks;
  std::vector<ProgramOutcome> programs;
  Duration took{};  // of the scenario's time
  Duration cost{};  // of real time
  // In real time: by how much what was due was done too late, or how long nothing else could be seen to, at most. On a busy
  // machine a delay of the wire is longer.
  Duration late{};
};

Result<PlayResult> play(const Scenario& scenario, const PlayOptions& options);

}  // namespace lastack::lab
