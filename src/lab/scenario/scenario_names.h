// What a scenario file names, as others in it refer to it: hosts, NATs, steps, programs; and the times of what runs beside
// others.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/scenario/scenario.h"
#include "lab/scenario/toml_table.h"

namespace lastack::lab {

struct Names {
  std::vector<std::string> hosts, nats, steps, programs;

  // The name of one that there is.
  std::string host(TomlTable& table, std::string_view key, const std::string& name,
                   bool or_nat = false) const;
  std::string needed_host(TomlTable& table, std::string_view key) const;
  // "server:80", "10.0.0.9:80" or "[fd00::9]:80", as `key` has it.
  Destination destination(TomlTable& table, std::string_view key, const std::string& written) const;
  // What `after` says: a step, or a real program; "": nothing.
  std::string after(TomlTable& table) const;
  Timetable timetable(TomlTable& table) const;
};

// `begins` and `ends`.
void read_times(TomlTable& table, Duration& begins, Duration& ends);

}  // namespace lastack::lab
