// Connection tracking keeps its own table of connections, with its own TIME_WAIT, and drops packets when
// it is full.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

void find_conntrack(const Case& c, Findings& out) {
  if (!c.ns.conntrack) return;
  const Conntrack& ct = *c.ns.conntrack;
  if (ct.count == 0) return;
  const Settings& s = c.settings();
  const std::int64_t tracked_s = s.nf_conntrack_tcp_timeout_time_wait.value_or(120);
  const double kept_s = seconds(s.time_wait_length());

  if (ct.max && *ct.max > 0 && ct.count * 10 >= *ct.max * 8) {
    const bool full = ct.count * 100 >= *ct.max * 98;
    Finding& f = add(c, out, "conntrack-full",
                     full || ct.count * 10 >= *ct.max * 9 ? Severity::Problem : Severity::Warning,
                     "nf_conntrack");
    f.sentence = fmt::format("conntrack holds {} of {} connections ({}): {}", grouped(ct.count),
                             grouped(*ct.max),
                             percent(static_cast<double>(ct.count) / static_cast<double>(*ct.max)),
                             full ? "new ones are dropped" : "beyond it new ones are dropped");
    if (ct.time_wait)
      f.details.push_back(fmt::format("{} of them in conntrack's TIME_WAIT ({} s)",
                                      grouped(*ct.time_wait), tracked_s));
    f.who_closed_first = "does not matter to conntrack: it keeps both sides' closes for as long";
    f.why =
        "the kernel logs 'nf_conntrack: table full, dropping packet'; to programs it looks like "
        "lost SYNs";
    note(f, "conntrack_count", ct.count);
    note(f, "conntrack_max", *ct.max);
    if (ct.time_wait) note(f, "conntrack_time_wait", *ct.time_wait);
    Remedy shorter;
    shorter.layer = Layer::Limits;
    shorter.text = fmt::format(
        "let conntrack forget closed connections after 60 s, as the sockets do (now {} s)",
        tracked_s);
    shorter.commands = {set_command(c, "net.netfilter.nf_conntrack_tcp_timeout_time_wait", "60")};
    shorter.undo = undo_command(c, "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
                                s.nf_conntrack_tcp_timeout_time_wait);
    shorter.check = "cat /proc/sys/net/netfilter/nf_conntrack_count";
    Remedy larger;
    larger.layer = Layer::Limits;
    larger.text = "or a larger table; an entry costs about 320 bytes";
    larger.commands = {"sysctl -w net.netfilter.nf_conntrack_max=" + std::to_string(*ct.max * 2)};
    larger.undo = "sysctl -w net.netfilter.nf_conntrack_max=" + std::to_string(*ct.max);
    larger.check = shorter.check;
    f.remedies = {shorter, larger};
  }

  // The sockets here can only be compared with entries for connections that end here; a router's or a
  // host's table also holds what it forwards.
  if (!ct.time_wait || *ct.time_wait < 200) return;
  const std::uint64_t here = c.sockets().states[TcpState::TimeWait];
  if (*ct.time_wait < here * 5 / 4 + 100) return;
  Finding& f = add(c, out, "conntrack-time-wait", Severity::Notice, "nf_conntrack");
  f.sentence = fmt::format("conntrack has {} connections in TIME_WAIT, the sockets {}",
                           grouped(*ct.time_wait), grouped(here));
  f.details.push_back(fmt::format(
      "conntrack keeps a closed connection for {} s, TIME_WAIT lasts {:.0f} s, and conntrack also "
      "keeps those the peer closed first and those it forwards",
      tracked_s, kept_s));
  f.who_closed_first = "conntrack does not distinguish";
  f.why =
      "the two tables count different things: ports are free again although conntrack still lists "
      "them. Through "
      "NAT, a reused port may meet conntrack's old entry";
  note(f, "conntrack_time_wait", *ct.time_wait);
  note(f, "sockets_time_wait", here);
  note(f, "conntrack_timeout_time_wait_seconds",
       static_cast<std::uint64_t>(std::max<std::int64_t>(0, tracked_s)));
  Remedy r;
  r.layer = Layer::Limits;
  r.text = "only if its table fills up: let both agree";
  r.commands = {set_command(c, "net.netfilter.nf_conntrack_tcp_timeout_time_wait", "60")};
  r.undo = undo_command(c, "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
                        s.nf_conntrack_tcp_timeout_time_wait);
  r.check = "lastack doctor";
  f.remedies.push_back(r);
}

}  // namespace lastack
