// TimeWaits against the simplest thing that could be right, a map, over millions of operations.
#include <algorithm>
#include <map>
#include <string>

#include "unit/seeds.h"
#include "unit/timewait/host.h"

namespace lastack {
namespace {

// Whole milliseconds, so that no rounding is needed here.
class Model {
 public:
  explicit Model(std::uint64_t seed) : dice_(seed), waits_({seed, 1}, settings_, watcher_) {
    settings_.max_records = 1 << 20;
    settings_.reuse = TimeWaitSettings::Reuse::On;
    set();
    tuples_ = 50 + dice_.below(5000);
    now_ += std::chrono::milliseconds(dice_.bits() % (std::uint64_t{1} << 40));
  }

  void step() {
    if (dice_.one_in(3)) {
      // Mostly a little; at times past every stay, or past the range of a record's time.
      const std::uint64_t ms = dice_.one_in(20'000) ? dice_.below(std::uint64_t{3} << 25)
                               : dice_.one_in(500)  ? dice_.below(100'000)
                                                    : dice_.below(20);
      now_ += std::chrono::milliseconds(ms);
    }
    end_naive();
    if (dice_.one_in(20'000)) change_settings();
    const FourTuple tuple = any_tuple();
    end_naive();
    const auto it = naive_.find(tuple);
    const bool there = it != naive_.end();
    switch (dice_.below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        if (!there) enter(tuple);
        break;
      case 4:
        if (there) {
          ASSERT_EQ(segment(tuple, true, false, -1), TimeWaitVerdict::Action::Ack);
          it->second.armed = now_;
        }
        break;
      case 5:
        if (there && dice_.one_in(3)) {
          ASSERT_EQ(segment(tuple, false, true, 0), TimeWaitVerdict::Action::Removed);
          naive_.erase(it);
        }
        break;
      case 6:
        reuse(tuple);
        break;
      case 7:
        if (there && dice_.one_in(4)) {
          taken_.push_back(*waits_.reopen(tuple, now_));
          ASSERT_EQ(taken_.back(), it->second);
          naive_.erase(it);
        } else if (!taken_.empty()) {
          restore();
        }
        break;
      case 8:
        waits_.advance(now_);
        if (dice_.one_in(100)) compare_rested();
        break;
      default: {
        const auto found = waits_.find(tuple);
        // What is over is found until somebody who has a time comes by.
        if (there) {
          ASSERT_EQ(found, it->second);
        }
      }
    }
    ASSERT_LE(watcher_.all.size(), 1'000'000u);
  }

  // Everything, one by one.
  void compare() {
    end_naive();
    waits_.advance(now_);
    ASSERT_EQ(waits_.size(), naive_.size());
    std::size_t seen = 0;
    waits_.for_each([&](const TimeWaitRecord& r) {
      const auto it = naive_.find(r.tuple);
      ASSERT_NE(it, naive_.end()) << r.tuple.to_string();
      ASSERT_EQ(it->second, r);
      ++seen;
    });
    ASSERT_EQ(seen, naive_.size());
    compare_rested();
    const auto next = waits_.next_expiry();
    ASSERT_EQ(next.has_value(), !naive_.empty());
    for (const auto& [tuple, r] : naive_) ASSERT_LE(*next, r.armed + settings_.length);
    watcher_.all.clear();
  }

 private:
  FourTuple any_tuple() {
    const std::uint64_t n = dice_.below(tuples_);
    const auto port = static_cast<Port>(1 + n / 4);
    switch (n % 4) {
      case 0:
        return {{IpAddress::v4(1), port}, {IpAddress::v4(9), 80}};
      case 1:
        return {{IpAddress::v4(2), port}, {IpAddress::v4(9), 80}};
      case 2:
        return {{*IpAddress::parse("2001:db8::1"), port}, {*IpAddress::parse("2001:db8::9"), 80}};
      default:
        return {{IpAddress::v4(1), 80}, {IpAddress::v4(9), port}};
    }
  }
  void set() { waits_.configure(settings_, now_); }
  void change_settings() {
    constexpr Duration kLengths[] = {60s, 60s, 240s, 5s, 1ms, 20s};
    constexpr Duration kDelays[] = {1s, 1ms, 60s, 10s};
    settings_.length = kLengths[dice_.below(6)];
    settings_.reuse_delay = kDelays[dice_.below(4)];
    set();
  }
  void enter(const FourTuple& tuple) {
    ClosedConnection c{tuple, SeqNum(static_cast<std::uint32_t>(dice_.bits())),
                       SeqNum(static_cast<std::uint32_t>(dice_.bits()))};
    if (!dice_.one_in(4)) c.ts_recent = static_cast<std::uint32_t>(dice_.bits());
    c.port = {dice_.one_in(2), dice_.one_in(2), dice_.one_in(2)};
    ASSERT_EQ(waits_.enter(c, now_, counters_), TimeWaits::Entered::Kept);
    naive_[tuple] = {tuple, c.rcv_nxt, c.snd_nxt, c.ts_recent, c.port, now_};
  }
  TimeWaitVerdict::Action segment(const FourTuple& tuple, bool fin, bool rst, int seq) {
    SegmentSummary s;
    s.seq = naive_[tuple].rcv_nxt + static_cast<std::uint32_t>(seq);
    s.fin = fin;
    s.rst = rst;
    s.ack_flag = true;
    return waits_.on_segment(tuple, s, now_, counters_).action;
  }
  void reuse(const FourTuple& tuple) {
    const auto it = naive_.find(tuple);
    const bool chosen = dice_.one_in(4);
    const bool may = it != naive_.end() && it->second.ts_recent &&
                     (chosen || now_ - it->second.armed >= settings_.reuse_delay);
    const auto given = waits_.try_reuse(
        tuple, chosen ? TimeWaits::PortIs::Chosen : TimeWaits::PortIs::Automatic, now_, counters_);
    ASSERT_EQ(given.has_value(), may);
    if (!may) return;
    ASSERT_EQ(given->isn, timewait::next_isn(it->second.snd_nxt));
    naive_.erase(it);
  }
  void restore() {
    const TimeWaitRecord r = taken_.back();
    taken_.pop_back();
    if (naive_.count(r.tuple) != 0) return;
    const bool in_time = now_ - r.armed < settings_.length;
    ASSERT_EQ(waits_.restore(r, now_), in_time);
    if (in_time) naive_[r.tuple] = r;
  }
  void end_naive() {
    if (now_ == ended_at_ && settings_.length == ended_by_) return;
    ended_at_ = now_;
    ended_by_ = settings_.length;
    std::erase_if(naive_, [&](const auto& n) { return now_ - n.second.armed >= settings_.length; });
  }
  void compare_rested() {
    for (const FourTuple& t : watcher_.now_rested) {
      ASSERT_EQ(naive_.count(t), 1u) << t.to_string();
    }
    for (const auto& [tuple, r] : naive_) {
      const bool rested = r.ts_recent && now_ - r.armed >= settings_.reuse_delay;
      ASSERT_EQ(watcher_.now_rested.count(tuple) == 1, rested) << tuple.to_string();
    }
  }

  Dice dice_;
  TimeWaitSettings settings_;
  Watcher watcher_;
  TimeWaits waits_;
  Counters counters_;
  Instant now_{};
  Instant ended_at_{};
  Duration ended_by_{};
  std::uint64_t tuples_;
  std::map<FourTuple, TimeWaitRecord> naive_;
  std::vector<TimeWaitRecord> taken_;
};

TEST(TimeWaitModel, AgreesWithAMapOverMillionsOfOperations) {
  for (const std::uint64_t seed : seeds(12)) {
    SCOPED_TRACE(replay(seed, "timewait/test_timewait",
                        "TimeWaitModel.AgreesWithAMapOverMillionsOfOperations"));
    Model model(seed);
    for (int i = 0; i < 250'000; ++i) {
      ASSERT_NO_FATAL_FAILURE(model.step()) << "step " << i;
      if (i % 10'000 == 0) {
        ASSERT_NO_FATAL_FAILURE(model.compare()) << "step " << i;
      }
    }
    ASSERT_NO_FATAL_FAILURE(model.compare());
  }
}

}  // namespace
}  // namespace lastack
