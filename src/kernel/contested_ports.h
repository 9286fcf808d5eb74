// Ports that one process wants to listen on while an outgoing connection of another has them: what
// happens when a service's port lies inside ip_local_port_range and is not reserved.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "lastack/host_snapshot.h"

namespace lastack {

// Numbers in a command line that look like a port to listen on: "--port 40005", "-p40005", ":40005",
// "0.0.0.0:40005", "listen=40005". A number after a host name or a foreign address is where a program
// connects to, and is left out, and so are all numbers of tools that never listen (sleep, ss, grep, this
// program). In order of appearance, without repetition.
std::vector<Port> ports_to_listen_on(std::string_view arguments);

struct Claim {
  std::uint32_t process;  // index, or kNone when the user named the port
  Port port;
  std::string evidence;
};

// Keeps the claims on ports that `census` shows in outgoing use and not listened on. Asks the kernel who
// has them; the calling thread must be in the namespace.
std::vector<ContestedPort> find_contested(const SocketCensus& census, std::span<const Claim> claims,
                                          std::vector<std::uint64_t>& inodes);

}  // namespace lastack
