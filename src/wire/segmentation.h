// TCP segmentation as a device with TSO does it: one long segment becomes several, each whole, with headers of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lastack {

// The pieces of a super-segment, one after another.
class Segmentation {
 public:
  // A packet that is not TCP, or cannot be read, is one piece.
  Segmentation(std::span<const std::byte> packet, std::uint16_t segment_size);

  bool done() const { return at_ >= payload_ && !first_; }
  // How long the next piece is, with headers.
  std::size_t length() const;
  // Writes it; its checksum too.
  void write(std::byte* out);

 private:
  std::span<const std::byte> packet_;
  std::size_t ip_header_ = 0;
  std::size_t headers_ = 0;  // IP and TCP
  std::size_t payload_ = 0;
  std::size_t size_ = 0;  // of a piece's payload
  std::size_t at_ = 0;
  bool first_ = true;
  bool v4_ = true;
};

// The checksum of a TCP segment in a bare IP packet, and that of its IPv4 header. Nothing for another packet.
void fix_checksums(std::span<std::byte> packet);

}  // namespace lastack
