// TCP sockets from /proc/net/tcp and tcp6: slower than sock_diag and without cookies, backlogs and tcp_info,
// but there where netlink is forbidden or the namespace cannot be entered.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lastack/result.h"
#include "lastack/socket_record.h"

namespace lastack {

// One line, without its newline; `v6` says of which file. `ticks_per_second` is the unit of the timer,
// sysconf(_SC_CLK_TCK). False for the heading and for anything malformed; `record` is then unspecified.
// A listener's `receive_queue` is its accept queue; its backlog is not in these files, nor is `v6_only`.
bool parse_tcp_line(std::string_view line, bool v6, unsigned long ticks_per_second,
                    SocketRecord& record);

// Every row of tcp and tcp6 below `proc_net` ("/proc/thread-self/net", "/proc/PID/net"), in constant memory.
// Rows may be missing or appear twice when sockets come and go meanwhile. An error may come after rows have
// been handed out: a file ended early, or held lines that are not understood.
Result<void> for_each_tcp_row(const std::string& proc_net,
                              const std::function<void(const SocketRecord&)>& each);

}  // namespace lastack
