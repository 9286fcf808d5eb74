// Local ports running out, or out: the unit is (namespace, source, destination, destination port)
// (claims B4, D2, D8; linux-facts 19 to 21).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "doctor/finding.h"
#include "doctor/kernel_costs.h"
#include "doctor/ports_advice.h"
#include "doctor/text.h"

namespace lastack {

namespace {

std::string subject_of(const Headroom& h) {
  return h.source.to_string() + " -> " + h.remote.to_string();
}

std::string taken_line(const Case& c, const PortUse& use) {
  const Headroom& h = use.head;
  const StateCounts& states = c.sockets().destinations[use.destination].states;
  std::string parts;
  for (TcpState s :
       {TcpState::TimeWait, TcpState::Established, TcpState::SynSent, TcpState::FinWait1,
        TcpState::FinWait2, TcpState::CloseWait, TcpState::Closing, TcpState::LastAck}) {
    if (states[s] == 0) continue;
    if (!parts.empty()) parts += ", ";
    parts += grouped(states[s]) + " " + std::string(to_string(s));
  }
  return fmt::format("{} of {} ports taken ({}): {}", grouped(std::uint64_t{h.taken}),
                     grouped(std::uint64_t{h.capacity}), percent(h.share()), parts);
}

std::string range_line(const Case& c, const PortUse& use) {
  std::string line = fmt::format("range {}-{}: {} ports", c.room.range.low, c.room.range.high,
                                 grouped(std::uint64_t{use.head.range}));
  if (use.head.reserved > 0)
    line += fmt::format(", {} reserved", grouped(std::uint64_t{use.head.reserved}));
  if (use.head.held > 0)
    line += fmt::format(", {} held by bind()", grouped(std::uint64_t{use.head.held}));
  return line;
}

void note_headroom(Finding& f, const PortUse& use) {
  const Headroom& h = use.head;
  note(f, "source", h.source.to_string());
  note(f, "destination", h.remote.address.to_string());
  note(f, "destination_port", std::uint64_t{h.remote.port});
  note(f, "ports_range", std::uint64_t{h.range});
  note(f, "ports_reserved", std::uint64_t{h.reserved});
  note(f, "ports_held_by_bind", std::uint64_t{h.held});
  note(f, "ports_capacity", std::uint64_t{h.capacity});
  note(f, "ports_taken", std::uint64_t{h.taken});
  note(f, "ports_free", std::uint64_t{h.free});
  note(f, "time_wait", h.time_wait);
  note(f, "time_wait_reusable_now", std::uint64_t{h.reusable_now});
  note(f, "time_wait_within_reuse_delay", std::uint64_t{h.within_delay});
  note(f, "live", h.established);
  note(f, "opens_per_second", h.opens_per_second);
  note(f, "busiest_opens_per_second", use.busiest_per_second);
  note(f, "sustains_per_second", h.sustains_per_second);
  if (h.exhausted_in_s) note(f, "exhausted_in_seconds", *h.exhausted_in_s);
  note(f, "past_half", std::string(h.past_half ? "yes" : "no"));
}

// Who closed the connections of this destination first, by what is left of them (claim D3).
std::string who_closed(const Case& c, const PortUse& use) {
  const StateCounts& s = c.sockets().destinations[use.destination].states;
  const std::uint64_t here =
      s[TcpState::TimeWait] + s[TcpState::FinWait1] + s[TcpState::FinWait2] + s[TcpState::Closing];
  const std::uint64_t there = s[TcpState::CloseWait] + s[TcpState::LastAck];
  if (here == 0 && there == 0) return "nobody yet: the connections are open";
  if (there == 0) return "this host, the connecting side";
  if (here == 0) return "the other end";
  return fmt::format("this host, the connecting side, in {} of {}", grouped(here),
                     grouped(here + there));
}

// The walk past one parity, at what looking at one port costs.
double walk_seconds(const Case& c) {
  return c.room.open_first_parity * kernel_cost::kPassedPortSeconds;
}

// To two digits: more would be a promise.
double about(double n) {
  return n < 100 ? std::round(n) : std::round(n / 10) * 10;
}

std::string microseconds(double s) {
  return s < 1e-3 ? fmt::format("{:.0f} us", s * 1e6) : fmt::format("{:.1f} ms", s * 1e3);
}

std::string cost_line(const Case& c) {
  return fmt::format(
      "every connect() now walks half the range before it finds a port: about {} in place of {}",
      microseconds(walk_seconds(c)), microseconds(kernel_cost::kConnectSeconds));
}

struct Verdict {
  bool report = false;
  bool out_now = false;
  Severity severity = Severity::Warning;
};

Verdict judge(const Case& c, const PortUse& use) {
  const Headroom& h = use.head;
  if (h.taken < 16 && h.capacity >= 32) return {};
  const std::uint32_t few = std::max(2U, h.capacity / 200);
  if (h.free + h.reusable_now <= few) return {true, true, Severity::Problem};
  const double share =
      h.capacity == 0
          ? 1.0
          : static_cast<double>(h.taken - std::min(h.taken, h.reusable_now)) / h.capacity;
  if (h.exhausted_in_s) {
    // A burst of a moment is no trend: there must be a few seconds of it.
    const bool trend = use.activity >= 5s || (share >= 0.25 && use.activity >= 2s) || c.sampled();
    if (trend && *h.exhausted_in_s <= 600) return {true, false, Severity::Problem};
    // But what has only begun may be the worst: said with less certainty.
    if (!trend && share >= 0.1 && use.activity >= 2s && *h.exhausted_in_s <= 60)
      return {true, false, Severity::Warning};
    if (trend && *h.exhausted_in_s <= 86400 && share >= 0.5)
      return {true, false, Severity::Warning};
  }
  if (share >= 0.8) return {true, false, Severity::Warning};
  return {};
}

void report_exhaustion(const Case& c, const PortUse& use, const Verdict& verdict, Findings& out) {
  const Headroom& h = use.head;
  const bool by_time_wait = use.time_wait >= use.live;
  const std::string cause = by_time_wait ? "time-wait" : "established";
  Finding& f = add(c, out, (verdict.out_now ? "ports-exhausted-" : "ports-exhausting-") + cause,
                   verdict.severity, subject_of(h));
  const std::string holder = by_time_wait ? "connections closed within the last minute"
                                          : "connections that are still open";
  if (verdict.out_now) {
    f.sentence =
        fmt::format("{} is out of local ports: {} of {} are held by {}", subject_of(h),
                    grouped(std::uint64_t{h.taken}), grouped(std::uint64_t{h.capacity}), holder);
  } else if (h.exhausted_in_s) {
    f.sentence = fmt::format("{} runs out of local ports in about {}", subject_of(h),
                             span(*h.exhausted_in_s));
  } else {
    f.sentence =
        fmt::format("{} has {} of its local ports taken by {}; it holds at the present rate",
                    subject_of(h), percent(h.share()), holder);
  }
  f.details.push_back(taken_line(c, use));
  f.details.push_back(range_line(c, use));
  const double seen_rate =
      verdict.out_now ? std::max(use.busiest_per_second, h.opens_per_second) : h.opens_per_second;
  if (by_time_wait && seen_rate > 0) {
    const double hold =
        h.reuse_possible ? seconds(use.hold) : seconds(c.settings().time_wait_length());
    f.details.push_back(
        fmt::format("{} {} connections/s, each holds its port for {}; this destination sustains {}",
                    verdict.out_now ? "opened up to" : "opening", rate_number(seen_rate),
                    span(hold), rate(h.sustains_per_second)));
  } else if (use.live_growth_per_second > 0) {
    f.details.push_back(
        fmt::format("{} more open every second",
                    grouped(static_cast<std::uint64_t>(std::llround(use.live_growth_per_second)))));
  } else if (!by_time_wait && !c.sampled()) {
    f.details.push_back(
        "one look does not tell whether they grow in number: lastack doctor --sample 5");
  }
  if (h.reuse_possible && use.time_wait > 0) {
    f.details.push_back(fmt::format(
        "of the TIME_WAIT records {} can be reused now, {} within the reuse delay of {}",
        grouped(std::uint64_t{h.reusable_now}), grouped(std::uint64_t{h.within_delay}),
        span(c.settings().reuse_delay())));
  } else if (verdict.out_now && by_time_wait) {
    // The oldest record is the next port to come back.
    const CloseHistogram& closes = c.sockets().destinations[use.destination].closes;
    for (std::size_t i = CloseHistogram::kBins; i-- > 0;) {
      if (closes.bin(i) == 0) continue;
      const double age = seconds(closes.width()) * static_cast<double>(i);
      f.details.push_back(
          fmt::format("the first of them comes back in about {}, the rest as they were closed",
                      span(std::max(0.0, seconds(c.settings().time_wait_length()) + 1 - age))));
      break;
    }
  }
  f.owners =
      owners_of(c.host, c.sockets(), Side::Destination, static_cast<std::uint32_t>(use.destination),
                {TcpState::SynSent, TcpState::Established, TcpState::FinWait1, TcpState::FinWait2,
                 TcpState::CloseWait, TcpState::Closing, TcpState::LastAck, TcpState::TimeWait});
  f.details.push_back("process: " +
                      owners_line(c, f.owners,
                                  c.sockets().destinations[use.destination].states.total(),
                                  "sockets"));
  if (h.past_half) f.details.push_back(cost_line(c));
  f.who_closed_first = who_closed(c, use);
  f.why = verdict.out_now ? "connect() to this destination fails with EADDRNOTAVAIL until a port "
                            "comes back; no counter "
                            "of the kernel says so. Other destinations are not affected"
                          : "then connect() to this destination fails with EADDRNOTAVAIL; no "
                            "counter of the kernel will "
                            "say so";
  note_headroom(f, use);
  f.remedies = remedies_for_ports(c, use);
  f.will_not_help = what_will_not_help(c, use);
}

void report_cliff(const Case& c, const PortUse& use, bool also_running_out, Findings& out) {
  const Headroom& h = use.head;
  Finding& f = add(c, out, "connect-cost-cliff", Severity::Warning, subject_of(h));
  f.sentence = fmt::format(
      "{} is past half the port range: each connect() costs about {:.0f} times more CPU",
      subject_of(h), about(std::max(2.0, walk_seconds(c) / kernel_cost::kConnectSeconds)));
  f.details.push_back(taken_line(c, use));
  const std::uint32_t taken_first = std::min(
      c.room.open_first_parity, c.sockets().destinations[use.destination].ports_first_parity);
  f.details.push_back(fmt::format(
      "{} of the {} ports of one parity are taken, and connect() walks all of them "
      "before it tries the other",
      grouped(std::uint64_t{taken_first}), grouped(std::uint64_t{c.room.open_first_parity})));
  f.details.push_back(cost_line(c));
  f.owners = owners_of(c.host, c.sockets(), Side::Destination,
                       static_cast<std::uint32_t>(use.destination), kLiveStates);
  f.details.push_back("process: " +
                      owners_line(c, f.owners,
                                  c.sockets().destinations[use.destination].states.total(),
                                  "sockets"));
  f.who_closed_first = who_closed(c, use);
  f.why = "nothing fails yet, but CPU goes into looking for ports";
  if (h.opens_per_second >= 1) {
    f.why += fmt::format(": at {} about {:.0f} % of one core", rate(h.opens_per_second),
                         std::min(100.0, h.opens_per_second * walk_seconds(c) * 100));
  }
  note(f, "connect_cost_microseconds", walk_seconds(c) * 1e6);
  note_headroom(f, use);
  f.remedies = remedies_for_cost(c);
  if (!also_running_out) {
    for (Remedy& r : remedies_for_ports(c, use)) f.remedies.push_back(std::move(r));
  }
}

void report_bind_pool(const Case& c, Findings& out) {
  const std::uint32_t open = c.room.open;
  const double share = open == 0 ? 1.0 : static_cast<double>(c.pool.ports) / open;
  const bool out_now = c.pool.ports + std::max(2U, open / 200) >= open;
  const Severity severity = out_now || share >= 0.8 ? Severity::Problem
                            : share >= 0.25         ? Severity::Warning
                                                    : Severity::Notice;
  Finding& f = add(c, out, "bind-before-connect", severity,
                   fmt::format("{} destinations", c.pool.destinations));
  f.sentence = fmt::format(
      "{} of {} ports are taken by sockets that bind() before connect(), one pool for all {}{}",
      grouped(std::uint64_t{c.pool.ports}), grouped(std::uint64_t{open}),
      plural(c.pool.destinations, "destination"), out_now ? ": bind() fails now" : "");
  std::vector<std::size_t> pooled;
  for (std::size_t i = 0; i < c.uses.size(); ++i) {
    if (c.uses[i].pooled) pooled.push_back(i);
  }
  std::uint64_t time_wait = 0, live = 0;
  std::vector<Owner> owners;
  for (std::size_t i : pooled) {
    const Destination& d = c.sockets().destinations[i];
    time_wait += d.states[TcpState::TimeWait];
    live += d.states.total() - d.states[TcpState::TimeWait];
    for (const Owner& o : owners_of(c.host, c.sockets(), Side::Destination,
                                    static_cast<std::uint32_t>(i), kLiveStates)) {
      const auto same = std::find_if(owners.begin(), owners.end(),
                                     [&](const Owner& x) { return x.pid == o.pid; });
      if (same == owners.end()) {
        owners.push_back(o);
      } else {
        same->sockets += o.sockets;
      }
    }
  }
  std::sort(owners.begin(), owners.end(),
            [](const Owner& a, const Owner& b) { return a.sockets > b.sockets; });
  for (std::size_t i = 0; i < std::min<std::size_t>(4, pooled.size()); ++i) {
    const Destination& d = c.sockets().destinations[pooled[i]];
    f.details.push_back(fmt::format("{} -> {}: {} ports, {} TIME_WAIT", d.source.to_string(),
                                    d.remote.to_string(), grouped(std::uint64_t{d.ports_taken()}),
                                    grouped(d.states[TcpState::TimeWait])));
  }
  if (pooled.size() > 4)
    f.details.push_back(fmt::format("and {} more", plural(pooled.size() - 4, "destination")));
  f.details.push_back(
      "told by their parity: bind(0) and connect() start at opposite ends, and no port serves two "
      "destinations");
  f.details.push_back("process: " + owners_line(c, owners, live + time_wait, "sockets"));
  f.owners = owners;
  f.who_closed_first = time_wait > 0 ? fmt::format("this host, the connecting side ({} TIME_WAIT)",
                                                   grouped(time_wait))
                                     : "nobody yet: the connections are open";
  f.why =
      "bind() with port 0 cannot know the destination, so it takes a port that nobody else has; "
      "connect() "
      "alone would let every destination use the whole range. When the pool is empty bind() fails "
      "with "
      "EADDRINUSE";
  note(f, "ports_pooled", std::uint64_t{c.pool.ports});
  note(f, "ports_taken", std::uint64_t{c.pool.ports});
  note(f, "ports_capacity", std::uint64_t{open});
  note(f, "destinations", std::uint64_t{c.pool.destinations});
  note(f, "time_wait", time_wait);
  note(f, "live", live);
  Remedy r;
  r.layer = Layer::PortChoice;
  r.text =
      "setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) before bind() (Linux 4.2): the address "
      "is kept, the "
      "port is chosen at connect(), per destination (nginx's proxy_bind and haproxy's source do so "
      "themselves)";
  r.check = "lastack doctor: this finding is gone once the old connections are";
  f.remedies.push_back(r);
  Remedy pool;
  pool.layer = Layer::Program;
  pool.text = "keep connections open in a pool";
  pool.check = "lastack doctor --sample 5";
  f.remedies.push_back(pool);
  if (c.room.range.size() < 32768) {
    Remedy range;
    range.layer = Layer::PortChoice;
    range.text = "meanwhile, widen the range (reserve the ports of listening services first)";
    range.commands = {set_command(c, "net.ipv4.ip_local_port_range", "15000 64999")};
    range.undo = set_command(c, "net.ipv4.ip_local_port_range",
                             fmt::format("{} {}", c.room.range.low, c.room.range.high));
    range.check = "lastack doctor";
    f.remedies.push_back(range);
  }
  f.will_not_help = {"tcp_tw_reuse (bind() does not look at it)"};
}

void report_self_connect(const Case& c, Findings& out) {
  for (const FourTuple& t : c.sockets().self_connected) {
    Finding& f = add(c, out, "self-connect", Severity::Problem, t.local.to_string());
    f.sentence = fmt::format("a connection is connected to itself: {}", t.to_string());
    f.details.push_back(
        "connect() to a port in the ephemeral range with nobody listening there picked that very "
        "port as its source: a simultaneous open with itself");
    f.who_closed_first = "nobody: it is open";
    f.why = "the service that wants this port cannot bind it, and the client talks to its own echo";
    note(f, "port", std::uint64_t{t.local.port});
    for (std::uint32_t i = 0; i < c.sockets().destinations.size(); ++i) {
      const Destination& d = c.sockets().destinations[i];
      if (d.source != t.local.address || d.remote != t.remote) continue;
      f.owners = owners_of(c.host, c.sockets(), Side::Destination, i, kLiveStates);
      if (!f.owners.empty()) f.details.push_back("process: " + name_of(f.owners.front()));
    }
    Remedy r;
    r.layer = Layer::PortChoice;
    PortSet reserve = c.settings().ip_local_reserved_ports;
    reserve.insert(t.local.port);
    r.text = "reserve the service's port, and end this connection";
    r.commands = {
        set_command(c, "net.ipv4.ip_local_reserved_ports", reserve.to_string()),
        inside(c, fmt::format("ss -tK state connected sport = {0} and dport = {0}", t.local.port))};
    r.undo = set_command(c, "net.ipv4.ip_local_reserved_ports",
                         c.settings().ip_local_reserved_ports.to_string());
    r.check = "lastack doctor";
    f.remedies.push_back(r);
  }
}

}  // namespace

void find_port_trouble(const Case& c, Findings& out) {
  for (const PortUse& use : c.uses) {
    if (use.pooled) continue;  // all of them are one finding
    const Verdict verdict = judge(c, use);
    if (verdict.report) report_exhaustion(c, use, verdict, out);
    if (use.head.past_half && !verdict.out_now) report_cliff(c, use, verdict.report, out);
  }
  if (c.pool.destinations > 0) report_bind_pool(c, out);
  report_self_connect(c, out);
}

}  // namespace lastack
