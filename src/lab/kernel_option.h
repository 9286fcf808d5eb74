// The endpoint's options by the kernel's numbers, so that one program can set them in both worlds.
#pragma once

#include "lastack/host.h"

namespace lastack {

// setsockopt() and getsockopt(), with their results; -1 stands for no linger at all, as in the endpoint.
int set_kernel_option(int fd, Option option, int value);
int get_kernel_option(int fd, Option option, int& value);

}  // namespace lastack
