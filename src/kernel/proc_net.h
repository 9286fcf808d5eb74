// Counters and totals of one network namespace, from /proc/net/snmp, netstat, sockstat and
// sockstat6 (linux-facts 2, 4, 5, 14, 18 name the ones that matter).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lastack/counters.h"
#include "lastack/host_snapshot.h"

namespace lastack {

// The parsers take whatever text there is. A counter that is missing, negative or too large for 64
// bits stays unknown; names that LastAck does not use are passed over. False when the text holds
// nothing of what it should hold.
bool parse_snmp(std::string_view text, Counters& counters);     // line pair "Tcp:"
bool parse_netstat(std::string_view text, Counters& counters);  // line pair "TcpExt:"
bool parse_sockstat(std::string_view text, SocketTotals& totals);
bool parse_sockstat6(std::string_view text, SocketTotals& totals);

// Reads the four files below `proc_net`: "/proc/thread-self/net" is the namespace of the calling
// thread,
// "/proc/PID/net" that of a process, which works without entering it. (Not /proc/net, nor
// /proc/self: those are the namespace of the process's first thread.) False when no counter could
// be read.
bool read_counters(const std::string& proc_net, Counters& counters, SocketTotals& totals,
                   std::vector<NotRead>& not_read);

}  // namespace lastack
