// What preload.cc asks of the adapter: whether a descriptor is one of its sockets, and then the answer, as
// the C library gives it.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

namespace lastack::packetdrill {

bool intercept_getsockopt(int fd, int level, int option, void* value, socklen_t* length,
                          int& result);
bool intercept_close(int fd, int& result);
bool intercept_sendfile(int out, int in, off_t* at, size_t size, ssize_t& result);

}  // namespace lastack::packetdrill
