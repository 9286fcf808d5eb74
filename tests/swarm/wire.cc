#include "swarm/wire.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip_packet.h"
#include "wire/tcp_segment.h"

namespace lastack::test {
namespace {

// Cuts a super-segment as a device does (TSO): the same header before each piece, FIN and PSH on the last only,
// CWR on the first only.
std::vector<Bytes> cut(std::span<const std::byte> packet, std::uint16_t segment_size) {
  const auto ip = parse_ip(packet);
  const auto whole = parse_tcp(ip->payload, ip->header, Checksum::Trust);
  const std::size_t ip_length = ip_header_length(ip->header.source);
  const std::size_t tcp_length = header_length(whole->options);
  std::vector<Bytes> pieces;
  for (std::size_t at = 0; at < whole->payload.size(); at += segment_size) {
    const std::size_t n = std::min<std::size_t>(segment_size, whole->payload.size() - at);
    TcpSegment piece = *whole;
    piece.seq = whole->seq + static_cast<std::uint32_t>(at);
    const bool last = at + n == whole->payload.size();
    if (!last) piece.flags &= static_cast<std::uint16_t>(~(tcp_flag::kFin | tcp_flag::kPsh));
    if (at > 0) piece.flags &= static_cast<std::uint16_t>(~tcp_flag::kCwr);
    if (piece.urgent != 0) {
      const bool there = piece.urgent > at;
      piece.urgent = there ? static_cast<std::uint16_t>(piece.urgent - at) : std::uint16_t{0};
      if (!there) piece.flags &= static_cast<std::uint16_t>(~tcp_flag::kUrg);
    }
    Bytes bytes(ip_length + tcp_length + n);
    write_ip(bytes.data(), ip->header, tcp_length + n);
    write_tcp_header(bytes.data() + ip_length, piece);
    std::memcpy(bytes.data() + ip_length + tcp_length, whole->payload.data() + at, n);
    write_tcp_checksum(std::span(bytes).subspan(ip_length), ip->header.source,
                       ip->header.destination);
    pieces.push_back(std::move(bytes));
  }
  return pieces;
}

}  // namespace

std::uint64_t Wire::key(const FourTuple& tuple) {
  // Both directions are one connection.
  const auto half = [](const Endpoint& e) {
    SecretHash hash(SecretKey{1, 2});
    hash.add(e.address);
    hash.add(e.port);
    return hash.finish();
  };
  return half(tuple.local) ^ half(tuple.remote);
}

Duration Wire::delay() {
  Duration d = plan.delay;
  if (plan.jitter > Duration::zero()) d += plan.jitter * choices_.below(1000) / 1000;
  if (faults && choices_.chance(plan.late)) d += plan.latest * choices_.below(1000) / 1000;
  return std::min(d, plan.lifetime);
}

void Wire::put(std::size_t to, Bytes packet, Instant born, Instant at) {
  in_flight_.emplace(at, Arrival{at, to, born, std::move(packet)});
}

Wire::Arrival Wire::take() {
  Arrival arrival = std::move(in_flight_.begin()->second);
  in_flight_.erase(in_flight_.begin());
  return arrival;
}

void Wire::send(std::size_t from, std::span<const std::byte> packet, std::uint16_t segment_size,
                Instant now) {
  if (segment_size != 0) {
    for (Bytes& piece : cut(packet, segment_size)) one(from, std::move(piece), now);
  } else {
    one(from, Bytes(packet.begin(), packet.end()), now);
  }
}

void Wire::one(std::size_t from, Bytes packet, Instant now) {
  const auto ip = parse_ip(packet);
  const auto tcp = parse_tcp(ip->payload, ip->header);
  ++counts.sent[from];
  if (tcp->rst()) ++counts.resets[from];
  last_sent_[key({{ip->header.source, tcp->source}, {ip->header.destination, tcp->destination}})] =
      now;

  if (packet.size() > plan.mtu) {
    ++counts.too_long;
    if (plan.tells_mtu) tell_too_long(from, packet, now);
    return;
  }
  if (!faults) {
    put(1 - from, std::move(packet), now, now + plan.delay);
    return;
  }
  if (choices_.chance(plan.replay) && !old_[from].empty()) {
    const Old& old = old_[from][choices_.below(static_cast<std::uint32_t>(old_[from].size()))];
    const Duration left = old.born + plan.lifetime - now;
    if (left > Duration::zero()) {
      ++counts.replayed;
      const Duration most = choices_.chance(50) ? left : std::min(left, plan.delay * 2);
      put(1 - from, old.packet, old.born, now + most * choices_.below(1000) / 1000);
    }
  }
  if (plan.replay > 0) {
    std::deque<Old>& kept = old_[from];
    if (kept.size() >= 256)
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(choices_.below(256)));
    kept.push_back({now, packet});
  }
  if (choices_.chance(plan.loss)) {
    ++counts.lost;
    return;
  }
  if (choices_.chance(plan.doubled)) {
    ++counts.doubled;
    put(1 - from, packet, now, now + delay());
  }
  if (choices_.chance(plan.corrupt)) {
    ++counts.corrupted;
    // One bit, which a checksum always sees. Not of IPv6's length: less of a segment may have a sum that is right.
    std::size_t at = choices_.below(static_cast<std::uint32_t>(packet.size()));
    if (load8(&packet[0]) >> 4 == 6 && (at == 4 || at == 5)) at = packet.size() - 1;
    packet[at] ^= static_cast<std::byte>(1U << choices_.below(8));
  }
  put(1 - from, std::move(packet), now, now + delay());
}

// RFC 1191, 4 and RFC 8201: the router in the middle.
void Wire::tell_too_long(std::size_t from, const Bytes& packet, Instant now) {
  const auto ip = parse_ip(packet);
  const bool v4 = ip->header.source.is_v4();
  const std::size_t quoted = std::min<std::size_t>(packet.size(), v4 ? 28 : 500);
  const std::size_t ip_length = ip_header_length(ip->header.source);
  Bytes error(ip_length + 8 + quoted);
  const IpHeader header{.source = ip->header.destination,
                        .destination = ip->header.source,
                        .protocol = v4 ? kProtocolIcmp : kProtocolIcmpV6};
  write_ip(error.data(), header, 8 + quoted);
  std::byte* icmp = error.data() + ip_length;
  store8(icmp, v4 ? 3 : 2);
  store8(icmp + 1, v4 ? 4 : 0);
  store32(icmp + 4, plan.mtu);
  std::memcpy(icmp + 8, packet.data(), quoted);
  ChecksumSum sum;
  if (!v4) sum.add_pseudo_header(header.source, header.destination, kProtocolIcmpV6, 8 + quoted);
  sum.add({icmp, 8 + quoted});
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(icmp + 2, &checksum, sizeof checksum);
  put(from, std::move(error), now, now + plan.delay);
}

}  // namespace lastack::test
