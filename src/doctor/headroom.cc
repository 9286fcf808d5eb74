#include "doctor/headroom.h"

#include <algorithm>
#include <cmath>

namespace lastack {

namespace {

// The timer of a TIME_WAIT record fires late: with 60 s to run, the timer wheel's granularity is 512
// jiffies, 2 s at HZ 250, and a record ends 0 to 2 s after its time, 1 s on average.
constexpr Duration kTimerLateness = 1s;

// The rate at which connections to the destination were closed lately. The window reaches back ten
// seconds, further when there is little to count, and never past a pause: what was before it is over.
struct Rate {
  double per_second = 0;
  double busiest = 0;
  Duration activity{};
};

Rate recent_rate(const CloseHistogram& closes) {
  Rate rate;
  const double width = seconds(closes.width());
  if (width <= 0) return rate;
  constexpr std::size_t kBins = CloseHistogram::kBins;
  const auto bins_in = [&](double s) {
    return std::clamp<std::size_t>(static_cast<std::size_t>(s / width + 0.5), 1, kBins);
  };
  // A pause is two seconds, four when closes are rare.
  const std::size_t pause = bins_in(closes.total() > 600 ? 2.0 : 5.0);
  std::size_t end = 0, quiet = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    if (closes.bin(i) != 0) {
      end = i + 1;
      quiet = 0;
    } else if (++quiet >= pause) {
      break;
    }
  }
  rate.activity = closes.width() * static_cast<Duration::rep>(end);

  const std::size_t two_seconds = bins_in(2.0);
  for (std::size_t i = 0; i + two_seconds <= kBins; ++i) {
    std::uint64_t n = 0;
    for (std::size_t j = i; j < i + two_seconds; ++j) n += closes.bin(j);
    rate.busiest =
        std::max(rate.busiest, static_cast<double>(n) / (static_cast<double>(two_seconds) * width));
  }
  if (end == 0) return rate;
  // The oldest bin holds the moment at which it all began, so it is only partly filled.
  const std::size_t whole = end > 4 && end < bins_in(60.0) ? end - 1 : end;
  std::size_t window = std::min(whole, bins_in(10.0));
  const auto count = [&](std::size_t bins) {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < bins; ++i) n += closes.bin(i);
    return n;
  };
  while (window < whole && count(window) < 200) ++window;
  rate.per_second = static_cast<double>(count(window)) / (static_cast<double>(window) * width);
  return rate;
}

const Destination* find(const NamespaceSnapshot* before, const Destination& d) {
  if (before == nullptr || !before->sockets_read) return nullptr;
  for (const Destination& other : before->sockets.destinations) {
    if (other.source == d.source && other.remote == d.remote) return &other;
  }
  return nullptr;
}

std::uint64_t live_sockets(const Destination& d) {
  return d.states.total() - d.states[TcpState::TimeWait] - d.compact_fin_wait_2;
}

bool reuse_applies(const Settings& settings, const Destination& d) {
  if (d.details.looked_at > 0 && d.details.with_timestamps == 0) return false;
  return reuse_covers(settings, d.source.is_loopback() || d.remote.address.is_loopback());
}

}  // namespace

bool reuse_covers(const Settings& settings, bool loopback) {
  if (!settings.timestamps_on()) return false;  // linux-facts 15
  const std::int64_t mode = settings.tcp_tw_reuse.value_or(2);
  return mode == 1 || (mode == 2 && loopback);  // linux-facts 16
}

std::optional<double> time_to_exhaustion(const PortUse& use, const CloseHistogram& closes,
                                         double opens) {
  const double capacity = use.head.capacity;
  if (opens <= 0 && use.live_growth_per_second <= 0) return std::nullopt;
  const double hold = seconds(use.hold);
  const double width = seconds(closes.width());
  const double scale = closes.total() == 0 ? 0
                                           : static_cast<double>(use.time_wait) /
                                                 static_cast<double>(closes.total());
  // Taken at a time t from now: what lives (growing, if it grew), what closed less than `hold` before t,
  // and what will have come meanwhile.
  const auto taken_at = [&](double t) {
    double taken = use.live + use.live_growth_per_second * t;
    for (std::size_t i = 0; i < CloseHistogram::kBins; ++i) {
      if (closes.bin(i) == 0) continue;
      const double start = static_cast<double>(i) * width;
      // The part of the bin that is still held: ages below hold - t.
      const double part = std::clamp((hold - t - start) / width, 0.0, 1.0);
      taken += part * closes.bin(i) * scale;
    }
    return taken + opens * std::min(t, hold);
  };
  const double horizon = hold + 1;
  const double step = std::max(0.1, horizon / 2000);  // a minute in tenths of a second
  for (double t = 0; t <= horizon; t += step) {
    if (taken_at(t) >= capacity) return t;
  }
  if (use.live_growth_per_second <= 0) return std::nullopt;
  // From here on closing and opening balance, and only what lives grows.
  const double t = (capacity - opens * hold - use.live) / use.live_growth_per_second;
  return std::max(t, horizon);
}

PortUse port_use(const NamespaceSnapshot& ns, const NamespaceSnapshot* before,
                 std::size_t destination, const RangeRoom& room, const BindPool& pool) {
  const Destination& d = ns.sockets.destinations[destination];
  PortUse use;
  use.destination = destination;
  use.pooled = pool.pooled[destination];
  use.timestamps_seen = d.details.with_timestamps > 0;
  use.timestamps_refused = d.details.looked_at > 0 && d.details.with_timestamps == 0;

  Headroom& h = use.head;
  h.net_namespace = ns.name;
  h.source = d.source;
  h.remote = d.remote;
  h.range = room.range.size();
  h.reserved = room.reserved;
  h.held = room.held;
  // Ports that bind(address, 0) holds are lost to everyone else, whatever their destination.
  if (!use.pooled) h.held += std::min(pool.ports, room.open);
  h.capacity = h.range - h.reserved - std::min(h.held, h.range - h.reserved);
  // Someone who binds first competes with every port in use, not only with this destination's.
  h.taken =
      use.pooled
          ? std::max(pool.ports,
                     ns.sockets.used_outgoing.size_within(room.range) -
                         std::min(room.held, ns.sockets.used_outgoing.size_within(room.range)))
          : d.ports_taken();
  h.taken = std::min(h.taken, h.capacity);
  h.free = h.capacity - h.taken;
  h.time_wait = d.states[TcpState::TimeWait];
  h.established = live_sockets(d);

  // TIME_WAIT outside the range, or on bound ports, is no part of `taken`.
  const std::uint64_t rows = d.states.total();
  const std::uint64_t elsewhere = std::uint64_t{d.ports_held} + d.ports_outside;
  std::uint64_t time_wait = h.time_wait;
  if (elsewhere > 0 && rows > 0) {
    time_wait = time_wait * (rows - std::min(rows, elsewhere)) / rows;
  }
  use.time_wait = static_cast<std::uint32_t>(std::min<std::uint64_t>(time_wait, h.taken));
  use.live = h.taken - use.time_wait;

  h.reuse_possible = reuse_applies(ns.settings, d) && !use.pooled;
  use.hold = ns.settings.time_wait_length() + kTimerLateness;
  if (h.reuse_possible) {
    const Duration delay = ns.settings.reuse_delay();
    use.hold = std::min(use.hold, delay);
    const double total = static_cast<double>(std::max<std::uint64_t>(1, d.closes.total()));
    const double young = d.closes.closed_within(delay) / total * use.time_wait;
    h.within_delay = std::min(use.time_wait, static_cast<std::uint32_t>(std::lround(young)));
    h.reusable_now = use.time_wait - h.within_delay;
  }

  const Rate rate = recent_rate(d.closes);
  use.closes_per_second = rate.per_second;
  use.busiest_per_second = rate.busiest;
  use.activity = rate.activity;
  h.opens_per_second = rate.per_second;
  if (const Destination* earlier = find(before, d)) {
    const double dt = seconds(ns.at - before->at);
    if (dt >= 0.2) {
      const double grown =
          static_cast<double>(h.established) - static_cast<double>(live_sockets(*earlier));
      use.live_growth_per_second = grown / dt;
      const double closed =
          d.closes.closed_within(std::min<Duration>(ns.at - before->at, 55s)) / std::min(dt, 55.0);
      h.opens_per_second = std::max(0.0, closed + use.live_growth_per_second);
      use.closes_per_second = closed;
    }
  } else if (before != nullptr && before->sockets_read && before->sockets.sockets_dropped == 0) {
    // Not there at all at the earlier look.
    const double dt = seconds(ns.at - before->at);
    if (dt >= 0.2) {
      use.live_growth_per_second = static_cast<double>(h.established) / dt;
      h.opens_per_second += use.live_growth_per_second;
    }
  }
  // A handful more or less between two looks is no trend.
  if (use.live_growth_per_second * seconds(use.hold) < std::max(8.0, 0.02 * h.capacity)) {
    use.live_growth_per_second = 0;
  }

  const std::uint32_t room_for_closing = h.capacity - std::min(use.live, h.capacity);
  const double hold =
      h.reuse_possible ? seconds(use.hold) : seconds(ns.settings.time_wait_length());
  h.sustains_per_second = hold > 0 ? room_for_closing / hold : 0;

  if (h.capacity == 0 || h.free + h.reusable_now == 0) {
    h.exhausted_in_s = 0;
  } else {
    h.exhausted_in_s = time_to_exhaustion(use, d.closes, use.closes_per_second);
  }

  // Only ports that connect() chose itself show where its walk is (linux-facts 19, 20).
  const std::uint32_t open_first = room.open_first_parity;
  const std::uint32_t free_first = open_first - std::min(open_first, d.ports_first_parity);
  const std::uint32_t few = std::max(2U, open_first / 100);
  h.past_half = !ns.flat_port_choice && !use.pooled && open_first >= 64 && free_first <= few &&
                d.ports_second_parity > 0 && h.reusable_now <= few;
  return use;
}

}  // namespace lastack
