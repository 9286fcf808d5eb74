// Somebody who can send packets with any source address, and sees nothing that comes back.
#pragma once

#include <algorithm>
#include <cstring>
#include <random>

#include "audit/host_audit.h"
#include "unit/stack/world.h"
#include "wire/bytes.h"
#include "wire/checksum.h"

namespace lastack::test {

inline Bytes forged(const Endpoint& from, const Endpoint& to, TcpSegment segment,
                    const Bytes& payload = {}) {
  segment.source = from.port;
  segment.destination = to.port;
  const std::size_t ip_length = ip_header_length(from.address);
  const std::size_t tcp_length = header_length(segment.options);
  Bytes packet(ip_length + tcp_length + payload.size());
  write_ip(packet.data(), {.source = from.address, .destination = to.address},
           tcp_length + payload.size());
  write_tcp_header(packet.data() + ip_length, segment);
  std::copy(payload.begin(), payload.end(),
            packet.begin() + static_cast<std::ptrdiff_t>(ip_length + tcp_length));
  write_tcp_checksum(std::span(packet).subspan(ip_length), from.address, to.address);
  return packet;
}

// An ICMP error about a segment of `victim` to `peer`.
inline Bytes forged_icmp(const Endpoint& victim, const Endpoint& peer, std::uint8_t type,
                         std::uint8_t code, SeqNum seq, std::uint16_t mtu = 0) {
  TcpSegment quoted;
  quoted.source = victim.port;
  quoted.destination = peer.port;
  quoted.seq = seq;
  Bytes packet(20 + 8 + 20 + 20);
  write_ip(packet.data(),
           {.source = IpAddress::v4(0x0a0a0a0a),
            .destination = victim.address,
            .protocol = kProtocolIcmp},
           48);
  std::byte* icmp = packet.data() + 20;
  store8(icmp, type);
  store8(icmp + 1, code);
  store32(icmp + 4, mtu);
  write_ip(icmp + 8, {.source = victim.address, .destination = peer.address}, 20);
  write_tcp_header(icmp + 28, quoted);
  ChecksumSum sum;
  sum.add({icmp, 48});
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(icmp + 2, &checksum, sizeof checksum);
  return packet;
}

// What a host has to say, thrown away.
inline std::size_t discard(Host& host) {
  std::size_t n = 0;
  for (auto p = host.next_packet(); !p.empty(); p = host.next_packet()) ++n;
  return n;
}

inline TcpSegment with(std::uint16_t flags, SeqNum seq, SeqNum ack = {},
                       std::uint16_t window = 65535) {
  TcpSegment s;
  s.flags = flags;
  s.seq = seq;
  s.ack = ack;
  s.window = window;
  return s;
}

// A world with one open connection, and what the forger would like to know of it. Without timestamps, which would
// stop most of what a blind forger sends.
struct Target {
  World w;
  SocketId listener{};
  World::Pair pair{};
  Endpoint client, server;

  explicit Target(bool timestamps = false) {
    EXPECT_TRUE(w.client.set("tcp_timestamps", timestamps ? "1" : "0"));
    EXPECT_TRUE(w.server.set("tcp_timestamps", timestamps ? "1" : "0"));
    listener = w.listen(80);
    pair = w.connect(listener, 80);
    client = *w.client.local(pair.client);
    server = *w.server.local(pair.server);
  }
  const Connection& at_client() const { return *HostAudit::connection(w.client, pair.client); }
  const Connection& at_server() const { return *HostAudit::connection(w.server, pair.server); }
  bool open() const {
    return w.client.state(pair.client) == TcpState::Established &&
           w.server.state(pair.server) == TcpState::Established;
  }
};

}  // namespace lastack::test
