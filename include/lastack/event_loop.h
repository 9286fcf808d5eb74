// Real time for hosts on devices: waits for packets, deadlines and whatever else has a file descriptor, and calls.
//
//   EventLoop loop;
//   loop.attach(host, tun, [&](SocketId socket) { ... });   // as next_event() names them
//   loop.watch(signals, {.readable = true}, [&](auto) { loop.stop(); });
//   const auto ended = loop.run();
//
// Everything happens in the thread that calls run(): the loop has no threads, and while nothing is to be done it
// sleeps in epoll_wait(). Handlers may call anything of the loop and of its hosts, also detach and stop. What they
// make a host send goes out before the loop sleeps again.
//
// Not thread-safe, except stop(). No exceptions but std::bad_alloc and what handlers throw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "lastack/host.h"
#include "lastack/result.h"
#include "lastack/time.h"
#include "lastack/tun_device.h"

namespace lastack {

class EventLoop {
 public:
  EventLoop();
  EventLoop(EventLoop&&) noexcept;
  EventLoop& operator=(EventLoop&&) noexcept;
  ~EventLoop();

  // CLOCK_MONOTONIC, now. What the calls of a host take as `now`.
  static Instant now();

  // --- Hosts
  // Called for each socket that Host::next_event() names.
  using SocketHandler = std::function<void(SocketId)>;
  // From now on the loop moves packets between the two, advances the host when it is due, and takes its events (none
  // are taken while there is no handler). Both must stay where they are, and outlive the loop or be detached first. One
  // device for a host.
  Result<void> attach(Host& host, TunDevice& device, SocketHandler handler = {});
  void set_handler(Host& host, SocketHandler handler);
  void detach(Host& host);
  // Shown each packet on its way in or out; when it says false the packet is lost. For faults made on purpose: with
  // offloads a packet may be a super-segment of 64 KiB.
  enum class PacketWay : std::uint8_t { In, Out };
  using PacketFilter = std::function<bool(PacketWay, std::span<const std::byte>)>;
  void set_filter(Host& host, PacketFilter filter);

  // --- Other descriptors
  struct Interest {
    bool readable = false;
    bool writable = false;
  };
  struct Ready {
    bool readable = false;  // the end counts
    bool writable = false;
    bool error = false;  // an error, or both directions have ended
  };
  using DescriptorHandler = std::function<void(Ready)>;
  // Level-triggered: called in every round in which it is so. Again for the same descriptor: the new terms hold.
  // unwatch() before the descriptor is closed.
  Result<void> watch(int descriptor, Interest interest, DescriptorHandler handler);
  void unwatch(int descriptor);

  // --- Timers
  enum class TimerId : std::uint64_t {};
  // Once, at that time or a little later; a time that has passed: in the next round.
  TimerId call_at(Instant when, std::function<void()> what);
  TimerId call_after(Duration delay, std::function<void()> what) {
    return call_at(later(now(), delay), std::move(what));
  }
  // No effect once it has been called.
  void cancel(TimerId timer);

  // --- Running
  // Until stop(). An error is one of a device (removed while in use) or of epoll itself.
  Result<void> run();
  // Until stop(), or until so long has passed.
  Result<void> run_for(Duration duration);
  // What is to be done now, after waiting for it at most so long. Duration{}: does not wait.
  Result<void> run_once(Duration longest);
  // run() returns after the round at hand, or at once if it has not begun. Also from another thread and from a signal
  // handler.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lastack
