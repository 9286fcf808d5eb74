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
  Connection& c = (*this)[index];
  // Where connections come and go the next one has the same place, and small buffers lie ready for it.
  if (free_.size() < kMostWarm) {
    ByteRing send = std::move(c.send_buffer), receive = std::move(c.receive_buffer);
    SentQueue sent = std::move(c.sent), unsent = std::move(c.unsent);
    send.clear();
    receive.clear();
    sent.clear();
    unsent.clear();
    std::destroy_at(&c);
    std::construct_at(&c);
    c.send_buffer = std::move(send);
    c.receive_buffer = std::move(receive);
    c.sent = std::move(sent);
    c.unsent = std::move(unsent);
  } else {
    std::destroy_at(&c);
    std::construct_at(&c);
  }
  alive_[index] = false;
  free_.push_back(index);
  --live_;
}

void ConnectionTable::grow() {
  std::vector<Index> old(slots_.size() * 2, kNone);
  old.swap(slots_);
  for (const Index index : old) {
    if (index == kNone) continue;
    std::uint32_t slot = home(index);
    while (slots_[slot] != kNone) slot = (slot + 1) & mask();
    slots_[slot] = index;
  }
}

void ConnectionTable::insert(Index index) {
  if (hashed_ * 2 >= slots_.size()) grow();
  Connection& c = (*this)[index];
  c.tuple_hash = hash(c.tuple);
  std::uint32_t slot = home(index);
  while (slots_[slot] != kNone) slot = (slot + 1) & mask();
  slots_[slot] = index;
  ++hashed_;
}

void ConnectionTable::erase(Index index) {
  std::uint32_t slot = home(index);
  while (slots_[slot] != index) {
    if (slots_[slot] == kNone) return;
    slot = (slot + 1) & mask();
  }
  --hashed_;
  // What follows moves up, so that no search ends too early.
  for (std::uint32_t next = (slot + 1) & mask(); slots_[next] != kNone;
       next = (next + 1) & mask()) {
    if (((next - home(slots_[next])) & mask()) >= ((next - slot) & mask())) {
      slots_[slot] = slots_[next];
      slot = next;
    }
  }
  slots_[slot] = kNone;
}

ConnectionTable::Index ConnectionTable::find(const FourTuple& tuple) const {
  for (std::uint32_t slot = hash(tuple) & mask(); slots_[slot] != kNone;
       slot = (slot + 1) & mask()) {
    if ((*this)[slots_[slot]].tuple == tuple) return slots_[slot];
  }
  return kNone;
}

}  // namespace lastack
