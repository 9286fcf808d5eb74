// TimeWaits and whoever listens to them, for tests.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

#include "timewait/time_waits.h"

namespace lastack {

struct Watcher final : TimeWaitObserver {
  void rested(const FourTuple& tuple) override { now_rested.insert(tuple); }
  void stirred(const FourTuple& tuple) override { now_rested.erase(tuple); }
  void ended(const TimeWaitRecord& record, TimeWaitEnd how) override {
    now_rested.erase(record.tuple);
    all.push_back({record, how});
  }

  using Ends = std::vector<std::pair<TimeWaitRecord, TimeWaitEnd>>;
  Ends take() { return std::exchange(all, {}); }

  std::set<FourTuple> now_rested;
  Ends all;
};

class TimeWaitsTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kRcv = 5000;
  static constexpr std::uint32_t kSnd = 9000;
  static constexpr std::uint32_t kTs = 700;

  static FourTuple tuple(Port port = 40'000) {
    return {{IpAddress::v4(0x0a000001), port}, {IpAddress::v4(0x0a000002), 80}};
  }
  static FourTuple tuple_v6(Port port = 40'000) {
    return {{*IpAddress::parse("2001:db8::1"), port}, {*IpAddress::parse("2001:db8::2"), 80}};
  }
  static FourTuple loopback(Port port = 40'000) {
    return {{IpAddress::v4(0x7f000001), port}, {IpAddress::v4(0x7f000001), 80}};
  }
  static ClosedConnection closed(const FourTuple& t, bool timestamps = true) {
    ClosedConnection c{t, SeqNum(kRcv), SeqNum(kSnd)};
    if (timestamps) c.ts_recent = kTs;
    c.rcv_window = 1000;
    return c;
  }

  TimeWaits::Entered enter(const FourTuple& t = tuple(), bool timestamps = true) {
    return waits.enter(closed(t, timestamps), now, counters);
  }
  TimeWaits::Entered enter_fin_wait_2(const FourTuple& t, Duration timeout = 60s) {
    ClosedConnection c = closed(t);
    c.ts_recent_at = now;
    return waits.enter_fin_wait_2(c, now + timeout, now, counters);
  }
  TimeWaitVerdict meets(const SegmentSummary& s, const FourTuple& t = tuple()) {
    return waits.on_segment(t, s, now, counters);
  }
  void pass(Duration d) {
    now += d;
    waits.advance(now);
  }
  bool alive(const FourTuple& t = tuple()) const { return waits.find(t).has_value(); }
  void set(const TimeWaitSettings& s) { waits.configure(s, now); }

  static SegmentSummary segment(int seq) {
    SegmentSummary s;
    s.seq = SeqNum(kRcv + static_cast<std::uint32_t>(seq));
    s.ack = SeqNum(kSnd);
    return s;
  }
  static SegmentSummary fin_again() {
    SegmentSummary s = segment(-1);
    s.fin = s.ack_flag = true;
    return s;
  }
  static SegmentSummary the_fin() {
    SegmentSummary s = segment(0);
    s.fin = s.ack_flag = true;
    return s;
  }
  static SegmentSummary ack(int seq) {
    SegmentSummary s = segment(seq);
    s.ack_flag = true;
    return s;
  }
  static SegmentSummary syn(int seq) {
    SegmentSummary s = segment(seq);
    s.syn = true;
    return s;
  }
  static SegmentSummary reset(int seq) {
    SegmentSummary s = segment(seq);
    s.rst = true;
    return s;
  }

  Instant now{1000s};
  Counters counters;
  Watcher watcher;
  TimeWaitSettings settings;
  TimeWaits waits{SipKey{1, 2}, settings, watcher};
};

}  // namespace lastack
