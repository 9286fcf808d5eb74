// The keyed hash of a four-tuple, and of an address.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "lastack/four_tuple.h"
#include "timewait/siphash.h"

namespace lastack::timewait {

inline SipHash& add(SipHash& sip, const IpAddress& address) {
  const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
  return sip.add(words[0]).add(words[1]);
}

inline std::uint64_t hash_of(const SipKey& key, const FourTuple& tuple) {
  SipHash sip(key);
  add(add(sip, tuple.local.address), tuple.remote.address);
  return sip.finish(std::uint32_t{tuple.local.port} << 16 | tuple.remote.port, 4);
}

inline std::uint64_t hash_of(const SipKey& key, const IpAddress& address) {
  SipHash sip(key);
  return add(sip, address).finish();
}

}  // namespace lastack::timewait
