// Bytes in order: written at one end, read at the other. Without bytes it is a pointer and no more, since most
// connections of a host are idle.
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
    if (bytes.empty()) return false;
    const std::size_t wanted = size() + bytes.size();
    const bool grows = wanted > capacity();
    if (grows) reserve(wanted);
    Head& b = *block_;
    const std::size_t begin = (b.head + b.size) & (b.capacity - 1);
    const std::size_t first = std::min(bytes.size(), b.capacity - begin);
    std::memcpy(data() + begin, bytes.data(), first);
    if (bytes.size() > first) std::memcpy(data(), bytes.data() + first, bytes.size() - first);
    b.size = wanted;
    return grows;
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
    b.head = b.size == 0 ? 0 : (b.head + n) & (b.capacity - 1);
  }
  // Forgets what is in it, and gives its memory back.
  void release() { block_.reset(); }
  // The same, but keeps a little memory for whoever comes next.
  void clear() {
    if (!block_) return;
    if (block_->capacity > kLeast) {
      release();
    } else {
      block_->head = block_->size = 0;
    }
  }
  // Gives its memory back if nothing is in it.
  void trim() {
    if (block_ && block_->size == 0) release();
  }

 private:
  static constexpr std::size_t kLeast = 256;

  struct Head {
    std::size_t capacity;  // a power of two
    std::size_t head;      // where the first byte is
    std::size_t size;      // bytes that are there
  };

  std::byte* data() { return reinterpret_cast<std::byte*>(block_.get() + 1); }
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(block_.get() + 1); }

  void reserve(std::size_t wanted) {
    const std::size_t room = std::max(kLeast, std::bit_ceil(wanted));
    HeapBlock<Head> grown = make_heap_block<Head>(room);
    *grown = {room, 0, 0};
    if (block_) {
      grown->size = block_->size;
      peek(0, {reinterpret_cast<std::byte*>(grown.get() + 1), block_->size});
    }
    block_ = std::move(grown);
  }

  HeapBlock<Head> block_;
};
static_assert(sizeof(ByteRing) == sizeof(void*));

}  // namespace lastack
