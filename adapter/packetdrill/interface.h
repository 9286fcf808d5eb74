// What packetdrill asks of a shared object that it drives in place of a kernel (its option --so_filename):
// one function, which fills a table of calls. Declared here from observation; nothing of packetdrill is
// included. All of the calls are POSIX's, with -1 and errno, and get `self` first.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

extern "C" {

struct PacketdrillTable {
  void* self;
  // After the last call; not when a script fails.
  void (*release)(void* self);

  int (*socket)(void* self, int domain, int type, int protocol);
  int (*bind)(void* self, int fd, const sockaddr* address, socklen_t length);
  int (*listen)(void* self, int fd, int backlog);
  int (*accept)(void* self, int fd, sockaddr* address, socklen_t* length);
  int (*connect)(void* self, int fd, const sockaddr* address, socklen_t length);
  ssize_t (*read)(void* self, int fd, void* buffer, size_t size);
  ssize_t (*readv)(void* self, int fd, const iovec* pieces, int count);
  ssize_t (*recv)(void* self, int fd, void* buffer, size_t size, int flags);
  ssize_t (*recvfrom)(void* self, int fd, void* buffer, size_t size, int flags, sockaddr* address,
                      socklen_t* length);
  ssize_t (*recvmsg)(void* self, int fd, msghdr* message, int flags);
  ssize_t (*write)(void* self, int fd, const void* buffer, size_t size);
  ssize_t (*writev)(void* self, int fd, const iovec* pieces, int count);
  ssize_t (*send)(void* self, int fd, const void* buffer, size_t size, int flags);
  ssize_t (*sendto)(void* self, int fd, const void* buffer, size_t size, int flags,
                    const sockaddr* address, socklen_t length);
  ssize_t (*sendmsg)(void* self, int fd, const msghdr* message, int flags);
  int (*fcntl)(void* self, int fd, int command, ...);
  int (*ioctl)(void* self, int fd, unsigned long request, ...);
  int (*close)(void* self, int fd);
  int (*shutdown)(void* self, int fd, int how);
  int (*getsockopt)(void* self, int fd, int level, int option, void* value, socklen_t* length);
  int (*setsockopt)(void* self, int fd, int level, int option, const void* value, socklen_t length);
  int (*poll)(void* self, pollfd* fds, nfds_t count, int timeout_ms);

  // One bare IP packet to the endpoint.
  int (*netdev_send)(void* self, const void* packet, size_t size);
  // The oldest packet from it, and when it was sent; `size` comes in as the room there is. 0 bytes: there
  // will never be one. Another answer than 0 is tried again for ever.
  int (*netdev_receive)(void* self, void* packet, size_t* size, long long* sent_us);

  // All time in a script is this.
  int (*usleep)(void* self, useconds_t us);
  int (*gettimeofday)(void* self, timeval* now, struct timezone* zone);

  int (*epoll_create)(void* self, int size);
  int (*epoll_ctl)(void* self, int set, int what, int fd, epoll_event* event);
  int (*epoll_wait)(void* self, int set, epoll_event* events, int most, int timeout_ms);
  int (*pipe)(void* self, int fds[2]);
  int (*splice)(void* self, int in, loff_t* in_at, int out, loff_t* out_at, size_t size,
                unsigned flags);
};

// `so_flags` is what was given as --so_flags, or null.
[[gnu::visibility("default")]] void packetdrill_interface_init(const char* so_flags,
                                                               PacketdrillTable* table);
}
