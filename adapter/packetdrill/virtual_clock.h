// Time that passes only when packetdrill waits for it, and threads that wait for something to happen in it.
//
// packetdrill has two threads: one that goes through the script, and one for the call that the script says
// takes time. It knows that such a call blocks by seeing its thread asleep, and when it ended by asking for
// the time as soon as it has come back. So a blocked call really sleeps, and whoever made it end (time,
// a packet, another call) stands still until the woken thread has asked for the time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "lastack/time.h"

namespace lastack::packetdrill {

class VirtualClock {
 public:
  using Lock = std::unique_lock<std::mutex>;

  // `deadline` says when something is to be done next, `work` does what is due.
  VirtualClock(std::function<Instant()> deadline, std::function<void(Instant)> work);

  // Everything that belongs to the endpoint, this clock included, is for who holds the lock.
  Lock lock() { return Lock(mutex_); }
  Instant now() const { return now_; }
  // What time is it? A little later than at the last time it was asked: packetdrill waits by asking.
  Instant tell(Lock& lock);
  // Lets time pass, and does on the way what is due.
  void pass_until(Lock& lock, Instant until);
  // To the next moment at which anything is due; false if there is none before `limit`.
  bool pass_to_next(Lock& lock, Instant limit);
  // A script that waits longer than that for anything waits for something that does not come.
  static constexpr Duration kLongestSilence = std::chrono::hours(3);

  // Blocks the calling thread until `attempt` succeeds, which is tried whenever something has happened, at
  // the latest until `until`. Whether it succeeded. The thread that goes through the script cannot sleep, since
  // nobody else lets time pass: for it time passes at once.
  bool wait(Lock& lock, std::function<bool()> attempt, Instant until = Instant::max());
  // Something has happened: lets a waiting thread go if it can, and waits for it to have asked for the time.
  void settle(Lock& lock);
  // A call that has just come to its end in the other thread has yet to be looked at by packetdrill there, for which it
  // takes a lock that the script's thread has whenever it does not sleep: so this sleeps, in real time.
  void let_return(Lock& lock);

 private:
  struct Waiting {
    std::function<bool()> attempt;
    Instant until;
    std::thread::id thread;
    bool over = false;
    bool succeeded = false;
  };

  Instant next() const;
  void work_at(Lock& lock, Instant when);

  std::function<Instant()> deadline_;
  std::function<void(Instant)> work_;
  std::mutex mutex_;
  std::condition_variable wake_;       // for the thread that waits
  std::condition_variable has_asked_;  // for the one that woke it
  Instant now_{std::chrono::seconds(1'000'000)};
  std::thread::id script_ = std::this_thread::get_id();
  Waiting* waiting_ = nullptr;
  std::thread::id woken_{};  // has to ask for the time first
  bool returns_ = false;     // it has
};

}  // namespace lastack::packetdrill
