// Packets in order, one after another in one block of memory: what a host has to send. A packet is written
// where the device will read it; nothing is allocated for a packet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace lastack {

struct OutPacket {
  std::span<const std::byte> bytes;  // valid until the next call of the queue
  std::uint16_t segment_size = 0;    // not 0: TCP data to be cut into pieces of that size (GSO)
};

class PacketQueue {
 public:
  explicit PacketQueue(std::size_t most_bytes = std::size_t{16} << 20) : most_(most_bytes) {}

  bool empty() const { return packets_ == 0; }
  std::size_t packets() const { return packets_; }
  std::uint64_t dropped() const { return dropped_; }

  // Room for a packet, or null when the queue is full; then the packet is lost, as at a NIC's. Ends with
  // commit(), before anything else is asked of the queue.
  std::byte* reserve(std::size_t length) {
    const std::size_t needed = footprint(length);
    if (packets_ == 0) head_ = tail_ = 0;
    // As a rule the queue is short and its block far from full.
    if ((tail_ < head_ || capacity_ - tail_ < needed) && !make_room(needed)) {
      ++dropped_;
      return nullptr;
    }
    reserved_ = length;
    return block_.get() + tail_ + sizeof(Header);
  }
  void commit(std::uint16_t segment_size = 0) {
    const Header header{static_cast<std::uint32_t>(reserved_), segment_size, 0};
    std::memcpy(block_.get() + tail_, &header, sizeof header);
    tail_ += footprint(reserved_);
    ++packets_;
    last_of_ = nullptr;
  }
  // Who sent the packet that was committed last: known only where it was said since. To be compared, not used.
  void say_last_of(const void* sender) { last_of_ = sender; }
  const void* last_of() const { return last_of_; }

  OutPacket front() const {
    const Header header = header_at(head_);
    return {{block_.get() + head_ + sizeof header, header.length}, header.segment_size};
  }
  void pop() {
    head_ += footprint(header_at(head_).length);
    if (--packets_ == 0) {
      head_ = tail_ = 0;
    } else if (capacity_ - head_ < sizeof(Header) || header_at(head_).length == kSkip) {
      head_ = 0;  // the next one lies at the start of the block again
    }
  }
  void clear();

 private:
  struct Header {
    std::uint32_t length;  // of the packet; kSkip: go on at the start of the block
    std::uint16_t segment_size;
    std::uint16_t unused;
  };
  static constexpr std::uint32_t kSkip = 0xffffffff;
  static constexpr std::size_t kAlign = 8;
  static std::size_t footprint(std::size_t length) {
    return (sizeof(Header) + length + kAlign - 1) / kAlign * kAlign;
  }
  Header header_at(std::size_t at) const {
    Header header;
    std::memcpy(&header, block_.get() + at, sizeof header);
    return header;
  }
  bool make_room(std::size_t needed);

  std::unique_ptr<std::byte[]> block_;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;  // of the first packet
  std::size_t tail_ = 0;  // where the next one goes
  std::size_t packets_ = 0;
  std::size_t reserved_ = 0;
  std::size_t most_;
  std::uint64_t dropped_ = 0;
  const void* last_of_ = nullptr;
};

}  // namespace lastack
