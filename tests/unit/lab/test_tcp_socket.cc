// Addresses as sockets take them, and back.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "lab/tcp_socket.h"

namespace lastack {
namespace {

TEST(SocketAddress, ThereAndBack) {
  for (const char* text : {"0.0.0.0", "10.77.0.1", "255.255.255.255", "::", "::1", "fd00::2"}) {
    const Endpoint endpoint{*IpAddress::parse(text), 3306};
    EXPECT_EQ(endpoint_of(socket_address(endpoint).storage), endpoint) << text;
  }
}

TEST(SocketAddress, MappedIsAnIpv6AddressOfTheSameEndpoint) {
  const Endpoint endpoint{IpAddress::v4(0x0a000001), 80};
  const SocketAddress plain = socket_address(endpoint);
  const SocketAddress mapped = socket_address(endpoint, true);
  EXPECT_EQ(plain.storage.ss_family, AF_INET);
  EXPECT_EQ(plain.length, sizeof(sockaddr_in));
  EXPECT_EQ(mapped.storage.ss_family, AF_INET6);
  EXPECT_EQ(mapped.length, sizeof(sockaddr_in6));
  EXPECT_EQ(endpoint_of(mapped.storage), endpoint);
}

TEST(SocketAddress, OtherFamiliesAreNoEndpoint) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  EXPECT_EQ(endpoint_of(storage), (Endpoint{IpAddress::v4(0), 0}));
  EXPECT_EQ(local_endpoint(-1), (Endpoint{IpAddress::v4(0), 0}));
}

}  // namespace
}  // namespace lastack
