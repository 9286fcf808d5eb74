// Sequence numbers: 32 bits that wrap (RFC 9293, 3.4). `a < b` means that a comes before b, which holds
// as long as they are less than 2^31 apart; at exactly 2^31 each comes before the other.
#pragma once

#include <cstdint>

namespace lastack {

class SeqNum {
 public:
  constexpr SeqNum() = default;
  constexpr explicit SeqNum(std::uint32_t value) : value_(value) {}

  constexpr std::uint32_t value() const { return value_; }

  constexpr SeqNum& operator+=(std::uint32_t n) {
    value_ += n;
    return *this;
  }
  friend constexpr SeqNum operator+(SeqNum a, std::uint32_t n) { return SeqNum(a.value_ + n); }
  friend constexpr SeqNum operator-(SeqNum a, std::uint32_t n) { return SeqNum(a.value_ - n); }
  // How far b is before a; negative when it is after.
  friend constexpr std::int32_t operator-(SeqNum a, SeqNum b) {
    return static_cast<std::int32_t>(a.value_ - b.value_);
  }

  friend constexpr bool operator==(SeqNum, SeqNum) = default;
  friend constexpr bool operator<(SeqNum a, SeqNum b) { return a - b < 0; }
  friend constexpr bool operator>(SeqNum a, SeqNum b) { return b < a; }
  friend constexpr bool operator<=(SeqNum a, SeqNum b) { return a - b <= 0; }
  friend constexpr bool operator>=(SeqNum a, SeqNum b) { return b <= a; }

 private:
  std::uint32_t value_ = 0;
};

constexpr SeqNum max(SeqNum a, SeqNum b) {
  return a < b ? b : a;
}
constexpr SeqNum min(SeqNum a, SeqNum b) {
  return b < a ? b : a;
}

}  // namespace lastack
