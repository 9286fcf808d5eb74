// epoll with 64-bit marks and time in nanoseconds.
#pragma once

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <span>

#include "lastack/time.h"

namespace lastack {

inline bool epoll_watch(int epoll, int operation, int fd, std::uint32_t events,
                        std::uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return epoll_ctl(epoll, operation, fd, &event) == 0;
}

// The events that came within `longest`. A schedule of thousands a second needs finer waits than
// epoll_wait()'s milliseconds; kernels before 5.11 have only those, and then waits are rounded up.
inline std::span<const epoll_event> epoll_collect(int epoll, std::span<epoll_event> room,
                                                  Duration longest) {
  const Duration wait = std::clamp<Duration>(longest, Duration{}, 60s);
  const auto whole = std::chrono::floor<std::chrono::seconds>(wait);
  const timespec limit{whole.count(), (wait - whole).count()};
  int ready = epoll_pwait2(epoll, room.data(), static_cast<int>(room.size()), &limit, nullptr);
  if (ready < 0 && errno == ENOSYS) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait);
    ready =
        epoll_wait(epoll, room.data(), static_cast<int>(room.size()), static_cast<int>(ms.count()));
  }
  return room.first(ready > 0 ? static_cast<std::size_t>(ready) : 0);
}

}  // namespace lastack
