// Packets on their way, in memory that is used again: a parcel has room for 128, 2,048 or 65,536 bytes, and goes back to
// the parcels of its size. In steady state nothing is allocated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lastack/time.h"

namespace lastack {

inline constexpr std::size_t kMostParcel = 65536;  // bytes

struct Link;

struct Parcel {
  Parcel* next = nullptr;  // in its link's queue, or among the free ones
  Link* in = nullptr;      // whose queue it is in, if any
  Instant at{};            // when it arrives
  std::uint64_t order = 0;
  std::uint64_t number = 0;  // copies have that of the packet
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint32_t length = 0;
  std::uint8_t size_class = 0;

  std::span<std::byte> bytes() { return {reinterpret_cast<std::byte*>(this + 1), length}; }
};

class ParcelPool {
 public:
  // `length` is at most kMostParcel.
  Parcel* take(std::size_t length) {
    const std::uint8_t size_class = length <= kRoom[0] ? 0 : length <= kRoom[1] ? 1 : 2;
    if (free_[size_class] == nullptr) grow(size_class);
    Parcel* parcel = free_[size_class];
    free_[size_class] = parcel->next;
    parcel->next = nullptr;
    parcel->in = nullptr;
    parcel->length = static_cast<std::uint32_t>(length);
    return parcel;
  }
  void give_back(Parcel* parcel) {
    parcel->next = free_[parcel->size_class];
    free_[parcel->size_class] = parcel;
  }

 private:
  static constexpr std::array<std::size_t, 3> kRoom = {128, 2048, kMostParcel};
  static constexpr std::array<std::size_t, 3> kAtOnce = {512, 32, 2};

  void grow(std::uint8_t size_class) {
    const std::size_t stride = sizeof(Parcel) + kRoom[size_class];
    static_assert(sizeof(Parcel) % alignof(Parcel) == 0 && kRoom[0] % alignof(Parcel) == 0);
    auto block = std::make_unique_for_overwrite<std::byte[]>(stride * kAtOnce[size_class]);
    for (std::size_t i = 0; i < kAtOnce[size_class]; ++i) {
      auto* parcel = new (block.get() + i * stride) Parcel;
      parcel->size_class = size_class;
      give_back(parcel);
    }
    blocks_.push_back(std::move(block));
  }

  std::array<Parcel*, 3> free_{};
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
};

}  // namespace lastack
