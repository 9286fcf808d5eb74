#include "tcp/rtt.h"

#include <algorithm>

#include "tcp/timers.h"

namespace lastack {
namespace {

// The least round trip of the last five minutes (Linux: tcp_min_rtt_wlen, 300 s).
void note_least(RoundTrip& r, Instant now, Duration sample) {
  constexpr Duration kWindow = 300s;
  if (sample <= r.least || now - r.least_at > kWindow) {
    r.least = std::max<Duration>(sample, 1us);
    r.least_at = now;
  }
}

}  // namespace

void add_rtt_sample(Connection& c, Instant now, Duration sample) {
  RoundTrip& r = c.rtt;
  sample = std::clamp<Duration>(sample, 1us, kLongestRtt);
  note_least(r, now, sample);
  if (r.smoothed == Duration::zero()) {
    r.smoothed = sample;
    r.deviation = sample / 2;
    r.variance = std::max(r.deviation, kLeastRto / 4);
    r.deviation_max = r.variance;
    r.round = c.snd_nxt;
    return;
  }
  const Duration error = sample - r.smoothed;
  r.smoothed += error / 8;
  // A round trip that is suddenly shorter does not raise RTO (as it would by its deviation).
  if (error < Duration::zero()) {
    Duration size = -error - r.deviation;
    if (size > Duration::zero()) size /= 8;
    r.deviation += size / 4;
  } else {
    r.deviation += (error - r.deviation) / 4;
  }
  if (r.deviation > r.deviation_max) {
    r.deviation_max = r.deviation;
    r.variance = std::max(r.variance, r.deviation_max);
  }
  if (c.snd_una > r.round) {
    if (r.deviation_max < r.variance) r.variance -= (r.variance - r.deviation_max) / 4;
    r.round = c.snd_nxt;
    r.deviation_max = kLeastRto / 4;
  }
}

void set_rto(Connection& c) {
  const RoundTrip& r = c.rtt;
  // In whole ticks of Linux's clock at its usual rate of 250 a second (usecs_to_jiffies).
  constexpr Duration kTick = 4ms;
  const Duration exact = r.smoothed + std::max(4 * r.variance, kLeastRto);
  c.rtt.rto = std::min<Duration>((exact + kTick - 1ns) / kTick * kTick, kMostRto);
}

}  // namespace lastack
