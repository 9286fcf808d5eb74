// The policies: how long, how many, whose ports may be used again (linux-facts 2 to 5, 15 to 18; claims B1,
// B2, B3, B6).
#include "unit/timewait/host.h"

namespace lastack {
namespace {

using Entered = TimeWaits::Entered;
using PortIs = TimeWaits::PortIs;

class TimeWaitPolicies : public TimeWaitsTest {
 protected:
  std::optional<TimeWaits::Reuse> reuse(const FourTuple& t, PortIs port = PortIs::Automatic) {
    return waits.try_reuse(t, port, now, counters);
  }
  void set_mode(TimeWaitSettings::Reuse mode, Duration delay = 1s) {
    settings.reuse = mode;
    settings.reuse_delay = delay;
    set(settings);
  }
};

TEST_F(TimeWaitPolicies, A_record_is_given_back_as_it_came) {
  ClosedConnection c = closed(tuple_v6());
  c.port = {true, false, true};
  ASSERT_EQ(waits.enter(c, now, counters), Entered::Kept);
  const auto r = waits.find(tuple_v6());
  ASSERT_TRUE(r);
  EXPECT_EQ(r->tuple, tuple_v6());
  EXPECT_EQ(r->rcv_nxt, SeqNum(kRcv));
  EXPECT_EQ(r->snd_nxt, SeqNum(kSnd));
  EXPECT_EQ(r->ts_recent, kTs);
  EXPECT_EQ(r->port, (PortHold{true, false, true}));
  EXPECT_EQ(r->armed, now);
}

TEST_F(TimeWaitPolicies, F03_lasts_60_s_to_the_millisecond_and_never_less) {
  now += 123'456ns;
  enter();
  EXPECT_EQ(counters.TW, 1u);
  pass(60s - 1ns);
  EXPECT_TRUE(alive());
  pass(1ms);
  EXPECT_FALSE(alive());
  EXPECT_EQ(watcher.take().at(0).second, TimeWaitEnd::Over);
}

TEST_F(TimeWaitPolicies, F03_but_may_have_any_length) {
  settings.length = 240s;
  set(settings);
  enter(tuple(1));
  pass(239s);
  EXPECT_TRUE(alive(tuple(1)));
  settings.length = 239s;
  set(settings);
  EXPECT_FALSE(alive(tuple(1))) << "a change holds for those that are there";
  settings.length = Duration(0);
  set(settings);
  EXPECT_EQ(enter(tuple(2)), Entered::NotKept);
  EXPECT_EQ(waits.size(), 0u);
}

TEST_F(TimeWaitPolicies, NextExpiryIsWhenSomethingEnds) {
  EXPECT_FALSE(waits.next_expiry());
  enter(tuple(1));
  EXPECT_EQ(waits.next_expiry(), now + 60s);
  pass(10s);
  enter(tuple(2));
  enter(tuple_v6());
  EXPECT_EQ(waits.next_expiry(), now + 50s);
  // One that began again leaves an alarm behind that finds nothing; the one after it is right.
  meets(fin_again(), tuple(1));
  pass(50s);
  EXPECT_EQ(waits.size(), 3u);
  EXPECT_EQ(waits.next_expiry(), now + 10s);
  pass(10s);
  EXPECT_EQ(waits.size(), 0u);
  EXPECT_FALSE(waits.next_expiry());
}

TEST_F(TimeWaitPolicies, F02_B1_none_above_max_tw_buckets) {
  settings.max_records = 2;
  set(settings);
  EXPECT_EQ(enter(tuple(1)), Entered::Kept);
  EXPECT_EQ(enter_fin_wait_2(tuple(2)), Entered::Kept) << "F05: both kinds count";
  EXPECT_EQ(enter(tuple(3)), Entered::Refused);
  EXPECT_EQ(enter_fin_wait_2(tuple(4)), Entered::Refused);
  EXPECT_EQ(counters.TCPTimeWaitOverflow, 2u);
  EXPECT_EQ(counters.TW, 2u);
  EXPECT_EQ(waits.size(), 2u);
  meets(the_fin(), tuple(2));
  EXPECT_EQ(waits.time_wait_size(), 2u) << "what has room keeps it";
  settings.max_records = 0;
  set(settings);
  EXPECT_EQ(enter(tuple(5)), Entered::Refused);
}

TEST_F(TimeWaitPolicies, B1_or_the_oldest_makes_room) {
  settings.max_records = 3;
  settings.when_full = TimeWaitSettings::WhenFull::EvictOldest;
  set(settings);
  enter(tuple(1));
  pass(1s);
  enter(tuple_v6(2));
  pass(1s);
  enter_fin_wait_2(tuple(3), 30s);
  EXPECT_EQ(enter(tuple(4)), Entered::Kept);
  EXPECT_EQ(enter(tuple(5)), Entered::Kept);
  EXPECT_EQ(enter(tuple(6)), Entered::Kept);
  const auto ends = watcher.take();
  ASSERT_EQ(ends.size(), 3u);
  // Those with the least time left.
  EXPECT_EQ(ends[0].first.tuple, tuple(3));
  EXPECT_EQ(ends[1].first.tuple, tuple(1));
  EXPECT_EQ(ends[2].first.tuple, tuple_v6(2));
  for (const auto& end : ends) EXPECT_EQ(end.second, TimeWaitEnd::Evicted);
  EXPECT_EQ(counters.TCPTimeWaitOverflow, 0u);
  EXPECT_EQ(waits.size(), 3u);
}

TEST_F(TimeWaitPolicies, F04_armed_for_4_s_or_less_counts_as_TWKilled) {
  enter_fin_wait_2(tuple(1), 4s);
  EXPECT_EQ(counters.TWKilled, 1u);
  enter_fin_wait_2(tuple(2), 4s + 1ns);
  EXPECT_EQ(counters.TW, 1u);
  settings.length = 3s;
  set(settings);
  enter(tuple(3));
  EXPECT_EQ(counters.TWKilled, 2u);
}

TEST_F(TimeWaitPolicies, F15_without_timestamps_there_is_no_reuse) {
  set_mode(TimeWaitSettings::Reuse::On);
  enter(tuple(), false);
  pass(30s);
  EXPECT_FALSE(reuse(tuple()));
  EXPECT_FALSE(reuse(tuple(), PortIs::Chosen));
  EXPECT_TRUE(watcher.now_rested.empty());
}

TEST_F(TimeWaitPolicies, F16_modes) {
  struct Case {
    TimeWaitSettings::Reuse mode;
    FourTuple tuple;
    bool reuses;
  };
  FourTuple v6_loopback = tuple_v6();
  v6_loopback.remote.address = *IpAddress::parse("::1");
  for (const Case& c : {Case{TimeWaitSettings::Reuse::Off, tuple(), false},
                        Case{TimeWaitSettings::Reuse::Off, loopback(), false},
                        Case{TimeWaitSettings::Reuse::On, tuple(), true},
                        Case{TimeWaitSettings::Reuse::On, loopback(), true},
                        Case{TimeWaitSettings::Reuse::On, tuple_v6(), true},
                        Case{TimeWaitSettings::Reuse::Loopback, tuple(), false},
                        Case{TimeWaitSettings::Reuse::Loopback, tuple_v6(), false},
                        Case{TimeWaitSettings::Reuse::Loopback, v6_loopback, true},
                        Case{TimeWaitSettings::Reuse::Loopback, loopback(), true}}) {
    set_mode(c.mode);
    enter(c.tuple);
    pass(1001ms);
    EXPECT_EQ(reuse(c.tuple).has_value(), c.reuses) << c.tuple.to_string();
    EXPECT_EQ(waits.abort(c.tuple, now), !c.reuses);
  }
}

TEST_F(TimeWaitPolicies, F16_B2_only_after_the_delay) {
  set_mode(TimeWaitSettings::Reuse::On);
  enter();
  pass(999ms);
  EXPECT_FALSE(reuse(tuple()));
  EXPECT_EQ(counters.TWRecycled, 0u);
  pass(2ms);
  EXPECT_TRUE(reuse(tuple()));
}

TEST_F(TimeWaitPolicies, F16_the_delay_is_read_when_the_port_is_chosen) {
  set_mode(TimeWaitSettings::Reuse::On, 60s);
  enter();
  pass(2s);
  EXPECT_FALSE(reuse(tuple()));
  EXPECT_EQ(watcher.now_rested.count(tuple()), 0u);
  set_mode(TimeWaitSettings::Reuse::On, 1ms);
  pass(Duration(0));
  EXPECT_EQ(watcher.now_rested.count(tuple()), 1u);
  EXPECT_TRUE(reuse(tuple()));
}

TEST_F(TimeWaitPolicies, F16_fin_wait_2_is_never_reused) {
  set_mode(TimeWaitSettings::Reuse::On);
  enter_fin_wait_2(tuple());
  pass(30s);
  EXPECT_FALSE(reuse(tuple()));
  meets(the_fin());
  pass(2s);
  EXPECT_TRUE(reuse(tuple()));
}

TEST_F(TimeWaitPolicies, F16_the_observer_knows_what_has_rested) {
  set_mode(TimeWaitSettings::Reuse::On);
  enter(tuple(1));
  enter(tuple_v6(2));
  enter(tuple(3));
  pass(999ms);
  EXPECT_TRUE(watcher.now_rested.empty());
  pass(2ms);
  EXPECT_EQ(watcher.now_rested.size(), 3u);
  meets(fin_again(), tuple(1));
  EXPECT_EQ(watcher.now_rested.count(tuple(1)), 0u);
  meets(reset(0), tuple(3));
  EXPECT_EQ(watcher.now_rested.count(tuple(3)), 0u);
  pass(1s);
  EXPECT_EQ(watcher.now_rested, (std::set<FourTuple>{tuple(1), tuple_v6(2)}));
  set_mode(TimeWaitSettings::Reuse::On, 10s);
  EXPECT_TRUE(watcher.now_rested.empty());
  pass(8s);
  EXPECT_EQ(watcher.now_rested, (std::set<FourTuple>{tuple_v6(2)}));
}

TEST_F(TimeWaitPolicies, F17_a_port_of_the_programs_own_choice_waits_for_nothing) {
  set_mode(TimeWaitSettings::Reuse::Off, 60s);
  enter(tuple(1));
  EXPECT_TRUE(reuse(tuple(1), PortIs::Chosen));
  enter_fin_wait_2(tuple(2));
  EXPECT_TRUE(reuse(tuple(2), PortIs::Chosen));
  EXPECT_EQ(counters.TWRecycled, 2u);
  EXPECT_EQ(waits.size(), 0u);
}

TEST_F(TimeWaitPolicies, F18_B3_what_goes_on_into_the_new_connection) {
  set_mode(TimeWaitSettings::Reuse::On);
  enter();
  pass(2s);
  const auto r = reuse(tuple());
  ASSERT_TRUE(r);
  EXPECT_EQ(r->isn, SeqNum(kSnd + 65537));
  EXPECT_EQ(r->ts_recent, kTs);
  EXPECT_EQ(counters.TWRecycled, 1u);
  EXPECT_FALSE(alive());
  EXPECT_EQ(watcher.take().at(0).second, TimeWaitEnd::Reused);
  EXPECT_FALSE(reuse(tuple()));
}

TEST_F(TimeWaitPolicies, U7_abort_deletes_the_record) {
  enter(tuple(1));
  enter_fin_wait_2(tuple(2));
  EXPECT_TRUE(waits.abort(tuple(1), now));
  EXPECT_TRUE(waits.abort(tuple(2), now));
  EXPECT_FALSE(waits.abort(tuple(1), now));
  EXPECT_EQ(waits.size(), 0u);
}

TEST_F(TimeWaitPolicies, B6_recycle_shortens_and_remembers_whom) {
  settings.recycle = true;
  set(settings);
  ClosedConnection c = closed(tuple());
  c.rto = 200ms;
  waits.enter(c, now, counters);
  EXPECT_EQ(counters.TWKilled, 1u) << "F04";
  const IpAddress peer = tuple().remote.address;
  EXPECT_FALSE(waits.accepts_syn(peer, kTs - 100, now)) << "another clock behind the same address";
  EXPECT_TRUE(waits.accepts_syn(peer, kTs + 100, now));
  EXPECT_EQ(waits.syns_refused(), 1u);
  pass(700ms - 1ms);
  EXPECT_TRUE(alive());
  pass(1ms);
  EXPECT_FALSE(alive()) << "3.5 RTO";
  EXPECT_FALSE(waits.accepts_syn(peer, kTs - 100, now)) << "the address is remembered longer";
  settings.recycle = false;
  set(settings);
  EXPECT_TRUE(waits.accepts_syn(peer, kTs - 100, now));
}

TEST_F(TimeWaitPolicies, B6_only_with_timestamps) {
  settings.recycle = true;
  set(settings);
  ClosedConnection c = closed(tuple(), false);
  c.rto = 200ms;
  waits.enter(c, now, counters);
  pass(59s);
  EXPECT_TRUE(alive());
}

TEST_F(TimeWaitPolicies, ASnapshotSeesAll) {
  for (Port p = 1; p <= 100; ++p) {
    enter(tuple(p));
    enter(tuple_v6(p));
    enter_fin_wait_2(loopback(p));
  }
  waits.abort(tuple(50), now);
  std::set<FourTuple> seen;
  waits.for_each([&](const TimeWaitRecord& r) { EXPECT_TRUE(seen.insert(r.tuple).second); });
  EXPECT_EQ(seen.size(), 199u);
  waits.for_each_fin_wait_2([&](const FinWait2Record& r) { seen.insert(r.tuple); });
  EXPECT_EQ(seen.size(), 299u);
  EXPECT_GT(waits.bytes(), 299u * 24);
}

TEST_F(TimeWaitPolicies, SettingsByTheirSysctlNames) {
  Settings s;
  EXPECT_EQ(TimeWaitSettings::from(s).reuse, TimeWaitSettings::Reuse::Loopback);
  EXPECT_EQ(TimeWaitSettings::from(s).length, 60s);
  EXPECT_EQ(TimeWaitSettings::from(s).reuse_delay, 1s);
  EXPECT_TRUE(TimeWaitSettings::from(s).rules.timestamps);
  s.tcp_tw_reuse = 1;
  s.tcp_tw_reuse_delay = 250;
  s.tcp_max_tw_buckets = 5;
  s.tcp_rfc1337 = 1;
  s.tcp_timestamps = 0;
  s.tcp_tw_recycle = 1;
  s.tcp_tw_timeout = 15;
  const TimeWaitSettings t = TimeWaitSettings::from(s);
  EXPECT_EQ(t.reuse, TimeWaitSettings::Reuse::On);
  EXPECT_EQ(t.reuse_delay, 250ms);
  EXPECT_EQ(t.max_records, 5u);
  EXPECT_TRUE(t.rules.rfc1337);
  EXPECT_FALSE(t.rules.timestamps);
  EXPECT_TRUE(t.recycle);
  EXPECT_EQ(t.length, 15s);
}

}  // namespace
}  // namespace lastack
