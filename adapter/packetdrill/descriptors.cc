#include "descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lastack::packetdrill {

int Descriptors::open(Descriptor descriptor) {
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd >= 0) open_[fd] = std::make_unique<Descriptor>(std::move(descriptor));
  return fd;
}

Descriptor* Descriptors::find(int fd) {
  const auto at = open_.find(fd);
  return at == open_.end() ? nullptr : at->second.get();
}

Descriptor* Descriptors::find_socket(int fd) {
  Descriptor* found = find(fd);
  return found != nullptr && !found->is_epoll ? found : nullptr;
}

Descriptor* Descriptors::find_epoll(int fd) {
  Descriptor* found = find(fd);
  return found != nullptr && found->is_epoll ? found : nullptr;
}

void Descriptors::forget(int fd) {
  open_.erase(fd);
  for (auto& [number, descriptor] : open_) descriptor->watched.erase(fd);
}

std::uint32_t Descriptors::ready(const Descriptor& socket) const {
  const Readiness r = host_.readiness(socket.socket);
  std::uint32_t bits = 0;
  if (r.readable) bits |= EPOLLIN | EPOLLRDNORM;
  if (r.writable) bits |= EPOLLOUT | EPOLLWRNORM;
  if (r.hung_up) bits |= EPOLLHUP;
  if (r.read_hung_up) bits |= EPOLLRDHUP;
  if (r.error || !socket.errors.empty()) bits |= EPOLLERR;
  if (r.urgent) bits |= EPOLLPRI;
  return bits;
}

void Descriptors::take_events() {
  while (const std::optional<SocketId> socket = host_.next_event()) {
    for (auto& [set, descriptor] : open_) {
      for (auto& [fd, entry] : descriptor->watched) {
        const Descriptor* watched = find_socket(fd);
        if (watched != nullptr && watched->socket == *socket) entry.changed = true;
      }
    }
  }
}

void Descriptors::note(int fd) {
  for (auto& [set, descriptor] : open_) {
    const auto at = descriptor->watched.find(fd);
    if (at != descriptor->watched.end()) at->second.changed = true;
  }
}

int Descriptors::control(int set, int what, int fd, const epoll_event* event) {
  Descriptor* epoll = find_epoll(set);
  if (epoll == nullptr) return find(set) != nullptr ? -EINVAL : -EBADF;
  if (find(fd) == nullptr) return -EBADF;
  if (find_socket(fd) == nullptr) return -EINVAL;
  if (what != EPOLL_CTL_DEL && event == nullptr) return -EFAULT;
  const auto at = epoll->watched.find(fd);
  const bool there = at != epoll->watched.end();
  switch (what) {
    case EPOLL_CTL_ADD:
      if (there) return -EEXIST;
      epoll->watched[fd].wanted = *event;
      return 0;
    case EPOLL_CTL_MOD:
      if (!there) return -ENOENT;
      at->second = EpollEntry{.wanted = *event};
      return 0;
    case EPOLL_CTL_DEL:
      if (!there) return -ENOENT;
      epoll->watched.erase(at);
      return 0;
    default:
      return -EINVAL;
  }
}

int Descriptors::collect(Descriptor& set, epoll_event* events, int most) {
  int count = 0;
  for (auto& [fd, entry] : set.watched) {
    if (count == most) break;
    const bool edge = (entry.wanted.events & EPOLLET) != 0;
    if (entry.spent || (edge && !entry.changed)) continue;
    const Descriptor* socket = find_socket(fd);
    if (socket == nullptr) continue;
    const std::uint32_t bits = ready(*socket) & (entry.wanted.events | EPOLLERR | EPOLLHUP);
    entry.changed = false;
    if (bits == 0) continue;
    events[count].events = bits;
    events[count].data = entry.wanted.data;
    ++count;
    if ((entry.wanted.events & EPOLLONESHOT) != 0) entry.spent = true;
  }
  return count;
}

}  // namespace lastack::packetdrill
