#include "lab/scenario/can_play.h"

#include <fmt/format.h>

#include <algorithm>

#include "lab/program_process.h"

namespace lastack::lab {

HostKind kind_in(const HostSpec& spec, Where where, bool first) {
  if (spec.kind != HostKind::Either) return spec.kind;
  switch (where) {
    case Where::Endpoint:
      return HostKind::Endpoint;
    case Where::Kernel:
      return HostKind::Kernel;
    case Where::Mixed:
      return first ? HostKind::Kernel : HostKind::Endpoint;
  }
  return HostKind::Endpoint;
}

namespace {

// Only a kernel has them, and where they are installed.
std::string cannot_run_programs(const Scenario& scenario, Where where) {
  for (const ProgramSpec& program : scenario.programs) {
    for (std::size_t i = 0; i < scenario.hosts.size(); ++i) {
      const HostSpec& host = scenario.hosts[i];
      if (host.name != program.host || kind_in(host, where, i == 0) == HostKind::Kernel) continue;
      return fmt::format("host {} runs {}, which only a kernel can, and is an endpoint here",
                         host.name, program.run.front());
    }
    if (const auto found = find_program(program.run.front()); !found) return found.error().message;
  }
  return "";
}

}  // namespace

std::string cannot_play(const Scenario& scenario, Where where) {
  bool first = true;
  for (const HostSpec& spec : scenario.hosts) {
    const bool kernel = kind_in(spec, where, first) == HostKind::Kernel;
    first = false;
    if (!kernel) continue;
    const HostOptions& o = spec.options;
    if (o.profile != Profile::Linux || o.msl || o.time_wait_length || o.syn_answer ||
        o.evict_oldest_time_wait) {
      return fmt::format(
          "host {} has what only an endpoint can be given (profile, msl, time_wait_length, syn_answer)",
          spec.name);
    }
  }
  if (const std::string why = cannot_run_programs(scenario, where); !why.empty()) return why;
  const auto on_kernel = [&](const std::string& host) {
    for (std::size_t i = 0; i < scenario.hosts.size(); ++i) {
      const HostSpec& spec = scenario.hosts[i];
      if ((host.empty() || host == spec.name) && kind_in(spec, where, i == 0) == HostKind::Kernel)
        return true;
    }
    return false;
  };
  // Nothing goes on while a kernel's close() waits, not even the wire that it waits for.
  const auto lingers = [&](const auto& of) {
    return on_kernel(of.host) &&
           std::any_of(of.options.begin(), of.options.end(),
                       [](const auto& o) { return o.first == Option::linger && o.second > 0; });
  };
  bool waits = false;
  for (const StepSpec& step : scenario.steps) {
    if (step.deed == StepSpec::Deed::Crash && on_kernel(step.host))
      return "a kernel host cannot crash here";
    waits = waits || lingers(step) ||
            (step.deed == StepSpec::Deed::Option && step.option == Option::linger &&
             step.value > 0 && on_kernel(step.host));
  }
  for (const ClientsSpec& spec : scenario.clients) waits = waits || lingers(spec);
  for (const PoolSpec& spec : scenario.pools) waits = waits || lingers(spec);
  if (waits)
    return "a close() that lingers (linger above 0) waits in the kernel, and the lab's wire with it";
  return "";
}

}  // namespace lastack::lab
