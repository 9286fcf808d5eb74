#include "doctor/finding.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "doctor/text.h"
#include "model/shell_word.h"

namespace lastack {

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::Notice:
      return "notice";
    case Severity::Warning:
      return "warning";
    case Severity::Problem:
      return "problem";
  }
  return "?";
}

std::string_view to_string(Layer layer) {
  switch (layer) {
    case Layer::Program:
      return "program";
    case Layer::WhoCloses:
      return "who-closes";
    case Layer::PortChoice:
      return "port-choice";
    case Layer::MoreTuples:
      return "more-tuples";
    case Layer::Reuse:
      return "reuse";
    case Layer::Limits:
      return "limits";
    case Layer::Kill:
      return "kill";
  }
  return "?";
}

std::uint64_t Case::moved(std::uint64_t Counters::*counter) const {
  const std::uint64_t now = ns.counters.*counter;
  if (before == nullptr || !before->counters_read) return now;
  const std::uint64_t then = before->counters.*counter;
  return now >= then ? now - then : now;  // a namespace made anew counts from zero
}

Finding& add(const Case& c, Findings& out, std::string id, Severity severity, std::string subject) {
  Finding& f = out.emplace_back();
  f.id = std::move(id);
  f.severity = severity;
  f.net_namespace = c.ns.name;
  f.subject = std::move(subject);
  return f;
}

void note(Finding& f, std::string name, std::uint64_t value) {
  f.evidence.push_back({std::move(name), static_cast<std::int64_t>(value)});
}
void note(Finding& f, std::string name, double value) {
  f.evidence.push_back({std::move(name), value});
}
void note(Finding& f, std::string name, std::string value) {
  f.evidence.push_back({std::move(name), std::move(value)});
}

Owner owner_of(const HostSnapshot& host, std::uint32_t process, std::uint64_t sockets) {
  Owner owner;
  owner.sockets = sockets;
  if (process < host.processes.size()) {
    const Process& p = host.processes[process];
    owner.pid = p.pid;
    owner.command = p.command;
    owner.unit = !p.unit.empty() ? p.unit : p.container.empty() ? "" : "container " + p.container;
  }
  return owner;
}

std::vector<Owner> owners_of(const HostSnapshot& host, const SocketCensus& sockets, Side side,
                             std::uint32_t index, std::initializer_list<TcpState> states) {
  std::map<std::uint32_t, std::uint64_t> by_process;
  for (const OwnedSockets& o : sockets.owned) {
    if ((side == Side::Destination ? o.destination : o.service) != index) continue;
    for (TcpState s : states) {
      if (o.states[s] > 0) by_process[o.process] += o.states[s];
    }
  }
  std::map<std::uint32_t, std::uint64_t> opened;
  if (side == Side::Destination && sockets.watched > Duration::zero()) {
    for (const Opener& o : sockets.openers) {
      if (o.destination != index) continue;
      opened[o.process] += o.opened;
      by_process.try_emplace(o.process, 0);
    }
  }
  std::vector<Owner> owners;
  for (const auto& [process, count] : by_process) {
    Owner& owner = owners.emplace_back(owner_of(host, process, count));
    if (const auto seen = opened.find(process); seen != opened.end()) {
      owner.opens_per_second = static_cast<double>(seen->second) / seconds(sockets.watched);
    }
  }
  // Who opens them, if that was seen, before who happens to hold some.
  std::sort(owners.begin(), owners.end(), [](const Owner& a, const Owner& b) {
    return std::tuple(-a.opens_per_second, b.sockets, a.pid) <
           std::tuple(-b.opens_per_second, a.sockets, b.pid);
  });
  return owners;
}

std::string name_of(const Owner& owner) {
  // The user of an endpoint in memory is a process without a number.
  if (owner.pid == 0) return owner.command.empty() ? "an unknown process" : owner.command;
  if (owner.unit.empty()) return fmt::format("{} (pid {})", owner.command, owner.pid);
  return fmt::format("{} (pid {}, {})", owner.command, owner.pid, owner.unit);
}

std::string name_of(const Process& process) {
  if (process.pid == 0) return process.command;
  return fmt::format("{} (pid {})", process.command, process.pid);
}

std::string owners_line(const Case& c, const std::vector<Owner>& owners, std::uint64_t of,
                        const std::string& what) {
  if (owners.empty() && c.host.is_endpoint && !c.host.processes.empty()) {
    return name_of(c.host.processes.front()) + ", whose endpoint it is, holds none of them now";
  }
  if (owners.empty()) {
    if (c.sockets().watched > Duration::zero()) {
      return fmt::format(
          "nobody opened one in {} of watching, and TIME_WAIT has no owner in the kernel",
          span(c.sockets().watched));
    }
    if (!c.sockets().owners_looked_up) return "owners were not looked up";
    if (c.host.processes_closed_to_us > 1 &&
        c.host.processes_closed_to_us * 2 > c.host.processes_seen) {
      return fmt::format("owner unknown: the descriptors of {} are closed to us; run as root",
                         grouped(std::uint64_t{c.host.processes_closed_to_us}) + " process" +
                             (c.host.processes_closed_to_us == 1 ? "" : "es"));
    }
    return "no process holds one right now, and TIME_WAIT has no owner in the kernel; "
           "lastack doctor --sample 5 watches who opens them";
  }
  std::uint64_t known = 0;
  for (const Owner& o : owners) known += o.sockets;
  std::string line = name_of(owners.front());
  if (owners.size() > 1) line += fmt::format(" and {} more", owners.size() - 1);
  if (owners.front().opens_per_second > 0) {
    line += fmt::format(", seen opening {} of them a second",
                        rate_number(owners.front().opens_per_second));
  }
  if (known > 0 || owners.front().opens_per_second <= 0) {
    line +=
        fmt::format(", seen for {} of {} {}", grouped(known), grouped(std::max(of, known)), what);
  }
  return line;
}

std::string inside(const Case& c, const std::string& command) {
  return c.ns.enter.empty() ? command : c.ns.enter + " " + command;
}

std::string set_command(const Case& c, const std::string& name, const std::string& value) {
  return inside(c, sysctl_command(name, value));
}

std::string undo_command(const Case& c, const std::string& name, Settings::Value now) {
  return now ? set_command(c, name, std::to_string(*now)) : "";
}

}  // namespace lastack
