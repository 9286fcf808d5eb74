#include <cassert>

#include "timewait/local_time_waits.h"
#include "timewait/tuple_hash.h"

namespace lastack {

using namespace timewait;
using Slot = FinWait2Records::Slot;

namespace {

constexpr Duration kKilledFrom = 4s;  // linux-facts 4

}  // namespace

auto TimeWaits::local_v4(const IpAddress& address) -> Local<V4>& {
  auto at = position(v4_, address);
  if (at == v4_.end() || (*at)->address != address) {
    at = v4_.insert(at, std::make_unique<Local<V4>>(*this, address));
  }
  return **at;
}
auto TimeWaits::local_v6(const IpAddress& address) -> Local<V6>& {
  auto at = position(v6_, address);
  if (at == v6_.end() || (*at)->address != address) {
    at = v6_.insert(at, std::make_unique<Local<V6>>(*this, address));
  }
  return **at;
}

TimeWaits::TimeWaits(const SipKey& key, const TimeWaitSettings& settings,
                     TimeWaitObserver& observer)
    : key_(key),
      settings_(settings),
      observer_(observer),
      fin_wait_2_(key),
      peers_(key),
      rest_delay_(whole_millis(settings.reuse_delay)) {}

TimeWaits::~TimeWaits() = default;

void TimeWaits::configure(const TimeWaitSettings& settings, Instant now) {
  end_due(now);  // what was over before the change stays over
  settings_ = settings;
  if (!settings.recycle) peers_.clear();
  end_what_is_due(now, true);
  const Millis delay = whole_millis(settings.reuse_delay);
  const bool longer = delay > rest_delay_;
  rest_delay_ = delay;
  rested_at_ = kNever;
  if (!longer) return;
  each_local([&](auto& local) { local.table.rest_anew(round_down(now), delay); });
}

void TimeWaits::end_what_is_due(Instant now, bool look_at_all) {
  const Millis at = round_down(now);
  if (look_at_all || at >= due_at_) {
    const Millis length = whole_millis(settings_.length);
    due_at_ = ~Millis{0};
    each_local([&](auto& local) {
      local.table.end_due(at, length);
      if (const auto oldest = local.table.oldest()) due_at_ = std::min(due_at_, *oldest + length);
    });
  }
  for (auto first = fin_wait_2_.first(); first; first = fin_wait_2_.first()) {
    if (fin_wait_2_[*first].deadline > now) break;
    end_fin_wait_2(*first, TimeWaitEnd::Over);
  }
}

void TimeWaits::advance(Instant now) {
  if (size() == 0) return;
  end_due(now);
  const Millis at = round_down(now);
  if (at == rested_at_) return;
  rested_at_ = at;
  each_local([&](auto& local) { local.table.rest_due(at, rest_delay_); });
}

void TimeWaits::count_entry(Duration stay, Counters& counters) {
  ++(stay <= kKilledFrom ? counters.TWKilled : counters.TW);
}

// Room for one more, or not.
bool TimeWaits::make_room(Counters& counters) {
  if (size() < settings_.max_records) return true;
  if (settings_.when_full == TimeWaitSettings::WhenFull::EvictOldest && settings_.max_records > 0) {
    while (size() >= settings_.max_records) {
      std::optional<TimeWaitRecord> oldest;
      each_local([&](auto& local) {
        const auto found = local.table.find_oldest();
        if (!found || (oldest && oldest->armed <= to_instant(found->armed))) return;
        oldest = unpacked(found->record, found->armed, local.address);
      });
      const auto first = fin_wait_2_.first();
      const bool fin_wait_2 =
          first && (!oldest || fin_wait_2_[*first].deadline < oldest->armed + settings_.length);
      if (fin_wait_2) {
        end_fin_wait_2(*first, TimeWaitEnd::Evicted);
      } else {
        take(oldest->tuple, TimeWaitEnd::Evicted);
      }
    }
    return true;
  }
  ++counters.TCPTimeWaitOverflow;
  return false;
}

void TimeWaits::insert(const TimeWaitRecord& record, Millis armed, Instant now) {
  const Millis at = round_down(now);
  if (record.tuple.local.address.is_v4()) {
    local_v4(record.tuple.local.address).table.insert(packed<V4>(record), armed, at);
  } else {
    local_v6(record.tuple.local.address).table.insert(packed<V6>(record), armed, at);
  }
  ++time_wait_;
  due_at_ = std::min(due_at_, armed + whole_millis(settings_.length));
  if (armed + rest_delay_ <= at) rested_at_ = kNever;  // it has rested by now
}

void TimeWaits::expect(const FourTuple& tuple) const {
  if (time_wait_ < 10'000) return;  // all of it is at hand
  with_table(tuple, [](const auto& local, const auto& key) { local.table.send_for(key); });
}

auto TimeWaits::enter(const ClosedConnection& c, Instant now, Counters& counters) -> Entered {
  end_due(now);
  if (settings_.length <= Duration(0)) return Entered::NotKept;
  assert(!find(c.tuple) && !find_fin_wait_2(c.tuple));
  if (!make_room(counters)) return Entered::Refused;
  if (with_table(c.tuple, [](auto& local, const auto&) { return local.table.full(); })) {
    ++counters.TCPTimeWaitOverflow;
    return Entered::Refused;
  }
  const Millis length = whole_millis(settings_.length);
  Millis stay = length;
  if (settings_.recycle && c.ts_recent) {
    peers_.remember(c.tuple.remote.address, *c.ts_recent, now);
    stay = std::min(length, whole_millis(c.rto * 7 / 2));
  }
  // A shorter stay than the others' is one that began earlier.
  const TimeWaitRecord record{c.tuple, c.rcv_nxt, c.snd_nxt, c.ts_recent, c.port, {}};
  insert(record, round_up(now) - (length - stay), now);
  count_entry(std::chrono::milliseconds(stay), counters);
  return Entered::Kept;
}

auto TimeWaits::enter_fin_wait_2(const ClosedConnection& c, Instant deadline, Instant now,
                                 Counters& counters) -> Entered {
  end_due(now);
  if (deadline <= now) return Entered::NotKept;
  assert(!find(c.tuple) && !find_fin_wait_2(c.tuple));
  if (!make_room(counters)) return Entered::Refused;
  FinWait2Record record{c.tuple, c.rcv_nxt, c.snd_nxt, c.ts_recent};
  record.rcv_window = c.rcv_window;
  record.rcv_wscale = c.rcv_wscale;
  record.port = c.port;
  record.deadline = deadline;
  record.ts_recent_at = c.ts_recent_at;
  fin_wait_2_.insert(record);
  count_entry(deadline - now, counters);
  return Entered::Kept;
}

void TimeWaits::end_fin_wait_2(Slot slot, TimeWaitEnd how) {
  const TimeWaitRecord record = as_time_wait(fin_wait_2_[slot]);
  fin_wait_2_.erase(slot);
  observer_.ended(record, how);
}

TimeWaitVerdict TimeWaits::on_segment(const FourTuple& tuple, const SegmentSummary& segment,
                                      Instant now, Counters& counters) {
  using Action = Judgement::Action;
  end_due(now);
  if (fin_wait_2_.size() > 0) {
    if (const auto slot = fin_wait_2_.find(tuple)) return on_segment(*slot, segment, now, counters);
  }
  struct Met {
    TimeWaitRecord record;
    Judgement judgement;
  };
  const auto met = with_table(tuple, [&](auto& local, const auto& key) -> std::optional<Met> {
    const auto found = local.table.find(key);
    if (!found) return std::nullopt;
    const TimeWaitRecord r = unpacked(found->record, found->armed, local.address);
    const Numbers numbers{r.rcv_nxt, r.snd_nxt, r.ts_recent, now - r.armed};
    const Judgement j = judge_time_wait(numbers, segment, settings_.rules);
    if (j.rearm) local.table.rearm(*found, round_up(now));
    if (j.take_timestamp) local.table.set_ts_recent(*found, *segment.ts_val);
    return Met{r, j};
  });
  if (!met) return {};
  const auto& [record, judgement] = *met;

  TimeWaitVerdict verdict;
  verdict.action = TimeWaitVerdict::Action::Drop;
  verdict.reply = {record.snd_nxt, record.rcv_nxt, 0, record.ts_recent};
  if (judgement.paws) ++counters.PAWSTimewait;
  switch (judgement.action) {
    case Action::Drop:
    case Action::EnterTimeWait:
      break;
    case Action::Ack: {
      // The number tells this connection from one that had the four-tuple before.
      const std::uint64_t who = hash_of(key_, tuple) ^ record.snd_nxt.value();
      if (judgement.limited && !ack_limit_.may_send(who, now, settings_.invalid_ratelimit)) {
        ++counters.TCPACKSkippedTimeWait;
      } else {
        verdict.action = TimeWaitVerdict::Action::Ack;
      }
      break;
    }
    case Action::End:
      verdict.action = TimeWaitVerdict::Action::Removed;
      take(tuple, TimeWaitEnd::Reset);
      break;
    case Action::Reset:
      verdict.action = TimeWaitVerdict::Action::RstAndRemoved;
      take(tuple, TimeWaitEnd::Reset);
      break;
    case Action::Reopen:
      verdict.action = TimeWaitVerdict::Action::Reopen;
      verdict.isn = next_isn(record.snd_nxt);
      break;
  }
  return verdict;
}

TimeWaitVerdict TimeWaits::on_segment(Slot slot, const SegmentSummary& segment, Instant now,
                                      Counters& counters) {
  using Action = Judgement::Action;
  FinWait2Record& r = fin_wait_2_[slot];
  const Numbers numbers{r.rcv_nxt, r.snd_nxt, r.ts_recent, now - r.ts_recent_at, r.rcv_window};
  const Judgement judgement = judge_fin_wait_2(numbers, segment);
  TimeWaitVerdict verdict;
  verdict.action = TimeWaitVerdict::Action::Drop;
  verdict.reply = {r.snd_nxt, r.rcv_nxt, r.rcv_window >> r.rcv_wscale, r.ts_recent};
  switch (judgement.action) {
    case Action::Drop:
    case Action::Reopen:
      break;
    case Action::Ack:
      if (judgement.limited && r.last_ack && now - *r.last_ack < settings_.invalid_ratelimit) {
        ++counters.TCPACKSkippedFinWait2;
        break;
      }
      if (judgement.limited) r.last_ack = now;
      verdict.action = TimeWaitVerdict::Action::Ack;
      break;
    case Action::End:
      verdict.action = TimeWaitVerdict::Action::Removed;
      end_fin_wait_2(slot, TimeWaitEnd::Reset);
      break;
    case Action::Reset:
      verdict.action = TimeWaitVerdict::Action::RstAndRemoved;
      end_fin_wait_2(slot, TimeWaitEnd::Reset);
      break;
    case Action::EnterTimeWait: {
      TimeWaitRecord record = as_time_wait(r);
      record.rcv_nxt = segment.end();
      if (judgement.take_timestamp) record.ts_recent = segment.ts_val;
      verdict.action = TimeWaitVerdict::Action::EnteredTimeWait;
      verdict.reply.ack = record.rcv_nxt;
      verdict.reply.ts_ecr = record.ts_recent;
      if (r.last_ack) {  // the limit on ACKs goes on
        const std::uint64_t who = hash_of(key_, record.tuple) ^ record.snd_nxt.value();
        (void)ack_limit_.may_send(who, *r.last_ack, Duration(0));
      }
      fin_wait_2_.erase(slot);
      if (settings_.length > Duration(0)) {
        insert(record, round_up(now), now);
      } else {
        observer_.ended(record, TimeWaitEnd::Over);
      }
      break;
    }
  }
  return verdict;
}

}  // namespace lastack
