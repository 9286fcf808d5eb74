// The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "lastack/ip_address.h"
#include "wire/bytes.h"

namespace lastack {

// The ones' complement sum of the 16-bit words of a wide one.
inline std::uint16_t fold_to_16(std::uint64_t sum) {
  const auto low = static_cast<std::uint32_t>(sum);
  std::uint32_t half = low + static_cast<std::uint32_t>(sum >> 32);
  half += half < low ? 1 : 0;
  // Each half of this is the sum of both; the upper one has the carry of the lower one in it.
  return static_cast<std::uint16_t>((half + std::rotr(half, 16)) >> 16);
}

// A running sum, in whatever byte order the machine has (RFC 1071, 2 B: the sum does not care). Parts may
// be added one by one as long as all but the last are of even length. Here, and not in a file of its own,
// since every packet has four of them, most over a few words.
class ChecksumSum {
 public:
  // Eight bytes at a time: 2^16 is 1 modulo 2^16 - 1, so wide words sum to the same.
  void add(std::span<const std::byte> bytes) {
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 32; at += 32, left -= 32) add_four_words(at);
    for (; left >= 8; at += 8, left -= 8) sum_ += word(at);
    // Each of the last pieces lies at an even place.
    if ((left & 4) != 0) {
      std::uint32_t rest;
      std::memcpy(&rest, at, sizeof rest);
      sum_ += rest;
      at += sizeof rest;
    }
    if ((left & 2) != 0) {
      std::uint16_t rest;
      std::memcpy(&rest, at, sizeof rest);
      sum_ += rest;
      at += sizeof rest;
    }
    if ((left & 1) != 0) {
      const std::array<std::byte, 2> rest{*at, std::byte{0}};
      sum_ += std::bit_cast<std::uint16_t>(rest);
    }
  }
  // A header of IPv4 without options.
  void add_ipv4_header(const std::byte* at) {
    std::uint32_t last;
    std::memcpy(&last, at + 16, sizeof last);
    sum_ += word(at);
    sum_ += word(at + 8);
    sum_ += last;
  }
  // 32 bytes.
  void add_four_words(const std::byte* at) {
    sum_ += word(at);
    sum_ += word(at + 8);
    sum_ += word(at + 16);
    sum_ += word(at + 24);
  }
  // The pseudo header that goes with a TCP segment of that length in a packet with such a header.
  void add_ipv4_pseudo_header(const std::byte* ipv4_header, std::size_t length) {
    sum_ += word(ipv4_header + 12);
    std::array<std::byte, 8> rest{};
    store32(rest.data(), static_cast<std::uint32_t>(length));
    rest[7] = ipv4_header[9];
    sum_ += std::bit_cast<std::uint64_t>(rest);
  }
  // The pseudo header of RFC 9293, 3.1 (IPv4) or RFC 8200, 8.1 (IPv6).
  void add_pseudo_header(const IpAddress& source, const IpAddress& destination,
                         std::uint8_t protocol, std::size_t length) {
    using Words = std::array<std::uint64_t, 2>;
    const auto from = std::bit_cast<Words>(source.bytes());
    const auto to = std::bit_cast<Words>(destination.bytes());
    // What marks an IPv4 address, ffff, is nothing to a ones' complement sum: no need to cut it off.
    sum_ += from[0];
    sum_ += from[1];
    sum_ += to[0];
    sum_ += to[1];
    // Length and protocol are 32 bits wide for IPv6, 16 for IPv4; the sum is the same.
    std::array<std::byte, 8> rest{};
    store32(rest.data(), static_cast<std::uint32_t>(length));
    rest[7] = std::byte{protocol};
    sum_ += std::bit_cast<std::uint64_t>(rest);
  }

  // What to store, in network order once written with memcpy(). Over data that includes its own correct
  // checksum it is 0.
  std::uint16_t checksum() const { return static_cast<std::uint16_t>(~fold_to_16(folded())); }
  // Over data that includes its own checksum, at least one bit of it set: whether that is right.
  bool is_right() const { return folded() % 0xffff == 0; }

 private:
  __extension__ using Wide = unsigned __int128;  // carries are folded in at the end

  static std::uint64_t word(const std::byte* at) {
    std::uint64_t w;
    std::memcpy(&w, at, sizeof w);
    return w;
  }
  std::uint64_t folded() const {
    const auto high = static_cast<std::uint64_t>(sum_ >> 64);
    const std::uint64_t sum = static_cast<std::uint64_t>(sum_) + high;
    return sum + (sum < high ? 1 : 0);
  }

  Wide sum_ = 0;
};

// The same over 16-bit words as numbers, for whoever has them in registers.
class NumberSum {
 public:
  // What is carried out of the top comes in at the bottom: 2^64 is 1, as 2^16 is.
  void add(std::uint64_t four) {
    sum_ += four;
    sum_ += sum_ < four ? 1 : 0;
  }
  // Bytes that lie in memory, from an even place on.
  void add(const ChecksumSum& bytes) {
    const auto sum = static_cast<std::uint16_t>(~bytes.checksum());
    add(swap_to_network(sum));
  }
  void add_pseudo_header(const IpAddress& source, const IpAddress& destination,
                         std::uint8_t protocol, std::size_t length) {
    if (source.is_v4()) {
      add(std::uint64_t{source.v4_value()} + destination.v4_value());
    } else {
      ChecksumSum addresses;
      addresses.add(std::as_bytes(std::span(source.bytes())));
      addresses.add(std::as_bytes(std::span(destination.bytes())));
      add(addresses);
    }
    add(length + protocol);
  }
  std::uint64_t sum() const { return sum_; }
  // As a number, to be stored in network order.
  std::uint16_t checksum() const { return static_cast<std::uint16_t>(~fold_to_16(sum_)); }

 private:
  std::uint64_t sum_ = 0;
};

}  // namespace lastack
