// The rules about segments, set against each other: one line for each segment, one column for each profile.
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "timewait/time_wait_rules.h"

namespace lastack::timewait {
namespace {

using Action = Judgement::Action;
using enum Judgement::Action;

constexpr std::uint32_t kRcv = 5000;
constexpr std::uint32_t kSnd = 9000;
constexpr std::uint32_t kTs = 700;

Numbers numbers(bool timestamps, Duration age = 1s) {
  Numbers n{SeqNum(kRcv), SeqNum(kSnd), std::nullopt, age};
  if (timestamps) n.ts_recent = kTs;
  return n;
}

// "SFRA" flags, the sequence number relative to rcv_nxt, the length, the timestamp relative to ts_recent.
SegmentSummary segment(const std::string& flags, int seq, std::uint32_t length = 0,
                       std::optional<int> ts = std::nullopt) {
  SegmentSummary s;
  s.seq = SeqNum(kRcv + static_cast<std::uint32_t>(seq));
  s.ack = SeqNum(kSnd);
  s.length = length;
  s.syn = flags.find('S') != std::string::npos;
  s.fin = flags.find('F') != std::string::npos;
  s.rst = flags.find('R') != std::string::npos;
  s.ack_flag = flags.find('A') != std::string::npos;
  if (ts) s.ts_val = kTs + static_cast<std::uint32_t>(*ts);
  return s;
}

// What is to happen, as text: "ack again ts paws limited".
std::string text(const Judgement& j) {
  std::string t;
  switch (j.action) {
    case Drop:
      t = "drop";
      break;
    case Ack:
      t = "ack";
      break;
    case End:
      t = "end";
      break;
    case Reset:
      t = "reset";
      break;
    case Reopen:
      t = "reopen";
      break;
    case EnterTimeWait:
      t = "time-wait";
      break;
  }
  if (j.rearm) t += " again";
  if (j.take_timestamp) t += " ts";
  if (j.paws) t += " paws";
  if (j.limited) t += " limited";
  return t;
}

struct Case {
  const char* name;
  SegmentSummary segment;
  bool timestamps;
  const char* on_linux;
  const char* rfc9293;
  const char* rfc793;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.name;
}

const Case kCases[] = {
    {"U1_fin_again", segment("FA", -1), false, "ack again", "ack again", "ack again"},
    {"U1_fin_again_with_its_data", segment("FA", -11, 10), false, "ack again", "ack again",
     "ack again"},
    {"U1_fin_again_with_timestamps", segment("FA", -1, 0, 3), true, "ack again", "ack again",
     "ack again"},
    {"F12_expected_ack", segment("A", 0), false, "drop again", "drop", "drop"},
    {"F12_expected_ack_with_a_timestamp", segment("A", 0, 0, 5), true, "drop again ts", "drop",
     "drop"},
    {"F12_expected_empty_segment_without_ack", segment("", 0), false, "drop again", "drop", "drop"},
    {"U2_exact_reset", segment("R", 0), false, "end", "end", "end"},
    {"U2_exact_reset_with_data", segment("R", 0, 4), false, "end", "end", "end"},
    {"U4_reset_elsewhere", segment("R", 1), false, "drop", "drop", "drop"},
    {"U4_reset_before", segment("RA", -1), false, "drop", "drop", "drop"},
    {"U3_old_data", segment("A", -100, 50), false, "ack again", "ack limited", "ack"},
    {"U3_new_data", segment("A", 0, 50), false, "ack again", "ack limited", "ack"},
    {"U3_old_ack", segment("A", -100), false, "ack again limited", "ack limited", "ack"},
    {"U3_later_ack", segment("A", 100), false, "ack again limited", "ack limited", "ack"},
    {"Claim_A3_old_duplicate_without_ack", segment("", -100, 50), false, "ack", "ack limited",
     "ack"},
    {"MAY2_syn_later", segment("S", 1), false, "reopen", "reopen", "ack"},
    {"F13_syn_exactly_expected", segment("S", 0), false, "ack limited", "drop", "reset"},
    {"F13_syn_earlier", segment("S", -1), false, "ack limited", "drop", "ack"},
    {"SHLD4_syn_earlier_newer_timestamp", segment("S", -1, 0, 1), true, "reopen", "reopen", "ack"},
    {"SHLD4_syn_later_same_timestamp", segment("S", 1, 0, 0), true, "reopen", "reopen", "ack"},
    {"SHLD4_syn_earlier_same_timestamp", segment("S", -1, 0, 0), true, "ack limited", "drop",
     "ack"},
    {"SHLD4_syn_later_older_timestamp", segment("S", 1, 0, -1), true, "ack again paws limited",
     "drop", "ack"},
    {"RFC6191_syn_later_no_timestamp", segment("S", 1), true, "reopen", "reopen", "ack"},
    {"RFC6191_syn_earlier_no_timestamp", segment("S", -1), true, "ack limited", "drop", "ack"},
    {"RFC6191_syn_earlier_timestamp_is_new", segment("S", -1, 0, 0), false, "ack limited", "reopen",
     "ack"},
    {"U5_syn_and_ack", segment("SA", 1), false, "ack again limited", "ack limited", "ack"},
    {"U5_syn_and_rst", segment("SR", 1), false, "drop", "drop", "drop"},
    {"F14_old_timestamp", segment("A", 0, 0, -1), true, "ack again paws limited",
     "ack paws limited", "drop"},
    {"F14_old_timestamp_with_the_fin", segment("FA", -1, 0, -1), true, "ack again paws",
     "ack paws limited", "ack again"},
    {"F14_old_timestamp_with_a_reset", segment("R", 0, 0, -1), true, "drop paws", "end", "end"},
    {"F14_no_timestamps_remembered", segment("A", 0, 0, -1), false, "drop again", "drop", "drop"},
};

class TimeWaitRules : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(All, TimeWaitRules, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return std::string(c.param.name); });

TEST_P(TimeWaitRules, Linux) {
  const Case& c = GetParam();
  EXPECT_EQ(text(judge_time_wait(numbers(c.timestamps), c.segment, {Profile::Linux})), c.on_linux);
}
TEST_P(TimeWaitRules, Rfc9293) {
  const Case& c = GetParam();
  EXPECT_EQ(text(judge_time_wait(numbers(c.timestamps), c.segment, {Profile::Rfc9293})), c.rfc9293);
}
TEST_P(TimeWaitRules, Rfc793) {
  const Case& c = GetParam();
  EXPECT_EQ(text(judge_time_wait(numbers(c.timestamps), c.segment, {Profile::Rfc793})), c.rfc793);
}

TEST(TimeWaitRule, F12_rfc1337_keeps_the_record_from_resets) {
  for (const Profile profile : {Profile::Linux, Profile::Rfc9293, Profile::Rfc793}) {
    const RuleSettings settings{profile, true};
    EXPECT_EQ(text(judge_time_wait(numbers(false), segment("R", 0), settings)), "drop");
  }
}

TEST(TimeWaitRule, F14_a_reset_may_be_old_once_the_timestamp_is_a_minute_old) {
  const auto judge = [](Duration age) {
    return text(judge_time_wait(numbers(true, age), segment("R", 0, 0, -1), {}));
  };
  EXPECT_EQ(judge(60s - 1ns), "drop paws");
  EXPECT_EQ(judge(60s), "end");
}

TEST(TimeWaitRule, ARememberedTimestampOfZeroIsNotBelieved) {
  Numbers n = numbers(true);
  n.ts_recent = 0;
  SegmentSummary s = segment("A", 0);
  s.ts_val = 0xffffffff;
  EXPECT_EQ(text(judge_time_wait(n, s, {})), "drop again ts");
}

TEST(TimeWaitRule, RFC6191_asks_whether_the_new_connection_would_have_timestamps) {
  const RuleSettings off{Profile::Rfc9293, false, false};
  EXPECT_EQ(text(judge_time_wait(numbers(true), segment("S", -1, 0, 1), off)), "drop");
  EXPECT_EQ(text(judge_time_wait(numbers(true), segment("S", 1, 0, -1), off)), "reopen");
}

TEST(TimeWaitRule, NumbersWrap) {
  Numbers n{SeqNum(0xfffffff0), SeqNum(0xfffffff0), 0xfffffff0U, 1s};
  SegmentSummary s;
  s.syn = true;
  s.seq = SeqNum(5);
  EXPECT_EQ(text(judge_time_wait(n, s, {})), "reopen");
  s.seq = SeqNum(0xffffffef);
  s.ts_val = 3;
  EXPECT_EQ(text(judge_time_wait(n, s, {})), "reopen");
}

TEST(TimeWaitRule, F18_the_next_connection_begins_65537_later_and_never_at_0) {
  EXPECT_EQ(next_isn(SeqNum(1000)), SeqNum(66537));
  EXPECT_EQ(next_isn(SeqNum(0) - 65537), SeqNum(1));
  EXPECT_EQ(next_isn(SeqNum(1) - 65537), SeqNum(1));
}

// --- FIN_WAIT_2 (linux-facts 11) -----------------------------------------------------------------------------

struct FinWait2Case {
  const char* name;
  SegmentSummary segment;
  const char* expected;
};
std::ostream& operator<<(std::ostream& out, const FinWait2Case& c) {
  return out << c.name;
}

// With timestamps, and a window of 1000 bytes.
const FinWait2Case kFinWait2Cases[] = {
    {"the_fin", segment("FA", 0), "time-wait"},
    {"the_fin_with_a_timestamp", segment("FA", 0, 0, 9), "time-wait ts"},
    {"the_fin_behind_old_data", segment("FA", -10, 10), "time-wait"},
    {"new_data", segment("A", 0, 1), "reset"},
    {"new_data_and_fin", segment("FA", 0, 1), "reset"},
    {"data_further_on", segment("A", 500, 10), "reset"},
    {"fin_further_on", segment("FA", 500), "reset"},
    {"old_data", segment("A", -10, 5), "ack"},
    {"data_beyond_the_window", segment("A", 1000, 5), "ack"},
    {"ack_beyond_the_window", segment("A", 1001), "ack limited"},
    {"ack_at_the_end_of_the_window", segment("A", 1000), "drop"},
    {"ack_again", segment("A", 0), "drop"},
    {"no_ack_flag", segment("F", 0), "drop"},
    {"reset_in_the_window", segment("R", 500), "end"},
    {"reset_outside", segment("R", -1), "ack limited"},
    {"syn_in_the_window", segment("S", 1), "reset"},
    {"syn_before_it", segment("S", -5), "ack limited"},
    {"old_timestamp", segment("FA", 0, 0, -1), "ack paws"},
    {"old_timestamp_empty", segment("A", 0, 0, -1), "ack paws limited"},
};

class F11 : public ::testing::TestWithParam<FinWait2Case> {};
INSTANTIATE_TEST_SUITE_P(FinWait2, F11, ::testing::ValuesIn(kFinWait2Cases),
                         [](const auto& c) { return std::string(c.param.name); });

TEST_P(F11, As) {
  Numbers n = numbers(true);
  n.rcv_window = 1000;
  EXPECT_EQ(text(judge_fin_wait_2(n, GetParam().segment)), GetParam().expected);
}

}  // namespace
}  // namespace lastack::timewait
