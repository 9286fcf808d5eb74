// The loop without a device: timers, descriptors, stopping, and that it sleeps.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <string>

#include "kernel/unique_fd.h"
#include "lastack/event_loop.h"

namespace lastack {
namespace {

struct Line {
  Line() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    here.reset(ends[0]);
    there.reset(ends[1]);
  }
  void say() const { EXPECT_EQ(::write(there.get(), "x", 1), 1); }
  void hear() const {
    char byte;
    EXPECT_EQ(::read(here.get(), &byte, 1), 1);
  }
  UniqueFd here, there;
};

Duration processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

TEST(EventLoop, CallsTimersInTheirOrderOnce) {
  EventLoop loop;
  std::string order;
  const Instant begin = EventLoop::now();
  loop.call_at(begin + 4ms, [&] { order += 'c'; });
  loop.call_at(begin + 2ms, [&] { order += 'a'; });
  const auto dropped = loop.call_at(begin + 3ms, [&] { order += 'x'; });
  loop.call_at(begin + 2ms, [&] {
    order += 'b';
    loop.cancel(dropped);
    loop.call_after(Duration{}, [&] { order += '-'; });
  });
  loop.call_at(begin + 6ms, [&] { loop.call_after(Duration{}, [&] { loop.stop(); }); });
  ASSERT_TRUE(loop.run());
  EXPECT_GE(EventLoop::now() - begin, 6ms);
  // On a busy machine all are due at once; a new one waits for the next round even so.
  EXPECT_TRUE(order == "ab-c" || order == "abc-") << order;
  loop.cancel(dropped);
}

TEST(EventLoop, SleepsWhileNothingIsToBeDone) {
  EventLoop loop;
  Line line;
  ASSERT_TRUE(loop.watch(line.here.get(), {.readable = true}, [](EventLoop::Ready) { FAIL(); }));
  const Duration before = processor_time();
  ASSERT_TRUE(loop.run_for(60ms));
  EXPECT_LT(processor_time() - before, 20ms);
}

TEST(EventLoop, StopsFromAHandlerAndBeforeItRuns) {
  EventLoop loop;
  loop.stop();
  ASSERT_TRUE(loop.run());
  Line line;
  int calls = 0;
  ASSERT_TRUE(loop.watch(line.here.get(), {.readable = true}, [&](EventLoop::Ready ready) {
    EXPECT_TRUE(ready.readable);
    line.hear();
    ++calls;
    loop.stop();
  }));
  line.say();
  ASSERT_TRUE(loop.run());
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, HandlersMayChangeWhatIsWatched) {
  EventLoop loop;
  Line a, b;
  std::string order;
  ASSERT_TRUE(loop.watch(a.here.get(), {.readable = true}, [&](EventLoop::Ready) {
    order += 'a';
    a.hear();
    loop.unwatch(a.here.get());
    ASSERT_TRUE(
        loop.watch(b.here.get(), {.readable = true, .writable = true}, [&](EventLoop::Ready ready) {
          order += ready.writable ? 'w' : 'r';
          // In the middle of itself its successor takes over.
          ASSERT_TRUE(loop.watch(b.here.get(), {.readable = true}, [&](EventLoop::Ready) {
            order += 'b';
            loop.stop();
          }));
          b.say();
        }));
  }));
  a.say();
  ASSERT_TRUE(loop.run_for(5s));
  EXPECT_EQ(order, "awb");
}

TEST(EventLoop, TellsThatTheOtherEndHasGone) {
  EventLoop loop;
  Line line;
  bool readable = false;
  ASSERT_TRUE(loop.watch(line.here.get(), {.readable = true}, [&](EventLoop::Ready ready) {
    readable = ready.readable;
    loop.stop();
  }));
  line.there.reset();
  ASSERT_TRUE(loop.run_for(5s));
  EXPECT_TRUE(readable);
}

TEST(EventLoop, NamesADescriptorThatCannotBeWatched) {
  EventLoop loop;
  const auto watched = loop.watch(1 << 20, {.readable = true}, [](EventLoop::Ready) {});
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().number, EBADF);
}

}  // namespace
}  // namespace lastack
