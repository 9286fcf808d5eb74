// What the demo will do: the load, the room for it, the settings and the length of each part. Chosen by
// what the kernel offers; a pure function, so that what the first screen promises can be tested.
#pragma once

#include <string>
#include <vector>

#include "lab/demo.h"
#include "lab/sysctl.h"
#include "lastack/port_set.h"
#include "lastack/time.h"

namespace lastack {

struct DemoKernel {
  std::string release;          // "6.18.44"
  bool has_reuse_delay = true;  // net.ipv4.tcp_tw_reuse_delay
};
DemoKernel read_demo_kernel();

enum class DemoMode {
  StandIn,   // tcp_tw_reuse_delay stands in for TIME_WAIT's length
  Full,      // 60 s of waiting
  NoReturn,  // an older kernel: nobody waits, and so no port returns by itself
};

struct DemoScript {
  DemoMode mode = DemoMode::StandIn;
  IpAddress client;
  Endpoint database;
  PortRange range;
  double rate = 0;                    // requests a second, throughout
  std::uint32_t pool = 8;             // connections of the remedy
  Duration hold{};                    // how long a closed connection keeps its port
  std::vector<SysctlValue> settings;  // of the namespace, at the start
  Duration slice{};                   // one line of the table
  Duration before_diagnosis{};
  Duration after_diagnosis{};  // the incident goes on, to show ports come back
  Duration pool_part{};
  Duration kernel_part{};
  // The kernel's remedy, and how to take it back.
  SysctlValue kernel_remedy;
  SysctlValue kernel_remedy_undo;
  // The program's remedy needs some ports to open its connections with. Where none comes back in time, the
  // kernel's goes first.
  bool kernel_first = false;

  Duration ports_last() const;  // from the first request until there is no port left
  // All parts and what opening the pool can take; the diagnosis itself takes next to nothing.
  Duration length() const;
};

DemoScript demo_script(const DemoOptions& options, const DemoKernel& kernel);

}  // namespace lastack
