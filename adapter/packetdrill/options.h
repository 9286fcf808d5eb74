// Numbers and layouts of Linux: options of setsockopt() and getsockopt(), struct tcp_info, socket addresses;
// and the words of --so_flags.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "descriptors.h"
#include "lastack/host.h"

namespace lastack::packetdrill {

// What packetdrill was told on its command line has to be repeated in --so_flags, in its own words.
struct Flags {
  IpAddress local = IpAddress::v4(0xc0a80001);
  std::uint16_t mtu = 1500;
};
Flags parse_flags(const char* text);

// The answer of a call: 0 or more, or a negated errno.
int set_option(Host& host, Descriptor& socket, int level, int option, const void* value,
               socklen_t length, Instant now, const std::string& congestion_control);
int get_option(Host& host, Descriptor& socket, int level, int option, void* value,
               socklen_t* length, Instant now, const std::string& congestion_control);

// Nothing for another family than AF_INET and AF_INET6, or for too few bytes.
std::optional<Endpoint> from_sockaddr(const sockaddr* address, socklen_t length);
// As far as there is room for it.
void to_sockaddr(const Endpoint& endpoint, Host::Family family, sockaddr* address,
                 socklen_t* length);

}  // namespace lastack::packetdrill
