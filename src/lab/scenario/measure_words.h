// What measures are called where people read them: "requests.failed" is "requests: failed".
#pragma once

#include <string>
#include <string_view>

#include "lab/scenario/measures.h"
#include "lab/scenario/scenario.h"

namespace lastack::lab {

// "requests: connects that failed", "client: most records in TIME_WAIT at a time", "how long step reuse took". What is not
// known stays as it is.
std::string measure_words(const Scenario& scenario, std::string_view name);

// Why connections or requests failed, where it is no error by its name: "no_answer" is "closed before an answer".
std::string failure_words(std::string_view why);

// "connect", "wait for a condition".
std::string step_words(const StepSpec& step);

// Which way a measure is better, whatever the scenario is about: fewer failures, more that is served, less time.
enum class Better : std::uint8_t { Unknown, Less, More };
Better better(const Scenario& scenario, std::string_view name);

}  // namespace lastack::lab
