// CLOSE_WAIT that is never left: the peer closed, the program did not (claims B7, B10, D4).
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

namespace {

// Some CLOSE_WAIT are always on their way through a busy server. A leak is many, or old.
constexpr std::uint64_t kSome = 16;
constexpr std::uint64_t kMany = 100;
constexpr Duration kOld = 60s;
constexpr Duration kSettled = 3s;

struct Leak {
  std::uint64_t sockets = 0;
  Duration oldest{};
  Duration median{};
  std::uint64_t live = 0;  // of the same owner, any state
  std::uint64_t unread = 0;
  std::uint64_t end_unread = 0;
  std::uint64_t biggest = 0;
  std::string where;  // of the biggest group
};

}  // namespace

void find_close_wait(const Case& c, Findings& out) {
  const SocketCensus& s = c.sockets();
  std::map<std::uint32_t, Leak> leaks;  // by process; kNone collects those without an owner
  const auto group_of = [&](const OwnedSockets& o) -> const SocketGroup* {
    if (o.destination != kNone) return &s.destinations[o.destination];
    if (o.service != kNone) return &s.services[o.service];
    return nullptr;
  };
  const auto where = [&](std::uint32_t destination, std::uint32_t service) -> std::string {
    if (destination != kNone) return "to " + s.destinations[destination].remote.to_string();
    if (service != kNone) return "accepted on " + s.services[service].local.to_string();
    return "in many small groups";
  };
  const auto count = [&](Leak& leak, std::uint64_t n, std::uint32_t destination,
                         std::uint32_t service, const SocketGroup* g) {
    leak.sockets += n;
    if (g != nullptr) {
      leak.oldest = std::max(leak.oldest, g->details.close_wait_age);
      leak.unread += g->close_wait_unread_bytes;
      leak.end_unread += g->close_wait_end_unread;
      if (n > leak.biggest) leak.median = g->details.close_wait_age_median;
    }
    if (n > leak.biggest) {
      leak.biggest = n;
      leak.where = where(destination, service);
    }
  };
  std::map<const SocketGroup*, std::uint64_t> owned_of;
  for (const OwnedSockets& o : s.owned) {
    leaks[o.process].live += o.states.total();
    const std::uint64_t n = o.states[TcpState::CloseWait];
    if (n == 0) continue;
    const SocketGroup* g = group_of(o);
    owned_of[g] += n;
    count(leaks[o.process], n, o.destination, o.service, g);
  }
  const auto without_owner = [&](const SocketGroup& g, std::uint32_t destination,
                                 std::uint32_t service) {
    const std::uint64_t n = g.states[TcpState::CloseWait];
    const std::uint64_t owned = owned_of[&g];
    if (n > owned) count(leaks[kNone], n - owned, destination, service, &g);
  };
  for (std::uint32_t i = 0; i < s.destinations.size(); ++i)
    without_owner(s.destinations[i], i, kNone);
  for (std::uint32_t i = 0; i < s.services.size(); ++i) without_owner(s.services[i], kNone, i);

  for (const auto& [process, leak] : leaks) {
    const Process* p = process < c.host.processes.size() ? &c.host.processes[process] : nullptr;
    const bool limit_known = p != nullptr && p->descriptor_limit && *p->descriptor_limit > 0;
    const double limit_share = limit_known ? static_cast<double>(p->descriptors) /
                                                 static_cast<double>(*p->descriptor_limit)
                                           : 0;
    // On their way through, they are few beside the open connections, and young.
    const bool mostly = leak.sockets * 2 >= leak.live;
    const bool stays = mostly || leak.median >= kSettled;
    // Much of a small limit counts as much.
    const bool eats_limit =
        limit_known && leak.sockets >= kSome && leak.sockets * 4 >= *p->descriptor_limit && stays;
    const bool many = leak.sockets >= kMany && stays;
    const bool old = leak.sockets >= kSome && leak.oldest >= kOld;
    if (!eats_limit && !many && !old) continue;

    const bool critical = limit_share >= 0.8 || leak.sockets >= 1000 || leak.oldest >= 600s;
    Finding& f = add(c, out, "close-wait-leak",
                     critical || eats_limit ? Severity::Problem : Severity::Warning,
                     p != nullptr ? name_of(*p) : leak.where);
    Owner owner = owner_of(c.host, process, leak.sockets);
    std::string room;
    if (limit_known) {
      const std::uint64_t left =
          *p->descriptor_limit - std::min(p->descriptors, *p->descriptor_limit);
      room =
          left == 0 ? ": no descriptor left" : fmt::format(": {} left", plural(left, "descriptor"));
    }
    f.sentence =
        fmt::format("{} {} {} connections that the other end has closed{}",
                    p != nullptr ? name_of(owner) : "somebody",
                    p != nullptr ? "never closes" : "does not close", grouped(leak.sockets), room);
    f.details.push_back(fmt::format(
        "{} CLOSE_WAIT, most {}{}", grouped(leak.sockets), leak.where,
        leak.unread > 0 ? fmt::format(", {} received and never read", bytes(leak.unread)) : ""));
    f.details.push_back(
        leak.end_unread * 2 >= leak.sockets
            ? fmt::format("the program has not even read the end of file on {} of them",
                          grouped(leak.end_unread))
            : fmt::format("the program has read the end of file on {} of them, and not closed",
                          grouped(leak.sockets - std::min(leak.end_unread, leak.sockets))));
    if (leak.oldest > Duration::zero()) {
      f.details.push_back(fmt::format("the oldest for at least {}, half of them for at least {}",
                                      span(leak.oldest), span(leak.median)));
    }
    if (limit_known) {
      f.details.push_back(fmt::format("{} of {} descriptors in use ({})", grouped(p->descriptors),
                                      grouped(*p->descriptor_limit), percent(limit_share)));
    }
    if (p == nullptr) {
      f.details.push_back(
          c.host.processes_closed_to_us > 0 || !s.owners_looked_up
              ? "whose they are could not be read; run as root"
              : "no process has a descriptor for them: they wait in an accept queue, or their "
                "process is in a place we cannot see");
    } else {
      f.owners.push_back(owner);
    }
    f.who_closed_first = "the peers";
    f.why =
        "a fault in the program: read() returned 0 and nobody called close(). No setting of the "
        "kernel ends "
        "CLOSE_WAIT; each holds a descriptor and a port until the process closes it or dies, then "
        "accept() and "
        "open() fail with EMFILE (Too many open files)";
    note(f, "close_wait", leak.sockets);
    note(f, "age_at_least_seconds", seconds(leak.oldest));
    if (p != nullptr) {
      note(f, "pid", static_cast<std::uint64_t>(std::max(0, p->pid)));
      note(f, "descriptors", p->descriptors);
      if (limit_known) {
        note(f, "descriptor_limit", *p->descriptor_limit);
        note(f, "descriptors_left",
             *p->descriptor_limit - std::min(p->descriptors, *p->descriptor_limit));
      }
    }
    note(f, "where", leak.where);
    Remedy fix;
    fix.layer = Layer::Program;
    fix.text =
        "close the connection when read() returns 0, on every path (errors and time-outs too); "
        "look for where "
        "the response body or the pooled connection is dropped without close";
    if (p != nullptr) {
      fix.commands = {inside(c, fmt::format("ss -tnp state close-wait | grep pid={},", p->pid))};
    }
    fix.check = "lastack doctor: CLOSE_WAIT goes down and stays down";
    f.remedies.push_back(fix);
    if (p != nullptr) {
      Remedy raise = raise_descriptor_limit(*p);
      raise.text = "to buy time: raise the process's limit, or restart it";
      raise.caution = "the leak goes on" + (raise.caution.empty() ? "" : "; " + raise.caution);
      f.remedies.push_back(raise);
    }
    f.will_not_help = {"tcp_keepalive_* (the peer is alive and answers; keep-alive ends nothing)",
                       "tcp_fin_timeout, tcp_tw_reuse (other states)"};
  }
}

}  // namespace lastack
