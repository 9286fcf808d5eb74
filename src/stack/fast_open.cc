#include "stack/fast_open.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "stack/host_impl.h"
#include "tcp/calls.h"
#include "tcp/input.h"
#include "tcp/output.h"
#include "tcp/state.h"
#include "tcp/timers.h"

namespace lastack {
namespace {

std::uint64_t little_endian(const std::byte* bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < sizeof word; ++i)
    word |= std::to_integer<std::uint64_t>(bytes[i]) << 8 * i;
  return word;
}

std::optional<SipKey> parse_key(std::string_view text) {
  std::array<std::uint64_t, 4> words{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::uint32_t word = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), word, 16);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const bool last = i + 1 == words.size();
    if (last ? !text.empty() : !text.starts_with('-')) return std::nullopt;
    if (!last) text.remove_prefix(1);
    words[i] = word;
  }
  return SipKey{words[0] | words[1] << 32, words[2] | words[3] << 32};
}

}  // namespace

std::optional<FastOpenKeys> FastOpenKeys::parse(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with(' ')) text.remove_suffix(1);
  const std::size_t comma = text.find(',');
  const auto first = parse_key(text.substr(0, comma));
  if (!first) return std::nullopt;
  FastOpenKeys keys{*first, std::nullopt};
  if (comma == text.npos) return keys;
  keys.second = parse_key(text.substr(comma + 1));
  if (!keys.second) return std::nullopt;
  return keys;
}

std::optional<FastOpenKeys> FastOpenKeys::of(std::span<const std::byte> bytes) {
  if (bytes.size() != kBytes && bytes.size() != 2 * kBytes) return std::nullopt;
  const auto key = [&](std::size_t at) {
    return SipKey{little_endian(&bytes[at]), little_endian(&bytes[at + 8])};
  };
  FastOpenKeys keys{key(0), std::nullopt};
  if (bytes.size() > kBytes) keys.second = key(kBytes);
  return keys;
}

// Linux: __tcp_fastopen_cookie_gen_cipher, over the addresses as they are in the SYN.
FastOpenCookie make_fast_open_cookie(const SipKey& key, const FourTuple& tuple) {
  SipHashOf<2, 4> hash(key);
  const auto& source = tuple.remote.address.bytes();
  const auto& destination = tuple.local.address.bytes();
  const auto* from = reinterpret_cast<const std::byte*>(source.data());
  const auto* to = reinterpret_cast<const std::byte*>(destination.data());
  if (tuple.remote.address.is_v4()) {
    std::byte both[8];
    std::memcpy(both, from + 12, 4);
    std::memcpy(both + 4, to + 12, 4);
    hash.add(little_endian(both));
  } else {
    hash.add(little_endian(from)).add(little_endian(from + 8));
    hash.add(little_endian(to)).add(little_endian(to + 8));
  }
  const std::uint64_t made = hash.finish();
  FastOpenCookie cookie;
  cookie.length = sizeof made;
  for (std::size_t i = 0; i < sizeof made; ++i)
    cookie.bytes[i] = static_cast<std::byte>(made >> 8 * i);
  return cookie;
}

// Those that have not confirmed the SYN,ACK, and those that have reset it less than a minute ago: else a client with
// another one's address could fill the host with connections (Linux: reqsk_fastopen_remove).
std::size_t Host::Impl::fast_open_waiting(Listener& listener) {
  std::erase_if(listener.fast_open, [&](ConnectionIndex i) {
    return !connections.is_live(i) || !connections[i].fast_open ||
           connections[i].tuple.local.port != listener.local.port;
  });
  while (!listener.fast_open_resets.empty() && listener.fast_open_resets.front() <= now) {
    listener.fast_open_resets.pop_front();
  }
  return listener.fast_open.size() + listener.fast_open_resets.size();
}

Host::Impl::FastOpenAnswer Host::Impl::try_fast_open(Listener& listener, const TcpSegment& syn,
                                                     const FourTuple& tuple) {
  FastOpenAnswer answer;
  const auto& asked = syn.options.fast_open;
  if ((tcp.fast_open & fast_open_bit::kServer) == 0 || (!asked && syn.payload.empty()))
    return answer;
  const Connection& parent = connections[listener.socket];
  const auto of_socket = fast_open.sockets.find(parent.user - 1);
  if (of_socket == fast_open.sockets.end() || of_socket->second.queue == 0) return answer;
  if (fast_open_waiting(listener) >= of_socket->second.queue) return answer;
  if ((tcp.fast_open & fast_open_bit::kNoCookieAsked) != 0 || parent.options.fast_open_no_cookie) {
    answer.begins = true;
    return answer;
  }
  if (!asked) return answer;
  const FastOpenKeys& keys = of_socket->second.keys.value_or(fast_open.keys);
  FastOpenCookie right = make_fast_open_cookie(keys.first, tuple);
  right.experimental = asked->experimental;
  if (asked->length != 0 && *asked == right) {
    answer.begins = true;
    return answer;
  }
  // A cookie made with the old key is taken, and replaced.
  answer.begins =
      asked->length != 0 && keys.second && *asked == make_fast_open_cookie(*keys.second, tuple);
  answer.cookie = right;
  return answer;
}

// Linux: tcp_fastopen_create_child. The SYN itself is not among what was sent, so that data may follow it.
void Host::Impl::begin_fast_open(Listener& listener, ConnectionIndex index, const TcpSegment& syn) {
  Connection& c = connections[index];
  TcpContext& x = context();
  ++counters.PassiveOpens;
  c.pingpong = connections[listener.socket].pingpong;
  open_fast(c, x, syn);
  listener.fast_open.push_back(index);
  c.in_accept_queue = true;
  listener.ready.push_back(index);
  announce_user_of(connections[listener.socket]);
}

}  // namespace lastack
