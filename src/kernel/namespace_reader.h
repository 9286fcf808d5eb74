// One network namespace, read while the calling thread is inside it.
#pragma once

#include <memory>

#include "lastack/census.h"
#include "lastack/kernel.h"

namespace lastack {

struct NamespaceReading {
  NamespaceSnapshot snapshot;      // all but `sockets`
  std::unique_ptr<Census> census;  // its owners still to be found; null if no socket could be read
};

// Settings, counters and, unless `options.counters_only`, sockets of the namespace that the calling
// thread is in. `proc_net` is its folder below /proc ("/proc/thread-self/net"). With `sockets_by_proc`
// netlink is left alone: the thread could not enter the namespace and sees it only through `proc_net`.
NamespaceReading read_namespace(const LookOptions& options, const std::string& proc_net,
                                bool sockets_by_proc);

}  // namespace lastack
