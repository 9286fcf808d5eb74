// Descriptors running out, of a process and of the system (claims B10, D10).
#include <fmt/format.h>

#include <algorithm>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

namespace {

std::uint64_t sockets_of(const HostSnapshot& host, std::uint32_t process) {
  std::uint64_t n = 0;
  for (const NamespaceSnapshot& ns : host.namespaces) {
    for (const OwnedSockets& o : ns.sockets.owned) {
      if (o.process == process) n += o.states.total() - o.states[TcpState::TimeWait];
    }
  }
  return n;
}

void of_processes(const HostSnapshot& host, Findings& out) {
  for (std::uint32_t i = 0; i < host.processes.size(); ++i) {
    const Process& p = host.processes[i];
    if (!p.descriptor_limit || *p.descriptor_limit == 0 ||
        p.descriptors * 10 < *p.descriptor_limit * 8)
      continue;
    const std::uint64_t left = *p.descriptor_limit - std::min(p.descriptors, *p.descriptor_limit);
    // Of processes elsewhere the page says nothing.
    const bool here =
        p.net_namespace == 0 || std::any_of(host.namespaces.begin(), host.namespaces.end(),
                                            [&](const NamespaceSnapshot& ns) {
                                              return ns.inode == 0 || ns.inode == p.net_namespace;
                                            });
    if (!here) continue;
    // A program made for very few is not short of them.
    if (p.descriptors < 32) continue;
    Finding& f = out.emplace_back();
    f.id = left == 0 ? "descriptors-exhausted" : "descriptors-exhausting";
    f.severity =
        p.descriptors * 10 >= *p.descriptor_limit * 9 ? Severity::Problem : Severity::Warning;
    f.subject = name_of(p);
    f.sentence = left == 0 ? fmt::format("{} is out of descriptors: {} of {}", name_of(p),
                                         grouped(p.descriptors), grouped(*p.descriptor_limit))
                           : fmt::format("{} has {} left: {} of {} in use", name_of(p),
                                         plural(left, "descriptor"), grouped(p.descriptors),
                                         grouped(*p.descriptor_limit));
    const std::uint64_t sockets = sockets_of(host, i);
    f.details.push_back(fmt::format("{} of them TCP sockets", grouped(sockets)));
    f.owners.push_back(owner_of(host, i, sockets));
    f.who_closed_first = "see the findings on its sockets; TIME_WAIT holds no descriptor";
    f.why =
        "accept(), socket() and open() fail with EMFILE (Too many open files); clients then wait "
        "in the accept queue";
    note(f, "pid", static_cast<std::uint64_t>(std::max(0, p.pid)));
    note(f, "descriptors", p.descriptors);
    note(f, "descriptor_limit", *p.descriptor_limit);
    note(f, "descriptors_left", left);
    note(f, "tcp_sockets", sockets);
    Remedy look;
    look.layer = Layer::Program;
    look.text = "see what they are; if it grows without end, it is a leak";
    look.commands = {
        fmt::format("ls -l /proc/{}/fd | awk '{{print $NF}}' | sed 's/[0-9]*//g' | sort | uniq -c "
                    "| sort -rn | head",
                    p.pid)};
    look.check = "lastack doctor";
    const Remedy raise = raise_descriptor_limit(p);
    f.remedies = {look, raise};
    f.will_not_help = {"settings of TIME_WAIT: those records hold no descriptor"};
  }
}

void of_the_system(const HostSnapshot& host, Findings& out) {
  if (host.files_max == 0 || host.files_open * 10 < host.files_max * 8) return;
  Finding& f = out.emplace_back();
  f.id = "descriptors-system";
  f.severity = host.files_open * 10 >= host.files_max * 9 ? Severity::Problem : Severity::Warning;
  f.subject = "fs.file-max";
  f.sentence = fmt::format("the system has {} of {} files open", grouped(host.files_open),
                           grouped(host.files_max));
  f.who_closed_first = "does not matter here";
  f.why = "beyond it open() and socket() fail with ENFILE in every process but root's";
  note(f, "files_open", host.files_open);
  note(f, "files_max", host.files_max);
  Remedy r;
  r.layer = Layer::Limits;
  r.text = "raise it, and look for the process that opens so many";
  r.commands = {"sysctl -w fs.file-max=" + std::to_string(host.files_max * 2)};
  r.undo = "sysctl -w fs.file-max=" + std::to_string(host.files_max);
  r.check = "cat /proc/sys/fs/file-nr";
  f.remedies.push_back(r);
}

}  // namespace

Remedy raise_descriptor_limit(const Process& p) {
  // fs.nr_open, unless it was changed: no limit can be set higher.
  constexpr std::uint64_t kMostOpen = 1'048'576;
  const std::uint64_t now = p.descriptor_limit.value_or(0);
  const std::uint64_t higher = std::min(std::max<std::uint64_t>(65536, now * 4), kMostOpen);
  Remedy raise;
  raise.layer = Layer::Limits;
  raise.check = fmt::format("grep files /proc/{}/limits", p.pid);
  if (higher <= now) {
    raise.text = "the limit is as high as fs.nr_open usually lets it be: look for the leak";
    return raise;
  }
  raise.text =
      p.unit.ends_with(".service")
          ? fmt::format("raise the limit: LimitNOFILE={} in {}, and now for the running process",
                        higher, p.unit)
          : "raise the limit of the running process (and where it is started: ulimit -n)";
  // The soft limit alone: what is taken from the hard one only CAP_SYS_RESOURCE gives back.
  raise.commands = {fmt::format("prlimit --pid {} --nofile={}:", p.pid, higher)};
  if (now > 0) raise.undo = fmt::format("prlimit --pid {} --nofile={}:", p.pid, now);
  raise.caution = fmt::format(
      "the hard limit bounds it (prlimit --pid {} --nofile shows both); beyond that, set both: "
      "--nofile=SOFT:HARD",
      p.pid);
  return raise;
}

void find_descriptor_trouble(const HostSnapshot& host, Findings& out) {
  of_processes(host, out);
  of_the_system(host, out);
}

}  // namespace lastack
