// The packets whose data waits for the user, in order: what each costs in memory, as Linux counts it. A pointer and no
// more when none waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "tcp/heap_block.h"
#include "wire/seq_num.h"

namespace lastack {

struct HeldPacket {
  SeqNum end;              // one past its last byte
  std::uint32_t cost = 0;  // bytes of memory (Linux: skb->truesize)
  std::uint32_t room = 0;  // bytes that still fit behind its data (Linux: skb_tailroom)
};

class HeldPackets {
 public:
  std::uint32_t size() const { return block_ ? block_->size : 0; }
  bool empty() const { return size() == 0; }
  HeldPacket& operator[](std::uint32_t i) {
    return packets()[(block_->head + i) & (block_->capacity - 1)];
  }
  HeldPacket& front() { return (*this)[0]; }
  HeldPacket& back() { return (*this)[block_->size - 1]; }
  // True if it took more memory for it.
  bool push_back(const HeldPacket& packet) {
    const bool grows = !block_ || block_->size == block_->capacity;
    if (grows) grow();
    packets()[(block_->head + block_->size++) & (block_->capacity - 1)] = packet;
    return grows;
  }
  void pop_front() {
    block_->head = (block_->head + 1) & (block_->capacity - 1);
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
    return block_ ? sizeof(Head) + block_->capacity * sizeof(HeldPacket) : 0;
  }

 private:
  static constexpr std::uint32_t kLeast = 4;
  struct Head {
    std::uint32_t capacity;  // a power of two
    std::uint32_t head;
    std::uint32_t size;
  };
  static_assert(sizeof(Head) % alignof(HeldPacket) == 0);

  HeldPacket* packets() { return reinterpret_cast<HeldPacket*>(block_.get() + 1); }
  void grow() {
    const std::uint32_t capacity = block_ ? block_->capacity * 2 : kLeast;
    HeapBlock<Head> grown = make_heap_block<Head>(capacity * sizeof(HeldPacket));
    *grown = {capacity, 0, size()};
    auto* const to = reinterpret_cast<HeldPacket*>(grown.get() + 1);
    for (std::uint32_t i = 0; i < grown->size; ++i) std::construct_at(to + i, (*this)[i]);
    block_ = std::move(grown);
  }

  HeapBlock<Head> block_;
};
static_assert(sizeof(HeldPackets) == sizeof(void*));

}  // namespace lastack
