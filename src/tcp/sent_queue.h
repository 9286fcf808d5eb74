// What has been sent and not yet acknowledged, segment by segment: the scoreboard of RFC 6675 and RFC 8985.
#pragma once

#include <cstdint>
#include <memory>

#include "lastack/time.h"
#include "tcp/heap_block.h"
#include "wire/seq_num.h"

namespace lastack {

struct SentSegment {
  SeqNum seq;
  std::uint32_t length = 0;    // in sequence space: SYN and FIN count
  Instant sent_at;             // the last time
  std::uint16_t segments = 1;  // packets of MSS that it makes
  std::uint8_t flags = 0;
  std::uint32_t delivered = 0;  // how many had arrived when it was sent last

  static constexpr std::uint8_t kSacked = 1;  // the peer has it (RFC 2018)
  static constexpr std::uint8_t kLost = 2;    // given up on, to be sent again
  static constexpr std::uint8_t kResent = 4;  // is on its way again
  static constexpr std::uint8_t kEverResent = 8;
  static constexpr std::uint8_t kFin = 16;
  static constexpr std::uint8_t kPush = 32;
  static constexpr std::uint8_t kSyn = 64;
  static constexpr std::uint8_t kEndOfRecord = 128;  // nothing is appended to it (MSG_EOR)

  SeqNum end() const { return seq + length; }
  bool sacked() const { return (flags & kSacked) != 0; }
  bool lost() const { return (flags & kLost) != 0; }
  bool resent() const { return (flags & kResent) != 0; }
  bool ever_resent() const { return (flags & kEverResent) != 0; }
  bool fin() const { return (flags & kFin) != 0; }
  bool syn() const { return (flags & kSyn) != 0; }
};
static_assert(sizeof(SentSegment) == 24);

// In the order of sequence numbers, without gaps. A pointer and no more before something is sent.
class SentQueue {
 public:
  std::uint32_t size() const { return block_ ? block_->size : 0; }
  bool empty() const { return size() == 0; }
  SentSegment& operator[](std::uint32_t i) {
    return segments()[(block_->head + i) & (block_->capacity - 1)];
  }
  const SentSegment& operator[](std::uint32_t i) const {
    return segments()[(block_->head + i) & (block_->capacity - 1)];
  }
  SentSegment& front() { return (*this)[0]; }
  SentSegment& back() { return (*this)[block_->size - 1]; }
  const SentSegment& front() const { return (*this)[0]; }
  const SentSegment& back() const { return (*this)[block_->size - 1]; }

  // True if it took more memory for it.
  bool push_back(const SentSegment& segment) {
    const bool grows = !block_ || block_->size == block_->capacity;
    if (grows) grow();
    (*this)[block_->size++] = segment;
    return grows;
  }
  void pop_front() {
    block_->head = (block_->head + 1) & (block_->capacity - 1);
    --block_->size;
  }
  void erase(std::uint32_t at) {
    for (std::uint32_t i = at; i + 1 < block_->size; ++i) (*this)[i] = (*this)[i + 1];
    --block_->size;
  }
  void insert(std::uint32_t at, const SentSegment& segment) {
    if (!block_ || block_->size == block_->capacity) grow();
    ++block_->size;
    for (std::uint32_t i = block_->size - 1; i > at; --i) (*this)[i] = (*this)[i - 1];
    (*this)[at] = segment;
  }
  // The first segment that ends after `seq`; size() if none does.
  std::uint32_t first_ending_after(SeqNum seq) const {
    std::uint32_t low = 0, high = size();
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if ((*this)[middle].end() > seq) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
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
    return block_ ? sizeof(Head) + block_->capacity * sizeof(SentSegment) : 0;
  }

 private:
  static constexpr std::uint32_t kLeast = 4;

  struct Head {
    std::uint32_t capacity;  // a power of two
    std::uint32_t head;
    std::uint32_t size;
    std::uint32_t unused;
  };
  static_assert(sizeof(Head) % alignof(SentSegment) == 0);

  SentSegment* segments() { return reinterpret_cast<SentSegment*>(block_.get() + 1); }
  const SentSegment* segments() const {
    return reinterpret_cast<const SentSegment*>(block_.get() + 1);
  }
  void grow() {
    const std::uint32_t capacity = block_ ? block_->capacity * 2 : kLeast;
    HeapBlock<Head> grown = make_heap_block<Head>(capacity * sizeof(SentSegment));
    *grown = {capacity, 0, size(), 0};
    auto* const to = reinterpret_cast<SentSegment*>(grown.get() + 1);
    for (std::uint32_t i = 0; i < grown->size; ++i) std::construct_at(to + i, (*this)[i]);
    block_ = std::move(grown);
  }

  HeapBlock<Head> block_;
};
static_assert(sizeof(SentQueue) == sizeof(void*));

}  // namespace lastack
