// Is this build watched by a sanitizer? It costs five times the time and keeps memory for itself: what such a build is
// for, it finds in fewer rounds of a randomised test, and how much memory the code takes cannot be seen in it.
#pragma once

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LASTACK_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LASTACK_WATCHED 1
#endif
#endif

namespace lastack {

#ifdef LASTACK_WATCHED
inline constexpr bool kWatched = true;
#else
inline constexpr bool kWatched = false;
#endif

// n rounds, and a fifth of them in a watched build; at least one.
constexpr std::uint64_t rounds(std::uint64_t n) {
  return kWatched && n >= 5 ? n / 5 : n;
}

}  // namespace lastack
