#include "stack/connection_table.h"

namespace lastack {

ConnectionTable::Index ConnectionTable::allocate() {
  if (free_.empty()) {
    const std::uint32_t base = capacity();
    chunks_.push_back(std::make_unique<Chunk>());
    alive_.resize(capacity(), false);
    for (std::uint32_t i = kChunk; i > 0; --i) free_.push_back(base + i - 1);
  }
  const Index index = free_.back();
  free_.pop_back();
  alive_[index] = true;
  ++live_;
  return index;
}

void ConnectionTable::release(Index index) {
  (*this)[index] = Connection{};
  alive_[index] = false;
  free_.push_back(index);
  --live_;
}

void ConnectionTable::grow() {
  std::vector<Index> old(slots_.size() * 2, kNone);
  old.swap(slots_);
  for (const Index index : old) {
    if (index == kNone) continue;
    std::uint32_t slot = slot_of((*this)[index].tuple);
    while (slots_[slot] != kNone) slot = (slot + 1) & mask();
    slots_[slot] = index;
  }
}

void ConnectionTable::insert(Index index) {
  if (hashed_ * 2 >= slots_.size()) grow();
  std::uint32_t slot = slot_of((*this)[index].tuple);
  while (slots_[slot] != kNone) slot = (slot + 1) & mask();
  slots_[slot] = index;
  ++hashed_;
}

void ConnectionTable::erase(Index index) {
  std::uint32_t slot = slot_of((*this)[index].tuple);
  while (slots_[slot] != index) {
    if (slots_[slot] == kNone) return;
    slot = (slot + 1) & mask();
  }
  --hashed_;
  // What follows moves up, so that no search ends too early.
  for (std::uint32_t next = (slot + 1) & mask(); slots_[next] != kNone;
       next = (next + 1) & mask()) {
    const std::uint32_t home = slot_of((*this)[slots_[next]].tuple);
    if (((next - home) & mask()) >= ((next - slot) & mask())) {
      slots_[slot] = slots_[next];
      slot = next;
    }
  }
  slots_[slot] = kNone;
}

ConnectionTable::Index ConnectionTable::find(const FourTuple& tuple) const {
  for (std::uint32_t slot = slot_of(tuple); slots_[slot] != kNone; slot = (slot + 1) & mask()) {
    if ((*this)[slots_[slot]].tuple == tuple) return slots_[slot];
  }
  return kNone;
}

}  // namespace lastack
