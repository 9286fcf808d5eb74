// One round: what hosts owe (deadlines, events, packets to send), then sleep until something comes, then take it in.
// Packets are taken in batches, so that one epoll_wait() and one look at the users serve many of them; a device that
// still had packets when its batch ended is read again without sleeping.
#include "lastack/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "kernel/unique_fd.h"

namespace lastack {
namespace {

static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may set it");

// Of one device in one round: enough to pay for the round, few enough that a user can read between.
constexpr int kMostPackets = 64;
constexpr std::size_t kMostBytes = std::size_t{256} << 10;
// Events of one host in one round: a handler that makes new ones for ever does not keep others waiting.
constexpr int kMostEvents = 1024;
// Without a deadline: not for ever, as a clock may jump in ways that nobody foresaw.
constexpr Duration kLongestSleep = 60s;

// lab/epoll_watch.h waits in the same way, a room higher.
int wait_for(int epoll, std::span<epoll_event> room, Duration longest) {
  const Duration wait = std::clamp<Duration>(longest, Duration{}, kLongestSleep);
  const auto whole = std::chrono::floor<std::chrono::seconds>(wait);
  const timespec limit{whole.count(), (wait - whole).count()};
  const int most = static_cast<int>(room.size());
  const int ready = epoll_pwait2(epoll, room.data(), most, &limit, nullptr);
  if (ready >= 0 || errno != ENOSYS) return ready;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait);  // before Linux 5.11
  return epoll_wait(epoll, room.data(), most, static_cast<int>(ms.count()));
}

}  // namespace

struct EventLoop::Impl {
  // A host with its device, or a descriptor. Entries that were detached stay until the round is over, since the round
  // may be in the middle of one.
  struct Entry {
    Host* host = nullptr;
    TunDevice* device = nullptr;
    SocketHandler on_socket;
    PacketFilter filter;
    int descriptor = -1;
    DescriptorHandler on_descriptor;
    bool gone = false;
  };

  UniqueFd epoll{epoll_create1(EPOLL_CLOEXEC)};
  UniqueFd wake{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  int start_error = 0;
  std::vector<std::unique_ptr<Entry>> entries;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> timers;
  std::map<std::uint64_t, Instant> timer_times;
  std::uint64_t next_timer = 1;
  // Handlers and filters that others have taken the place of, kept until the round is over: one may be at work.
  std::vector<SocketHandler> old_socket_handlers;
  std::vector<DescriptorHandler> old_descriptor_handlers;
  std::vector<PacketFilter> old_filters;
  std::atomic<bool> stop_asked = false;
  bool some_gone = false;
  int rounds_within = 0;  // a handler may run a round of its own

  Impl() {
    if (!epoll || !wake || !change(EPOLL_CTL_ADD, wake.get(), EPOLLIN, nullptr))
      start_error = errno;
  }

  bool change(int operation, int descriptor, std::uint32_t events, Entry* entry) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = entry;
    return epoll_ctl(epoll.get(), operation, descriptor, &event) == 0;
  }

  Entry* entry_of(const Host& host) {
    for (const auto& entry : entries) {
      if (entry->host == &host && !entry->gone) return entry.get();
    }
    return nullptr;
  }
  Entry* entry_of(int descriptor) {
    for (const auto& entry : entries) {
      if (entry->host == nullptr && entry->descriptor == descriptor && !entry->gone)
        return entry.get();
    }
    return nullptr;
  }
  Result<Entry*> add(Entry entry, std::uint32_t events) {
    if (start_error != 0) {
      return tl::unexpected(
          system_error(start_error, "the event loop has no epoll or eventfd descriptor"));
    }
    auto kept = std::make_unique<Entry>(std::move(entry));
    if (!change(EPOLL_CTL_ADD, kept->descriptor, events, kept.get())) {
      return tl::unexpected(
          system_error(errno, "cannot watch descriptor " + std::to_string(kept->descriptor)));
    }
    entries.push_back(std::move(kept));
    return entries.back().get();
  }
  void remove(Entry* entry) {
    if (entry == nullptr) return;
    change(EPOLL_CTL_DEL, entry->descriptor, 0, nullptr);
    entry->gone = true;
    some_gone = true;
    if (rounds_within == 0) sweep();
  }
  void sweep() {
    old_socket_handlers.clear();
    old_descriptor_handlers.clear();
    old_filters.clear();
    if (!some_gone) return;
    std::erase_if(entries, [](const auto& entry) { return entry->gone; });
    some_gone = false;
  }

  // What a host owes now. `more`: there were more events than one round takes.
  Result<void> serve(Entry& entry, bool& more) {
    Host& host = *entry.host;
    const Instant at = EventLoop::now();
    if (host.next_deadline() <= at) host.advance(at);
    if (entry.on_socket) {
      int left = kMostEvents;
      for (; left > 0; --left) {
        const auto socket = host.next_event();
        if (!socket) break;
        entry.on_socket(*socket);
        if (entry.gone) return {};
      }
      more = more || left == 0;
    }
    for (auto packet = host.next_packet(); !packet.empty(); packet = host.next_packet()) {
      const bool passes = !entry.filter || entry.filter(PacketWay::Out, packet);
      if (entry.gone) return {};
      if (!passes) continue;
      auto written = entry.device->write(packet, host.segment_size());
      if (!written) return written;
    }
    return {};
  }

  // Packets that wait in the device. `more`: there may be more of them.
  Result<void> take_in(Entry& entry, bool& more) {
    std::size_t bytes = 0;
    for (int left = kMostPackets; left > 0 && bytes < kMostBytes; --left) {
      const auto packet = entry.device->read();
      if (!packet) return tl::unexpected(packet.error());
      if (!*packet) return {};
      bytes += (*packet)->bytes.size();
      const bool passes = !entry.filter || entry.filter(PacketWay::In, (*packet)->bytes);
      if (entry.gone) return {};
      if (!passes) continue;
      entry.host->receive((*packet)->bytes, EventLoop::now(), (*packet)->checksum_checked);
    }
    more = true;
    return {};
  }

  void fire_timers() {
    const Instant at = EventLoop::now();
    // One that is set to be due at once waits for the next round.
    const std::uint64_t end = next_timer;
    while (!timers.empty() && timers.begin()->first.first <= at &&
           timers.begin()->first.second < end) {
      auto due = timers.extract(timers.begin());
      timer_times.erase(due.key().second);
      due.mapped()();
    }
  }

  // By index, as handlers may add entries.
  Result<void> serve_all(bool& more) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      Entry& entry = *entries[i];
      if (entry.host == nullptr || entry.gone) continue;
      auto served = serve(entry, more);
      if (!served) return served;
    }
    return {};
  }

  Result<void> round(Duration longest) {
    if (start_error != 0) {
      return tl::unexpected(
          system_error(start_error, "the event loop has no epoll or eventfd descriptor"));
    }
    // Also when a handler throws.
    struct Round {
      explicit Round(Impl& impl) : of(impl) { ++of.rounds_within; }
      ~Round() {
        if (--of.rounds_within == 0) of.sweep();
      }
      Impl& of;
    };
    const Round round_at_hand(*this);
    return steps(longest);
  }

  Result<void> steps(Duration longest) {
    bool more = false;
    fire_timers();
    auto served = serve_all(more);
    if (!served) return served;

    Instant deadline = Instant::max();
    for (const auto& entry : entries) {
      if (entry->host != nullptr && !entry->gone)
        deadline = std::min(deadline, entry->host->next_deadline());
    }
    if (!timers.empty()) deadline = std::min(deadline, timers.begin()->first.first);
    Duration wait = longest;
    if (stop_asked || more) {
      wait = Duration{};
    } else if (deadline != Instant::max()) {
      wait = std::min(wait, deadline - EventLoop::now());
    }

    std::array<epoll_event, 64> room;
    const int ready = wait_for(epoll.get(), room, wait);
    if (ready < 0 && errno != EINTR)
      return tl::unexpected(system_error(errno, "cannot wait for events"));
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = room[static_cast<std::size_t>(i)];
      auto* entry = static_cast<Entry*>(event.data.ptr);
      if (entry == nullptr) {
        std::uint64_t times = 0;
        [[maybe_unused]] const ssize_t length = ::read(wake.get(), &times, sizeof times);
        continue;
      }
      if (entry->gone) continue;
      if (entry->host == nullptr) {
        entry->on_descriptor({.readable = (event.events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP)) != 0,
                              .writable = (event.events & EPOLLOUT) != 0,
                              .error = (event.events & (EPOLLERR | EPOLLHUP)) != 0});
        continue;
      }
      // A device that has packets is emptied, as far as the peer does not fill it all the time.
      for (int batches = 8; batches > 0 && !entry->gone; --batches) {
        bool again = false;
        bool ignored = false;
        auto taken = take_in(*entry, again);
        if (!taken) return taken;
        if (entry->gone) break;
        auto answered = serve(*entry, ignored);
        if (!answered) return answered;
        if (!again) break;
      }
    }
    return {};
  }

  Result<void> run_until(Instant end) {
    while (!stop_asked) {
      const Instant at = EventLoop::now();
      if (at >= end) break;
      auto done = round(end == Instant::max() ? kLongestSleep : end - at);
      if (!done) return done;
    }
    stop_asked = false;
    // What the last handlers made hosts send.
    bool more = false;
    ++rounds_within;
    auto served = serve_all(more);
    if (--rounds_within == 0) sweep();
    return served;
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::EventLoop(EventLoop&&) noexcept = default;
EventLoop& EventLoop::operator=(EventLoop&&) noexcept = default;
EventLoop::~EventLoop() = default;

Instant EventLoop::now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec));
}

Result<void> EventLoop::attach(Host& host, TunDevice& device, SocketHandler handler) {
  if (impl_->entry_of(host) != nullptr)
    return failure("this host is attached to this loop already");
  auto added = impl_->add({.host = &host,
                           .device = &device,
                           .on_socket = std::move(handler),
                           .filter = {},
                           .descriptor = device.descriptor(),
                           .on_descriptor = {},
                           .gone = false},
                          EPOLLIN);
  if (!added) return tl::unexpected(std::move(added.error()));
  return {};
}

void EventLoop::set_handler(Host& host, SocketHandler handler) {
  Impl::Entry* entry = impl_->entry_of(host);
  if (entry == nullptr) return;
  impl_->old_socket_handlers.push_back(std::exchange(entry->on_socket, std::move(handler)));
  if (impl_->rounds_within == 0) impl_->sweep();
}

void EventLoop::set_filter(Host& host, PacketFilter filter) {
  Impl::Entry* entry = impl_->entry_of(host);
  if (entry == nullptr) return;
  impl_->old_filters.push_back(std::exchange(entry->filter, std::move(filter)));
  if (impl_->rounds_within == 0) impl_->sweep();
}

void EventLoop::detach(Host& host) {
  impl_->remove(impl_->entry_of(host));
}

Result<void> EventLoop::watch(int descriptor, Interest interest, DescriptorHandler handler) {
  const std::uint32_t events = (interest.readable ? std::uint32_t{EPOLLIN} | EPOLLRDHUP : 0U) |
                               (interest.writable ? std::uint32_t{EPOLLOUT} : 0U);
  if (Impl::Entry* entry = impl_->entry_of(descriptor)) {
    impl_->old_descriptor_handlers.push_back(
        std::exchange(entry->on_descriptor, std::move(handler)));
    if (impl_->rounds_within == 0) impl_->sweep();
    if (impl_->change(EPOLL_CTL_MOD, descriptor, events, entry)) return {};
    return tl::unexpected(
        system_error(errno, "cannot watch descriptor " + std::to_string(descriptor)));
  }
  auto added = impl_->add({.host = nullptr,
                           .device = nullptr,
                           .on_socket = {},
                           .filter = {},
                           .descriptor = descriptor,
                           .on_descriptor = std::move(handler),
                           .gone = false},
                          events);
  if (!added) return tl::unexpected(std::move(added.error()));
  return {};
}

void EventLoop::unwatch(int descriptor) {
  impl_->remove(impl_->entry_of(descriptor));
}

EventLoop::TimerId EventLoop::call_at(Instant when, std::function<void()> what) {
  const std::uint64_t id = impl_->next_timer++;
  impl_->timers.emplace(std::pair(when, id), std::move(what));
  impl_->timer_times.emplace(id, when);
  return TimerId{id};
}

void EventLoop::cancel(TimerId timer) {
  const auto found = impl_->timer_times.find(static_cast<std::uint64_t>(timer));
  if (found == impl_->timer_times.end()) return;
  impl_->timers.erase({found->second, found->first});
  impl_->timer_times.erase(found);
}

Result<void> EventLoop::run() {
  return impl_->run_until(Instant::max());
}

Result<void> EventLoop::run_for(Duration duration) {
  return impl_->run_until(later(now(), duration));
}

Result<void> EventLoop::run_once(Duration longest) {
  return impl_->round(longest);
}

void EventLoop::stop() {
  impl_->stop_asked = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t length = ::write(impl_->wake.get(), &one, sizeof one);
}

}  // namespace lastack
