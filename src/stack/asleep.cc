#include "stack/asleep.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace lastack {

constinit const ControlBlock kFreshBlock{};

namespace {

constexpr std::size_t kWords = (sizeof(ControlBlock) + 7) / 8;
constexpr std::size_t kMapBytes = (kWords + 7) / 8;
using Words = std::array<std::uint64_t, kWords>;

Words words_of(const ControlBlock& block) {
  Words words{};
  std::memcpy(words.data(), &block, sizeof block);
  return words;
}

// Memory order, whatever the machine's.
unsigned shift_of(unsigned byte) {
  return std::endian::native == std::endian::little ? 8 * byte : 56 - 8 * byte;
}

}  // namespace

bool may_sleep(const Connection& c) {
  return (c.state == TcpState::Established || c.state == TcpState::CloseWait) && c.news == 0 &&
         c.send_buffer.capacity() == 0 && c.receive_buffer.capacity() == 0 && c.sent.bytes() == 0 &&
         c.unsent.bytes() == 0 && c.held.bytes() == 0 && c.gaps == nullptr &&
         c.send_timer == Instant::max() && c.ack_timer == Instant::max() &&
         c.trim_timer == Instant::max();
}

Asleep put_to_sleep(const ControlBlock& block) {
  const Words words = words_of(block), fresh = words_of(kFreshBlock);
  std::array<std::byte, kMapBytes + kWords + sizeof(Words)> packed{};
  std::size_t end = kMapBytes;
  for (std::size_t w = 0; w < kWords; ++w) {
    const std::uint64_t differs = words[w] ^ fresh[w];
    if (differs == 0) continue;
    packed[w / 8] |= std::byte{1} << (w % 8);
    std::byte& which = packed[end++];
    for (unsigned b = 0; b < 8; ++b) {
      const auto byte = static_cast<std::byte>(differs >> shift_of(b));
      if (byte == std::byte{0}) continue;
      which |= std::byte{1} << b;
      packed[end++] = byte;
    }
  }
  Asleep asleep(static_cast<std::byte*>(::operator new(end)));
  std::memcpy(asleep.get(), packed.data(), end);
  return asleep;
}

void wake(const std::byte* asleep, ControlBlock& block) {
  Words words = words_of(kFreshBlock);
  const std::byte* at = asleep + kMapBytes;
  for (std::size_t w = 0; w < kWords; ++w) {
    if ((asleep[w / 8] & (std::byte{1} << (w % 8))) == std::byte{0}) continue;
    for (auto which = std::to_integer<unsigned>(*at++); which != 0; which &= which - 1) {
      const auto b = static_cast<unsigned>(std::countr_zero(which));
      words[w] ^= std::uint64_t{std::to_integer<unsigned>(*at++)} << shift_of(b);
    }
  }
  // Nothing of a Connection's own lies in the padding at the block's end: it is all pointers.
  std::memcpy(static_cast<void*>(&block), words.data(), sizeof block);
}

}  // namespace lastack
