#include "lab/demo_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace lastack {

std::string Ink::paint(const char* code, std::string_view text) const {
  if (!color) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string bar(std::uint64_t full, std::uint64_t all, std::size_t cells) {
  std::size_t marked = 0;
  if (all > 0 && full > 0) {
    marked = static_cast<std::size_t>(std::min(full, all) * cells / all);
    marked = std::max<std::size_t>(marked, 1);
    if (full < all) marked = std::min(marked, cells - 1);
  }
  return "[" + std::string(marked, '#') + std::string(cells - marked, '.') + "]";
}

std::string short_duration(Duration d) {
  if (d <= Duration{}) return "-";
  const double us = static_cast<double>(d.count()) / 1e3;
  if (us < 999.5) return fmt::format("{:.0f} us", us);
  if (us < 999'500) return fmt::format("{:.1f} ms", us / 1e3);
  return fmt::format("{:.1f} s", us / 1e6);
}

std::vector<std::string> demo_opening(const DemoScript& script, const DemoKernel& kernel,
                                      const Ink& ink) {
  std::vector<std::string> lines;
  lines.push_back(
      ink.strong("lastack demo: a service that is up for a while and down for a while"));
  lines.push_back("");
  switch (script.mode) {
    case DemoMode::StandIn:
      lines.push_back("A stand-in: on Linux a closed connection keeps its local port for 60 s, in");
      lines.push_back(
          fmt::format("TIME_WAIT. So that you need not wait, ports come back after {:.0f} s here:",
                      seconds(script.hold)));
      lines.push_back(
          fmt::format("tcp_tw_reuse=1 with tcp_tw_reuse_delay={} stands in for the 60 s, which",
                      script.hold / 1ms));
      lines.push_back("are a constant of the kernel. With the real 60 s: lastack demo --full");
      break;
    case DemoMode::Full:
      lines.push_back(
          "The real thing: a closed connection keeps its local port for 60 s, in TIME_WAIT,");
      lines.push_back(
          "and tcp_tw_reuse is left as the kernel has it. There is a minute of waiting in it.");
      break;
    case DemoMode::NoReturn:
      lines.push_back(
          "A closed connection keeps its local port for 60 s, in TIME_WAIT, and this kernel has");
      lines.push_back(
          "no tcp_tw_reuse_delay (Linux 6.14) to stand in for them. So you will see the");
      lines.push_back(
          "service go down, but not come back by itself; for that: lastack demo --full");
      break;
  }
  lines.push_back("");
  lines.push_back(fmt::format(
      "where     Linux {}, this machine's own, in private namespaces; nothing", kernel.release));
  lines.push_back("          outside is touched, nothing is left at the end; ^C ends it at once");
  lines.push_back(
      fmt::format("service   opens a connection to its database for each of {:.0f} requests/s and",
                  script.rate));
  lines.push_back(fmt::format("          closes it: {} -> {}, {} local ports",
                              script.client.to_string(), script.database.to_string(),
                              script.range.size()));
  lines.push_back(fmt::format("parts     1 incident   2 diagnosis   3 {} remedy   4 {} remedy",
                              script.kernel_first ? "the kernel's" : "the program's",
                              script.kernel_first ? "the program's" : "the kernel's"));
  lines.push_back(fmt::format("length    about {:.0f} s", seconds(script.length()) + 1));
  return lines;
}

std::string demo_table_head(const Ink& ink, bool pooled) {
  return ink.faint(fmt::format("{:>5} {:>7} {:>5} {:>6} {:>13}  {:<22} {:>7}", "s", "offered", "ok",
                               "failed", "EADDRNOTAVAIL", "local ports gone",
                               pooled ? "answer" : "connect"));
}

std::string demo_table_line(const DemoSlice& slice, const Ink& ink) {
  const LoadCounts& load = slice.load;
  const Duration latency = slice.pooled ? load.answered.median() : load.connect_call.median();
  const std::string ports = fmt::format("{} {}/{}", bar(slice.ports_gone, slice.ports, 12),
                                        slice.ports_gone, slice.ports);
  const std::string line =
      fmt::format("{:>5.1f} {:>7} {:>5} {:>6} {:>13}  {:<22} {:>7}  {}", seconds(slice.at),
                  load.offered, load.ok, load.failed, load.failed_with(EADDRNOTAVAIL), ports,
                  short_duration(latency), slice.down() ? "DOWN" : "up");
  if (slice.down()) return ink.bad(line);
  return load.failed > 0 ? line : ink.good(line);
}

std::vector<std::string> demo_summary(const std::vector<DemoPart>& parts, const Ink& ink) {
  std::vector<std::string> lines;
  lines.push_back(ink.faint(fmt::format("{:<36} {:>5} {:>8} {:>7} {:>8} {:>11}", "", "s",
                                        "requests", "failed", "share", "connections")));
  for (const DemoPart& part : parts) {
    const double share = part.load.offered == 0 ? 0
                                                : 100.0 * static_cast<double>(part.load.failed) /
                                                      static_cast<double>(part.load.offered);
    const std::string line = fmt::format("{:<36} {:>5.1f} {:>8} {:>7} {:>6.1f} % {:>11}", part.name,
                                         seconds(part.length), part.load.offered, part.load.failed,
                                         share, part.connections);
    lines.push_back(part.load.failed > 0 ? ink.bad(line) : ink.good(line));
  }
  return lines;
}

}  // namespace lastack
