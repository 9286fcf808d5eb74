// Records in the order in which they came. A place is a number that is never used twice; its memory comes in
// chunks of 64 KiB that go back when the last record of a chunk has gone, wherever in the ring that is. So
// growing copies nothing, and records that are erased early (a port used again after a second) are not paid
// for until their minute is over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "timewait/slabs.h"

namespace lastack::timewait {

using Place = std::uint64_t;

// Reads a word and forgets it, so that it is at hand later. Not a prefetch, since processors drop those where
// the page is not known to them, which is the case when it matters. Done in a row for a burst of addresses
// already computed, the waiting overlaps; between two of them there must be little else.
inline void touch(const void* address) {
  static_cast<void>(*static_cast<const volatile std::uint32_t*>(address));
}

template <class Record>
class RecordRing {
 public:
  static constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
  static constexpr Place kPerChunk = kChunkBytes / sizeof(Record);

  RecordRing() : slabs_(kChunkBytes, kSingles) {}
  ~RecordRing() {
    for (Record* chunk : chunks_) {
      if (chunk != nullptr) slabs_.give_back(chunk);
    }
    if (spare_ != nullptr) slabs_.give_back(spare_);
  }
  RecordRing(RecordRing&&) = delete;

  // Every place that may still be alive is in [begin, end).
  Place begin() const { return first_chunk_ * kPerChunk; }
  Place end() const { return end_; }

  Place push(const Record& record) {
    const Place chunk = end_ / kPerChunk;
    const Place offset = end_ % kPerChunk;
    if (chunk - first_chunk_ == chunks_.size() - front_) {
      chunks_.push_back(take());
      live_.push_back(0);
    }
    new (chunks_.back() + offset) Record(record);
    ++live_.back();
    ++alive_;
    return end_++;
  }

  // `place` is alive, or died in a chunk that others keep.
  Record& operator[](Place place) { return records_of(place)[place % kPerChunk]; }
  const Record& operator[](Place place) const { return records_of(place)[place % kPerChunk]; }

  // Nothing for a place whose chunk has gone; it may hold a record that has.
  Record* at(Place place) const {
    if (place < begin() || place >= end_) return nullptr;
    Record* const records = records_of(place);
    return records == nullptr ? nullptr : records + place % kPerChunk;
  }
  // The next place that may hold something, when at(place) has said nothing.
  static Place next_chunk(Place place) { return (place / kPerChunk + 1) * kPerChunk; }

  void kill(Place place) {
    const Place number = place / kPerChunk;
    const auto chunk = static_cast<std::size_t>(number - first_chunk_) + front_;
    chunks_[chunk][place % kPerChunk].key.local_port = 0;
    // The last chunk stays while it still takes records; unless it keeps the last slab from going.
    if (--alive_ == 0 && slabs_.any_slab()) end_ = (end_ + kPerChunk - 1) / kPerChunk * kPerChunk;
    if (--live_[chunk] != 0 || end_ < (number + 1) * kPerChunk) return;
    give_back(chunks_[chunk]);
    chunks_[chunk] = nullptr;
    while (front_ < chunks_.size() && chunks_[front_] == nullptr) {
      ++front_;
      ++first_chunk_;
    }
    if (front_ == chunks_.size() || front_ > 64 + chunks_.size() / 2) {
      chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(front_));
      live_.erase(live_.begin(), live_.begin() + static_cast<std::ptrdiff_t>(front_));
      front_ = 0;
    }
  }

  // A record may lie across two cache lines.
  void touch(Place place) const {
    const Record* const r = &(*this)[place];
    timewait::touch(r);
    timewait::touch(reinterpret_cast<const char*>(r + 1) - sizeof(std::uint32_t));
  }

  std::size_t bytes() const {
    return slabs_.bytes() + chunks_.capacity() * sizeof(Record*) +
           live_.capacity() * sizeof(std::uint32_t);
  }

 private:
  static constexpr std::size_t kSingles = 128;

  Record* records_of(Place place) const {
    return chunks_[static_cast<std::size_t>(place / kPerChunk - first_chunk_) + front_];
  }
  Record* take() {
    if (spare_ == nullptr) return static_cast<Record*>(slabs_.take());
    Record* const records = spare_;
    spare_ = nullptr;
    return records;
  }
  // One is kept, so that a quiet table does not ask the system for each chunk. A large one has its slabs.
  void give_back(Record* records) {
    if (spare_ == nullptr && !slabs_.any_slab()) {
      spare_ = records;
    } else {
      slabs_.give_back(records);
    }
  }

  Slabs slabs_;
  std::vector<Record*> chunks_;      // nothing: has gone
  std::vector<std::uint32_t> live_;  // records in each
  std::size_t front_ = 0;            // chunks_ before it have gone
  Place first_chunk_ = 0;            // the number of chunks_[front_]
  Place end_ = 0;
  std::size_t alive_ = 0;
  Record* spare_ = nullptr;
};

}  // namespace lastack::timewait
