// Listeners: their ports inside the ephemeral range, taken by outgoing connections, and accept queues that
// overflow.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

namespace {

Remedy reserve(const Case& c, const std::vector<Port>& ports) {
  PortSet reserved = c.settings().ip_local_reserved_ports;
  for (Port p : ports) reserved.insert(p);
  Remedy r;
  r.layer = Layer::PortChoice;
  r.text =
      "reserve the port: connect() and bind(0) then leave it alone, an explicit bind() still gets "
      "it";
  r.commands = {set_command(c, "net.ipv4.ip_local_reserved_ports", reserved.to_string())};
  r.undo = set_command(c, "net.ipv4.ip_local_reserved_ports",
                       c.settings().ip_local_reserved_ports.to_string());
  r.check = "lastack doctor; keep it over a reboot in /etc/sysctl.d";
  return r;
}

Remedy move_out_of_range(const Case& c) {
  Remedy r;
  r.layer = Layer::Program;
  r.text =
      fmt::format("or let the service listen outside {}-{}", c.room.range.low, c.room.range.high);
  r.check = "lastack doctor";
  return r;
}

void in_range(const Case& c, Findings& out) {
  std::vector<std::uint32_t> inside_range;
  for (std::uint32_t i = 0; i < c.sockets().services.size(); ++i) {
    const Service& s = c.sockets().services[i];
    if (s.listeners > 0 && c.room.range.contains(s.local.port) &&
        !c.settings().ip_local_reserved_ports.contains(s.local.port)) {
      inside_range.push_back(i);
    }
  }
  if (inside_range.empty()) return;
  std::sort(inside_range.begin(), inside_range.end(), [&](std::uint32_t a, std::uint32_t b) {
    return c.sockets().services[a].local.port < c.sockets().services[b].local.port;
  });
  std::vector<Port> ports;
  for (std::uint32_t i : inside_range) ports.push_back(c.sockets().services[i].local.port);
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());

  std::string list;
  for (std::size_t i = 0; i < std::min<std::size_t>(ports.size(), 6); ++i) {
    list += (i == 0 ? "" : ", ") + std::to_string(ports[i]);
  }
  if (ports.size() > 6) list += fmt::format(" and {} more", ports.size() - 6);
  Finding& f = add(c, out, "listener-in-ephemeral-range", Severity::Notice,
                   ports.size() == 1 ? "port " + list : "ports " + list);
  f.sentence = fmt::format("{} on port{} {} inside the ephemeral range {}-{}, not reserved",
                           ports.size() == 1 ? "a service listens" : "services listen",
                           ports.size() == 1 ? "" : "s", list, c.room.range.low, c.room.range.high);
  for (std::uint32_t i : inside_range) {
    const Service& s = c.sockets().services[i];
    const auto owners = owners_of(c.host, c.sockets(), Side::Service, i, {TcpState::Listen});
    if (f.details.size() < 6) {
      f.details.push_back(
          fmt::format("{}: {}", s.local.to_string(),
                      owners.empty() ? "owner not known" : name_of(owners.front())));
    }
    f.owners.insert(f.owners.end(), owners.begin(), owners.end());
  }
  f.who_closed_first = "does not matter here";
  f.why =
      "while it listens the port is safe; when it restarts, any outgoing connection may take the "
      "port first, "
      "and bind() fails with EADDRINUSE";
  note(f, "listeners", std::uint64_t{ports.size()});
  note(f, "ports", list);
  f.remedies = {reserve(c, ports), move_out_of_range(c)};
}

void contested(const Case& c, Findings& out) {
  for (const ContestedPort& p : c.sockets().contested) {
    const bool asked = p.wanted_by == kNone;
    const Owner wants = owner_of(c.host, p.wanted_by, 0);
    const Owner has = owner_of(c.host, p.owner, 1);
    Finding& f = add(c, out, "listener-port-stolen", asked ? Severity::Problem : Severity::Warning,
                     fmt::format("port {}", p.port));
    f.sentence = fmt::format(
        "port {} is taken by an outgoing connection{}; {}", p.port,
        p.owner == kNone ? "" : " of " + name_of(has),
        asked ? "nothing can listen on it now" : name_of(wants) + " seems to want to listen on it");
    f.details.push_back(fmt::format("{}  {}", p.taken_by.to_string(), to_string(p.state)));
    if (!p.evidence.empty()) f.details.push_back("its command line says: " + p.evidence);
    f.details.push_back(fmt::format("the ephemeral range is {}-{}, and {} is not reserved",
                                    c.room.range.low, c.room.range.high, p.port));
    if (p.owner != kNone) f.owners.push_back(has);
    f.who_closed_first = p.state == TcpState::TimeWait ? "this host, the connecting side"
                                                       : "nobody yet: the connection is open";
    f.why =
        "bind() fails with EADDRINUSE as long as the connection, or its TIME_WAIT record, holds "
        "the port";
    note(f, "port", std::uint64_t{p.port});
    note(f, "taken_by", p.taken_by.to_string());
    note(f, "taken_by_pid", static_cast<std::uint64_t>(std::max(0, has.pid)));
    note(f, "taken_by_state", std::string(to_string(p.state)));
    note(f, "wanted_by_pid", static_cast<std::uint64_t>(std::max(0, wants.pid)));
    f.remedies.push_back(reserve(c, {p.port}));
    Remedy kill;
    kill.layer = Layer::Kill;
    kill.text = "to get the port back now: end the connection that has it (as root)";
    kill.commands = {
        inside(c, fmt::format("ss -tK state {} sport = {}",
                              p.state == TcpState::TimeWait ? "time-wait" : "connected", p.port))};
    kill.caution = p.state == TcpState::TimeWait
                       ? "an old duplicate or a repeated FIN then meets no record"
                       : "the program that opened it sees ECONNABORTED";
    kill.check = fmt::format("lastack doctor --expect-listener {}", p.port);
    f.remedies.push_back(move_out_of_range(c));
    f.remedies.push_back(kill);
    f.will_not_help = {"SO_REUSEADDR on the listener alone: the other socket would need it too"};
  }
  // A port that somebody listens on while connections of ours leave from it: only SO_REUSEADDR on both
  // sides, or different addresses, make that possible.
  for (std::uint32_t i = 0; i < c.sockets().services.size(); ++i) {
    const Service& s = c.sockets().services[i];
    if (s.listeners == 0 || !c.room.range.contains(s.local.port) ||
        !c.sockets().used_outgoing.contains(s.local.port)) {
      continue;
    }
    Finding& f = add(c, out, "listener-port-shared", Severity::Warning, s.local.to_string());
    f.sentence =
        fmt::format("outgoing connections use port {} too, on which a service listens at {}",
                    s.local.port, s.local.to_string());
    f.owners = owners_of(c.host, c.sockets(), Side::Service, i, {TcpState::Listen});
    f.details.push_back("listener: " + owners_line(c, f.owners, s.listeners, "listeners"));
    f.who_closed_first = "does not matter here";
    f.why = "it works now; when the listener restarts it may find its port taken";
    note(f, "port", std::uint64_t{s.local.port});
    f.remedies = {reserve(c, {s.local.port}), move_out_of_range(c)};
  }
}

void accept_queues(const Case& c, Findings& out) {
  for (std::uint32_t i = 0; i < c.sockets().services.size(); ++i) {
    const Service& s = c.sockets().services[i];
    // The kernel refuses once the queue is longer than the backlog.
    if (s.listeners == 0 || s.backlog == 0 || s.accept_queue < s.backlog) continue;
    const std::uint64_t overflows = c.moved(&Counters::ListenOverflows);
    Finding& f = add(c, out, "accept-queue-overflow", Severity::Problem, s.local.to_string());
    f.owners = owners_of(c.host, c.sockets(), Side::Service, i, {TcpState::Listen});
    f.sentence = fmt::format("{} does not accept(): {} connections wait at {}, its backlog is {}",
                             f.owners.empty() ? "a service" : name_of(f.owners.front()),
                             grouped(std::uint64_t{s.accept_queue}), s.local.to_string(),
                             grouped(std::uint64_t{s.backlog}));
    f.details.push_back(
        fmt::format("ListenOverflows {}{}", grouped(overflows),
                    c.sampled() ? fmt::format(" in {}", span(c.sampled_s)) : " since the start"));
    if (s.unaccepted > 0) {
      f.details.push_back(fmt::format("{} connections have finished the handshake and no owner yet",
                                      grouped(s.unaccepted)));
    }
    f.who_closed_first = "does not matter here: they are waiting to be accepted";
    f.why = c.settings().tcp_abort_on_overflow.value_or(0) != 0
                ? "further clients get a RST (tcp_abort_on_overflow=1)"
                : "the last ACK of further handshakes is dropped: clients believe they are "
                  "connected, send, and "
                  "repeat until they give up";
    note(f, "accept_queue", std::uint64_t{s.accept_queue});
    note(f, "backlog", std::uint64_t{s.backlog});
    note(f, "listen_overflows", overflows);
    note(f, "somaxconn",
         static_cast<std::uint64_t>(std::max<std::int64_t>(0, c.settings().somaxconn.value_or(0))));
    Remedy accept;
    accept.layer = Layer::Program;
    accept.text =
        "find out why the program does not accept(): blocked, out of descriptors (EMFILE), or too "
        "few workers";
    accept.commands = f.owners.empty()
                          ? std::vector<std::string>{}
                          : std::vector{fmt::format("cat /proc/{}/stack /proc/{}/wchan",
                                                    f.owners[0].pid, f.owners[0].pid)};
    accept.check = "ss -ltn: Recv-Q below Send-Q";
    f.remedies.push_back(accept);
    Remedy backlog;
    backlog.layer = Layer::Limits;
    backlog.text = fmt::format(
        "for bursts only: a longer backlog in listen() (the kernel caps it at net.core.somaxconn, "
        "{} here)",
        c.settings().somaxconn.value_or(4096));
    if (c.settings().somaxconn.value_or(4096) <= s.backlog) {
      backlog.commands = {
          set_command(c, "net.core.somaxconn",
                      std::to_string(std::max<std::uint64_t>(4096, std::uint64_t{s.backlog} * 4)))};
      backlog.undo = undo_command(c, "net.core.somaxconn", c.settings().somaxconn);
    }
    backlog.check = "ListenOverflows stands still: lastack doctor --sample 5";
    f.remedies.push_back(backlog);
  }
  const bool told = std::any_of(out.begin(), out.end(), [&](const Finding& f) {
    return f.id == "accept-queue-overflow" && f.net_namespace == c.ns.name;
  });
  if (!told && c.sampled() && c.moved(&Counters::ListenOverflows) > 0) {
    Finding& f = add(c, out, "accept-queue-overflow", Severity::Warning, "some listener");
    f.sentence =
        fmt::format("accept queues overflowed {} times in {}, though none is full right now",
                    grouped(c.moved(&Counters::ListenOverflows)), span(c.sampled_s));
    f.who_closed_first = "does not matter here: they were waiting to be accepted";
    f.why = "bursts arrive faster than the program accepts";
    note(f, "listen_overflows", c.moved(&Counters::ListenOverflows));
    Remedy backlog;
    backlog.layer = Layer::Limits;
    backlog.text = "a longer backlog in listen(), up to net.core.somaxconn";
    backlog.check = "lastack doctor --sample 5";
    f.remedies.push_back(backlog);
  }
}

}  // namespace

void find_listener_trouble(const Case& c, Findings& out) {
  in_range(c, out);
  contested(c, out);
  accept_queues(c, out);
}

}  // namespace lastack
