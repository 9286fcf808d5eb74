// What is measured of a host, by the names that conditions use: "client.states.TIME_WAIT".
#pragma once

#include <string>
#include <string_view>

#include "lab/scenario/lab_host.h"
#include "lab/scenario/measures.h"
#include "lastack/host_snapshot.h"
#include "lastack/settings.h"

namespace lastack::lab {

// One of them, `rest` being "states.TIME_WAIT". Counters are told since `before`. False: there is none of this name.
bool put_count(const std::string& host, std::string_view rest, const HostCounts& now,
               const HostCounts& before, Measures& into);
// All of them.
void put_counts(const std::string& host, const HostCounts& now, const HostCounts& before,
                Measures& into);
void put_settings(const std::string& host, const Settings& settings, Measures& into);
// What the doctor says of it.
void put_findings(const std::string& host, const HostSnapshot& snapshot, Measures& into);

}  // namespace lastack::lab
