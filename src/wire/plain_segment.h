// What nearly every packet of a connection is, read and written in one go: IPv4 without options, and TCP with
// timestamps and no other option. Says the same as parse_ip() and parse_tcp(), write_ip() and write_tcp() do, for a
// third of the work; tests/unit/wire/test_plain_segment.cc holds them against each other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lastack/four_tuple.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"
#include "wire/tcp_segment.h"

namespace lastack {

inline constexpr std::size_t kPlainTcpHeader = kTcpHeaderLength + 12;
static_assert(kPlainTcpHeader == 32);
inline constexpr std::size_t kPlainHeaders = kIpv4HeaderLength + kPlainTcpHeader;
// Two NOPs before the option keep its numbers aligned, as everyone does (RFC 7323, appendix A).
inline constexpr std::uint32_t kTimestampsWithNops = 0x0101080a;

// False for any other packet, and for one with an error: then nothing of `tuple` and `segment` counts. `tuple`: as whoever
// receives it sees it, the destination being local.
inline bool read_plain(std::span<const std::byte> packet, Checksum checksum, FourTuple& tuple,
                       TcpSegment& segment) {
  if (packet.size() < kPlainHeaders) return false;
  const std::byte* const at = packet.data();
  const std::byte* const tcp = at + kIpv4HeaderLength;
  const std::uint32_t first = load32(at);
  const std::size_t total = first & 0xffff;
  const std::uint16_t fragment = load16(at + 6);
  const std::uint16_t offset_and_flags = load16(tcp + 12);
  constexpr std::uint16_t kMoreOrOffset = 0x3fff;
  if (first >> 24 != 0x45 || total < kPlainHeaders || total > packet.size() ||
      (fragment & kMoreOrOffset) != 0 || load8(at + 9) != kProtocolTcp ||
      offset_and_flags >> 12 != kPlainTcpHeader / 4 || load32(tcp + 20) != kTimestampsWithNops) {
    return false;
  }
  ChecksumSum of_ip;
  of_ip.add_ipv4_header(at);
  if (!of_ip.is_right()) return false;
  if (checksum == Checksum::Verify) {
    ChecksumSum sum;
    sum.add_ipv4_pseudo_header(at, total - kIpv4HeaderLength);
    sum.add_four_words(tcp);
    if (total > kPlainHeaders) sum.add(packet.subspan(kPlainHeaders, total - kPlainHeaders));
    if (!sum.is_right()) return false;
  }
  segment.source = load16(tcp);
  segment.destination = load16(tcp + 2);
  tuple = {{IpAddress::v4(load32(at + 16)), segment.destination},
           {IpAddress::v4(load32(at + 12)), segment.source}};
  segment.seq = SeqNum(load32(tcp + 4));
  segment.ack = SeqNum(load32(tcp + 8));
  segment.flags = offset_and_flags & 0x1ff;
  segment.window = load16(tcp + 14);
  segment.urgent = load16(tcp + 18);
  segment.header_bytes = kPlainTcpHeader;
  segment.ecn = static_cast<std::uint8_t>(first >> 16) & ecn::kMask;
  segment.options.timestamps.emplace(load32(tcp + 24), load32(tcp + 28));
  segment.payload = packet.subspan(kPlainHeaders, total - kPlainHeaders);
  return true;
}

// A TCP header of `length` bytes, given as the words of 64 bits that it will be read in again, before a payload that lies
// behind it already. It is summed before it is stored; where the checksum goes there is 0. `pseudo_header`: the sum of its
// 16-bit words, but for the length.
template <std::size_t kWords>
inline void store_tcp_words(std::byte* out, std::array<std::uint64_t, kWords> words,
                            std::size_t length, std::uint64_t pseudo_header,
                            std::size_t payload_length, bool with_checksum) {
  if (with_checksum) {
    NumberSum sum;
    sum.add(pseudo_header + length + payload_length);
    for (const std::uint64_t word : words) sum.add(word);
    if (payload_length > 0) {
      ChecksumSum payload;
      payload.add({out + length, payload_length});
      sum.add(payload);
    }
    words[2] |= std::uint64_t{sum.checksum()} << 48;
  }
  const std::size_t whole = length / 8;
  for (std::size_t i = 0; i < whole; ++i) store64(out + 8 * i, words[i]);
  if (length % 8 != 0) store32(out + 8 * whole, static_cast<std::uint32_t>(words[whole] >> 32));
}

// The numbers of a segment that has timestamps and no other option.
struct PlainNumbers {
  SeqNum seq;
  SeqNum ack;
  std::uint16_t flags = 0;
  std::uint16_t window = 0;
  std::uint16_t urgent = 0;
  Timestamps timestamps;
};

// The first two words of any header of `length` bytes.
inline std::uint64_t first_tcp_word(Port source, Port destination, SeqNum seq) {
  return std::uint64_t{source} << 48 | std::uint64_t{destination} << 32 | seq.value();
}
inline std::uint64_t second_tcp_word(SeqNum ack, std::size_t length, std::uint16_t flags,
                                     std::uint16_t window) {
  return std::uint64_t{ack.value()} << 32 |
         std::uint64_t{length / 4 << 12 | (flags & 0x1ffU)} << 16 | window;
}

// The headers before a payload that lies at `out` + kPlainHeaders already; ports and addresses, of IPv4, are the tuple's.
inline void write_plain(std::byte* out, const FourTuple& tuple, const PlainNumbers& numbers,
                        std::uint8_t hop_limit, std::uint8_t traffic_class,
                        std::size_t payload_length, bool with_checksum) {
  const std::uint32_t source = tuple.local.address.v4_value();
  const std::uint32_t destination = tuple.remote.address.v4_value();
  const std::uint64_t addresses = std::uint64_t{source} + destination;
  const std::uint64_t ip_first =
      std::uint64_t{0x4500U | traffic_class} << 48 |
      std::uint64_t{static_cast<std::uint16_t>(kPlainHeaders + payload_length)} << 32 | 0x4000U;
  const std::uint64_t ip_second =
      std::uint64_t{hop_limit} << 56 | std::uint64_t{kProtocolTcp} << 48 | source;
  NumberSum of_ip;
  of_ip.add(addresses + (ip_first >> 32) + 0x4000U + (ip_second >> 32));
  store64(out, ip_first);
  store64(out + 8, ip_second | std::uint64_t{of_ip.checksum()} << 32);
  store32(out + 16, destination);

  const Timestamps& stamps = numbers.timestamps;
  store_tcp_words<4>(out + kIpv4HeaderLength,
                     {first_tcp_word(tuple.local.port, tuple.remote.port, numbers.seq),
                      second_tcp_word(numbers.ack, kPlainTcpHeader, numbers.flags, numbers.window),
                      std::uint64_t{numbers.urgent} << 32 | kTimestampsWithNops,
                      std::uint64_t{stamps.value} << 32 | stamps.echo},
                     kPlainTcpHeader, addresses + kProtocolTcp, payload_length, with_checksum);
}

}  // namespace lastack
