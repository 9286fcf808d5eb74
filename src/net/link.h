// One direction of a wire: its chances, its rate, and the packets on it that arrive in the order they were sent.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "lastack/virtual_network.h"
#include "net/parcel_pool.h"
#include "stack/secret_hash.h"

namespace lastack {

struct Link {
  // Each link has numbers of its own, so that traffic elsewhere changes nothing here.
  Link(const LinkOptions& of, std::uint64_t seed, std::uint32_t from, std::uint32_t to)
      : options(of), random(SeededRandom(seed ^ (std::uint64_t{from} << 32 | to)).next()) {}

  bool chance(double probability) {
    if (probability <= 0) return false;
    return static_cast<double>(random.next() >> 11) * 0x1p-53 < probability;
  }
  // 0 to n - 1. The bias of a remainder is of no account here.
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : random.next() % n; }
  Duration up_to(Duration most) {
    if (most <= Duration::zero()) return Duration::zero();
    return Duration(
        static_cast<Duration::rep>(below(static_cast<std::uint64_t>(most.count()) + 1)));
  }

  // When the last bit has left, where there is a rate. Nothing: the queue is full.
  std::optional<Instant> departure(Instant now, std::uint64_t bytes) {
    if (options.rate == 0) return now;
    constexpr std::uint64_t kBitsTimesNs = 8'000'000'000;
    const auto time_of = [&](std::uint64_t n) {
      return Duration(static_cast<Duration::rep>(n * kBitsTimesNs / options.rate));
    };
    busy_until = std::max(busy_until, now);
    const std::uint64_t queue = std::min<std::uint64_t>(options.queue, 1U << 30);
    if (busy_until - now > time_of(queue)) return std::nullopt;
    busy_until = later(busy_until, time_of(bytes));
    return busy_until;
  }

  // Whether it is the first of the queue, and so the next to arrive.
  bool push(Parcel* parcel) {
    parcel->in = this;
    if (tail != nullptr && tail->at > parcel->at) {  // the link has become faster meanwhile
      parcel->in = nullptr;
      return true;
    }
    const bool first = head == nullptr;
    (first ? head : tail->next) = parcel;
    tail = parcel;
    return first;
  }
  // The first has arrived; the one that follows, or null.
  Parcel* pop() {
    Parcel* gone = head;
    head = gone->next;
    if (head == nullptr) tail = nullptr;
    gone->next = nullptr;
    return head;
  }

  LinkOptions options;
  bool named = false;  // by VirtualNetwork::link()
  SeededRandom random;
  Instant busy_until{};
  Instant last_arrival{};
  Parcel* head = nullptr;
  Parcel* tail = nullptr;
};

}  // namespace lastack
