// The TIME_WAIT records of one local address: a ring ordered by age and an index into it. Every stay has the
// same length, so the oldest ends first and no record needs a timer; the length may change at any time, and
// then holds for all. One that begins its stay again (a repeated FIN, U1) is given its new time where it
// lies, and its end goes to a heap beside the ring; it is queued again once the end it had has come.
//
// A second cursor in the ring follows the reuse delay (linux-facts 16): it tells of each record with
// timestamps as that becomes older than the delay, so that whoever keeps the ports need not ask. Age is
// counted from when the record's stay last began. Linux since 6.14 counts from the entry alone, which differs
// only for a peer that repeats its FIN: here its port then rests anew.
//
// Time is in milliseconds and does not go back; earlier than the latest seen counts as that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "timewait/fold_hash.h"
#include "timewait/record_ring.h"
#include "timewait/slot_index.h"
#include "timewait/time_wait_record.h"

namespace lastack::timewait {

// Is told what becomes of records. It must not call the table.
template <class Address>
class TableListener {
 public:
  virtual void rested(const Packed<Address>& record) = 0;   // its port may be used again
  virtual void stirred(const Packed<Address>& record) = 0;  // and now it may not, for a while
  virtual void ended(const Packed<Address>& record, Millis armed) = 0;  // its stay was over
  virtual void ends_next(const Packed<Address>&) {}  // before long, if it is not touched

 protected:
  ~TableListener() = default;
};

template <class Address>
class TimeWaitTable final : private IndexedRecords {
 public:
  using Record = Packed<Address>;
  using RecordKey = Key<Address>;

  // At most so long a stay, or a delay; what is older is due whatever its time says.
  static constexpr Millis kLongest = kTimeRange / 8;  // 70 minutes
  static constexpr std::size_t kBurst = 32;

  TimeWaitTable(const SipKey& key, TableListener<Address>& listener, unsigned slot_bits = 24);

  // What a look-up gives: a copy, and the place to name the record by until it ends or is touched.
  struct Found {
    Place place;
    Record record;
    Millis armed;
  };

  // Past this there is no place to name: 67 million records at one address, the gone ones of the last minutes
  // included.
  bool full() const { return ring_.end() - ring_.begin() >= Place{1} << 26; }
  // The key must not be there yet. A time before `now` is that of a record that comes back.
  void insert(const Record& record, Millis armed, Millis now);
  std::optional<Found> find(const RecordKey& key) const;
  // The same for a burst of packets: memory is asked for all of them at once.
  void find_burst(std::span<const RecordKey> keys, std::span<std::optional<Found>> found) const;
  // The stay begins again at `now`.
  void rearm(const Found& found, Millis now);
  void set_ts_recent(const Found& found, std::uint32_t ts_recent);
  // Nobody is told.
  void erase(const Found& found);
  // Makes ready for insert() or find() of these, where a burst of them is known to come.
  void expect(std::span<const RecordKey> keys) const;
  // The same for one of them, where there is time until then: nothing waits.
  void send_for(const RecordKey& key) const { SlotIndex::send_for(index_.lines_of(hash(key))); }

  // Ends what is as old as `stay`, in the order of age.
  void end_due(Millis now, Millis stay);
  // Tells of what has become as old as `delay`.
  void rest_due(Millis now, Millis delay);
  // After the delay has grown. Looks at every record.
  void rest_anew(Millis now, Millis delay);
  // When the oldest record's stay began, or earlier: when there may be something to end.
  std::optional<Millis> oldest();
  // The one that has the least of its stay left.
  std::optional<Found> find_oldest();

  // In order of place. The table must not change meanwhile.
  void for_each(const std::function<void(const Record&, Millis armed)>& f) const;

  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const;

 private:
  // Kept apart from the ring: at `time` + stay, or delay, the record in `place` is to be looked at.
  struct Later {
    Millis time;
    Place place;
    friend bool operator>(const Later& a, const Later& b) {
      return a.time != b.time ? a.time > b.time : a.place > b.place;
    }
  };
  using Heap = std::vector<Later>;
  static void push(Heap& heap, Later later);
  static void pop(Heap& heap);

  std::optional<Found> find(const RecordKey& key, std::uint64_t hash) const;
  std::uint64_t hash(const RecordKey& key) const;
  std::uint64_t hash_of(Place place) const override { return hash(ring_[place].key); }
  void touch(Place place) const override { ring_.touch(place); }

  Millis time_of(const Record& record) const {
    return newest_ - ((newest_ - record.time()) & (kTimeRange - 1));
  }
  bool in_its_place(const Record* r) const { return r != nullptr && !r->gone(); }
  // Skips what has gone or has its end kept apart. False at the end of the ring.
  bool settle_cursor();
  void end_run(Millis not_after);
  void end(Place place, std::uint64_t hash);
  void end_kept_apart(Millis now, Millis stay);
  void remove(Place place, std::uint64_t hash);
  void queue_rest(Record& record, Place place);
  void rest(Record& record);
  void see_time(Millis now);

  SipKey key_;
  TableListener<Address>& listener_;
  RecordRing<Record> ring_;
  SlotIndex index_;
  Place due_ = 0;   // no record before it ends by its place
  Place rest_ = 0;  // every record before it has rested, or is in rest_later_, or has no timestamps
  Heap end_later_;  // an entry for each record that is kAgain
  Heap rest_later_;             // an entry for each that is kRestQueued
  Millis newest_ = kTimeRange;  // the latest time seen
  Millis oldest_ = kTimeRange;  // no record's time is before it
};

extern template class TimeWaitTable<V4>;
extern template class TimeWaitTable<V6>;

}  // namespace lastack::timewait
