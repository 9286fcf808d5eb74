#include "lab/scenario/host_measures.h"

#include <fmt/format.h>

#include "lastack/doctor.h"

namespace lastack::lab {

bool put_count(const std::string& name, std::string_view rest, const HostCounts& now,
               const HostCounts& before, Measures& into) {
  const std::string full = fmt::format("{}.{}", name, rest);
  if (rest.starts_with("states.")) {
    const auto state = parse_tcp_state(rest.substr(7));
    if (!state) return false;
    into[full] = static_cast<double>(now.states[*state]);
    return true;
  }
  if (rest.starts_with("left.")) {
    const auto state = parse_tcp_state(rest.substr(5));
    if (!state) return false;
    const auto left = now.left.find(*state);
    into[full] = left == now.left.end() ? 0 : seconds(left->second);
    return true;
  }
  if (rest.starts_with("counters.")) {
    const auto counter = find_counter(rest.substr(9));
    if (!counter) return false;
    const auto member = counter_table()[*counter].member;
    into[full] =
        static_cast<double>(now.counters.*member) - static_cast<double>(before.counters.*member);
    return true;
  }
  if (rest == "ports_exhausted") {
    into[full] = static_cast<double>(now.ports_exhausted);
    return true;
  }
  if (rest == "descriptors") {
    into[full] = static_cast<double>(now.descriptors);
    return true;
  }
  return false;
}

void put_counts(const std::string& name, const HostCounts& now, const HostCounts& before,
                Measures& into) {
  for (const TcpState state : kAllTcpStates)
    put_count(name, fmt::format("states.{}", to_string(state)), now, before, into);
  for (const TcpState state : {TcpState::TimeWait, TcpState::FinWait2})
    put_count(name, fmt::format("left.{}", to_string(state)), now, before, into);
  for (std::size_t c = 0; c < counter_table().size(); ++c) {
    if (!is_known(now.counters, c)) continue;
    put_count(name, fmt::format("counters.{}", counter_table()[c].name), now, before, into);
  }
  put_count(name, "ports_exhausted", now, before, into);
  put_count(name, "descriptors", now, before, into);
}

void put_settings(const std::string& name, const Settings& all, Measures& into) {
  const std::string prefix = name + ".settings.";
  for (const SettingInfo& one : setting_table()) {
    if (const auto value = all.*one.member)
      into[fmt::format("{}{}", prefix, one.name)] = static_cast<double>(*value);
  }
  if (!all.ip_local_port_range) return;
  into[prefix + "ip_local_port_range.first"] = static_cast<double>(all.ip_local_port_range->low);
  into[prefix + "ip_local_port_range.last"] = static_cast<double>(all.ip_local_port_range->high);
}

void put_findings(const std::string& name, const HostSnapshot& host, Measures& into) {
  double problems = 0, warnings = 0;
  for (const Finding& finding : diagnose({std::nullopt, host}).findings) {
    into[fmt::format("{}.findings.{}", name, finding.id)] =
        std::string(to_string(finding.severity));
    problems += finding.severity == Severity::Problem ? 1 : 0;
    warnings += finding.severity == Severity::Warning ? 1 : 0;
  }
  into[name + ".problems"] = problems;
  into[name + ".warnings"] = warnings;
}

}  // namespace lastack::lab
