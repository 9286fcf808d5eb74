// An IPv4 or IPv6 address.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace lastack {

// A value of 16 bytes: IPv4 is kept in its IPv4-mapped form (RFC 4291, 2.5.5.2), ::ffff:a.b.c.d. So
// an IPv4 connection made through a dual-stack socket and one made through an IPv4 socket compare
// equal, as they must: they compete for the same local ports.
class IpAddress {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  constexpr IpAddress() = default;  // ::, unspecified

  // `address` in host byte order: v4(0x7f000001) is 127.0.0.1.
  static constexpr IpAddress v4(std::uint32_t address) {
    IpAddress ip;
    const std::uint32_t last =
        std::endian::native == std::endian::little ? __builtin_bswap32(address) : address;
    if (std::is_constant_evaluated()) {
      ip.bytes_ = std::bit_cast<Bytes>(Quarters{0, 0, kMapped, last});
    } else {
      // Stored as one piece, since it is read as one: a processor waits for pieces to come together.
      typedef std::uint32_t Whole __attribute__((vector_size(16)));
      const Whole whole{0, 0, kMapped, last};
      std::memcpy(ip.bytes_.data(), &whole, sizeof whole);
    }
    return ip;
  }
  // Network order, as on the wire. A mapped address becomes IPv4.
  static constexpr IpAddress v6(const Bytes& bytes) {
    IpAddress ip;
    ip.bytes_ = bytes;
    return ip;
  }
  // "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1". Nothing for anything else (no zones, no
  // brackets).
  static std::optional<IpAddress> parse(std::string_view text);

  // Asked several times for every packet: words, not bytes.
  constexpr bool is_v4() const {
    const Quarters q = quarters();
    return (q[0] | q[1]) == 0 && q[2] == kMapped;
  }
  // Host byte order; only meaningful for is_v4().
  constexpr std::uint32_t v4_value() const {
    const std::uint32_t last = quarters()[3];
    return std::endian::native == std::endian::little ? __builtin_bswap32(last) : last;
  }
  constexpr const Bytes& bytes() const { return bytes_; }

  // 127.0.0.0/8 or ::1.
  constexpr bool is_loopback() const {
    if (is_v4()) return bytes_[12] == 127;
    Bytes one{};
    one[15] = 1;
    return *this == v6(one);
  }
  // 0.0.0.0 or ::.
  constexpr bool is_unspecified() const {
    const Quarters q = quarters();
    return (q[0] | q[1] | q[3]) == 0 && (q[2] == 0 || q[2] == kMapped);
  }

  // "10.0.0.1" or RFC 5952's form of an IPv6 address.
  std::string to_string() const;

  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;
  // Compared for every socket of a dump: two words, not a call of memcmp().
  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) {
    using Words = std::array<std::uint64_t, 2>;
    return std::bit_cast<Words>(a.bytes_) == std::bit_cast<Words>(b.bytes_);
  }

 private:
  using Quarters = std::array<std::uint32_t, 4>;  // as they lie in memory
  static constexpr std::uint32_t kMapped =
      std::endian::native == std::endian::little ? 0xffff0000 : 0x0000ffff;
  constexpr Quarters quarters() const { return std::bit_cast<Quarters>(bytes_); }

  Bytes bytes_{};
};

static_assert(sizeof(IpAddress) == 16);

}  // namespace lastack
