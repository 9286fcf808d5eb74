// Bytes in order: written at one end, read at the other, and, for what arrives out of order, written ahead of
// the end with gaps between.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

namespace lastack {

class ByteRing {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }

  void write(std::span<const std::byte> bytes) {
    write_ahead(size_, bytes);
    size_ += bytes.size();
  }
  // Stores bytes at `at`, counted from the first, without counting them as written: advance() does.
  void write_ahead(std::size_t at, std::span<const std::byte> bytes) {
    reserve(at + bytes.size());
    extent_ = std::max(extent_, at + bytes.size());
    if (bytes.empty()) return;
    const std::size_t begin = (head_ + at) & (capacity_ - 1);
    const std::size_t first = std::min(bytes.size(), capacity_ - begin);
    std::memcpy(data_.get() + begin, bytes.data(), first);
    if (bytes.size() > first) std::memcpy(data_.get(), bytes.data() + first, bytes.size() - first);
  }
  void advance(std::size_t n) { size_ += n; }

  // Copies without taking; [at, at + out.size()) has been written.
  void peek(std::size_t at, std::span<std::byte> out) const {
    if (out.empty()) return;
    const std::size_t begin = (head_ + at) & (capacity_ - 1);
    const std::size_t first = std::min(out.size(), capacity_ - begin);
    std::memcpy(out.data(), data_.get() + begin, first);
    if (out.size() > first) std::memcpy(out.data() + first, data_.get(), out.size() - first);
  }
  void drop(std::size_t n) {
    size_ -= n;
    extent_ -= n;
    head_ = extent_ == 0 ? 0 : (head_ + n) & (capacity_ - 1);
  }
  // Forgets what is in it, and gives its memory back.
  void release() {
    data_.reset();
    capacity_ = head_ = size_ = extent_ = 0;
  }
  // Gives its memory back if nothing is in it.
  void trim() {
    if (extent_ == 0) release();
  }

 private:
  static constexpr std::size_t kLeast = 256;

  void reserve(std::size_t wanted) {
    if (wanted <= capacity_) return;
    const std::size_t capacity = std::max(kLeast, std::bit_ceil(wanted));
    auto grown = std::make_unique_for_overwrite<std::byte[]>(capacity);
    peek(0, {grown.get(), extent_});
    data_ = std::move(grown);
    capacity_ = capacity;
    head_ = 0;
  }

  std::unique_ptr<std::byte[]> data_;
  std::size_t capacity_ = 0;  // a power of two, or 0
  std::size_t head_ = 0;      // where the first byte is
  std::size_t size_ = 0;      // bytes that are there without a gap
  std::size_t extent_ = 0;    // one past the last byte written
};

}  // namespace lastack
