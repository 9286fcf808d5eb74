// packetdrill asks the C library, and not the module's table, for TCP_INFO in its assertions (getsockopt), for
// sendfile(), and to close() what a script leaves open. The program's own import table (ELF: DT_JMPREL) is pointed at
// functions here that know the module's sockets; every other descriptor goes to the kernel as before.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

namespace lastack::packetdrill {

// Once, from packetdrill_interface_init(). Does nothing where the program has no such table (statically linked, or
// not ELF64 with addends): scripts that need those calls then fail, the others do not.
void redirect_imports();

// What the adapter answers: whether the descriptor is one of its sockets, and then the result as the C library gives
// it.
bool intercept_getsockopt(int fd, int level, int option, void* value, socklen_t* length,
                          int& result);
bool intercept_close(int fd, int& result);
bool intercept_sendfile(int out, int in, off_t* at, size_t size, ssize_t& result);

}  // namespace lastack::packetdrill
