// Any text as a file of /proc, or as sysctl.conf. The first byte chooses which file.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/proc_net.h"
#include "kernel/proc_net_tcp.h"
#include "kernel/process_files.h"
#include "kernel/settings_read.h"
#include "kernel/system_limits.h"
#include "kernel/text.h"

namespace {

using namespace lastack;

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Goes to terminals and into JSON as it is.
void must_be_printable(const std::string& text) {
  must(printable(text) == text, "a name that is not printable");
}

// A counter is known exactly when a number was found for it.
void check(bool found, const Counters& counters) {
  must(found == (counters.known != 0), "found, and nothing known");
  for (std::size_t i = 0; i < counter_table().size(); ++i) {
    must(is_known(counters, i) || counters.*counter_table()[i].member == 0,
         "unknown, but not zero");
  }
}

void parse_process_file(char which, std::string_view text) {
  Process process;
  switch (which) {
    case 'c':
      must(parse_cgroup(text, process) == (!process.unit.empty() || !process.container.empty()),
           "found, and nothing there");
      break;
    case 's':
      if (parse_stat(text, process)) must(process.pid > 0, "a process without a number");
      break;
    case 'a':
      process.arguments = parse_cmdline(text);
      must(process.arguments.size() <= 256, "too long");
      break;
    case 'l':
      parse_limits(text);
      break;
    case 'u':
      parse_status_uid(text);
      break;
    default:
      process.command = parse_hidepid(text);
      if (const auto inode = parse_inode_link(text, "socket")) {
        // Leading zeros apart, which the kernel does not write.
        must(parse_inode_link("socket:[" + std::to_string(*inode) + "]", "socket") == inode,
             "another number");
      }
  }
  must_be_printable(process.unit);
  must_be_printable(process.container);
  must_be_printable(process.command);
  must_be_printable(process.arguments);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const char which = static_cast<char>(data[0]);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  Counters counters;
  SocketTotals totals;
  SocketRecord record;
  switch (which) {
    case 'S':
      check(parse_snmp(text, counters), counters);
      break;
    case 'N':
      check(parse_netstat(text, counters), counters);
      break;
    case 'T':
      if (!parse_sockstat(text, totals)) must(totals == SocketTotals{}, "not found, but not zero");
      break;
    case '6':
      if (!parse_sockstat6(text, totals)) must(totals == SocketTotals{}, "not found, but not zero");
      break;
    case '4':
    case 'V':
      if (parse_tcp_line(text, which == 'V', 100, record)) {
        must(record.timer_remaining >= Duration::zero(), "a timer in the past");
        must(which == 'V' || record.tuple.local.address.is_v4(), "not IPv4");
      }
      break;
    case 'P':
      if (const auto ports = PortSet::parse(text)) {
        must(PortSet::parse(ports->to_string()) == ports, "other ports");
      }
      if (const auto range = parse_port_range(text)) must(range->low <= range->high, "upside down");
      break;
    case 'Y': {
      std::vector<SysctlLine> lines;
      parse_sysctl_file(text, "file", lines);
      for (const SysctlLine& line : lines) {
        must(line.name.starts_with("net."), "not a name");
        must_be_printable(line.value);
      }
      break;
    }
    case 'F':
      parse_tcp_mem(text);
      parse_file_nr(text);
      break;
    default:
      parse_process_file(which, text);
  }
  return 0;
}
