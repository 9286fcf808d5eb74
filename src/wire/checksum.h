// The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lastack/ip_address.h"

namespace lastack {

// A running sum, in whatever byte order the machine has (RFC 1071, 2 B: the sum does not care). Parts may
// be added one by one as long as all but the last are of even length.
class ChecksumSum {
 public:
  void add(std::span<const std::byte> bytes);
  // The pseudo header of RFC 9293, 3.1 (IPv4) or RFC 8200, 8.1 (IPv6).
  void add_pseudo_header(const IpAddress& source, const IpAddress& destination,
                         std::uint8_t protocol, std::size_t length);

  // What to store, in network order once written with memcpy(). Over data that includes its own correct
  // checksum it is 0.
  std::uint16_t checksum() const;

 private:
  void add_word(std::uint64_t word) {
    sum_ += word;
    sum_ += sum_ < word ? 1 : 0;
  }
  std::uint64_t sum_ = 0;
};

}  // namespace lastack
