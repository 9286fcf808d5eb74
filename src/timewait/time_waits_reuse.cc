// The other half of TimeWaits: what may take a record's place, and what can be seen of the records.
#include "timewait/local_time_waits.h"

namespace lastack {

using namespace timewait;

TimeWaitSettings TimeWaitSettings::from(const Settings& s) {
  TimeWaitSettings t;
  t.rules.rfc1337 = s.tcp_rfc1337.value_or(0) != 0;
  t.rules.timestamps = s.timestamps_on();
  const auto mode = s.tcp_tw_reuse.value_or(2);
  t.reuse = mode == 0 ? Reuse::Off : mode == 1 ? Reuse::On : Reuse::Loopback;
  t.reuse_delay = s.reuse_delay();
  t.length = s.time_wait_length();
  if (s.tcp_max_tw_buckets) {
    t.max_records = static_cast<std::uint64_t>(std::max<std::int64_t>(*s.tcp_max_tw_buckets, 0));
  }
  t.recycle = s.tcp_tw_recycle.value_or(0) != 0;
  return t;
}

std::optional<TimeWaitRecord> TimeWaits::take(const FourTuple& tuple, TimeWaitEnd how) {
  const auto record =
      with_table(tuple, [](auto& local, const auto& key) -> std::optional<TimeWaitRecord> {
        const auto found = local.table.find(key);
        if (!found) return std::nullopt;
        local.table.erase(*found);
        return unpacked(found->record, found->armed, local.address);
      });
  if (!record) return std::nullopt;
  --time_wait_;
  observer_.ended(*record, how);
  return record;
}

std::optional<TimeWaitRecord> TimeWaits::reopen(const FourTuple& tuple, Instant now) {
  end_due(now);
  return take(tuple, TimeWaitEnd::Reopened);
}

bool TimeWaits::restore(const TimeWaitRecord& record, Instant now) {
  end_due(now);
  if (settings_.length <= Duration(0) || record.armed + settings_.length <= now) return false;
  abort(record.tuple, now);
  insert(record, round_up(std::min(record.armed, now)), now);
  return true;
}

// Linux-facts 16. Loopback means 127.0.0.0/8 and ::1, at either end.
bool TimeWaits::may_reuse(const FourTuple& tuple) const {
  switch (settings_.reuse) {
    case TimeWaitSettings::Reuse::Off:
      return false;
    case TimeWaitSettings::Reuse::On:
      return true;
    case TimeWaitSettings::Reuse::Loopback:
      return tuple.local.address.is_loopback() || tuple.remote.address.is_loopback();
  }
  return false;
}

void TimeWaits::tell_rested() const {
  each_local([](auto& local) {
    local.table.for_each([&](const auto& r, Millis) {
      if (r.has(kRested)) local.rested(r);
    });
  });
}

auto TimeWaits::try_reuse(const FourTuple& tuple, PortIs port, Instant now, Counters& counters)
    -> std::optional<Reuse> {
  end_due(now);
  const bool chosen = port == PortIs::Chosen;
  std::optional<Reuse> reuse;
  if (const auto slot = fin_wait_2_.find(tuple)) {
    const FinWait2Record& r = fin_wait_2_[*slot];
    if (!chosen || !r.ts_recent) return std::nullopt;
    reuse = Reuse{next_isn(r.snd_nxt), *r.ts_recent};
    end_fin_wait_2(*slot, TimeWaitEnd::Reused);
  } else {
    const auto record = find(tuple);
    if (!record || !record->ts_recent) return std::nullopt;
    const auto rested = std::chrono::milliseconds(rest_delay_);
    if (!chosen && !(may_reuse(tuple) && now - record->armed >= rested)) return std::nullopt;
    reuse = Reuse{next_isn(record->snd_nxt), *record->ts_recent};
    take(tuple, TimeWaitEnd::Reused);
  }
  ++counters.TWRecycled;
  return reuse;
}

bool TimeWaits::accepts_syn(const IpAddress& peer, std::optional<std::uint32_t> ts_val,
                            Instant now) {
  if (!settings_.recycle || peers_.accepts(peer, ts_val, now)) return true;
  ++syns_refused_;
  return false;
}

bool TimeWaits::abort(const FourTuple& tuple, Instant now) {
  end_due(now);
  if (const auto slot = fin_wait_2_.find(tuple)) {
    end_fin_wait_2(*slot, TimeWaitEnd::Aborted);
    return true;
  }
  return take(tuple, TimeWaitEnd::Aborted).has_value();
}

std::optional<Instant> TimeWaits::next_expiry() {
  std::optional<Instant> next;
  if (time_wait_ > 0) next = to_instant(due_at_);
  if (const auto first = fin_wait_2_.first()) {
    const Instant deadline = fin_wait_2_[*first].deadline;
    if (!next || deadline < *next) next = deadline;
  }
  return next;
}

std::optional<TimeWaitRecord> TimeWaits::find(const FourTuple& tuple) const {
  return with_table(tuple, [](auto& local, const auto& key) -> std::optional<TimeWaitRecord> {
    const auto found = local.table.find(key);
    if (!found) return std::nullopt;
    return unpacked(found->record, found->armed, local.address);
  });
}

std::optional<FinWait2Record> TimeWaits::find_fin_wait_2(const FourTuple& tuple) const {
  const auto slot = fin_wait_2_.find(tuple);
  if (!slot) return std::nullopt;
  return fin_wait_2_[*slot];
}

void TimeWaits::for_each(const std::function<void(const TimeWaitRecord&)>& f) const {
  each_local([&](const auto& local) {
    local.table.for_each(
        [&](const auto& r, Millis armed) { f(unpacked(r, armed, local.address)); });
  });
}

void TimeWaits::for_each_fin_wait_2(const std::function<void(const FinWait2Record&)>& f) const {
  fin_wait_2_.for_each(f);
}

std::size_t TimeWaits::bytes() const {
  std::size_t bytes = sizeof *this + fin_wait_2_.bytes() + peers_.bytes() +
                      (v4_.capacity() + v6_.capacity()) * sizeof(void*);
  each_local([&](const auto& local) { bytes += sizeof local.address + local.table.bytes(); });
  return bytes;
}

}  // namespace lastack
