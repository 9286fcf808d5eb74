// What an endpoint calls by the names of lastack/host.h, of a kernel's socket: options and readiness, so that one program can run in both worlds.
#pragma once

#include "lastack/host.h"

namespace lastack {

// setsockopt() and getsockopt(), with their results; -1 stands for no linger at all, as in the endpoint.
int set_kernel_option(int fd, Option option, int value);
int get_kernel_option(int fd, Option option, int& value);
// What poll() says of it; of none, an error.
Readiness kernel_readiness(int fd);

// CUBIC for this socket and those that it accepts, if the kernel has it: the endpoint's congestion control.
void use_cubic(int fd);

}  // namespace lastack
