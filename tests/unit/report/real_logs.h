// Small runs of endpoint hosts in virtual time, and the logs that they write: for tests of what is made of logs.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/lifecycle_recorder.h"
#include "lastack/virtual_network.h"

namespace lastack::test {

inline const IpAddress kLogClient = IpAddress::v4(0x0a000001);
inline const IpAddress kLogServer = IpAddress::v4(0x0a000002);
inline const IpAddress kLogThird = IpAddress::v4(0x0a000003);

// Two hosts, a wire of 5 ms, one port for the client, and what they write.
class LoggedPair {
 public:
  explicit LoggedPair(std::uint64_t seed = 1, std::string client_name = "client",
                      std::string profile = "linux", LinkOptions link = {.delay = 5ms});

  SocketId dial();
  SocketId accepted();
  // Reads what is there.
  static void drain(Host& host, SocketId socket, Instant now);

  std::string log;
  LifecycleRecorder recorder;
  VirtualNetwork net;
  Host& client;
  Host& server;
  SocketId listener{};
};

// Open, 100 bytes there and 3,000 back, the client closes first, to the end of TIME_WAIT.
std::string plain_log(std::uint64_t seed = 1, const std::string& client_name = "client",
                      const std::string& profile = "linux");
// As above, and the client's last ACK is lost once.
std::string lost_last_ack_log(std::uint64_t seed = 1);
// The client's last ACKs are lost, and it connects from the same port while the server is in LAST_ACK.
std::string last_ack_reuse_log(std::uint64_t seed = 1);
// A client, a proxy that hands on, a server.
std::string three_hosts_log(std::uint64_t seed = 1);
// Many connections over a wire that loses, doubles and reorders.
std::string foul_log(std::uint64_t seed, int connections);

}  // namespace lastack::test
