// What names a TCP connection: two addresses and two ports, seen from one host (claim A11).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "lastack/ip_address.h"

namespace lastack {

using Port = std::uint16_t;

struct Endpoint {
  IpAddress address;
  Port port = 0;

  // "10.0.0.1:80", "[2001:db8::1]:80", "*:80" for the unspecified address.
  std::string to_string() const;

  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

struct FourTuple {
  Endpoint local;
  Endpoint remote;

  // "10.0.0.1:40000 -> 10.0.0.2:80"
  std::string to_string() const;

  friend constexpr auto operator<=>(const FourTuple&, const FourTuple&) = default;
};

static_assert(sizeof(FourTuple) == 36);

}  // namespace lastack
