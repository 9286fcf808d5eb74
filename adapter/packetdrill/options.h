// Numbers and layouts of Linux: options of setsockopt() and getsockopt(), struct tcp_info, socket addresses.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "descriptors.h"
#include "lastack/host.h"

namespace lastack::packetdrill {

// The answer of a call: 0 or more, or a negated errno.
int set_option(Host& host, Descriptor& socket, int level, int option, const void* value,
               socklen_t length, Instant now, const std::string& congestion_control);
int get_option(Host& host, Descriptor& socket, int level, int option, void* value,
               socklen_t* length, Instant now, const std::string& congestion_control);

// How far the connection is with what was written to the socket.
ErrorQueue::Progress progress_of(Host& host, const Descriptor& socket, Instant now);

// Nothing for another family than AF_INET and AF_INET6, or for too few bytes.
std::optional<Endpoint> from_sockaddr(const sockaddr* address, socklen_t length);
// As far as there is room for it.
void to_sockaddr(const Endpoint& endpoint, Host::Family family, sockaddr* address,
                 socklen_t* length);

}  // namespace lastack::packetdrill
