// Sending and taking so many bytes, whatever they are, on a socket that does not block.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "lab/scenario/lab_host.h"

namespace lastack::lab {

inline constexpr std::size_t kPiece = 16384;
inline std::array<std::byte, kPiece>& piece() {
  // What is in it is of no account to anybody.
  thread_local std::array<std::byte, kPiece> bytes{};
  return bytes;
}

// Sends until `done` is `all`, or nothing more goes; would_block is no error. `text`: these bytes, and not any.
inline Outcome<void> send_more(LabHost& host, Sock socket, std::size_t& done, std::size_t all,
                               std::string_view text = {}) {
  while (done < all) {
    const auto n =
        host.write(socket, text.empty() ? std::span(piece()).first(std::min(kPiece, all - done))
                                        : std::as_bytes(std::span(text)).subspan(done));
    if (!n) {
      if (n.error() == Err::would_block) return {};
      return tl::unexpected(n.error());
    }
    if (*n == 0) return {};
    done += *n;
  }
  return {};
}

enum class Taken { Enough, NotYet, End };
// Takes until `done` is `all`, and not a byte more.
inline Outcome<Taken> take_more(LabHost& host, Sock socket, std::size_t& done, std::size_t all) {
  while (done < all) {
    const auto n = host.read(socket, std::span(piece()).first(std::min(kPiece, all - done)));
    if (!n) {
      if (n.error() == Err::would_block) return Taken::NotYet;
      return tl::unexpected(n.error());
    }
    if (*n == 0) return Taken::End;
    done += *n;
  }
  return Taken::Enough;
}
// Takes what comes until its last bytes are `end`; `tail`: what has come of them.
inline Outcome<Taken> take_until(LabHost& host, Sock socket, std::string& tail,
                                 std::string_view end) {
  while (!tail.ends_with(end)) {
    const auto n = host.read(socket, piece());
    if (!n) {
      if (n.error() == Err::would_block) return Taken::NotYet;
      return tl::unexpected(n.error());
    }
    if (*n == 0) return Taken::End;
    const auto came = std::span(piece()).first(*n);
    for (const std::byte b : came.last(std::min(*n, end.size()))) tail += static_cast<char>(b);
    if (tail.size() > end.size()) tail.erase(0, tail.size() - end.size());
  }
  tail.clear();
  return Taken::Enough;
}
// The other side has said its last word; what comes before that is thrown away. NotYet: it has not.
inline Outcome<Taken> await_end(LabHost& host, Sock socket) {
  for (;;) {
    const auto n = host.read(socket, piece());
    if (!n) {
      if (n.error() == Err::would_block) return Taken::NotYet;
      return tl::unexpected(n.error());
    }
    if (*n == 0) return Taken::End;
  }
}

}  // namespace lastack::lab
