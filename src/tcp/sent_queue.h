// What has been sent and not yet acknowledged, segment by segment: the scoreboard of RFC 6675 and RFC 8985.
#pragma once

#include <cstdint>
#include <memory>

#include "lastack/time.h"
#include "wire/seq_num.h"

namespace lastack {

struct SentSegment {
  SeqNum seq;
  std::uint32_t length = 0;    // in sequence space: SYN and FIN count
  Instant sent_at;             // the last time
  std::uint16_t segments = 1;  // packets of MSS that it makes
  std::uint8_t flags = 0;

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

// In the order of sequence numbers, without gaps. Allocates nothing before something is sent.
class SentQueue {
 public:
  std::uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  SentSegment& operator[](std::uint32_t i) { return segments_[(head_ + i) & (capacity_ - 1)]; }
  const SentSegment& operator[](std::uint32_t i) const {
    return segments_[(head_ + i) & (capacity_ - 1)];
  }
  SentSegment& front() { return (*this)[0]; }
  SentSegment& back() { return (*this)[size_ - 1]; }
  const SentSegment& front() const { return (*this)[0]; }
  const SentSegment& back() const { return (*this)[size_ - 1]; }

  void push_back(const SentSegment& segment) {
    make_room();
    (*this)[size_++] = segment;
  }
  void pop_front() {
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
  }
  void erase(std::uint32_t at) {
    for (std::uint32_t i = at; i + 1 < size_; ++i) (*this)[i] = (*this)[i + 1];
    --size_;
  }
  void insert(std::uint32_t at, const SentSegment& segment) {
    make_room();
    ++size_;
    for (std::uint32_t i = size_ - 1; i > at; --i) (*this)[i] = (*this)[i - 1];
    (*this)[at] = segment;
  }
  // The first segment that ends after `seq`; size() if none does.
  std::uint32_t first_ending_after(SeqNum seq) const {
    std::uint32_t low = 0, high = size_;
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
  void clear() { size_ = 0; }
  void release() {
    segments_.reset();
    capacity_ = head_ = size_ = 0;
  }
  std::size_t bytes() const { return capacity_ * sizeof(SentSegment); }

 private:
  void make_room() {
    if (size_ < capacity_) return;
    const std::uint32_t capacity = capacity_ == 0 ? 4 : capacity_ * 2;
    auto grown = std::make_unique_for_overwrite<SentSegment[]>(capacity);
    for (std::uint32_t i = 0; i < size_; ++i) grown[i] = (*this)[i];
    segments_ = std::move(grown);
    capacity_ = capacity;
    head_ = 0;
  }

  std::unique_ptr<SentSegment[]> segments_;
  std::uint32_t capacity_ = 0;  // a power of two, or 0
  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace lastack
