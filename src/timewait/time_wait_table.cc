#include "timewait/time_wait_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

namespace lastack::timewait {

template <class Address>
TimeWaitTable<Address>::TimeWaitTable(const SipKey& key, TableListener<Address>& listener,
                                      unsigned slot_bits)
    : key_(key), listener_(listener), index_(*this, slot_bits) {}

template <class Address>
std::uint64_t TimeWaitTable<Address>::hash(const RecordKey& key) const {
  const std::uint32_t ports = std::uint32_t{key.remote_port} << 16 | key.local_port;
  FoldHash hash(key_);
  if constexpr (std::is_same_v<Address, V4>) {
    return hash.add(std::uint64_t{key.remote} << 32 | ports).finish();
  } else {
    const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(key.remote);
    return hash.add(words[0], words[1]).add(ports).finish();
  }
}

template <class Address>
void TimeWaitTable<Address>::push(Heap& heap, Later later) {
  heap.push_back(later);
  std::push_heap(heap.begin(), heap.end(), std::greater<>());
}
template <class Address>
void TimeWaitTable<Address>::pop(Heap& heap) {
  std::pop_heap(heap.begin(), heap.end(), std::greater<>());
  heap.pop_back();
  if (heap.empty()) Heap().swap(heap);
}

// 25 bits of milliseconds tell a time only while all of them lie within 9.3 hours. What is older than a
// quarter of that (the host slept, or nobody asked) is made exactly that old: it is due in any case.
template <class Address>
void TimeWaitTable<Address>::see_time(Millis now) {
  if (now <= newest_) return;
  if (size() == 0) {
    oldest_ = now;
  } else if (now - oldest_ > kTimeRange / 2) {
    const Millis bound = now - kTimeRange / 4;
    oldest_ = now;
    for (Place place = ring_.begin(); place < ring_.end(); ++place) {
      Record* const r = ring_.at(place);
      if (!in_its_place(r)) continue;
      const Millis time = std::max(time_of(*r), bound);
      r->set_time(time);
      oldest_ = std::min(oldest_, time);
    }
  }
  newest_ = now;
}

template <class Address>
void TimeWaitTable<Address>::insert(const Record& record, Millis armed, Millis now) {
  see_time(std::max(armed, now));
  const bool comes_back = armed < newest_;
  if (comes_back && newest_ - armed > kTimeRange / 4) armed = newest_ - kTimeRange / 4;
  oldest_ = size() == 0 ? armed : std::min(oldest_, armed);
  Record r = record;
  r.word &= kTimestamps | kBound | kReuseAddress | kReusePort;
  r.set_time(armed);
  if (comes_back) r.set(kAgain);
  const std::uint64_t h = hash(r.key);
  const Place place = ring_.push(r);
  index_.insert(h, place, ring_.begin());
  if (!comes_back) return;
  push(end_later_, {armed, place});
  if (r.has(kTimestamps)) queue_rest(ring_[place], place);
}

template <class Address>
auto TimeWaitTable<Address>::find(const RecordKey& key, std::uint64_t hash) const
    -> std::optional<Found> {
  const auto place =
      index_.find(hash, ring_.begin(), [&](Place at) { return ring_[at].key == key; });
  if (!place) return std::nullopt;
  const Record& r = ring_[*place];
  return Found{*place, r, time_of(r)};
}

template <class Address>
auto TimeWaitTable<Address>::find(const RecordKey& key) const -> std::optional<Found> {
  return find(key, hash(key));
}

template <class Address>
void TimeWaitTable<Address>::find_burst(std::span<const RecordKey> keys,
                                        std::span<std::optional<Found>> found) const {
  std::array<std::uint64_t, kBurst> hashes;
  std::array<SlotIndex::Lines, kBurst> lines;
  std::array<Place, kBurst * SlotIndex::kMostLikely> likely;
  for (std::size_t from = 0; from < keys.size(); from += kBurst) {
    const auto burst = keys.subspan(from, std::min(kBurst, keys.size() - from));
    for (std::size_t i = 0; i < burst.size(); ++i) {
      hashes[i] = hash(burst[i]);
      lines[i] = index_.lines_of(hashes[i]);
    }
    for (std::size_t i = 0; i < burst.size(); ++i) SlotIndex::touch(lines[i]);
    std::size_t n = 0;
    for (std::size_t i = 0; i < burst.size(); ++i) {
      n += index_.likely(lines[i], hashes[i], ring_.begin(), &likely[n]);
    }
    for (std::size_t i = 0; i < n; ++i) ring_.touch(likely[i]);
    for (std::size_t i = 0; i < burst.size(); ++i) found[from + i] = find(burst[i], hashes[i]);
  }
}

template <class Address>
void TimeWaitTable<Address>::expect(std::span<const RecordKey> keys) const {
  std::array<SlotIndex::Lines, kBurst> lines;
  for (std::size_t from = 0; from < keys.size(); from += kBurst) {
    const std::size_t n = std::min(kBurst, keys.size() - from);
    for (std::size_t i = 0; i < n; ++i) lines[i] = index_.lines_of(hash(keys[from + i]));
    for (std::size_t i = 0; i < n; ++i) SlotIndex::touch(lines[i]);
  }
}

template <class Address>
void TimeWaitTable<Address>::rearm(const Found& found, Millis now) {
  see_time(now);
  Record& r = ring_[found.place];
  if (!r.has(kAgain)) {
    push(end_later_, {time_of(r), found.place});
    r.set(kAgain);
  }
  r.set_time(newest_);
  if (!r.has(kRested)) return;
  r.clear(kRested);
  queue_rest(r, found.place);
  listener_.stirred(r);
}

template <class Address>
void TimeWaitTable<Address>::set_ts_recent(const Found& found, std::uint32_t ts_recent) {
  ring_[found.place].ts_recent = ts_recent;
}

template <class Address>
void TimeWaitTable<Address>::remove(Place place, std::uint64_t hash) {
  index_.erase(hash, place, ring_.begin());
  ring_.kill(place);
}

template <class Address>
void TimeWaitTable<Address>::erase(const Found& found) {
  remove(found.place, hash(found.record.key));
}

template <class Address>
bool TimeWaitTable<Address>::settle_cursor() {
  due_ = std::max(due_, ring_.begin());
  while (due_ < ring_.end()) {
    const Record* const r = ring_.at(due_);
    if (r == nullptr) {
      due_ = ring_.next_chunk(due_);
    } else if (r->gone() || r->has(kAgain)) {
      ++due_;
    } else {
      return true;
    }
  }
  due_ = ring_.end();
  return false;
}

template <class Address>
void TimeWaitTable<Address>::end(Place place, std::uint64_t hash) {
  const Record r = ring_[place];
  remove(place, hash);
  listener_.ended(r, time_of(r));
}

// Those that end by their place, as far as their stay began no later than `not_after`. Their words in the
// index are all over memory: some are sent for before the first is needed.
template <class Address>
void TimeWaitTable<Address>::end_run(Millis not_after) {
  struct Due {
    Place place;
    std::uint64_t hash;
    SlotIndex::Lines lines;
  };
  std::array<Due, kBurst> batch;
  for (std::size_t n = batch.size(); n == batch.size();) {
    n = 0;
    while (n < batch.size() && settle_cursor()) {
      const Record& r = ring_[due_];
      if (time_of(r) > not_after) break;
      const std::uint64_t h = hash(r.key);
      batch[n++] = {due_++, h, index_.lines_of(h)};
    }
    for (std::size_t i = 0; i < n; ++i) SlotIndex::touch(batch[i].lines);
    if (n > 1) {
      for (std::size_t i = 0; i < n; ++i) listener_.ends_next(ring_[batch[i].place]);
    }
    for (std::size_t i = 0; i < n; ++i) end(batch[i].place, batch[i].hash);
    // The next one's are sent for long before it ends, where they end one by one.
    if (n == 1 && settle_cursor()) {
      send_for(ring_[due_].key);
      listener_.ends_next(ring_[due_]);
    }
  }
}

// The first of those whose end is kept apart. When its stay has begun again since, it is queued anew; and if
// by then its place is behind the cursor it goes to the end of the ring, so that no chunk is kept for ever.
template <class Address>
void TimeWaitTable<Address>::end_kept_apart(Millis now, Millis stay) {
  const Later later = end_later_.front();
  pop(end_later_);
  Record* r = ring_.at(later.place);
  if (!in_its_place(r)) return;
  const Millis time = time_of(*r);
  if (time == later.time) {
    end(later.place, hash(r->key));
    return;
  }
  Place place = later.place;
  if (place < due_ && time + stay > now) {
    const Record copy = *r;
    const std::uint64_t h = hash(copy.key);
    place = ring_.push(copy);
    index_.move(h, later.place, place, ring_.begin());
    ring_.kill(later.place);
    if (copy.has(kTimestamps) && !copy.has(kRested)) queue_rest(ring_[place], place);
  }
  push(end_later_, {time, place});
}

template <class Address>
void TimeWaitTable<Address>::end_due(Millis now, Millis stay) {
  see_time(now);
  const Millis limit = now - stay;
  while (true) {
    const Millis apart = end_later_.empty() ? limit : std::min(limit, end_later_.front().time);
    end_run(apart);
    if (end_later_.empty() || end_later_.front().time > limit) break;
    end_kept_apart(now, stay);
  }
  if (const auto first = oldest()) oldest_ = *first;
}

template <class Address>
std::optional<Millis> TimeWaitTable<Address>::oldest() {
  std::optional<Millis> first;
  if (settle_cursor()) first = time_of(ring_[due_]);
  if (!end_later_.empty() && (!first || end_later_.front().time < *first)) {
    first = end_later_.front().time;
  }
  return first;
}

template <class Address>
auto TimeWaitTable<Address>::find_oldest() -> std::optional<Found> {
  // An entry of the heap may be of a record that has gone, or has begun again.
  while (!end_later_.empty()) {
    const Later later = end_later_.front();
    const Record* const r = ring_.at(later.place);
    if (in_its_place(r) && time_of(*r) == later.time) break;
    pop(end_later_);
    if (in_its_place(r)) push(end_later_, {time_of(*r), later.place});
  }
  Place place = 0;
  if (settle_cursor()) {
    const bool apart = !end_later_.empty() && end_later_.front().time < time_of(ring_[due_]);
    place = apart ? end_later_.front().place : due_;
  } else if (!end_later_.empty()) {
    place = end_later_.front().place;
  } else {
    return std::nullopt;
  }
  return Found{place, ring_[place], time_of(ring_[place])};
}

template <class Address>
void TimeWaitTable<Address>::queue_rest(Record& record, Place place) {
  record.set(kRestQueued);
  push(rest_later_, {time_of(record), place});
}

template <class Address>
void TimeWaitTable<Address>::rest(Record& record) {
  record.clear(kRestQueued);
  record.set(kRested);
  listener_.rested(record);
}

template <class Address>
void TimeWaitTable<Address>::rest_due(Millis now, Millis delay) {
  see_time(now);
  const Millis limit = now - delay;
  rest_ = std::max(rest_, ring_.begin());
  while (rest_ < ring_.end()) {
    Record* const r = ring_.at(rest_);
    if (r == nullptr) {
      rest_ = ring_.next_chunk(rest_);
      continue;
    }
    if (!r->gone() && !r->has(kRested) && !r->has(kRestQueued)) {
      const bool old_enough = time_of(*r) <= limit;
      if (!old_enough && !r->has(kAgain)) break;
      if (r->has(kTimestamps)) old_enough ? rest(*r) : queue_rest(*r, rest_);
    }
    ++rest_;
  }
  rest_ = std::min(rest_, ring_.end());
  while (!rest_later_.empty() && rest_later_.front().time <= limit) {
    const Later later = rest_later_.front();
    pop(rest_later_);
    Record* const r = ring_.at(later.place);
    if (!in_its_place(r) || !r->has(kRestQueued)) continue;
    if (time_of(*r) <= limit) {
      rest(*r);
    } else {
      push(rest_later_, {time_of(*r), later.place});
    }
  }
}

template <class Address>
void TimeWaitTable<Address>::rest_anew(Millis now, Millis delay) {
  see_time(now);
  for (Place place = ring_.begin(); place < ring_.end(); ++place) {
    Record* const r = ring_.at(place);
    if (!in_its_place(r) || !r->has(kRested) || time_of(*r) <= now - delay) continue;
    r->clear(kRested);
    queue_rest(*r, place);
    listener_.stirred(*r);
  }
}

template <class Address>
void TimeWaitTable<Address>::for_each(
    const std::function<void(const Record&, Millis armed)>& f) const {
  for (Place place = ring_.begin(); place < ring_.end(); ++place) {
    const Record* const r = ring_.at(place);
    if (in_its_place(r)) f(*r, time_of(*r));
  }
}

template <class Address>
std::size_t TimeWaitTable<Address>::bytes() const {
  return sizeof *this + ring_.bytes() + index_.bytes() +
         (end_later_.capacity() + rest_later_.capacity()) * sizeof(Later);
}

template class TimeWaitTable<V4>;
template class TimeWaitTable<V6>;

}  // namespace lastack::timewait
