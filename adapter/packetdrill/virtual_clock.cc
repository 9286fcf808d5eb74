#include "virtual_clock.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace lastack::packetdrill {
namespace {

constexpr Duration kCreep = 1us;
// Of real time: a woken thread that is not back by then is not coming.
constexpr auto kPatience = std::chrono::seconds(1);
// An endpoint that is due at the same instant again and again would stop the clock.
constexpr int kMostAtOnce = 10000;

}  // namespace

VirtualClock::VirtualClock(std::function<Instant()> deadline, std::function<void(Instant)> work)
    : deadline_(std::move(deadline)), work_(std::move(work)) {}

Instant VirtualClock::next() const {
  const Instant due = deadline_();
  return waiting_ != nullptr && !waiting_->over ? std::min(due, waiting_->until) : due;
}

void VirtualClock::work_at(Lock& lock, Instant when) {
  now_ = std::max(now_, when);
  work_(now_);
  settle(lock);
}

void VirtualClock::pass_until(Lock& lock, Instant until) {
  int at_once = 0;
  for (Instant due = next(); due <= until; due = next()) {
    at_once = due <= now_ ? at_once + 1 : 0;
    if (at_once > kMostAtOnce) {
      std::fputs("lastack: the endpoint is due without end; the clock goes on without it\n",
                 stderr);
      break;
    }
    work_at(lock, due);
  }
  now_ = std::max(now_, until);
}

bool VirtualClock::pass_to_next(Lock& lock, Instant limit) {
  const Instant due = next();
  if (due == Instant::max() || due > limit) return false;
  work_at(lock, due);
  return true;
}

Instant VirtualClock::tell(Lock& lock) {
  if (woken_ == std::this_thread::get_id()) {
    woken_ = {};
    returns_ = true;
    has_asked_.notify_all();
    return now_;
  }
  pass_until(lock, now_ + kCreep);
  return now_;
}

bool VirtualClock::wait(Lock& lock, std::function<bool()> attempt, Instant until) {
  if (attempt()) return true;
  if (until <= now_) return false;
  if (std::this_thread::get_id() == script_) {
    const Instant limit = std::min(until, now_ + kLongestSilence);
    while (pass_to_next(lock, limit)) {
      if (attempt()) return true;
    }
    if (until != Instant::max()) pass_until(lock, until);
    return false;
  }
  Waiting here{std::move(attempt), until, std::this_thread::get_id()};
  waiting_ = &here;
  wake_.wait(lock, [&] { return here.over; });
  return here.succeeded;
}

void VirtualClock::let_return(Lock& lock) {
  if (!std::exchange(returns_, false) || std::this_thread::get_id() != script_) return;
  lock.unlock();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  lock.lock();
}

void VirtualClock::settle(Lock& lock) {
  if (waiting_ == nullptr || waiting_->over) return;
  waiting_->succeeded = waiting_->attempt();
  if (!waiting_->succeeded && now_ < waiting_->until) return;
  waiting_->over = true;
  woken_ = std::exchange(waiting_, nullptr)->thread;
  wake_.notify_all();
  has_asked_.wait_for(lock, kPatience, [&] { return woken_ == std::thread::id{}; });
}

}  // namespace lastack::packetdrill
