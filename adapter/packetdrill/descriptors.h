// Sockets and epoll sets by numbers of the operating system. The numbers are real ones, taken by opening
// /dev/null, since packetdrill closes with the C library's close() what a script leaves open.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "error_queue.h"
#include "lastack/host.h"

namespace lastack::packetdrill {

struct EpollEntry {
  epoll_event wanted{};
  bool changed = true;  // since it was told; what EPOLLET asks for
  bool spent = false;   // EPOLLONESHOT
};

struct Descriptor {
  bool is_epoll = false;
  // A socket:
  SocketId socket{};
  Host::Family family = Host::Family::V4;
  bool nonblocking = false;
  bool tells_unread = false;   // TCP_INQ
  Duration receive_timeout{};  // 0: none
  Duration send_timeout{};
  std::map<std::pair<int, int>, int> remembered;  // options that change nothing here
  ErrorQueue errors;
  // An epoll set, by descriptor:
  std::map<int, EpollEntry> watched;
};

class Descriptors {
 public:
  explicit Descriptors(Host& host) : host_(host) {}

  // A new number, -1 with errno if there is none.
  int open(Descriptor descriptor);
  // Null for a number that is not ours.
  Descriptor* find(int fd);
  Descriptor* find_socket(int fd);
  Descriptor* find_epoll(int fd);
  void forget(int fd);

  // poll()'s bits of a socket, whether asked for or not.
  std::uint32_t ready(const Descriptor& socket) const;
  // Takes the host's events and notes them in the epoll sets.
  void take_events();
  // Something has happened to this socket that the host knows nothing of.
  void note(int fd);
  template <class F>
  void for_each_socket(F&& what) {
    for (auto& [fd, descriptor] : open_) {
      if (!descriptor->is_epoll) what(fd, *descriptor);
    }
  }

  // As epoll_ctl() and epoll_wait() without waiting; 0 or a number of events, else a negated errno.
  int control(int set, int what, int fd, const epoll_event* event);
  int collect(Descriptor& set, epoll_event* events, int most);

 private:
  Host& host_;
  std::map<int, std::unique_ptr<Descriptor>> open_;
};

}  // namespace lastack::packetdrill
