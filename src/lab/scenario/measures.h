// What a run has measured, by name: "first.took" 0.0021 (seconds), "again.result" "ECONNREFUSED",
// "client.states.TIME_WAIT" 28232.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace lastack::lab {

// Durations are seconds.
using Measure = std::variant<double, std::string>;
using Measures = std::map<std::string, Measure, std::less<>>;

// What to say where it is not there: "there was none" of an error, "not measured" of the rest.
std::string absent_measure(std::string_view name);

// "12.5 ms" where the name is one of a time, "28232", "ECONNREFUSED".
std::string show_measure(const std::string& name, const Measure& measure);

}  // namespace lastack::lab
