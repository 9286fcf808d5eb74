#include "timewait/fin_wait_2_records.h"

#include <bit>

#include "timewait/tuple_hash.h"

namespace lastack::timewait {

std::size_t FinWait2Records::home(const FourTuple& tuple) const {
  return static_cast<std::size_t>(hash_of(key_, tuple)) & (index_.size() - 1);
}

void FinWait2Records::add_to_index(Slot slot) {
  std::size_t at = home(records_[slot].tuple);
  while (index_[at] != 0) at = (at + 1) & (index_.size() - 1);
  index_[at] = slot + 1;
}

void FinWait2Records::grow_index() {
  index_.assign(index_.empty() ? 16 : 2 * index_.size(), 0);
  for (const Slot slot : heap_) add_to_index(slot);
}

FinWait2Records::Slot FinWait2Records::insert(const FinWait2Record& record) {
  if (2 * (heap_.size() + 1) > index_.size()) grow_index();
  Slot slot = 0;
  if (free_.empty()) {
    slot = static_cast<Slot>(records_.size());
    records_.push_back(record);
    where_.push_back(0);
  } else {
    slot = free_.back();
    free_.pop_back();
    records_[slot] = record;
  }
  add_to_index(slot);
  heap_.push_back(slot);
  where_[slot] = static_cast<std::uint32_t>(heap_.size() - 1);
  sift_up(heap_.size() - 1);
  return slot;
}

std::optional<FinWait2Records::Slot> FinWait2Records::find(const FourTuple& tuple) const {
  if (heap_.empty()) return std::nullopt;
  for (std::size_t at = home(tuple); index_[at] != 0; at = (at + 1) & (index_.size() - 1)) {
    const Slot slot = index_[at] - 1;
    if (records_[slot].tuple == tuple) return slot;
  }
  return std::nullopt;
}

std::size_t FinWait2Records::index_of(Slot slot) const {
  std::size_t at = home(records_[slot].tuple);
  while (index_[at] != slot + 1) at = (at + 1) & (index_.size() - 1);
  return at;
}

void FinWait2Records::erase(Slot slot) {
  // What probing had put behind it moves up, so that no search ends too early (Knuth 6.4, algorithm R).
  const std::size_t mask = index_.size() - 1;
  std::size_t hole = index_of(slot);
  for (std::size_t at = (hole + 1) & mask; index_[at] != 0; at = (at + 1) & mask) {
    const std::size_t wants = home(records_[index_[at] - 1].tuple);
    if (((at - wants) & mask) >= ((at - hole) & mask)) {
      index_[hole] = index_[at];
      hole = at;
    }
  }
  index_[hole] = 0;

  const std::size_t at = where_[slot];
  const Slot last = heap_.back();
  heap_.pop_back();
  if (last != slot) {
    put(at, last);
    sift_up(at);
    sift_down(where_[last]);
  }
  free_.push_back(slot);
}

std::optional<FinWait2Records::Slot> FinWait2Records::first() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front();
}

bool FinWait2Records::ends_before(Slot a, Slot b) const {
  const Instant of_a = records_[a].deadline;
  const Instant of_b = records_[b].deadline;
  return of_a != of_b ? of_a < of_b : a < b;
}

void FinWait2Records::put(std::size_t at, Slot slot) {
  heap_[at] = slot;
  where_[slot] = static_cast<std::uint32_t>(at);
}

void FinWait2Records::sift_up(std::size_t at) {
  const Slot slot = heap_[at];
  while (at > 0 && ends_before(slot, heap_[(at - 1) / 2])) {
    put(at, heap_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  put(at, slot);
}

void FinWait2Records::sift_down(std::size_t at) {
  const Slot slot = heap_[at];
  for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
    if (child + 1 < heap_.size() && ends_before(heap_[child + 1], heap_[child])) ++child;
    if (!ends_before(heap_[child], slot)) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, slot);
}

std::size_t FinWait2Records::bytes() const {
  return records_.capacity() * sizeof(FinWait2Record) +
         (free_.capacity() + heap_.capacity() + where_.capacity() + index_.capacity()) *
             sizeof(std::uint32_t);
}

}  // namespace lastack::timewait
