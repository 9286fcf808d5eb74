// Fast Open (RFC 7413): the keys of cookies, and which sockets take part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lastack/four_tuple.h"
#include "timewait/siphash.h"
#include "wire/tcp_segment.h"

namespace lastack {

// Cookies are made with the first, and taken if made with either.
struct FastOpenKeys {
  SipKey first;
  std::optional<SipKey> second;

  static constexpr std::size_t kBytes = 16;
  // As tcp_fastopen_key has them: "a-b-c-d", or two with a comma between.
  static std::optional<FastOpenKeys> parse(std::string_view text);
  // As TCP_FASTOPEN_KEY has them: 16 or 32 bytes.
  static std::optional<FastOpenKeys> of(std::span<const std::byte> bytes);
};

// That of a client, as Linux makes it.
FastOpenCookie make_fast_open_cookie(const SipKey& key, const FourTuple& tuple);

struct FastOpen {
  FastOpenKeys keys;
  // By socket: TCP_FASTOPEN, TCP_FASTOPEN_KEY.
  struct OfSocket {
    std::uint32_t queue = 0;
    std::optional<FastOpenKeys> keys;
  };
  std::unordered_map<std::uint32_t, OfSocket> sockets;
};

// tcp_fastopen
namespace fast_open_bit {
inline constexpr int kServer = 2, kNoCookieAsked = 0x200, kAllListeners = 0x400;
}

}  // namespace lastack
