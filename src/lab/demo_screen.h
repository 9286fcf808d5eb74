// The demo's lines: pure functions from numbers to text, so that they look the same on a terminal and in a
// pipe, save for colour.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lab/demo_script.h"
#include "lab/workload.h"

namespace lastack {

// One line of the table: what happened in a slice of time, and what was left at its end.
struct DemoSlice {
  Duration at{};  // its end, since the first request
  LoadCounts load;
  bool pooled = false;      // a pool's requests: no connect() in it
  std::uint32_t ports = 0;  // in the range
  std::uint32_t ports_gone =
      0;  // of those, not to be had: in use, or in TIME_WAIT and not reusable

  // Down is what a user would call it: more than one request in ten fails.
  bool down() const { return load.failed * 10 > load.offered; }
};

struct Ink {
  bool color = false;
  std::string good(std::string_view text) const { return paint("32", text); }
  std::string bad(std::string_view text) const { return paint("31", text); }
  std::string strong(std::string_view text) const { return paint("1", text); }
  std::string faint(std::string_view text) const { return paint("2", text); }

 private:
  std::string paint(const char* code, std::string_view text) const;
};

// "[########........]": `full` of `all`, rounded up to a cell as soon as there is anything and down as long
// as anything is left.
std::string bar(std::uint64_t full, std::uint64_t all, std::size_t cells);
// "21 us", "1.3 ms", "-" for nothing.
std::string short_duration(Duration d);

std::vector<std::string> demo_opening(const DemoScript& script, const DemoKernel& kernel,
                                      const Ink& ink);
std::string demo_table_head(const Ink& ink, bool pooled);
std::string demo_table_line(const DemoSlice& slice, const Ink& ink);

// The story in numbers, for the last lines.
struct DemoPart {
  std::string name;
  LoadCounts load;
  Duration length{};
  std::uint64_t connections = 0;  // opened
};
std::vector<std::string> demo_summary(const std::vector<DemoPart>& parts, const Ink& ink);

}  // namespace lastack
