// What remains of connections that are over: TIME_WAIT, and FIN_WAIT_2 of sockets that were closed. Small
// records that answer for them (RFC 9293, 3.10.7.4; RFC 6191; RFC 1337; linux-facts 2 to 18).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>

#include "lastack/counters.h"
#include "lastack/settings.h"
#include "stack/secret_hash.h"
#include "tcp/connection.h"
#include "wire/tcp_segment.h"

namespace lastack {

struct ClosedRecord {
  FourTuple tuple;
  SeqNum rcv_nxt;
  SeqNum snd_nxt;
  std::uint32_t rcv_wnd = 0;
  std::uint8_t rcv_wscale = 0;
  bool timestamps = false;
  std::uint32_t ts_recent = 0;
  std::uint32_t ts_offset = 0;
  bool fin_wait_2 = false;
  Instant entered{};
  Instant until{};
  Instant acked{};  // when an ACK for an out-of-window segment was sent last
};

struct ClosedVerdict {
  enum class What : std::uint8_t { NoRecord, Nothing, Ack, Reset, Reopen } what = What::NoRecord;
  ClosedRecord record{};  // as it was; for Ack as it is
  SeqNum isn;             // Reopen
};

class ClosedConnections {
 public:
  explicit ClosedConnections(const SecretKey& key) : records_(16, TupleHash{key}) {}

  // False: refused, at tcp_max_tw_buckets.
  bool enter_time_wait(const Connection& c, Instant now, const Settings& settings,
                       Counters& counters);
  bool enter_fin_wait_2(const Connection& c, Instant until, Instant now, const Settings& settings,
                        Counters& counters);
  ClosedVerdict on_segment(const FourTuple& tuple, const TcpSegment& segment, Instant now,
                           const Settings& settings, Counters& counters);
  // The connecting side takes the four-tuple; `chosen` when the user chose the port (linux-facts 15 to 18).
  // Nothing: it may not.
  std::optional<ClosedRecord> reuse(const FourTuple& tuple, bool chosen, Instant now,
                                    const Settings& settings, Counters& counters);
  bool holds(const FourTuple& tuple) const { return records_.contains(tuple); }
  bool may_reuse(const FourTuple& tuple, bool chosen, Instant now, const Settings& settings) const;

  Instant next() const { return by_end_.empty() ? Instant::max() : by_end_.begin()->first; }
  void advance(Instant now);
  std::size_t size() const { return records_.size(); }
  void for_each(const std::function<void(const ClosedRecord&)>& each) const;

 private:
  struct TupleHash {
    SecretKey key;
    std::size_t operator()(const FourTuple& tuple) const { return hash_tuple(key, tuple); }
  };
  using Ends = std::multimap<Instant, FourTuple>;
  struct Entry {
    ClosedRecord record;
    Ends::iterator end;
  };
  bool insert(const ClosedRecord& record, const Settings& settings, Counters& counters);
  void move_end(Entry& entry, Instant until);
  void erase(const FourTuple& tuple);

  std::unordered_map<FourTuple, Entry, TupleHash> records_;
  Ends by_end_;
};

}  // namespace lastack
