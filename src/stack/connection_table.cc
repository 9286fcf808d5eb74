#include "stack/connection_table.h"

namespace lastack {

std::unique_ptr<Connection> ConnectionTable::fresh() {
  if (spare_.empty()) return std::make_unique<Connection>();
  std::unique_ptr<Connection> c = std::move(spare_.back());
  spare_.pop_back();
  return c;
}

ConnectionTable::Index ConnectionTable::allocate() {
  Index index = 0;
  if (free_.empty()) {
    index = capacity();
    places_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  places_[index].awake = fresh();
  ++live_;
  return index;
}

void ConnectionTable::release(Index index) {
  Place& place = places_[index];
  if (place.awake && spare_.size() < kMostSpare) {
    Connection& c = *place.awake;
    c.send_buffer.clear();
    c.receive_buffer.clear();
    c.sent.clear();
    c.unsent.clear();
    c.gaps.reset();
    c.held.clear();
    c.held_beyond.reset();
    static_cast<ControlBlock&>(c) = kFreshBlock;
    spare_.push_back(std::move(place.awake));
  }
  place.awake.reset();
  place.asleep.reset();
  free_.push_back(index);
  --live_;
}

void ConnectionTable::put_to_sleep(Index index) {
  Place& place = places_[index];
  if (!place.awake || !may_sleep(*place.awake)) return;
  place.asleep = lastack::put_to_sleep(*place.awake);
  if (spare_.size() < kMostSpare) {
    static_cast<ControlBlock&>(*place.awake) = kFreshBlock;
    spare_.push_back(std::move(place.awake));
  }
  place.awake.reset();
}

Connection& ConnectionTable::wake(Index index) {
  Place& place = places_[index];
  place.awake = fresh();
  // Its buffers were given back, and are not counted.
  place.awake->send_buffer.release();
  place.awake->receive_buffer.release();
  place.awake->held.release();
  place.awake->sent.release();
  place.awake->unsent.release();
  lastack::wake(place.asleep.get(), *place.awake);
  place.asleep.reset();
  woken_.push_back(index);
  return *place.awake;
}

ConnectionTable::Index ConnectionTable::next_woken() {
  while (!woken_.empty()) {
    const Index index = woken_.back();
    woken_.pop_back();
    if (is_awake(index)) return index;
  }
  return kNone;
}

const ControlBlock& ConnectionTable::look_at(Index index, ControlBlock& room) const {
  const Place& place = places_[index];
  if (place.awake) return *place.awake;
  lastack::wake(place.asleep.get(), room);
  return room;
}

void ConnectionTable::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& moved : old) {
    if (moved.index == kNone) continue;
    std::uint32_t slot = moved.hash & mask();
    while (slots_[slot].index != kNone) slot = (slot + 1) & mask();
    slots_[slot] = moved;
  }
}

void ConnectionTable::insert(Index index) {
  if (std::size_t{hashed_} * 4 >= slots_.size() * 3) grow();
  Connection& c = (*this)[index];
  c.tuple_hash = hash(c.tuple);
  std::uint32_t slot = c.tuple_hash & mask();
  while (slots_[slot].index != kNone) slot = (slot + 1) & mask();
  slots_[slot] = {c.tuple_hash, index};
  ++hashed_;
}

void ConnectionTable::erase(Index index) {
  if (last_ == index) last_ = kNone;
  std::uint32_t slot = (*this)[index].tuple_hash & mask();
  while (slots_[slot].index != index) {
    if (slots_[slot].index == kNone) return;
    slot = (slot + 1) & mask();
  }
  --hashed_;
  // What follows moves up, so that no search ends too early.
  for (std::uint32_t next = (slot + 1) & mask(); slots_[next].index != kNone;
       next = (next + 1) & mask()) {
    const std::uint32_t home = slots_[next].hash & mask();
    if (((next - home) & mask()) >= ((next - slot) & mask())) {
      slots_[slot] = slots_[next];
      slot = next;
    }
  }
  slots_[slot].index = kNone;
}

ConnectionTable::Index ConnectionTable::look_up(const FourTuple& tuple) const {
  const std::uint32_t h = hash(tuple);
  for (std::uint32_t slot = h & mask(); slots_[slot].index != kNone; slot = (slot + 1) & mask()) {
    if (slots_[slot].hash == h && (*this)[slots_[slot].index].tuple == tuple) {
      return last_ = slots_[slot].index;
    }
  }
  return kNone;
}

}  // namespace lastack
