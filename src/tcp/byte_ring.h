// Bytes in order: written at one end, read at the other, and, for what arrives out of order, written ahead of
// the end with gaps between. Without bytes it is a pointer and no more, since most connections of a host are
// idle.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "tcp/heap_block.h"

namespace lastack {

class ByteRing {
 public:
  std::size_t size() const { return block_ ? block_->size : 0; }
  bool empty() const { return size() == 0; }
  std::size_t capacity() const { return block_ ? block_->capacity : 0; }

  // True if it took more memory for them.
  bool write(std::span<const std::byte> bytes) {
    const bool grew = write_ahead(size(), bytes);
    advance(bytes.size());
    return grew;
  }
  // Stores bytes at `at`, counted from the first, without counting them as written: advance() does. True if it took
  // more memory.
  bool write_ahead(std::size_t at, std::span<const std::byte> bytes) {
    if (bytes.empty()) return false;
    const bool grows = at + bytes.size() > capacity();
    if (grows) reserve(at + bytes.size());
    Head& b = *block_;
    b.extent = std::max(b.extent, at + bytes.size());
    const std::size_t begin = (b.head + at) & (b.capacity - 1);
    const std::size_t first = std::min(bytes.size(), b.capacity - begin);
    std::memcpy(data() + begin, bytes.data(), first);
    if (bytes.size() > first) std::memcpy(data(), bytes.data() + first, bytes.size() - first);
    return grows;
  }
  // By no more than has been written ahead.
  void advance(std::size_t n) {
    if (block_) block_->size = std::min(block_->size + n, block_->extent);
  }

  // Copies without taking; [at, at + out.size()) has been written.
  void peek(std::size_t at, std::span<std::byte> out) const {
    if (out.empty()) return;
    const Head& b = *block_;
    const std::size_t begin = (b.head + at) & (b.capacity - 1);
    const std::size_t first = std::min(out.size(), b.capacity - begin);
    std::memcpy(out.data(), data() + begin, first);
    if (out.size() > first) std::memcpy(out.data() + first, data(), out.size() - first);
  }
  void drop(std::size_t n) {
    if (n == 0) return;
    Head& b = *block_;
    b.size -= n;
    b.extent -= n;
    b.head = b.extent == 0 ? 0 : (b.head + n) & (b.capacity - 1);
  }
  // Forgets what is in it, and gives its memory back.
  void release() { block_.reset(); }
  // The same, but keeps a little memory for whoever comes next.
  void clear() {
    if (!block_) return;
    if (block_->capacity > kLeast) {
      release();
    } else {
      block_->head = block_->size = block_->extent = 0;
    }
  }
  // Gives its memory back if nothing is in it.
  void trim() {
    if (block_ && block_->extent == 0) release();
  }

 private:
  static constexpr std::size_t kLeast = 256;

  struct Head {
    std::size_t capacity;  // a power of two
    std::size_t head;      // where the first byte is
    std::size_t size;      // bytes that are there without a gap
    std::size_t extent;    // one past the last byte written
  };

  std::byte* data() { return reinterpret_cast<std::byte*>(block_.get() + 1); }
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(block_.get() + 1); }

  void reserve(std::size_t wanted) {
    const std::size_t room = std::max(kLeast, std::bit_ceil(wanted));
    HeapBlock<Head> grown = make_heap_block<Head>(room);
    *grown = {room, 0, 0, 0};
    if (block_) {
      grown->size = block_->size;
      grown->extent = block_->extent;
      peek(0, {reinterpret_cast<std::byte*>(grown.get() + 1), block_->extent});
    }
    block_ = std::move(grown);
  }

  HeapBlock<Head> block_;
};
static_assert(sizeof(ByteRing) == sizeof(void*));

}  // namespace lastack
