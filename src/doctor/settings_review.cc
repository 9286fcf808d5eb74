// The settings, and every wrong recipe among them, with the evidence (claims B1 to B6; linux-facts, "What
// every wrong recipe still says").
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "doctor/finding.h"
#include "doctor/text.h"
#include "model/shell_word.h"

namespace lastack {

namespace {

constexpr const char* kNobody = "does not matter here: a setting";

Finding& setting(const Case& c, Findings& out, std::string id, Severity severity,
                 const std::string& name, Settings::Value value) {
  Finding& f = add(c, out, std::move(id), severity, name);
  f.who_closed_first = kNobody;
  f.evidence.push_back({name, value.value_or(0)});
  return f;
}

void back_to(const Case& c, Finding& f, const std::string& name, std::int64_t to,
             Settings::Value now) {
  Remedy r;
  r.layer = Layer::Limits;
  r.text = fmt::format("back to {}", to);
  r.commands = {set_command(c, "net.ipv4." + name, std::to_string(to))};
  r.undo = undo_command(c, "net.ipv4." + name, now);
  r.check = "lastack doctor; and the line in /etc/sysctl.d that set it";
  f.remedies.push_back(r);
}

// Records that are older than `age` and still there: proof that a shorter setting did not shorten them.
std::uint64_t older_than(const Case& c, Duration age) {
  double n = 0;
  const auto count = [&](const SocketGroup& g) {
    n += static_cast<double>(g.closes.total()) - g.closes.closed_within(age);
  };
  for (const Destination& d : c.sockets().destinations) count(d);
  for (const Service& s : c.sockets().services) count(s);
  return static_cast<std::uint64_t>(n);
}

void fin_timeout(const Case& c, Findings& out) {
  const Settings::Value v = c.settings().tcp_fin_timeout;
  if (!v || *v == 60) return;
  if (*v >= 61 && *v <= 89) {
    Finding& f =
        setting(c, out, "setting-fin-timeout-61-to-89", Severity::Warning, "tcp_fin_timeout", v);
    f.sentence =
        fmt::format("tcp_fin_timeout={} makes orphans in FIN_WAIT_2 live about {} s, not {}", *v,
                    2 * (*v - 60), *v);
    f.why =
        "above 60 s an orphan stays a full socket for the excess only, and as a small record for "
        "as long again: "
        "61 gives 2 s, 70 gives 20 s; 90 is the first value that waits longer than 60 does";
    back_to(c, f, "tcp_fin_timeout", 60, v);
    return;
  }
  if (*v > 89) return;
  Finding& f = setting(c, out, "setting-fin-timeout", Severity::Notice, "tcp_fin_timeout", v);
  f.sentence = fmt::format(
      "tcp_fin_timeout={} does not shorten TIME_WAIT: it bounds FIN_WAIT_2 of closed sockets", *v);
  const std::uint64_t old = *v > 0 ? older_than(c, std::chrono::seconds(*v) + 1s) : 0;
  if (old > 0) {
    f.details.push_back(
        fmt::format("the evidence: {} TIME_WAIT records here are older than {} s and still there",
                    grouped(old), *v));
  }
  note(f, "time_wait_older_than_setting", old);
  f.why =
      "TIME_WAIT lasts 60 s, a constant of the kernel. The lower value may be right for "
      "FIN_WAIT_2, if that is "
      "what was meant";
  back_to(c, f, "tcp_fin_timeout", 60, v);
  f.remedies.back().text = "nothing needs doing; the default is 60";
}

void reuse(const Case& c, Findings& out) {
  const Settings& s = c.settings();
  const std::int64_t mode = s.tcp_tw_reuse.value_or(2);
  if (s.tcp_timestamps && *s.tcp_timestamps == 0) {
    if (mode == 1) {
      Finding& f = setting(c, out, "setting-reuse-without-timestamps", Severity::Warning,
                           "tcp_tw_reuse", mode);
      f.sentence = "tcp_tw_reuse=1 does nothing while tcp_timestamps is 0";
      f.details.push_back(
          fmt::format("TWRecycled (ports reused) {}", grouped(c.ns.counters.TWRecycled)));
      f.why = "a TIME_WAIT port is only reused on the strength of a stored timestamp";
      back_to(c, f, "tcp_timestamps", 1, s.tcp_timestamps);
    } else {
      Finding& f = setting(c, out, "setting-timestamps-off", Severity::Notice, "tcp_timestamps",
                           s.tcp_timestamps);
      f.sentence = fmt::format(
          "tcp_timestamps=0: old duplicates are not told apart by age, and TIME_WAIT ports are "
          "never "
          "reused (tcp_tw_reuse={} makes no difference)",
          mode);
      f.why =
          "switching tcp_tw_reuse off 'because timestamps are off' is not needed: it never acts "
          "without them";
      back_to(c, f, "tcp_timestamps", 1, s.tcp_timestamps);
    }
  } else if (s.tcp_tw_reuse && mode == 0) {
    Finding& f = setting(c, out, "setting-reuse-off", Severity::Notice, "tcp_tw_reuse", mode);
    f.sentence =
        "tcp_tw_reuse=0: not even connections over loopback may reuse a TIME_WAIT port (the "
        "default is 2)";
    f.why = "only this host's own outgoing connections are affected";
    back_to(c, f, "tcp_tw_reuse", 2, s.tcp_tw_reuse);
  } else if (mode == 1) {
    std::uint64_t of_services = 0, of_destinations = 0;
    for (const Service& g : c.sockets().services) of_services += g.states[TcpState::TimeWait];
    for (const Destination& g : c.sockets().destinations)
      of_destinations += g.states[TcpState::TimeWait];
    if (of_services >= 100 && of_destinations * 20 < of_services) {
      Finding& f =
          setting(c, out, "setting-reuse-on-server", Severity::Notice, "tcp_tw_reuse", mode);
      f.sentence = fmt::format(
          "tcp_tw_reuse=1 does nothing for the {} TIME_WAIT records here: they are on listening "
          "ports",
          grouped(of_services));
      f.why = "it acts when this host opens connections; records of accepted ones hold no port";
      back_to(c, f, "tcp_tw_reuse", 2, s.tcp_tw_reuse);
    }
  }
  if (s.tcp_tw_reuse_delay && *s.tcp_tw_reuse_delay != 1000 && (mode == 1 || mode == 2) &&
      s.timestamps_on()) {
    Finding& f = setting(c, out, "setting-reuse-delay", Severity::Notice, "tcp_tw_reuse_delay",
                         s.tcp_tw_reuse_delay);
    f.sentence = fmt::format(
        "tcp_tw_reuse_delay={} ms: a TIME_WAIT port may be reused {} after its last use (default 1 "
        "s)",
        *s.tcp_tw_reuse_delay, span(s.reuse_delay()));
    f.why = *s.tcp_tw_reuse_delay > 1000
                ? "a longer delay lowers how many connections a second one destination sustains"
                : "below a second, timestamps of millisecond clocks may not yet differ";
    back_to(c, f, "tcp_tw_reuse_delay", 1000, s.tcp_tw_reuse_delay);
  }
}

void buckets(const Case& c, Findings& out) {
  const Settings& s = c.settings();
  if (!s.tcp_max_tw_buckets || !(s.tcp_ehash_entries || c.host.is_endpoint)) return;
  // A kernel's default follows from its memory, by way of a table's size; an endpoint's does not.
  constexpr std::int64_t kOfAnEndpoint = 262'144;
  const std::int64_t usual =
      c.host.is_endpoint ? kOfAnEndpoint : std::llabs(*s.tcp_ehash_entries) / 2;
  if (usual == 0 || *s.tcp_max_tw_buckets >= usual) return;
  Finding& f = setting(c, out, "setting-max-tw-buckets-lowered", Severity::Notice,
                       "tcp_max_tw_buckets", s.tcp_max_tw_buckets);
  f.sentence =
      fmt::format("tcp_max_tw_buckets={} is below {} default of {}", grouped(*s.tcp_max_tw_buckets),
                  c.host.is_endpoint ? "the endpoint's" : "this kernel's", grouped(usual));
  f.details.push_back(fmt::format("{} records now; TCPTimeWaitOverflow {} since the start",
                                  grouped(c.ns.totals.tw),
                                  grouped(c.ns.counters.TCPTimeWaitOverflow)));
  f.why =
      "once it is reached connections skip TIME_WAIT, and what TIME_WAIT protects from can happen. "
      "It saves 256 to "
      "512 bytes a record";
  note(f, "usual", static_cast<std::uint64_t>(usual));
  back_to(c, f, "tcp_max_tw_buckets", usual, s.tcp_max_tw_buckets);
}

void others(const Case& c, Findings& out) {
  const Settings& s = c.settings();
  if (s.tcp_tw_recycle && *s.tcp_tw_recycle != 0) {
    Finding& f = setting(c, out, "setting-tw-recycle", Severity::Problem, "tcp_tw_recycle",
                         s.tcp_tw_recycle);
    f.sentence = "tcp_tw_recycle=1 loses connections of clients that share an address (NAT)";
    f.why =
        "it compares timestamps per address, but the hosts behind a NAT have clocks of their own; "
        "their SYNs are "
        "dropped. It was removed in Linux 4.12 for that";
    back_to(c, f, "tcp_tw_recycle", 0, s.tcp_tw_recycle);
  }
  if (s.tcp_tw_timeout) {
    Finding& f = setting(c, out, "setting-vendor-tw-timeout",
                         *s.tcp_tw_timeout < 60 ? Severity::Warning : Severity::Notice,
                         "tcp_tw_timeout", s.tcp_tw_timeout);
    f.sentence =
        c.host.is_endpoint
            ? fmt::format("TIME_WAIT lasts {} s here, not 60", *s.tcp_tw_timeout)
            : fmt::format(
                  "this vendor's kernel has tcp_tw_timeout={}: TIME_WAIT lasts {} s here, not 60",
                  *s.tcp_tw_timeout, *s.tcp_tw_timeout);
    f.why = c.host.is_endpoint
                ? "the endpoint was made so, or its profile is; all figures here use it"
                : "no mainline kernel has it; all figures here use it";
  }
  if (s.tcp_rfc1337 && *s.tcp_rfc1337 == 1) {
    Finding& f = setting(c, out, "setting-rfc1337", Severity::Notice, "tcp_rfc1337", s.tcp_rfc1337);
    f.sentence = "tcp_rfc1337=1: a RST no longer ends TIME_WAIT";
    f.why =
        "right against old duplicates; but a client without timestamps that reuses its port waits "
        "for seconds: its "
        "answer to our ACK is a RST, which is now ignored";
    back_to(c, f, "tcp_rfc1337", 0, s.tcp_rfc1337);
  }
  if (s.tcp_abort_on_overflow && *s.tcp_abort_on_overflow == 1) {
    Finding& f = setting(c, out, "setting-abort-on-overflow", Severity::Notice,
                         "tcp_abort_on_overflow", s.tcp_abort_on_overflow);
    f.sentence =
        "tcp_abort_on_overflow=1: a short burst at a full accept queue becomes errors at the "
        "clients";
    f.why =
        "with 0 the client repeats its ACK, and a program that catches up within seconds loses "
        "nobody";
    back_to(c, f, "tcp_abort_on_overflow", 0, s.tcp_abort_on_overflow);
  }
  if (s.tcp_syncookies && *s.tcp_syncookies == 0) {
    Finding& f = setting(c, out, "setting-syncookies-off", Severity::Notice, "tcp_syncookies",
                         s.tcp_syncookies);
    f.sentence = "tcp_syncookies=0: a SYN flood can fill the SYN queue";
    f.why = "with 1 cookies are sent only while the queue is full";
    back_to(c, f, "tcp_syncookies", 1, s.tcp_syncookies);
  }
  if (s.tcp_retries2 && *s.tcp_retries2 > 0 && *s.tcp_retries2 < 8) {
    Finding& f =
        setting(c, out, "setting-retries2", Severity::Notice, "tcp_retries2", s.tcp_retries2);
    f.sentence = fmt::format(
        "tcp_retries2={}: a connection is given up after {} repetitions; RFC 1122 asks for 100 s "
        "at least (8)",
        *s.tcp_retries2, *s.tcp_retries2);
    f.why =
        "a short break of the path ends connections; TCP_USER_TIMEOUT does the same for one "
        "program";
    back_to(c, f, "tcp_retries2", 15, s.tcp_retries2);
  }
  if (s.ip_local_port_range && s.ip_local_port_range->size() < 28232 / 2) {
    Finding& f = setting(c, out, "setting-port-range-narrow", Severity::Notice,
                         "ip_local_port_range", s.ip_local_port_range->size());
    f.sentence = fmt::format(
        "ip_local_port_range is {}-{}: {} ports sustain {} new connections to one destination",
        s.ip_local_port_range->low, s.ip_local_port_range->high,
        grouped(std::uint64_t{s.ip_local_port_range->size()}),
        rate(s.ip_local_port_range->size() / seconds(s.time_wait_length())));
    f.why = "the default, 32768-60999, sustains 470/s";
    Remedy r;
    r.layer = Layer::PortChoice;
    r.text = "the default range";
    r.commands = {set_command(c, "net.ipv4.ip_local_port_range", "32768 60999")};
    r.undo =
        set_command(c, "net.ipv4.ip_local_port_range",
                    fmt::format("{} {}", s.ip_local_port_range->low, s.ip_local_port_range->high));
    r.check = "lastack doctor";
    f.remedies.push_back(r);
  }
}

// A setting per namespace that was changed outside and not in here.
void only_outside(const Case& c, const Settings& outside, Findings& out) {
  std::string list;
  std::size_t n = 0;
  std::vector<std::string> commands;
  for (const SettingInfo& info : setting_table()) {
    if (!info.per_namespace || !info.usual || !info.path.starts_with("net/ipv4/")) continue;
    const Settings::Value there = outside.*info.member;
    const Settings::Value here = c.settings().*info.member;
    if (!there || !here || *there == *info.usual || *here != *info.usual) continue;
    ++n;
    list += fmt::format("{}{}={} (here {})", list.empty() ? "" : ", ", info.name, *there, *here);
    commands.push_back(
        set_command(c, "net.ipv4." + std::string(info.name), std::to_string(*there)));
  }
  const auto range = outside.ip_local_port_range;
  if (range && c.settings().ip_local_port_range && !(*range == PortRange{32768, 60999}) &&
      *c.settings().ip_local_port_range == PortRange{32768, 60999}) {
    ++n;
    list += fmt::format("{}ip_local_port_range={}-{} (here 32768-60999)", list.empty() ? "" : ", ",
                        range->low, range->high);
    commands.push_back(set_command(c, "net.ipv4.ip_local_port_range",
                                   fmt::format("{} {}", range->low, range->high)));
  }
  if (n == 0) return;
  Finding& f = add(c, out, "setting-host-only", Severity::Notice, c.ns.name);
  f.sentence = fmt::format("{} set on the host only, and {} per namespace: {}",
                           plural(n, "setting"), n == 1 ? "is" : "are", list);
  f.who_closed_first = kNobody;
  f.why =
      "a container has settings of its own, at the kernel's defaults unless something set them "
      "inside";
  note(f, "settings", std::uint64_t{n});
  Remedy r;
  r.layer = Layer::Limits;
  r.text =
      "set them inside, if they are meant for this namespace (docker run --sysctl, a pod's "
      "securityContext.sysctls)";
  r.commands = commands;
  r.undo = set_command(c, "net.ipv4.NAME", "DEFAULT");
  r.check = "lastack doctor";
  f.remedies.push_back(r);
}

}  // namespace

void review_settings(const Case& c, Findings& out) {
  fin_timeout(c, out);
  reuse(c, out);
  buckets(c, out);
  others(c, out);
  if (c.ns.is_host) return;
  const Settings* outside = c.host.outer_settings ? &*c.host.outer_settings : nullptr;
  for (const NamespaceSnapshot& other : c.host.namespaces) {
    if (other.is_host && &other != &c.ns) outside = &other.settings;
  }
  if (outside != nullptr) only_outside(c, *outside, out);
}

void review_host_settings(const HostSnapshot& host, Findings& out) {
  for (const SysctlLine& line : host.sysctl_lines) {
    const bool recycle = line.name.ends_with("tcp_tw_recycle");
    const bool vendor = line.name.ends_with("tcp_tw_timeout");
    if (!recycle && !vendor) continue;
    const bool there = std::any_of(host.namespaces.begin(), host.namespaces.end(),
                                   [&](const NamespaceSnapshot& ns) {
                                     return recycle ? ns.settings.tcp_tw_recycle.has_value()
                                                    : ns.settings.tcp_tw_timeout.has_value();
                                   });
    if (there) continue;
    Finding& f = out.emplace_back();
    f.id = "setting-retired";
    f.severity = Severity::Notice;
    f.subject = line.name;
    f.sentence = fmt::format("{}:{} sets {}={}, which this kernel does not have", line.file,
                             line.line, line.name, line.value);
    f.who_closed_first = kNobody;
    f.why = recycle ? "tcp_tw_recycle was removed in Linux 4.12; it lost connections of clients "
                      "behind one NAT address"
                    : "tcp_tw_timeout exists in some vendors' kernels only";
    note(f, "file", line.file);
    note(f, "line", std::uint64_t{line.line});
    note(f, "name", line.name);
    Remedy r;
    r.layer = Layer::Limits;
    r.text = "remove the line";
    r.commands = {fmt::format("sed -i.bak '{}d' {}", line.line, shell_word(line.file))};
    r.undo = fmt::format("mv {} {}", shell_word(line.file + ".bak"), shell_word(line.file));
    r.check = "sysctl --system";
    f.remedies.push_back(r);
  }
}

}  // namespace lastack
