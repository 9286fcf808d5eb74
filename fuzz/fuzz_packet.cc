// Any bytes as a packet. What is understood can be written again, and is understood again as the same; what
// an ICMP error quotes is found or refused. Checksums are set right where the input asks for it, so that the
// parsers behind them are reached.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "byte_source.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip_packet.h"
#include "wire/tcp_segment.h"

namespace {

using namespace lastack;
using namespace lastack::fuzz;
using Bytes = std::vector<std::byte>;

void store_checksum(std::span<std::byte> at, const ChecksumSum& sum) {
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(at.data(), &checksum, sizeof checksum);
}

// Makes the checksums of a packet right, as far as it goes.
void mend(Bytes& packet) {
  if (packet.empty()) return;
  if (load8(&packet[0]) >> 4 == 4 && packet.size() >= kIpv4HeaderLength) {
    const std::size_t header = std::size_t{load8(&packet[0])} % 16 * 4;
    if (header >= kIpv4HeaderLength && header <= packet.size()) {
      std::memset(&packet[10], 0, 2);
      ChecksumSum sum;
      sum.add(std::span(packet).first(header));
      store_checksum(std::span(packet).subspan(10, 2), sum);
    }
  }
  const auto ip = parse_ip(packet);
  if (!ip || ip->payload.empty()) return;
  const std::size_t offset = static_cast<std::size_t>(ip->payload.data() - packet.data());
  const std::span<std::byte> inner = std::span(packet).subspan(offset, ip->payload.size());
  std::size_t field = 2;
  if (ip->header.protocol == kProtocolTcp) field = 16;
  if (inner.size() < field + 2) return;
  std::memset(&inner[field], 0, 2);
  ChecksumSum sum;
  if (field == 16 || !ip->header.source.is_v4()) {
    sum.add_pseudo_header(ip->header.source, ip->header.destination, ip->header.protocol,
                          inner.size());
  }
  sum.add(inner);
  store_checksum(inner.subspan(field, 2), sum);
}

void must_be_the_same(const TcpSegment& a, const TcpSegment& b) {
  must(a.source == b.source && a.destination == b.destination, "other ports");
  must(a.seq == b.seq && a.ack == b.ack, "other numbers");
  must(a.flags == b.flags && a.window == b.window && a.urgent == b.urgent, "another header");
  must(a.ecn == b.ecn, "another mark");
  must(a.options.mss == b.options.mss, "another MSS");
  must(a.options.window_scale == b.options.window_scale, "another window scale");
  must(a.options.sack_permitted == b.options.sack_permitted, "SACK permitted, or not");
  must(a.options.timestamps == b.options.timestamps, "other timestamps");
  // As many blocks as fit beside the rest.
  must(b.options.sack_count <= a.options.sack_count, "more blocks than before");
  must(std::equal(b.options.sack_blocks().begin(), b.options.sack_blocks().end(),
                  a.options.sack_blocks().begin()),
       "other blocks");
  must(std::equal(a.payload.begin(), a.payload.end(), b.payload.begin(), b.payload.end()),
       "another payload");
}

void check_tcp(const IpPacket& ip) {
  const auto trusted = parse_tcp(ip.payload, ip.header, Checksum::Trust);
  const auto segment = parse_tcp(ip.payload, ip.header);
  if (segment) must(trusted.has_value(), "right with its checksum, wrong without");
  if (!segment) return;
  must_be_the_same(*segment, *trusted);
  must(segment->payload.size() <= ip.payload.size(), "more than there was");
  const std::size_t header = header_length(segment->options);
  must(
      header >= kTcpHeaderLength && header <= kTcpHeaderLength + kMostTcpOptions && header % 4 == 0,
      "a header of impossible length");
  const std::size_t ip_length = ip_header_length(ip.header.source);
  // Options that were not understood may have been shorter than what is written now.
  const std::size_t length = header + segment->payload.size();
  if (length > 65535 - kIpv4HeaderLength) return;
  Bytes again(ip_length + length);
  write_ip(again.data(), ip.header, length);
  write_tcp_header(again.data() + ip_length, *segment);
  std::copy(segment->payload.begin(), segment->payload.end(),
            again.begin() + static_cast<std::ptrdiff_t>(ip_length + header));
  write_tcp_checksum(std::span(again).subspan(ip_length), ip.header.source, ip.header.destination);
  const auto ip_again = parse_ip(again);
  must(ip_again.has_value(), "an IP header that was written is not understood");
  must(ip_again->header.source == ip.header.source &&
           ip_again->header.destination == ip.header.destination &&
           ip_again->header.protocol == ip.header.protocol &&
           ip_again->header.hop_limit == ip.header.hop_limit &&
           ip_again->header.traffic_class == ip.header.traffic_class,
       "another IP header");
  must(ip_again->payload.size() == length, "another length");
  const auto segment_again = parse_tcp(ip_again->payload, ip_again->header);
  must(segment_again.has_value(), "a segment that was written is not understood");
  must_be_the_same(*segment, *segment_again);
}

void check(const Bytes& packet) {
  const auto ip = parse_ip(packet);
  if (!ip) return;
  const std::byte* const begin = packet.data();
  const std::byte* const end = begin + packet.size();
  must(ip->payload.data() >= begin && ip->payload.data() + ip->payload.size() <= end,
       "a payload outside the packet");
  must(ip->header.source.is_v4() == ip->header.destination.is_v4(), "two families");
  if (ip->header.protocol == kProtocolTcp) check_tcp(*ip);
  // Whatever the header says: the parser has to bear it.
  const auto error = parse_icmp(ip->payload, ip->header);
  if (error && *error) {
    must((*error)->tuple.local.address.is_v4() == ip->header.source.is_v4(),
         "a quote of the other family");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 70'000) return 0;
  const bool mending = (data[0] & 1) != 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data) + 1;
  Bytes packet(bytes, bytes + size - 1);
  check(packet);
  if (mending) {
    mend(packet);
    check(packet);
    // What an ICMP error quotes has a checksum of its own, behind the outer ones.
    const auto ip = parse_ip(packet);
    if (ip && ip->header.protocol != kProtocolTcp && ip->payload.size() > 8) {
      Bytes inner(ip->payload.begin() + 8, ip->payload.end());
      mend(inner);
      check(inner);
    }
  }
  return 0;
}
