// What each finding is about, for people who meet one for the first time.
#include "lastack/doctor.h"

namespace lastack {

namespace {
constexpr FindingInfo kCatalogue[] = {
    {"ports-exhausted-time-wait", "No local port is left for a destination; TIME_WAIT holds them.",
     "connect() needs a port that no other four-tuple to the same destination uses. The side that "
     "closes first keeps its "
     "port for 60 s in TIME_WAIT, so one source address can open range / 60 connections a second "
     "to one destination, 470 "
     "with the usual range. Beyond that connect() gives EADDRNOTAVAIL until the oldest record "
     "ends."},
    {"ports-exhausting-time-wait",
     "Local ports for a destination run out soon; TIME_WAIT takes them.",
     "The remaining time of each TIME_WAIT record says when it was closed, so one look shows the "
     "rate of the last minute "
     "and when each port comes back. The forecast plays both forward."},
    {"ports-exhausted-established",
     "No local port is left for a destination; open connections hold them.",
     "Not a matter of TIME_WAIT: as many connections are open at a time as there are ports. Only "
     "fewer connections, or "
     "more addresses or ports at either end, help."},
    {"ports-exhausting-established",
     "Local ports for a destination run out soon; open connections take them.",
     "One look shows how many are open, two show how fast they grow: lastack doctor --sample 5."},
    {"connect-cost-cliff",
     "More than half the range is taken, and each connect() walks half of it.",
     "Linux tries all ports of one parity before the other. When the first half is full, every "
     "connect() walks it to the "
     "end: hundreds of microseconds in place of four. A socket with IP_LOCAL_PORT_RANGE walks in "
     "steps of one and has no "
     "such cliff."},
    {"bind-before-connect",
     "Sockets bind() with port 0 before connect(): all destinations share one pool of ports.",
     "bind() has to choose the port before the destination is known, so it takes one that nobody "
     "uses at all. "
     "IP_BIND_ADDRESS_NO_PORT leaves the choice to connect()."},
    {"listener-in-ephemeral-range",
     "A service listens on a port that connect() may give away while it restarts.",
     "ip_local_reserved_ports keeps single ports out of the automatic choice."},
    {"listener-port-stolen",
     "An outgoing connection has the port that a service wants to listen on.",
     "The service's bind() fails with EADDRINUSE for as long as the connection, or its TIME_WAIT "
     "record, lasts."},
    {"listener-port-shared", "A service listens on a port that outgoing connections use as well.",
     "Possible with SO_REUSEADDR on both, or with different addresses; it breaks at the next "
     "restart."},
    {"self-connect", "A connection is connected to itself.",
     "connect() to a local port in the ephemeral range without a listener may choose that very "
     "port as its source."},
    {"accept-queue-overflow", "A program does not accept() fast enough, or not at all.",
     "The kernel finishes handshakes for the program and queues them up to the backlog; beyond it "
     "the last ACK of the "
     "handshake is ignored."},
    {"time-wait-overflow", "The TIME_WAIT table is full, and connections skip it.",
     "At tcp_max_tw_buckets a connection goes straight to CLOSED: its last ACK cannot be repeated, "
     "and an old duplicate may "
     "reach the next connection on the same four-tuple."},
    {"time-wait-server", "Many TIME_WAIT records on a listening port, which is harmless.",
     "They hold no port but the listener's, no descriptor, and about 256 bytes each. A new SYN on "
     "the same four-tuple is "
     "accepted."},
    {"close-wait-leak", "A program does not close connections that the other end has closed.",
     "CLOSE_WAIT ends only with close(). Each holds a descriptor until accept() fails with EMFILE. "
     "No setting helps."},
    {"fin-wait-2-piling-up", "We closed first, and the peers do not close their side.",
     "As a closed socket it lasts tcp_fin_timeout; after shutdown() with the socket still open, "
     "for ever."},
    {"orphans-piling-up", "Many sockets that their programs closed are still sending.",
     "Beyond tcp_max_orphans Linux cuts them off with a RST."},
    {"last-ack-piling-up",
     "The peers closed first, we answered with our FIN, and nobody acknowledges it.",
     "Ends after tcp_orphan_retries; TIME_WAIT does not follow."},
    {"closing-piling-up", "Both sides closed at the same time, and ACKs are missing.",
     "Rare; many of them mean loss towards this host."},
    {"fin-wait-1-piling-up", "We closed, and the peers do not acknowledge data or FIN.",
     "The peer is gone, or does not read (a zero window). Orphans among them count against "
     "tcp_max_orphans."},
    {"syn-sent-piling-up", "Connections are tried and nobody answers.",
     "The destination is down, filtered or overloaded."},
    {"syn-received-piling-up", "Handshakes are not finished by the clients.",
     "A flood, a one-way path, or a full accept queue."},
    {"short-connections", "Many short connections to one destination that a pool would replace.",
     "Each costs a handshake, a port for a minute, and a record."},
    {"conntrack-full", "The connection tracking table fills up.",
     "New connections are dropped when it is full."},
    {"conntrack-time-wait", "Conntrack and the sockets disagree about TIME_WAIT.",
     "Conntrack keeps closed connections 120 s by default, whoever closed first, and those it only "
     "forwards."},
    {"idle-without-keepalive", "Idle connections that would never learn of a dead peer.",
     "Only SO_KEEPALIVE, or an idle limit in the program, finds out."},
    {"descriptors-exhausted", "A process has no descriptor left.",
     "accept(), socket() and open() fail with EMFILE."},
    {"descriptors-exhausting", "A process is running out of descriptors.",
     "accept(), socket() and open() will fail with EMFILE."},
    {"descriptors-system", "The whole system is running out of open files.",
     "open() and socket() will fail with ENFILE."},
    {"setting-fin-timeout",
     "tcp_fin_timeout was lowered, perhaps to shorten TIME_WAIT, which it does not.",
     "It bounds FIN_WAIT_2 of closed sockets. TIME_WAIT is a constant of 60 s."},
    {"setting-fin-timeout-61-to-89", "tcp_fin_timeout between 61 and 89 shortens FIN_WAIT_2.",
     "Above 60 s an orphan stays T-60 as a full socket and T-60 more as a small record."},
    {"setting-reuse-without-timestamps", "tcp_tw_reuse=1 with tcp_timestamps=0 does nothing.",
     "Reuse needs the stored timestamp."},
    {"setting-timestamps-off", "tcp_timestamps=0.", "No PAWS, no reuse of TIME_WAIT ports."},
    {"setting-reuse-off", "tcp_tw_reuse=0, below the default of 2 (loopback).",
     "Affects only connections this host opens."},
    {"setting-reuse-on-server", "tcp_tw_reuse=1 where all TIME_WAIT is on listening ports.",
     "It acts on connecting sockets only."},
    {"setting-reuse-delay", "tcp_tw_reuse_delay is not the default 1000 ms.",
     "It decides how many connections a second reuse allows."},
    {"setting-max-tw-buckets-lowered", "tcp_max_tw_buckets is below the kernel's default.",
     "Lowering it makes connections skip TIME_WAIT."},
    {"setting-tw-recycle", "tcp_tw_recycle is on (kernels before 4.12).",
     "Loses connections of clients behind one NAT address."},
    {"setting-vendor-tw-timeout", "A vendor's kernel with its own length of TIME_WAIT.",
     "Mainline has no such setting."},
    {"setting-rfc1337", "tcp_rfc1337=1.", "A RST does not end TIME_WAIT."},
    {"setting-abort-on-overflow", "tcp_abort_on_overflow=1.",
     "Clients get a RST when the accept queue is full."},
    {"setting-syncookies-off", "tcp_syncookies=0.", "A SYN flood can fill the SYN queue."},
    {"setting-retries2", "tcp_retries2 below 8.",
     "Connections are given up before the 100 s that RFC 1122 asks for."},
    {"setting-port-range-narrow", "ip_local_port_range is narrower than half the default.",
     "Fewer connections a second to one destination."},
    {"setting-host-only", "Settings changed on the host do not reach this namespace.",
     "Each network namespace has its own."},
    {"setting-retired", "A sysctl file sets what this kernel does not have.",
     "The line has no effect but an error at boot."},
};
}  // namespace

std::span<const FindingInfo> finding_catalogue() {
  return kCatalogue;
}

}  // namespace lastack
