// Whose turn is next: a binary heap of things that know their place in it, so that a deadline can be moved and taken
// back. Equal deadlines come in the order of `order`, whatever has happened before: the same run, the same turns.
//
// T has `Instant due`, `std::uint64_t order` and `std::uint32_t heap_at`, which is 0 while it is not in the heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lastack/time.h"

namespace lastack {

template <class T>
class DeadlineHeap {
 public:
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  T* top() const { return heap_.front(); }
  Instant next() const { return heap_.empty() ? Instant::max() : heap_.front()->due; }

  // Instant::max(): it leaves the heap.
  void set(T* item, Instant due) {
    if (due == Instant::max()) {
      remove(item);
      return;
    }
    if (item->heap_at == 0) {
      item->due = due;
      heap_.push_back(item);
      item->heap_at = static_cast<std::uint32_t>(heap_.size());
      up(heap_.size() - 1);
      return;
    }
    const Instant before = item->due;
    if (before == due) return;
    item->due = due;
    if (due < before) {
      up(item->heap_at - 1);
    } else {
      down(item->heap_at - 1);
    }
  }
  void remove(T* item) {
    if (item->heap_at == 0) return;
    const std::size_t at = item->heap_at - 1;
    item->heap_at = 0;
    T* last = heap_.back();
    heap_.pop_back();
    if (last == item) return;
    place(last, at);
    up(at);
    down(last->heap_at - 1);
  }

 private:
  static bool before(const T* a, const T* b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
  }
  void place(T* item, std::size_t at) {
    heap_[at] = item;
    item->heap_at = static_cast<std::uint32_t>(at + 1);
  }
  void up(std::size_t at) {
    T* item = heap_[at];
    while (at > 0) {
      const std::size_t parent = (at - 1) / 2;
      if (!before(item, heap_[parent])) break;
      place(heap_[parent], at);
      at = parent;
    }
    place(item, at);
  }
  void down(std::size_t at) {
    T* item = heap_[at];
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
      if (!before(heap_[child], item)) break;
      place(heap_[child], at);
      at = child;
    }
    place(item, at);
  }

  std::vector<T*> heap_;
};

}  // namespace lastack
