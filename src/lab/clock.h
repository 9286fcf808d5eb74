// The lab runs in real time: CLOCK_MONOTONIC, as the kernel reader uses it.
#pragma once

#include <time.h>

#include "lastack/time.h"

namespace lastack {

inline Instant monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Instant(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

// What the calling thread has used of a processor, in its own code and in the kernel's.
inline Duration processor_time() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace lastack
