#include "wire/segmentation.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"
#include "wire/tcp_segment.h"

namespace lastack {
namespace {

void write_ipv4_checksum(std::byte* header, std::size_t length) {
  store16(header + 10, 0);
  ChecksumSum sum;
  sum.add({header, length});
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(header + 10, &checksum, sizeof checksum);
}

}  // namespace

Segmentation::Segmentation(std::span<const std::byte> packet, std::uint16_t segment_size)
    : packet_(packet) {
  headers_ = packet.size();
  const auto ip = parse_ip(packet);
  if (!ip || ip->header.protocol != kProtocolTcp || segment_size == 0) return;
  if (ip->payload.size() < kTcpHeaderLength) return;
  const std::size_t tcp = std::size_t{load8(ip->payload.data() + 12)} / 16 * 4;
  if (tcp < kTcpHeaderLength || tcp > ip->payload.size()) return;
  v4_ = ip->header.source.is_v4();
  ip_header_ = static_cast<std::size_t>(ip->payload.data() - packet.data());
  headers_ = ip_header_ + tcp;
  payload_ = ip->payload.size() - tcp;
  size_ = segment_size;
}

std::size_t Segmentation::length() const {
  return headers_ + std::min(size_, payload_ - at_);
}

void Segmentation::write(std::byte* out) {
  std::memcpy(out, packet_.data(), headers_);
  const bool first = first_;
  first_ = false;
  if (size_ == 0) return;
  const std::size_t n = std::min(size_, payload_ - at_);
  std::memcpy(out + headers_, packet_.data() + headers_ + at_, n);
  const bool last = at_ + n == payload_;
  std::byte* tcp = out + ip_header_;
  store32(tcp + 4, load32(tcp + 4) + static_cast<std::uint32_t>(at_));
  std::uint16_t flags = load16(tcp + 12);
  // FIN and PSH are about the end; CWR tells of one event (RFC 3168, 6.1.2).
  if (!last) flags &= static_cast<std::uint16_t>(~(tcp_flag::kFin | tcp_flag::kPsh));
  if (!first) flags &= static_cast<std::uint16_t>(~tcp_flag::kCwr);
  store16(tcp + 12, flags);
  const std::size_t length = headers_ + n;
  if (v4_) {
    store16(out + 2, static_cast<std::uint16_t>(length));
  } else {
    store16(out + 4, static_cast<std::uint16_t>(length - kIpv6HeaderLength));
  }
  at_ += n;
  fix_checksums({out, length});
}

void fix_checksums(std::span<std::byte> packet) {
  const auto ip = parse_ip(packet);
  if (!ip) {
    // Only the header's own checksum may be what is wrong.
    if (packet.size() < kIpv4HeaderLength || load8(packet.data()) >> 4 != 4) return;
    const std::size_t header = std::size_t{load8(packet.data())} % 16 * 4;
    if (header < kIpv4HeaderLength || header > packet.size()) return;
    std::uint16_t before;
    std::memcpy(&before, packet.data() + 10, sizeof before);
    write_ipv4_checksum(packet.data(), header);
    std::uint16_t after;
    std::memcpy(&after, packet.data() + 10, sizeof after);
    if (before != after) fix_checksums(packet);
    return;
  }
  const auto header = static_cast<std::size_t>(ip->payload.data() - packet.data());
  if (ip->header.source.is_v4()) write_ipv4_checksum(packet.data(), header);
  if (ip->header.protocol != kProtocolTcp || ip->payload.size() < kTcpHeaderLength) return;
  store16(packet.data() + header + 16, 0);
  write_tcp_checksum(packet.subspan(header, ip->payload.size()), ip->header.source,
                     ip->header.destination);
}

}  // namespace lastack
