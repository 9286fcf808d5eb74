// States that should be passed through in moments and are not: FIN_WAIT_2 and orphans, LAST_ACK, CLOSING,
// FIN_WAIT_1, SYN_SENT, SYN_RECEIVED (claims A4, A7, B5).
#include <fmt/format.h>

#include <algorithm>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

namespace {

constexpr std::uint64_t kSome = 64;

struct Heaviest {
  Side side = Side::Destination;
  std::uint32_t index = kNone;
  std::uint64_t count = 0;
  std::string where;
};

template <class Count>
Heaviest heaviest(const SocketCensus& s, const Count& count_of) {
  Heaviest h;
  for (std::uint32_t i = 0; i < s.destinations.size(); ++i) {
    if (const std::uint64_t n = count_of(s.destinations[i]); n > h.count) {
      h = {Side::Destination, i, n,
           s.destinations[i].source.to_string() + " -> " + s.destinations[i].remote.to_string()};
    }
  }
  for (std::uint32_t i = 0; i < s.services.size(); ++i) {
    if (const std::uint64_t n = count_of(s.services[i]); n > h.count) {
      h = {Side::Service, i, n, "connections accepted on " + s.services[i].local.to_string()};
    }
  }
  return h;
}

std::uint64_t larger_part(std::uint64_t all) {
  return std::max(kSome, all / 4);
}

void fin_wait_2(const Case& c, Findings& out) {
  const SocketCensus& s = c.sockets();
  const std::uint64_t n = s.states[TcpState::FinWait2];
  const std::uint64_t open = n - std::min(n, s.compact_fin_wait_2);
  // Under a load that closes first here, some are always between our FIN and the peer's.
  const std::uint64_t passing = s.states[TcpState::TimeWait] / 20;
  if (n < std::max(kSome * 2, passing)) return;
  const Heaviest most =
      heaviest(s, [](const SocketGroup& g) { return g.states[TcpState::FinWait2]; });
  const std::int64_t limit = c.settings().tcp_fin_timeout.value_or(60);
  Finding& f = add(c, out, "fin-wait-2-piling-up", Severity::Warning, most.where);
  f.sentence =
      fmt::format("{} connections wait in FIN_WAIT_2 for the peer to close its side", grouped(n));
  std::uint64_t orphans = 0;
  if (most.index != kNone) {
    const SocketGroup& g = most.side == Side::Destination
                               ? static_cast<const SocketGroup&>(s.destinations[most.index])
                               : s.services[most.index];
    orphans = g.orphans;
    f.owners = owners_of(c.host, s, most.side, most.index, {TcpState::FinWait2});
  }
  std::uint64_t held = 0;
  for (const Owner& o : f.owners) held += o.sockets;
  f.details.push_back(fmt::format("most of them: {} ({})", most.where, grouped(most.count)));
  f.details.push_back(fmt::format(
      "{} small records without a socket, {} full sockets ({} of the largest group with an "
      "owner, {} orphans)",
      grouped(s.compact_fin_wait_2), grouped(open), grouped(held), grouped(orphans)));
  if (held > 0) {
    f.details.push_back("still open after shutdown(SHUT_WR): " + name_of(f.owners.front()) +
                        "; such a socket waits without limit");
  }
  f.details.push_back(fmt::format("tcp_fin_timeout is {} s: how long an orphan waits", limit));
  f.who_closed_first = "this host";
  f.why =
      "the peer got our FIN and does not close: its program leaks (CLOSE_WAIT there) or lives on "
      "half-closed "
      "connections. Each holds its port, and an orphan kernel memory";
  note(f, "fin_wait_2", n);
  note(f, "fin_wait_2_small_records", s.compact_fin_wait_2);
  note(f, "fin_wait_2_with_owner", held);
  note(f, "orphans", s.orphans);
  note(f, "tcp_fin_timeout", static_cast<std::uint64_t>(std::max<std::int64_t>(0, limit)));
  note(f, "where", most.where);
  Remedy peer;
  peer.layer = Layer::Program;
  peer.text =
      "mend the peer's program: it has to close() after reading the end of file; look for "
      "CLOSE_WAIT there";
  peer.check = "lastack doctor on the peer: close-wait-leak";
  f.remedies.push_back(peer);
  if (held > 0) {
    Remedy timeout;
    timeout.layer = Layer::Program;
    timeout.text =
        "here: close() after shutdown() when the peer does not answer within a time of your own";
    timeout.check = "lastack doctor";
    f.remedies.push_back(timeout);
  }
  // Only closed sockets have a limit (linux-facts 8).
  if (s.compact_fin_wait_2 == 0 && s.orphans == 0) return;
  Remedy shorter;
  shorter.layer = Layer::Limits;
  shorter.text =
      "shorten the wait of orphans: TCP_LINGER2 for one program, tcp_fin_timeout for all";
  if (limit >= 60) {
    shorter.commands = {set_command(c, "net.ipv4.tcp_fin_timeout", "30")};
    shorter.undo = undo_command(c, "net.ipv4.tcp_fin_timeout", c.settings().tcp_fin_timeout);
  }
  shorter.caution = "changes nothing about TIME_WAIT";
  shorter.check = "lastack doctor: FIN_WAIT_2 goes down";
  f.remedies.push_back(shorter);
}

void orphans(const Case& c, Findings& out) {
  const std::uint64_t n = std::max(c.ns.totals.orphan, c.sockets().orphans);
  const std::int64_t limit = c.settings().tcp_max_orphans.value_or(0);
  const bool near_limit = limit > 0 && n * 2 >= static_cast<std::uint64_t>(limit) && n >= kSome;
  const std::uint64_t aborted = c.moved(&Counters::TCPAbortOnMemory);
  const bool aborting = c.sampled() && aborted > 0;
  if (!near_limit && !aborting) return;
  Finding& f = add(c, out, "orphans-piling-up", Severity::Problem, "orphaned sockets");
  f.sentence = fmt::format(
      "{} of {} orphaned sockets (tcp_max_orphans): beyond it connections are cut off with a RST",
      grouped(n), grouped(limit));
  f.details.push_back(fmt::format("TCPAbortOnMemory {}{}", grouped(aborted),
                                  c.sampled() ? " in " + span(c.sampled_s) : " since the start"));
  f.who_closed_first = "this host: an orphan is a socket that its process has closed";
  f.why =
      "the last data and the FIN of closed connections are not acknowledged by the peers; past the "
      "limit Linux "
      "ends them without TIME_WAIT";
  note(f, "orphans", n);
  note(f, "tcp_max_orphans", static_cast<std::uint64_t>(std::max<std::int64_t>(0, limit)));
  note(f, "tcp_abort_on_memory", aborted);
  Remedy peers;
  peers.layer = Layer::Program;
  peers.text =
      "find the peers that do not acknowledge (see the other findings), and let the program wait "
      "for them";
  peers.check = "lastack doctor";
  Remedy raise;
  raise.layer = Layer::Limits;
  raise.text = "raise the limit; an orphan may hold up to 64 KiB";
  raise.commands = {"sysctl -w net.ipv4.tcp_max_orphans=" +
                    std::to_string(std::max<std::int64_t>(limit * 2, 65536))};
  raise.undo = "sysctl -w net.ipv4.tcp_max_orphans=" + std::to_string(limit);
  raise.check = "lastack doctor --sample 5: TCPAbortOnMemory stands still";
  f.remedies = {peers, raise};
}

// A state that lasts as long as one side repeats a segment without an answer.
void unanswered(const Case& c, TcpState state, const std::string& id, const std::string& sentence,
                const std::string& who, const std::string& why, const std::string& cure,
                Findings& out) {
  const SocketCensus& s = c.sockets();
  const std::uint64_t n = s.states[state];
  const std::uint64_t live = s.states.total() - s.states[TcpState::TimeWait] - s.compact_fin_wait_2;
  if (n < kSome || n < live / 50) return;
  const Heaviest most = heaviest(s, [&](const SocketGroup& g) { return g.states[state]; });
  Finding& f = add(c, out, id, Severity::Warning, most.index == kNone ? "many peers" : most.where);
  f.sentence = fmt::format("{} connections {}", grouped(n), sentence);
  if (most.index != kNone) {
    f.details.push_back(fmt::format("most of them: {} ({})", most.where, grouped(most.count)));
    f.owners = owners_of(c.host, s, most.side, most.index, {state});
    std::uint64_t orphaned = 0;
    if (f.owners.empty() &&
        (state == TcpState::LastAck || state == TcpState::Closing || state == TcpState::FinWait1)) {
      orphaned = most.count;
      f.details.push_back(fmt::format("{} of them have no process any more: it has closed them",
                                      grouped(orphaned)));
    } else if (state != TcpState::SynReceived) {
      f.details.push_back("process: " + owners_line(c, f.owners, most.count, "sockets"));
    }
  }
  if (larger_part(n) <= most.count && most.side == Side::Destination && most.index != kNone) {
    const Destination& d = s.destinations[most.index];
    note(f, "destination", d.remote.to_string());
  }
  f.who_closed_first = who;
  f.why = why;
  note(f, "sockets", n);
  note(f, "where", most.where);
  note(f, "retransmitted_segments", c.moved(&Counters::RetransSegs));
  note(f, "timeouts", c.moved(&Counters::TCPTimeouts));
  Remedy r;
  r.layer = Layer::Program;
  r.text = cure;
  r.check = "lastack doctor --sample 5";
  f.remedies.push_back(r);
}

}  // namespace

void find_piling_up(const Case& c, Findings& out) {
  fin_wait_2(c, out);
  orphans(c, out);
  const std::int64_t syn_retries = c.settings().tcp_syn_retries.value_or(6);
  unanswered(c, TcpState::LastAck, "last-ack-piling-up",
             "wait in LAST_ACK: our FIN is not acknowledged", "the peers",
             "the peers, or something between (a firewall that forgot the connection), drop our "
             "FIN; it is "
             "repeated until tcp_orphan_retries gives up. No TIME_WAIT follows",
             "find out what eats the segments: tcpdump for the repeated FINs, and the time-outs of "
             "firewalls and NAT",
             out);
  unanswered(c, TcpState::Closing, "closing-piling-up",
             "are in CLOSING: both sides sent FIN, ours is not acknowledged", "both sides at once",
             "simultaneous close is rare; that many means that ACKs to us are lost",
             "find out what eats the ACKs: tcpdump for the repeated FINs", out);
  unanswered(c, TcpState::FinWait1, "fin-wait-1-piling-up",
             "are in FIN_WAIT_1: data or the FIN is not acknowledged", "this host",
             "the peers are gone or do not read: data and FIN are repeated, as an orphan up to "
             "tcp_orphan_retries times (8 when it is 0), with the send buffers held all the while",
             "find the peers that vanished or stopped reading; TCP_USER_TIMEOUT bounds the wait "
             "per program",
             out);
  unanswered(
      c, TcpState::SynSent, "syn-sent-piling-up", "are in SYN_SENT: nobody answers",
      "does not matter: none is open yet",
      fmt::format(
          "the destination is down, filtered, or its SYN queue is full; each try holds a port and "
          "repeats its SYN {} times, two minutes in all at the default",
          syn_retries),
      "check the destination and the path (a firewall that drops rather than refuses); a connect "
      "time-out in the "
      "program frees the ports sooner",
      out);
  const std::uint64_t half_open = c.sockets().states[TcpState::SynReceived];
  const std::int64_t backlog = c.settings().tcp_max_syn_backlog.value_or(0);
  if (backlog > 0 && half_open * 10 >= static_cast<std::uint64_t>(backlog) * 9) {
    unanswered(c, TcpState::SynReceived, "syn-received-piling-up",
               "are half open: the last ACK of the handshake is missing",
               "does not matter: none is open yet",
               "a SYN flood, clients behind a one-way path, or an accept queue that is full",
               "keep tcp_syncookies=1; look at accept-queue-overflow first", out);
  }
}

}  // namespace lastack
