// Settings as they are (/proc/sys) and as the next boot will make them (sysctl.conf and its
// folders).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/host_snapshot.h"
#include "lastack/settings.h"

namespace lastack {

// "32768\t60999\n": two ports, the first not above the second.
std::optional<PortRange> parse_port_range(std::string_view text);

// Those of the calling thread's network namespace, which is what /proc/sys/net shows. Settings that
// are of the whole host appear in the initial namespace only. A setting that the kernel lacks stays
// without a value and is not mentioned; one NotRead says when /proc/sys/net as a whole cannot be
// read, and one names the settings that are there but cannot be read or understood.
void read_settings(Settings& settings, std::vector<NotRead>& not_read,
                   const char* proc_sys = "/proc/sys");

// Assignments in the text of one sysctl.conf(5) file of settings that LastAck knows, as
// "net.ipv4.name". Comments, patterns and lines that are no assignment are passed over.
void parse_sysctl_file(std::string_view text, const std::string& file,
                       std::vector<SysctlLine>& lines);

// All such lines on this machine, in the order in which they are applied: the last one wins. A file
// that one of the same name in a folder of higher rank hides is left out (sysctl.d(5)). `root` goes
// before every path.
std::vector<SysctlLine> read_sysctl_files(const std::string& root = "");

}  // namespace lastack
