// What has arrived beyond a gap, packet by packet and in order, each with its own bytes (Linux: out_of_order_queue).
// They are kept apart from the buffer that the user reads from: so a peer pays with a byte for each byte of memory,
// wherever in the window it puts it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "wire/seq_num.h"

namespace lastack {

class HeldBeyond {
 public:
  // Lefts ascend, and so do rights. Where two overlap, what comes first is what counts.
  struct Piece {
    SeqNum left;
    SeqNum right;            // of the data, or of the FIN behind it
    std::uint32_t cost = 0;  // as in HeldPacket
    std::uint32_t room = 0;
    std::uint32_t stored = 0;  // bytes
    std::uint32_t capacity = 0;
    std::unique_ptr<std::byte[]> bytes;

    // Those from `from` on, but not those from `to` on.
    std::span<const std::byte> between(SeqNum from, SeqNum to) const {
      const std::int32_t begin = std::max(from - left, 0);
      const std::int32_t end = std::min(to - left, static_cast<std::int32_t>(stored));
      if (begin >= end) return {};
      return {bytes.get() + begin, static_cast<std::size_t>(end - begin)};
    }
  };

  static Piece piece(SeqNum left, SeqNum right, std::span<const std::byte> data, std::uint32_t cost,
                     std::uint32_t room) {
    const auto size = static_cast<std::uint32_t>(data.size());
    Piece p{left, right, cost, room, size, size, nullptr};
    if (size > 0) {
      p.bytes.reset(new std::byte[size]);
      std::memcpy(p.bytes.get(), data.data(), size);
    }
    return p;
  }

  bool empty() const { return pieces_.empty(); }
  std::size_t size() const { return pieces_.size(); }
  Piece& operator[](std::size_t i) { return pieces_[i]; }
  const Piece& operator[](std::size_t i) const { return pieces_[i]; }
  Piece& back() { return pieces_.back(); }
  const Piece& back() const { return pieces_.back(); }
  // The first that begins after `seq`.
  std::size_t first_after(SeqNum seq) const {
    const auto at = std::upper_bound(pieces_.begin(), pieces_.end(), seq,
                                     [](SeqNum s, const Piece& p) { return s < p.left; });
    return static_cast<std::size_t>(at - pieces_.begin());
  }

  void insert(std::size_t at, Piece&& piece) {
    memory_ += memory_of(piece);
    pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(at), std::move(piece));
  }
  void replace(std::size_t at, Piece&& piece) {
    memory_ += memory_of(piece);
    memory_ -= memory_of(pieces_[at]);
    pieces_[at] = std::move(piece);
  }
  void erase(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) memory_ -= memory_of(pieces_[i]);
    pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(from),
                  pieces_.begin() + static_cast<std::ptrdiff_t>(to));
  }
  // Behind what is in it, which ends where they begin.
  void append(std::size_t at, std::span<const std::byte> data) {
    Piece& p = pieces_[at];
    const auto size = p.stored + static_cast<std::uint32_t>(data.size());
    if (size > p.capacity) {
      const std::uint32_t room = std::max(size, std::min(2 * p.capacity, p.stored + p.room));
      std::unique_ptr<std::byte[]> grown(new std::byte[room]);
      if (p.stored > 0) std::memcpy(grown.get(), p.bytes.get(), p.stored);
      memory_ -= memory_of(p);
      p.bytes = std::move(grown);
      p.capacity = room;
      memory_ += memory_of(p);
    }
    if (!data.empty()) std::memcpy(p.bytes.get() + p.stored, data.data(), data.size());
    p.stored = size;
  }

  // Bytes of memory, with what the allocator needs for each piece.
  std::size_t memory() const {
    return sizeof(HeldBeyond) + memory_ + pieces_.capacity() * sizeof(Piece);
  }

 private:
  static constexpr std::size_t kOfAllocator = 16;
  static std::size_t memory_of(const Piece& p) {
    return p.capacity == 0 ? 0 : p.capacity + kOfAllocator;
  }

  std::vector<Piece> pieces_;
  std::size_t memory_ = 0;
};

}  // namespace lastack
