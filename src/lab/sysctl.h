// Reading and writing sysctls. Those below net.ipv4 and net.ipv6 are the calling process's own network
// namespace's, whichever /proc is mounted.
#pragma once

#include <string>
#include <string_view>

#include "lastack/result.h"

namespace lastack {

struct SysctlValue {
  std::string name;  // "net.ipv4.tcp_tw_reuse"
  std::string value;
};

// Without the newline at the end; ENOENT when this kernel has no such setting.
Result<std::string> read_sysctl(std::string_view name);
Result<void> write_sysctl(const SysctlValue& setting);

}  // namespace lastack
