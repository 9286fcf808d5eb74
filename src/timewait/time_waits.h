// All that remains of a host's closed connections, and the policies about it: how long (linux-facts 3), how
// many (2), what a segment does to them (11 to 14), who may use their ports again (15 to 18). One table for
// each local address, one set of records for FIN_WAIT_2.
//
// Every call that has a time first ends what is over by then; `advance` does only that, and tells which ports
// have rested. Time does not go back. Nothing here is safe to be called by the observer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lastack/counters.h"
#include "lastack/settings.h"
#include "timewait/ack_limit.h"
#include "timewait/fin_wait_2_records.h"
#include "timewait/peer_timestamps.h"
#include "timewait/time_wait_record.h"
#include "timewait/time_wait_rules.h"
#include "timewait/time_wait_table.h"

namespace lastack {

struct TimeWaitSettings {
  enum class WhenFull { Refuse, EvictOldest };  // Linux refuses
  enum class Reuse { Off, On, Loopback };

  timewait::RuleSettings rules;
  Reuse reuse = Reuse::Loopback;  // tcp_tw_reuse
  Duration reuse_delay = 1s;      // tcp_tw_reuse_delay
  // How long TIME_WAIT lasts, for all records alike, those that are there included; 0: there is none. At most
  // 70 minutes.
  Duration length = 60s;
  std::uint64_t max_records = 262'144;  // tcp_max_tw_buckets, both kinds together
  WhenFull when_full = WhenFull::Refuse;
  bool recycle = false;                // tcp_tw_recycle, as until Linux 4.12
  Duration invalid_ratelimit = 500ms;  // tcp_invalid_ratelimit

  // By the sysctls' names; what is not there stays as above.
  static TimeWaitSettings from(const Settings& settings);
};

// What became of a record that is no longer there.
enum class TimeWaitEnd { Over, Reset, Reused, Reopened, Evicted, Aborted };

class TimeWaitObserver {
 public:
  // The port may be used again for this destination, as far as the age of the record goes; `stirred` takes it
  // back. Whether tcp_tw_reuse wants it is asked when a port is chosen.
  virtual void rested(const FourTuple& tuple) = 0;
  virtual void stirred(const FourTuple& tuple) = 0;
  // This port's record is the next to end as others come, if it is not touched before: memory may be asked for.
  virtual void ends_next(Port) {}
  // However it ended; a record in FIN_WAIT_2 is given as one without a time.
  virtual void ended(const TimeWaitRecord& record, TimeWaitEnd how) = 0;

 protected:
  ~TimeWaitObserver() = default;
};

// A connection that enters.
struct ClosedConnection {
  FourTuple tuple;
  SeqNum rcv_nxt;
  SeqNum snd_nxt;
  std::optional<std::uint32_t> ts_recent{};
  PortHold port{};
  Duration rto{};                // only tcp_tw_recycle asks
  std::uint32_t rcv_window = 0;  // FIN_WAIT_2 only, in bytes
  std::uint8_t rcv_wscale = 0;   // FIN_WAIT_2 only
  Instant ts_recent_at{};        // FIN_WAIT_2 only: when ts_recent came
};

// What the stack has to do with a segment that met a record.
struct TimeWaitVerdict {
  enum class Action {
    NoRecord,         // there is none: the segment is somebody else's
    Drop,             // nothing
    Ack,              // send `reply`
    Removed,          // nothing; the record has gone
    RstAndRemoved,    // a RST in answer, as to a segment for no connection; the record has gone
    Reopen,           // a SYN: if a listener takes it call reopen(), else send `reply`
    EnteredTimeWait,  // FIN_WAIT_2 got its FIN: send `reply`
  };
  struct Reply {
    SeqNum seq;                             // snd_nxt
    SeqNum ack;                             // rcv_nxt
    std::uint32_t window = 0;               // scaled, as on the wire
    std::optional<std::uint32_t> ts_ecr{};  // with timestamps: ts_recent
  };
  Action action = Action::NoRecord;
  Reply reply{};
  SeqNum isn{};  // Reopen: where the new connection has to begin
};

class TimeWaits {
 public:
  enum class Entered { Kept, Refused, NotKept };  // NotKept: the length is 0

  TimeWaits(const SipKey& key, const TimeWaitSettings& settings, TimeWaitObserver& observer);
  TimeWaits(TimeWaits&&) = delete;
  ~TimeWaits();

  void configure(const TimeWaitSettings& settings, Instant now);
  const TimeWaitSettings& settings() const { return settings_; }

  // Unless it is Kept, the connection is closed at once and nobody is told (linux-facts 2). Its four-tuple has no record:
  // what had one was taken over, or the connection would not have come to be.
  Entered enter(const ClosedConnection& connection, Instant now, Counters& counters);
  // It will enter before long: memory is asked for.
  void expect(const FourTuple& tuple) const;
  Entered enter_fin_wait_2(const ClosedConnection& connection, Instant deadline, Instant now,
                           Counters& counters);

  TimeWaitVerdict on_segment(const FourTuple& tuple, const SegmentSummary& segment, Instant now,
                             Counters& counters);

  // A listener takes the SYN of a Reopen: the record is handed over. When the handshake fails because the SYN
  // was an old duplicate, restore() puts the record back with what is left of its stay (MAY-2); false when
  // nothing is left.
  std::optional<TimeWaitRecord> reopen(const FourTuple& tuple, Instant now);
  bool restore(const TimeWaitRecord& record, Instant now);

  // connect() wants this four-tuple (linux-facts 15 to 18). `Chosen`: the program has bound the port, so that
  // neither mode nor delay nor FIN_WAIT_2 matter. If granted, the record has gone.
  enum class PortIs { Chosen, Automatic };
  struct Reuse {
    SeqNum isn;
    std::uint32_t ts_recent;  // goes on into the new connection: PAWS guards it (claim B3)
  };
  std::optional<Reuse> try_reuse(const FourTuple& tuple, PortIs port, Instant now,
                                 Counters& counters);

  // tcp_tw_recycle: whether this SYN may become a connection. Always, when that is off.
  bool accepts_syn(const IpAddress& peer, std::optional<std::uint32_t> ts_val, Instant now);

  // ABORT in TIME-WAIT (U7), SOCK_DESTROY. False if there is no record.
  bool abort(const FourTuple& tuple, Instant now);

  // Whether tcp_tw_reuse lets connect() choose the port of such a record, once that has rested.
  bool may_reuse(const FourTuple& tuple) const;
  // Tells the observer again of every record that has rested.
  void tell_rested() const;

  void advance(Instant now);
  // Call advance() then. There may be nothing to do yet.
  std::optional<Instant> next_expiry();

  // These have no time, and see what the last call that had one left.
  std::optional<TimeWaitRecord> find(const FourTuple& tuple) const;
  std::optional<FinWait2Record> find_fin_wait_2(const FourTuple& tuple) const;
  // For a snapshot. The records of one local address come in the order of age, but for those that began again.
  void for_each(const std::function<void(const TimeWaitRecord&)>& f) const;
  void for_each_fin_wait_2(const std::function<void(const FinWait2Record&)>& f) const;

  std::size_t size() const { return time_wait_ + fin_wait_2_.size(); }
  std::size_t time_wait_size() const { return time_wait_; }
  std::size_t fin_wait_2_size() const { return fin_wait_2_.size(); }
  std::uint64_t syns_refused() const { return syns_refused_; }  // by tcp_tw_recycle
  std::size_t bytes() const;

 private:
  template <class Address>
  struct Local;
  template <class Address>
  using Locals = std::vector<std::unique_ptr<Local<Address>>>;  // by address

  template <class F>
  decltype(auto) with_table(const FourTuple& tuple, F&& f) const;
  template <class F>
  void each_local(F&& f) const;
  Local<timewait::V4>& local_v4(const IpAddress& address);
  Local<timewait::V6>& local_v6(const IpAddress& address);
  void end_due(Instant now) {
    if (fin_wait_2_.size() > 0 || (time_wait_ > 0 && timewait::to_instant(due_at_) <= now)) {
      end_what_is_due(now);
    }
  }
  void end_what_is_due(Instant now, bool look_at_all = false);
  bool make_room(Counters& counters);
  void count_entry(Duration stay, Counters& counters);
  void insert(const TimeWaitRecord& record, timewait::Millis armed, Instant now);
  std::optional<TimeWaitRecord> take(const FourTuple& tuple, TimeWaitEnd how);
  void end_fin_wait_2(timewait::FinWait2Records::Slot slot, TimeWaitEnd how);
  TimeWaitVerdict on_segment(timewait::FinWait2Records::Slot slot, const SegmentSummary& segment,
                             Instant now, Counters& counters);

  SipKey key_;
  TimeWaitSettings settings_;
  TimeWaitObserver& observer_;
  Locals<timewait::V4> v4_;
  Locals<timewait::V6> v6_;
  std::size_t time_wait_ = 0;
  timewait::FinWait2Records fin_wait_2_;
  timewait::AckLimit ack_limit_;
  timewait::PeerTimestamps peers_;
  std::uint64_t syns_refused_ = 0;
  timewait::Millis rest_delay_;
  static constexpr timewait::Millis kNever = ~timewait::Millis{0};
  timewait::Millis due_at_ = kNever;     // no record's stay is over before
  timewait::Millis rested_at_ = kNever;  // what had rested by then has been told
};

}  // namespace lastack
