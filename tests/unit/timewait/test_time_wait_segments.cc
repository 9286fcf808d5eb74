// Segments that meet a record: what is sent, what becomes of the record, what is counted (linux-facts 11 to
// 14; U1 to U5, MAY-2; claims A2, A3).
#include "unit/timewait/host.h"

namespace lastack {
namespace {

using Action = TimeWaitVerdict::Action;

class TimeWaitSegments : public TimeWaitsTest {};

TEST_F(TimeWaitSegments, NobodysSegmentIsNotTouched) {
  EXPECT_EQ(meets(fin_again()).action, Action::NoRecord);
  enter();
  EXPECT_EQ(meets(fin_again(), tuple(40'001)).action, Action::NoRecord);
  EXPECT_EQ(meets(fin_again(), tuple_v6()).action, Action::NoRecord);
}

TEST_F(TimeWaitSegments, A2_U1_a_repeated_fin_is_acked_and_restarts_two_msl) {
  enter();
  pass(50s);
  const TimeWaitVerdict v = meets(fin_again());
  EXPECT_EQ(v.action, Action::Ack);
  EXPECT_EQ(v.reply.seq, SeqNum(kSnd));
  EXPECT_EQ(v.reply.ack, SeqNum(kRcv));
  EXPECT_EQ(v.reply.window, 0u);
  EXPECT_EQ(v.reply.ts_ecr, kTs);
  pass(60s - 1ns);
  EXPECT_TRUE(alive());
  pass(1ms);
  EXPECT_FALSE(alive());
}

TEST_F(TimeWaitSegments, U1_repeated_fins_are_not_rate_limited) {
  enter();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(meets(fin_again()).action, Action::Ack);
  EXPECT_EQ(counters.TCPACKSkippedTimeWait, 0u);
}

TEST_F(TimeWaitSegments, U1_whatever_it_arrives_on_the_last_moment_counts) {
  enter();
  pass(60s - 1ms);
  EXPECT_EQ(meets(fin_again()).action, Action::Ack);
  enter(tuple(2));
  now += 60s;
  EXPECT_EQ(meets(fin_again(), tuple(2)).action, Action::NoRecord) << "over, though nobody asked";
}

TEST_F(TimeWaitSegments, F12_an_empty_ack_in_its_place_starts_the_60_s_again_and_draws_nothing) {
  enter();
  pass(50s);
  EXPECT_EQ(meets(ack(0)).action, Action::Drop);
  pass(59s);
  EXPECT_TRUE(alive());
}

TEST_F(TimeWaitSegments, F12_its_timestamp_is_remembered) {
  enter();
  SegmentSummary s = ack(0);
  s.ts_val = kTs + 50;
  meets(s);
  EXPECT_EQ(waits.find(tuple())->ts_recent, kTs + 50);
}

TEST_F(TimeWaitSegments, U2_F12_an_exact_reset_ends_it_and_nothing_counts_it) {
  enter();
  const Counters before = counters;
  EXPECT_EQ(meets(reset(1)).action, Action::Drop);
  EXPECT_EQ(meets(reset(-1)).action, Action::Drop);
  EXPECT_TRUE(alive());
  EXPECT_EQ(meets(reset(0)).action, Action::Removed);
  EXPECT_FALSE(alive());
  EXPECT_EQ(counters, before);
  const auto ends = watcher.take();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].second, TimeWaitEnd::Reset);
}

TEST_F(TimeWaitSegments, U2_F12_unless_rfc1337) {
  settings.rules.rfc1337 = true;
  set(settings);
  enter();
  pass(50s);
  EXPECT_EQ(meets(reset(0)).action, Action::Drop);
  EXPECT_TRUE(alive());
  pass(10s);
  EXPECT_FALSE(alive()) << "and it does not prolong it either";
}

TEST_F(TimeWaitSegments, U3_an_ack_out_of_place_draws_one_ack_in_500_ms) {
  enter();
  EXPECT_EQ(meets(ack(-100)).action, Action::Ack);
  EXPECT_EQ(meets(ack(-100)).action, Action::Drop);
  pass(499ms);
  EXPECT_EQ(meets(ack(100)).action, Action::Drop);
  EXPECT_EQ(counters.TCPACKSkippedTimeWait, 2u);
  pass(1ms);
  EXPECT_EQ(meets(ack(100)).action, Action::Ack);
  EXPECT_EQ(counters.TCPACKSkippedTimeWait, 2u);
}

TEST_F(TimeWaitSegments, U3_the_limit_is_one_records_own) {
  enter(tuple(1));
  enter(tuple(2));
  EXPECT_EQ(meets(ack(-100), tuple(1)).action, Action::Ack);
  EXPECT_EQ(meets(ack(-100), tuple(2)).action, Action::Ack);
  settings.invalid_ratelimit = Duration(0);
  set(settings);
  EXPECT_EQ(meets(ack(-100), tuple(1)).action, Action::Ack);
}

TEST_F(TimeWaitSegments, U3_what_is_not_answered_still_begins_the_stay_again) {
  enter();
  pass(59s);
  meets(ack(-100));
  EXPECT_EQ(meets(ack(-100)).action, Action::Drop);
  pass(59s);
  EXPECT_TRUE(alive());
}

TEST_F(TimeWaitSegments, A3_an_old_duplicate_is_answered_and_goes_no_further) {
  enter();
  SegmentSummary late = ack(-300);
  late.length = 100;
  EXPECT_EQ(meets(late).action, Action::Ack);
  EXPECT_TRUE(alive());
}

TEST_F(TimeWaitSegments, F13_MAY2_a_later_syn_may_be_taken_by_a_listener) {
  enter();
  const TimeWaitVerdict v = meets(syn(1));
  EXPECT_EQ(v.action, Action::Reopen);
  EXPECT_EQ(v.isn, SeqNum(kSnd + 65537));
  EXPECT_TRUE(alive()) << "without a listener the record stays, and the reply is sent";
  EXPECT_EQ(v.reply.seq, SeqNum(kSnd));
  EXPECT_EQ(v.reply.ack, SeqNum(kRcv));
  const Counters before = counters;
  const auto record = waits.reopen(tuple(), now);
  ASSERT_TRUE(record);
  EXPECT_EQ(counters, before) << "nothing counts it";
  EXPECT_FALSE(alive());
  EXPECT_EQ(watcher.take().at(0).second, TimeWaitEnd::Reopened);
}

TEST_F(TimeWaitSegments, F13_SHLD4_a_newer_timestamp_is_enough) {
  enter();
  SegmentSummary s = syn(-1000);
  EXPECT_EQ(meets(s).action, Action::Ack);
  s.ts_val = kTs + 1;
  EXPECT_EQ(meets(s).action, Action::Reopen);
}

TEST_F(TimeWaitSegments, MAY2_returns_to_time_wait_if_the_syn_was_an_old_duplicate) {
  enter();
  pass(20s);
  const auto record = waits.reopen(tuple(), now);
  ASSERT_TRUE(record);
  pass(10s);
  EXPECT_TRUE(waits.restore(*record, now));
  EXPECT_EQ(waits.find(tuple()), record) << "as it was";
  pass(30s - 1ms);
  EXPECT_TRUE(alive());
  pass(1ms);
  EXPECT_FALSE(alive()) << "with what was left of its stay";
}

TEST_F(TimeWaitSegments, MAY2_unless_the_stay_is_over_by_then) {
  enter();
  const auto record = waits.reopen(tuple(), now);
  pass(60s);
  EXPECT_FALSE(waits.restore(*record, now));
  EXPECT_FALSE(alive());
  EXPECT_EQ(waits.size(), 0u);
}

TEST_F(TimeWaitSegments, F13_a_syn_that_is_not_later_does_not_prolong_it) {
  enter();
  pass(50s);
  EXPECT_EQ(meets(syn(-5)).action, Action::Ack);
  pass(10s);
  EXPECT_FALSE(alive());
}

TEST_F(TimeWaitSegments, F14_a_timestamp_from_the_past_is_counted) {
  enter();
  SegmentSummary s = ack(0);
  s.ts_val = kTs - 1;
  EXPECT_EQ(meets(s).action, Action::Ack);
  EXPECT_EQ(counters.PAWSTimewait, 1u);
  s = syn(100);
  s.ts_val = kTs - 1;
  EXPECT_EQ(meets(s).action, Action::Drop) << "an ACK a moment ago";
  EXPECT_EQ(counters.PAWSTimewait, 2u);
  EXPECT_EQ(waits.find(tuple())->ts_recent, kTs);
}

TEST_F(TimeWaitSegments, Rfc793_resets_for_a_syn_in_its_window) {
  settings.rules.profile = timewait::Profile::Rfc793;
  set(settings);
  enter();
  EXPECT_EQ(meets(syn(0)).action, Action::RstAndRemoved);
  EXPECT_FALSE(alive());
}

// --- FIN_WAIT_2 ----------------------------------------------------------------------------------------------

class FinWait2Segments : public TimeWaitsTest {};

TEST_F(FinWait2Segments, F11_the_fin_makes_it_time_wait_with_60_s_before_it) {
  enter_fin_wait_2(tuple(), 10s);
  EXPECT_EQ(counters.TW, 1u);
  pass(5s);
  SegmentSummary s = the_fin();
  s.ts_val = kTs + 5;
  const TimeWaitVerdict v = meets(s);
  EXPECT_EQ(v.action, Action::EnteredTimeWait);
  EXPECT_EQ(v.reply.seq, SeqNum(kSnd));
  EXPECT_EQ(v.reply.ack, SeqNum(kRcv + 1));
  EXPECT_EQ(v.reply.ts_ecr, kTs + 5);
  EXPECT_EQ(counters.TW, 1u) << "F04: once";
  EXPECT_EQ(waits.fin_wait_2_size(), 0u);
  EXPECT_EQ(waits.time_wait_size(), 1u);
  ASSERT_TRUE(alive());
  EXPECT_EQ(waits.find(tuple())->rcv_nxt, SeqNum(kRcv + 1));
  EXPECT_TRUE(watcher.take().empty()) << "nothing ended";
  pass(60s - 1ms);
  EXPECT_TRUE(alive());
  pass(1ms);
  EXPECT_FALSE(alive());
}

TEST_F(FinWait2Segments, F11_data_is_answered_with_a_reset) {
  enter_fin_wait_2(tuple());
  SegmentSummary s = ack(0);
  s.length = 1;
  EXPECT_EQ(meets(s).action, Action::RstAndRemoved);
  EXPECT_EQ(waits.size(), 0u);
  EXPECT_EQ(watcher.take().at(0).second, TimeWaitEnd::Reset);
}

TEST_F(FinWait2Segments, F11_a_reset_removes_it) {
  enter_fin_wait_2(tuple());
  EXPECT_EQ(meets(reset(10)).action, Action::Removed);
  EXPECT_EQ(waits.size(), 0u);
}

TEST_F(FinWait2Segments, F11_out_of_window_draws_an_ack_now_and_then) {
  enter_fin_wait_2(tuple());
  const TimeWaitVerdict v = meets(ack(-5));
  EXPECT_EQ(v.action, Action::Ack);
  EXPECT_EQ(v.reply.window, 1000u);
  EXPECT_EQ(meets(ack(-5)).action, Action::Drop);
  EXPECT_EQ(counters.TCPACKSkippedFinWait2, 1u);
  pass(500ms);
  EXPECT_EQ(meets(ack(-5)).action, Action::Ack);
  pass(59'499ms);
  EXPECT_EQ(waits.size(), 1u);
  pass(1ms);
  EXPECT_EQ(waits.size(), 0u) << "and does not prolong it";
}

TEST_F(FinWait2Segments, F06_ends_at_its_own_deadline) {
  enter_fin_wait_2(tuple(1), 30s);
  enter_fin_wait_2(tuple(2), 10s);
  enter(tuple(3));
  EXPECT_EQ(waits.next_expiry(), now + 10s);
  pass(10s);
  EXPECT_FALSE(waits.find_fin_wait_2(tuple(2)));
  EXPECT_EQ(waits.next_expiry(), now + 20s);
  pass(20s);
  EXPECT_EQ(waits.fin_wait_2_size(), 0u);
  EXPECT_EQ(waits.next_expiry(), now + 30s);
}

}  // namespace
}  // namespace lastack
