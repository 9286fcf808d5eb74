// Connection tracking is only done in a namespace where some rule asks for it.
#pragma once

#include "lastack/result.h"

namespace lastack::incident {

// Adds such a rule to the calling process's network namespace: an nftables chain that looks at each
// packet's connection state, and accepts. Fails where the kernel has no nf_tables or no conntrack.
Result<void> start_connection_tracking();

}  // namespace lastack::incident
