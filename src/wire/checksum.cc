#include "wire/checksum.h"

#include <bit>
#include <cstring>

#include "wire/bytes.h"

namespace lastack {

void ChecksumSum::add(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  // Eight bytes at a time: 2^16 is 1 modulo 2^16 - 1, so wide words sum to the same.
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    add_word(word);
  }
  if (left > 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, left);
    add_word(word);
  }
}

void ChecksumSum::add_pseudo_header(const IpAddress& source, const IpAddress& destination,
                                    std::uint8_t protocol, std::size_t length) {
  const auto bytes = [](const IpAddress& address) {
    const auto all = std::as_bytes(std::span(address.bytes()));
    return address.is_v4() ? all.last(4) : all;
  };
  add(bytes(source));
  add(bytes(destination));
  // Length and protocol are 32 bits wide for IPv6, 16 for IPv4; the sum is the same.
  std::array<std::byte, 8> rest{};
  store32(rest.data(), static_cast<std::uint32_t>(length));
  rest[7] = std::byte{protocol};
  add(rest);
}

std::uint16_t ChecksumSum::checksum() const {
  std::uint64_t sum = (sum_ & 0xffffffff) + (sum_ >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace lastack
