// Idle connections that nobody would notice the death of (claim B7).
#include <fmt/format.h>

#include <algorithm>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

void find_idle(const Case& c, Findings& out) {
  const SocketCensus& s = c.sockets();
  std::uint64_t idle = 0, looked_at = 0, most = 0;
  Duration longest{};
  std::string where;
  Side side = Side::Destination;
  std::uint32_t index = kNone;
  const auto look = [&](const SocketGroup& g, Side its_side, std::uint32_t i,
                        const std::string& name) {
    idle += g.details.idle_without_keepalive;
    looked_at += g.details.looked_at;
    longest = std::max(longest, g.details.longest_idle);
    if (g.details.idle_without_keepalive > most) {
      most = g.details.idle_without_keepalive;
      where = name;
      side = its_side;
      index = i;
    }
  };
  for (std::uint32_t i = 0; i < s.destinations.size(); ++i) {
    look(s.destinations[i], Side::Destination, i, "to " + s.destinations[i].remote.to_string());
  }
  for (std::uint32_t i = 0; i < s.services.size(); ++i) {
    look(s.services[i], Side::Service, i, "accepted on " + s.services[i].local.to_string());
  }
  if (idle < 16) return;
  Finding& f = add(c, out, "idle-without-keepalive", Severity::Notice, where);
  f.sentence = fmt::format("{} connections are idle for a minute or more and have no keep-alive",
                           grouped(idle));
  f.details.push_back(
      fmt::format("most {} ({}); the longest idle for {}", where, grouped(most), span(longest)));
  if (looked_at < s.states[TcpState::Established]) {
    f.details.push_back(fmt::format("of {} connections looked at, {} ESTABLISHED in all",
                                    grouped(looked_at), grouped(s.states[TcpState::Established])));
  }
  f.owners = owners_of(c.host, s, side, index, {TcpState::Established});
  f.who_closed_first = "nobody: they are open";
  f.why =
      "when the peer dies without a word, or a firewall forgets the connection, this side never "
      "learns of it and "
      "keeps socket, descriptor and port";
  note(f, "idle_without_keepalive", idle);
  note(f, "longest_idle_seconds", seconds(longest));
  note(f, "looked_at", looked_at);
  note(f, "where", where);
  Remedy r;
  r.layer = Layer::Program;
  r.text = fmt::format(
      "SO_KEEPALIVE with TCP_KEEPIDLE below the shortest time-out on the path (the default is {} "
      "s), or an "
      "idle limit in the program",
      c.settings().tcp_keepalive_time.value_or(7200));
  r.check = "ss -to state established: timer:(keepalive,...)";
  f.remedies.push_back(r);
  f.will_not_help = {
      "tcp_keepalive_time alone: it acts only on sockets that asked for SO_KEEPALIVE"};
}

}  // namespace lastack
