// A queue of small plain records in one piece of memory that grows by doubling. A pointer and no more while nothing was
// ever in it, since most connections of a host are idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "tcp/heap_block.h"

namespace lastack {

template <class Record>
class HeapRing {
  static_assert(std::is_trivially_copyable_v<Record>);

 public:
  std::uint32_t size() const { return block_ ? block_->size : 0; }
  bool empty() const { return size() == 0; }
  Record& operator[](std::uint32_t i) { return records()[place(i)]; }
  const Record& operator[](std::uint32_t i) const { return records()[place(i)]; }
  Record& front() { return (*this)[0]; }
  Record& back() { return (*this)[block_->size - 1]; }
  const Record& front() const { return (*this)[0]; }
  const Record& back() const { return (*this)[block_->size - 1]; }

  // True if it took more memory for it.
  bool push_back(const Record& record) {
    const bool grows = make_room();
    (*this)[block_->size++] = record;
    return grows;
  }
  void pop_front() {
    block_->head = (block_->head + 1) & (block_->capacity - 1);
    --block_->size;
  }
  void insert(std::uint32_t at, const Record& record) {
    make_room();
    ++block_->size;
    for (std::uint32_t i = block_->size - 1; i > at; --i) (*this)[i] = (*this)[i - 1];
    (*this)[at] = record;
  }
  void erase(std::uint32_t at) {
    for (std::uint32_t i = at; i + 1 < block_->size; ++i) (*this)[i] = (*this)[i + 1];
    --block_->size;
  }
  void keep_first(std::uint32_t n) { block_->size = n; }
  // Keeps a little memory for whoever comes next.
  void clear() {
    if (!block_) return;
    if (block_->capacity > kLeast) {
      release();
    } else {
      block_->head = block_->size = 0;
    }
  }
  void release() { block_.reset(); }
  std::size_t bytes() const {
    return block_ ? sizeof(Head) + block_->capacity * sizeof(Record) : 0;
  }

 private:
  static constexpr std::uint32_t kLeast = 4;

  struct Head {
    std::uint32_t capacity;  // a power of two
    std::uint32_t head;
    std::uint32_t size;
    std::uint32_t unused;
  };
  static_assert(sizeof(Head) % alignof(Record) == 0);

  std::uint32_t place(std::uint32_t i) const { return (block_->head + i) & (block_->capacity - 1); }
  Record* records() { return reinterpret_cast<Record*>(block_.get() + 1); }
  const Record* records() const { return reinterpret_cast<const Record*>(block_.get() + 1); }
  bool make_room() {
    if (block_ && block_->size < block_->capacity) return false;
    grow();
    return true;
  }
  void grow() {
    const std::uint32_t capacity = block_ ? block_->capacity * 2 : kLeast;
    HeapBlock<Head> grown = make_heap_block<Head>(capacity * sizeof(Record));
    *grown = {capacity, 0, size(), 0};
    auto* const to = reinterpret_cast<Record*>(grown.get() + 1);
    for (std::uint32_t i = 0; i < grown->size; ++i) std::construct_at(to + i, (*this)[i]);
    block_ = std::move(grown);
  }

  HeapBlock<Head> block_;
};

}  // namespace lastack
