// The addresses and the MTU of a script. packetdrill tells its module nothing of them, so they are read where
// packetdrill has them from: its own command line, the options at the head of the script, and --so_flags.
#pragma once

#include <cstdint>
#include <optional>

#include "lastack/ip_address.h"

namespace lastack::packetdrill {

struct Flags {
  // Nothing: packetdrill draws one at random, and bind() is the first to tell.
  std::optional<IpAddress> local;
  std::uint16_t mtu = 1500;
};

// `so_flags`, in packetdrill's words (--local_ip=, --mtu=), goes before what is found elsewhere; it may be null.
Flags read_flags(const char* so_flags);

}  // namespace lastack::packetdrill
