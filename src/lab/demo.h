// `lastack demo`: an incident as people meet it, on the running kernel. A service that opens a connection
// for every request is up for a while and down for a while, as its local ports run out and come back; the
// doctor says why; two remedies are applied, one after the other, and the same load fails no more.
//
// Everything happens in private namespaces (private_namespace.h) and is gone with them.
#pragma once

#include <cstdint>
#include <cstdio>

namespace lastack {

struct DemoOptions {
  // With the kernel's own 60 s of TIME_WAIT. Otherwise tcp_tw_reuse_delay stands in for it, where the
  // kernel has that (Linux 6.14), and the first lines say so.
  bool full = false;
  // Do as on a kernel without tcp_tw_reuse_delay: for tests.
  bool without_reuse_delay = false;
};

// Returns 0 when the story went as told (ports ran out, the remedies brought failures to zero), 1 when it
// did not, 77 when this machine does not permit private namespaces, and 128 and the signal's number when
// SIGINT, SIGTERM or SIGHUP ended it. Colours only on a terminal, and not with NO_COLOR set.
int run_demo(const DemoOptions& options, std::FILE* out);

}  // namespace lastack
