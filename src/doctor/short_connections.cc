// Short connections to one destination that a pool would replace (claims D5, D7), before they hurt.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

namespace {
constexpr double kPerSecond = 50;  // below that the handshakes cost next to nothing
constexpr std::uint64_t kRecords = 500;
}  // namespace

void find_short_connections(const Case& c, Findings& out) {
  for (const PortUse& use : c.uses) {
    const Destination& d = c.sockets().destinations[use.destination];
    const std::string subject = d.source.to_string() + " -> " + d.remote.to_string();
    if (use.closes_per_second < kPerSecond || d.states[TcpState::TimeWait] < kRecords) continue;
    const bool told = std::any_of(out.begin(), out.end(), [&](const Finding& f) {
      return f.net_namespace == c.ns.name && f.subject == subject && f.id.starts_with("ports-");
    });
    if (told || use.pooled) continue;
    Finding& f = add(c, out, "short-connections", Severity::Notice, subject);
    const double lifetime = use.live / std::max(1.0, use.closes_per_second);
    f.sentence = fmt::format("{} short connections to {}, closed here: a pool would replace them",
                             rate(use.closes_per_second), d.remote.to_string());
    f.details.push_back(fmt::format("{} TIME_WAIT, {} open; mean lifetime about {}",
                                    grouped(d.states[TcpState::TimeWait]),
                                    grouped(std::uint64_t{use.live}), span(lifetime)));
    f.details.push_back(fmt::format(
        "{} of {} ports ({}), {} of the {} it sustains", grouped(std::uint64_t{use.head.taken}),
        grouped(std::uint64_t{use.head.capacity}), percent(use.head.share()),
        percent(use.closes_per_second / std::max(1.0, use.head.sustains_per_second)),
        rate(use.head.sustains_per_second)));
    f.owners = owners_of(c.host, c.sockets(), Side::Destination,
                         static_cast<std::uint32_t>(use.destination), kLiveStates);
    f.details.push_back("process: " + owners_line(c, f.owners, d.states.total(), "sockets"));
    f.who_closed_first = "this host, the connecting side";
    f.why = "not a fault yet: each costs a handshake, a port for a minute and 512 bytes";
    note(f, "closes_per_second", use.closes_per_second);
    note(f, "time_wait", d.states[TcpState::TimeWait]);
    note(f, "ports_taken", std::uint64_t{use.head.taken});
    note(f, "ports_capacity", std::uint64_t{use.head.capacity});
    note(f, "sustains_per_second", use.head.sustains_per_second);
    Remedy pool;
    pool.layer = Layer::Program;
    pool.text =
        fmt::format("a pool of {} connections would carry them",
                    static_cast<std::uint64_t>(std::ceil(std::max(1.0, use.live * 1.5))) + 1);
    pool.check = "lastack doctor --sample 5: the rate goes down";
    f.remedies.push_back(pool);
  }
}

}  // namespace lastack
