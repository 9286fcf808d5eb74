// FIN_WAIT_2 of connections whose socket is closed (linux-facts 4 to 7, 11): siblings of the TIME_WAIT
// records, which they become when the FIN arrives. Each has a deadline of its own (tcp_fin_timeout,
// TCP_LINGER2), so they lie in slots with a heap of deadlines beside them; there are few, and they are not
// packed. No place is given out by address: a slot's number names a record until it is erased.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "timewait/siphash.h"
#include "timewait/time_wait_record.h"

namespace lastack {

struct FinWait2Record {
  FourTuple tuple;
  SeqNum rcv_nxt;
  SeqNum snd_nxt;
  std::optional<std::uint32_t> ts_recent{};
  std::uint32_t rcv_window = 0;  // in bytes
  std::uint8_t rcv_wscale = 0;
  PortHold port{};
  Instant deadline{};
  Instant ts_recent_at{};             // when ts_recent came
  std::optional<Instant> last_ack{};  // the last one that the limit on ACKs let out
};

namespace timewait {

class FinWait2Records {
 public:
  using Slot = std::uint32_t;

  explicit FinWait2Records(const SipKey& key) : key_(key) {}

  // The four-tuple must not be there yet.
  Slot insert(const FinWait2Record& record);
  std::optional<Slot> find(const FourTuple& tuple) const;
  FinWait2Record& operator[](Slot slot) { return records_[slot]; }
  const FinWait2Record& operator[](Slot slot) const { return records_[slot]; }
  void erase(Slot slot);
  // The one that ends first.
  std::optional<Slot> first() const;

  template <class F>
  void for_each(F&& f) const {
    for (const Slot slot : heap_) f(records_[slot]);
  }

  std::size_t size() const { return heap_.size(); }
  std::size_t bytes() const;

 private:
  std::size_t home(const FourTuple& tuple) const;
  std::size_t index_of(Slot slot) const;
  void add_to_index(Slot slot);
  void grow_index();
  bool ends_before(Slot a, Slot b) const;
  void put(std::size_t at, Slot slot);
  void sift_up(std::size_t at);
  void sift_down(std::size_t at);

  SipKey key_;
  std::vector<FinWait2Record> records_;
  std::vector<Slot> free_;
  std::vector<Slot> heap_;            // by deadline, then by slot
  std::vector<std::uint32_t> where_;  // of each slot in heap_
  std::vector<std::uint32_t>
      index_;  // slot + 1, open addressing, at most half full; a power of two
};

}  // namespace timewait
}  // namespace lastack
