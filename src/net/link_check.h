// For those that make links: options that have passed check().
#pragma once

#include "lastack/virtual_network.h"

namespace lastack {

// The same, or std::invalid_argument with what is wrong with them.
const LinkOptions& checked(const LinkOptions& options);

}  // namespace lastack
