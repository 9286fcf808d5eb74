#include "lastack/ip_address.h"

#include <arpa/inet.h>

#include "lastack/four_tuple.h"

namespace lastack {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::strlen(buffer) != text.size()) return std::nullopt;  // a NUL inside

  in_addr v4_address{};
  if (inet_pton(AF_INET, buffer, &v4_address) == 1) return v4(ntohl(v4_address.s_addr));
  Bytes bytes{};
  if (inet_pton(AF_INET6, buffer, bytes.data()) == 1) return v6(bytes);
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  if (is_v4()) {
    const in_addr address{htonl(v4_value())};
    inet_ntop(AF_INET, &address, buffer, sizeof buffer);
  } else {
    inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof buffer);
  }
  return buffer;
}

std::string Endpoint::to_string() const {
  if (address.is_unspecified()) return "*:" + std::to_string(port);
  if (address.is_v4()) return address.to_string() + ":" + std::to_string(port);
  return "[" + address.to_string() + "]:" + std::to_string(port);
}

std::string FourTuple::to_string() const {
  return local.to_string() + " -> " + remote.to_string();
}

}  // namespace lastack
