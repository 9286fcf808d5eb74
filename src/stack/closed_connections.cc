#include "stack/closed_connections.h"

#include <vector>

namespace lastack {
namespace {

ClosedRecord record_of(const Connection& c, Instant now) {
  return {.tuple = c.tuple,
          .rcv_nxt = c.rcv_nxt,
          .snd_nxt = c.snd_nxt,
          .rcv_wnd = c.receive_window(),
          .rcv_wscale = c.rcv_wscale,
          .timestamps = c.timestamps && c.ts_recent_valid,
          .ts_recent = c.ts_recent,
          .ts_offset = c.ts_offset,
          .entered = now};
}

constexpr Duration kRateLimit = 500ms;  // tcp_invalid_ratelimit

}  // namespace

bool ClosedConnections::insert(const ClosedRecord& record, const Settings& settings,
                               Counters& counters) {
  const std::int64_t most = settings.tcp_max_tw_buckets.value_or(131072);
  if (static_cast<std::int64_t>(records_.size()) >= most) {
    ++counters.TCPTimeWaitOverflow;
    return false;
  }
  const auto [at, fresh] = records_.try_emplace(record.tuple, Entry{record, by_end_.end()});
  if (!fresh) by_end_.erase(at->second.end);
  at->second = {record, by_end_.emplace(record.until, record.tuple)};
  // linux-facts 4: the name is older than what it counts.
  if (record.until - record.entered <= 4s) {
    ++counters.TWKilled;
  } else {
    ++counters.TW;
  }
  return true;
}

bool ClosedConnections::enter_time_wait(const Connection& c, Instant now, const Settings& settings,
                                        Counters& counters) {
  ClosedRecord record = record_of(c, now);
  record.until = now + settings.time_wait_length();
  return insert(record, settings, counters);
}

bool ClosedConnections::enter_fin_wait_2(const Connection& c, Instant until, Instant now,
                                         const Settings& settings, Counters& counters) {
  ClosedRecord record = record_of(c, now);
  record.fin_wait_2 = true;
  record.until = until;
  return insert(record, settings, counters);
}

void ClosedConnections::move_end(Entry& entry, Instant until) {
  entry.record.until = until;
  by_end_.erase(entry.end);
  entry.end = by_end_.emplace(until, entry.record.tuple);
}

void ClosedConnections::erase(const FourTuple& tuple) {
  const auto at = records_.find(tuple);
  by_end_.erase(at->second.end);
  records_.erase(at);
}

ClosedVerdict ClosedConnections::on_segment(const FourTuple& tuple, const TcpSegment& segment,
                                            Instant now, const Settings& settings,
                                            Counters& counters) {
  using What = ClosedVerdict::What;
  const auto at = records_.find(tuple);
  if (at == records_.end()) return {};
  Entry& entry = at->second;
  ClosedRecord& r = entry.record;
  const auto verdict = [&](What what) { return ClosedVerdict{what, r, {}}; };
  const auto& stamps = segment.options.timestamps;
  const bool old_stamp =
      r.timestamps && stamps && static_cast<std::int32_t>(stamps->value - r.ts_recent) < 0;
  const auto acknowledge_if_allowed = [&] {
    if (r.acked != Instant{} && now - r.acked < kRateLimit) return verdict(What::Nothing);
    r.acked = now;
    return verdict(What::Ack);
  };
  const auto take_stamp = [&] {
    if (r.timestamps && stamps) r.ts_recent = stamps->value;
  };

  if (r.fin_wait_2) {
    // linux-facts 11
    const bool in_window =
        segment.end() >= r.rcv_nxt && segment.seq <= r.rcv_nxt + std::max(r.rcv_wnd, 1U);
    if (old_stamp || !in_window) {
      return segment.rst() ? verdict(What::Nothing) : acknowledge_if_allowed();
    }
    if (segment.rst()) {
      erase(tuple);
      return {What::Nothing, {}, {}};
    }
    if (segment.syn() && !(segment.seq < r.rcv_nxt)) {
      const ClosedRecord gone = r;
      erase(tuple);
      return {What::Reset, gone, {}};
    }
    if (!segment.ack_flag() || !(segment.end() > r.rcv_nxt) || segment.length() == 0) {
      return verdict(What::Nothing);
    }
    if (!segment.fin() || segment.end() != r.rcv_nxt + 1) {
      const ClosedRecord gone = r;
      erase(tuple);
      return {What::Reset, gone, {}};
    }
    take_stamp();
    r.fin_wait_2 = false;
    r.rcv_nxt = segment.end();
    r.entered = now;
    move_end(entry, now + settings.time_wait_length());
    return verdict(What::Ack);
  }

  // TIME_WAIT
  if (!old_stamp && segment.seq == r.rcv_nxt && (segment.length() == 0 || segment.rst()) &&
      !segment.syn()) {
    if (segment.rst()) {
      if (settings.tcp_rfc1337.value_or(0) == 0) erase(tuple);  // linux-facts 12
      return {What::Nothing, {}, {}};
    }
    take_stamp();
    r.entered = now;
    move_end(entry, now + settings.time_wait_length());
    return verdict(What::Nothing);
  }
  // RFC 6191 and RFC 9293's MAY-2 (linux-facts 13).
  if (segment.syn() && !segment.rst() && !segment.ack_flag() && !old_stamp &&
      (segment.seq > r.rcv_nxt ||
       (r.timestamps && stamps && static_cast<std::int32_t>(r.ts_recent - stamps->value) < 0))) {
    ClosedVerdict reopen = verdict(What::Reopen);
    reopen.isn = r.snd_nxt + 65537;
    if (reopen.isn.value() == 0) reopen.isn += 1;
    return reopen;
  }
  if (old_stamp) ++counters.PAWSTimewait;
  if (segment.rst()) return verdict(What::Nothing);
  // U1: a repeated FIN is acknowledged, and the stay begins again.
  if (old_stamp || segment.ack_flag()) {
    r.entered = now;
    move_end(entry, now + settings.time_wait_length());
  }
  return acknowledge_if_allowed();
}

bool ClosedConnections::may_reuse(const FourTuple& tuple, bool chosen, Instant now,
                                  const Settings& settings) const {
  const auto at = records_.find(tuple);
  if (at == records_.end()) return true;
  const ClosedRecord& r = at->second.record;
  if (!r.timestamps) return false;
  if (chosen) return true;
  if (r.fin_wait_2) return false;
  const std::int64_t mode = settings.tcp_tw_reuse.value_or(2);
  const bool loopback = tuple.local.address.is_loopback() || tuple.remote.address.is_loopback();
  if (mode != 1 && !(mode == 2 && loopback)) return false;
  return now - r.entered > settings.reuse_delay();
}

std::optional<ClosedRecord> ClosedConnections::reuse(const FourTuple& tuple, bool chosen,
                                                     Instant now, const Settings& settings,
                                                     Counters& counters) {
  if (!may_reuse(tuple, chosen, now, settings)) return std::nullopt;
  const auto at = records_.find(tuple);
  if (at == records_.end()) return std::nullopt;
  const ClosedRecord record = at->second.record;
  erase(tuple);
  ++counters.TWRecycled;
  return record;
}

void ClosedConnections::advance(Instant now) {
  while (!by_end_.empty() && by_end_.begin()->first <= now) {
    records_.erase(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
  }
}

void ClosedConnections::for_each(const std::function<void(const ClosedRecord&)>& each) const {
  for (const auto& [tuple, entry] : records_) each(entry.record);
}

}  // namespace lastack
