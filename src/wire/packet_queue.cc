#include "wire/packet_queue.h"

#include <algorithm>
#include <cstring>

namespace lastack {

// Makes `needed` bytes contiguous at tail_: by going back to the start of the block, or by a larger block.
bool PacketQueue::make_room(std::size_t needed) {
  if (packets_ == 0) head_ = tail_ = 0;
  if (tail_ >= head_ && (packets_ == 0 || tail_ > head_)) {
    if (capacity_ - tail_ >= needed) return true;
    if (head_ > needed) {  // never so far that the tail meets the head
      if (capacity_ - tail_ >= sizeof(Header)) {
        const Header skip{kSkip, 0, 0};
        std::memcpy(block_.get() + tail_, &skip, sizeof skip);
      }
      tail_ = 0;
      return true;
    }
  } else if (packets_ > 0 && head_ - tail_ > needed) {
    return true;
  }
  const std::size_t capacity = std::max<std::size_t>({capacity_ * 2, 16384, needed * 2});
  if (capacity > most_ && capacity_ > 0) return false;
  auto block = std::make_unique_for_overwrite<std::byte[]>(capacity);
  std::size_t tail = 0;
  for (std::size_t at = head_, n = packets_; n > 0;) {
    if (capacity_ - at < sizeof(Header)) at = 0;
    const Header header = header_at(at);
    if (header.length == kSkip) {
      at = 0;
      continue;
    }
    const std::size_t size = footprint(header.length);
    std::memcpy(block.get() + tail, block_.get() + at, size);
    tail += size;
    at += size;
    --n;
  }
  block_ = std::move(block);
  capacity_ = capacity;
  head_ = 0;
  tail_ = tail;
  return true;
}

void PacketQueue::clear() {
  packets_ = 0;
  head_ = tail_ = 0;
}

}  // namespace lastack
