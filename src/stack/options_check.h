// For those that make hosts: options that have passed check().
#pragma once

#include <span>

#include "lastack/host.h"

namespace lastack {

// The same, or std::invalid_argument with what is wrong with them.
HostOptions checked(HostOptions options, std::span<const IpAddress> addresses = {});

}  // namespace lastack
