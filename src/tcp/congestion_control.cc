#include "tcp/congestion_control.h"

#include <algorithm>
#include <cmath>

#include "tcp/output.h"
#include "tcp/send_space.h"

namespace lastack {
namespace {

// RFC 9438: beta is 0.7 (as Linux: 717/1024), C is 0.4.
constexpr double kBeta = 717.0 / 1024;

// Segments for one round trip of slow start; what is beyond ssthresh is given back.
std::uint32_t slow_start(Congestion& g, std::uint32_t acked) {
  const std::uint32_t cwnd = std::min(g.cwnd + acked, g.ssthresh);
  acked -= cwnd - g.cwnd;
  g.cwnd = cwnd;
  return acked;
}

// One more segment for every `every` that are acknowledged (RFC 5681, 3.1; appropriate byte counting).
void avoid_congestion(Congestion& g, std::uint32_t every, std::uint32_t acked) {
  every = std::max(every, 1U);
  if (g.cwnd_count >= every) {
    g.cwnd_count = 0;
    ++g.cwnd;
  }
  g.cwnd_count += acked;
  if (g.cwnd_count >= every) {
    g.cwnd += g.cwnd_count / every;
    g.cwnd_count %= every;
  }
}

// Linux reckons in ticks of its clock, 250 a second at its usual rate, and in whole segments.
constexpr Duration kTick = 4ms;
std::int64_t ticks(Instant t) {
  return t.time_since_epoch() / kTick;
}

// From the start of an epoch to its plateau, in 1024ths of a second (RFC 9438, figure 2).
std::uint32_t time_to_plateau(std::uint32_t segments) {
  constexpr std::uint64_t kFactor = (std::uint64_t{1} << 40) / 410;  // 2^30 / C
  const auto root =
      static_cast<std::uint64_t>(std::cbrt(static_cast<double>(kFactor * segments)) + 0.5);
  return static_cast<std::uint32_t>(root);
}

// How many ACKs one more segment takes now (Linux: bictcp_update).
std::uint32_t cubic_count(Connection& c, const TcpContext& x, std::uint32_t acked) {
  Congestion& g = c.congestion;
  Cubic& k = g.cubic;
  k.acked += acked;
  const std::int64_t now = ticks(x.now);
  // The window moves at most every 32 ms, and the curve once a tick.
  if (k.w_last == g.cwnd && k.epoch != Instant{} && now - ticks(k.updated) <= 250 / 32) {
    return k.count;
  }
  if (k.epoch == Instant{} || now != ticks(k.updated)) {
    k.w_last = g.cwnd;
    k.updated = x.now;
    if (k.epoch == Instant{}) {
      k.epoch = x.now;
      k.acked = acked;
      k.tcp_cwnd = g.cwnd;
      k.to_plateau = k.w_max <= g.cwnd ? 0 : time_to_plateau(k.w_max - g.cwnd);
      k.origin = std::max(k.w_max, g.cwnd);
    }
    const auto delay = (k.least_delay + kTick - 1ns) / kTick;
    const std::int64_t t = (now - ticks(k.epoch) + delay) * 1024 / 250;
    const auto off = static_cast<std::uint64_t>(std::abs(t - std::int64_t{k.to_plateau}));
    const auto delta =
        static_cast<std::uint32_t>(static_cast<std::uint64_t>(410) * off * off * off >> 40);
    const std::uint32_t target =
        t < std::int64_t{k.to_plateau} ? k.origin - delta : k.origin + delta;
    k.count = target > g.cwnd ? g.cwnd / (target - g.cwnd) : 100 * g.cwnd;  // or hardly at all
    // A first epoch without a known maximum grows no slower than 5 % in a round trip.
    if (k.w_max == 0) k.count = std::min(k.count, 20U);
  }
  // RFC 9438, 4.3: never slower than Reno.
  constexpr std::uint32_t kScale = 15;  // 8 (1 + beta) / 3 (1 - beta)
  const std::uint32_t every = g.cwnd * kScale >> 3;
  while (every > 0 && k.acked > every) {
    k.acked -= every;
    ++k.tcp_cwnd;
  }
  if (k.tcp_cwnd > g.cwnd) k.count = std::min(k.count, g.cwnd / (k.tcp_cwnd - g.cwnd));
  k.count = std::max(k.count, 2U);
  return k.count;
}

// How far apart the ACKs of one burst may be because the sender's device sends in bursts (Linux:
// hystart_ack_delay).
Duration burst_time(const Connection& c, const TcpContext& x) {
  if (c.rtt.smoothed == Duration::zero() || x.settings.gso_max_size == 0) return Duration::zero();
  const auto rate = static_cast<double>(c.pacing_rate);
  const double time = 4.0 * x.settings.gso_max_size / rate;
  return time >= 0.001 ? Duration(1ms) : Duration(static_cast<Duration::rep>(time * 1e9));
}

void look_for_queue(Connection& c, const TcpContext& x, Duration sample) {
  constexpr std::uint32_t kLowWindow = 16;
  constexpr std::uint8_t kSamples = 8;
  constexpr Duration kTrain = 2ms;
  Congestion& g = c.congestion;
  Cubic& k = g.cubic;
  if (k.round_start == Instant{} || c.snd_una > k.round_end) {
    k.round_start = k.train_end = x.now;
    k.round_end = c.snd_nxt;
    k.round_delay = Duration::max();
    k.samples = 0;
  }
  if (g.cwnd < kLowWindow) return;
  // ACKs that come without a pause for half of the least round trip: the pipe is full.
  if (x.now - k.train_end <= kTrain) {
    k.train_end = x.now;
    if (x.now - k.round_start > (k.least_delay + burst_time(c, x)) / 2) k.found = true;
  }
  // Or all of some samples are clearly longer than the least round trip.
  k.round_delay = std::min(k.round_delay, sample);
  if (k.samples < kSamples) {
    ++k.samples;
  } else if (k.round_delay > k.least_delay + std::clamp<Duration>(k.least_delay / 8, 4ms, 16ms)) {
    k.found = true;
  }
  if (k.found) g.ssthresh = g.cwnd;
}

bool is_cwnd_limited(const Connection& c) {
  const Congestion& g = c.congestion;
  if (g.cwnd_limited) return true;
  return g.cwnd < g.ssthresh && g.cwnd < 2 * g.max_packets_out;
}

}  // namespace

std::uint32_t slow_start_threshold(Connection& c, const TcpContext& x) {
  Congestion& g = c.congestion;
  if (x.settings.congestion_control == CongestionControl::NewReno) {
    return std::max(g.cwnd / 2, 2U);
  }
  Cubic& k = g.cubic;
  k.epoch = Instant{};
  // Fast convergence: leave room for a newcomer (RFC 9438, 4.7).
  k.w_max = g.cwnd < k.w_max ? static_cast<std::uint32_t>(g.cwnd * (1 + kBeta) / 2) : g.cwnd;
  return std::max(static_cast<std::uint32_t>(g.cwnd * kBeta), 2U);
}

void grow_window(Connection& c, const TcpContext& x, std::uint32_t acked) {
  c.congestion.used_at = x.now;
  if (!is_cwnd_limited(c) || acked == 0) return;
  Congestion& g = c.congestion;
  if (g.cwnd < g.ssthresh) {
    acked = slow_start(g, acked);
    if (acked == 0) return;
  }
  const std::uint32_t every = x.settings.congestion_control == CongestionControl::NewReno
                                  ? g.cwnd
                                  : cubic_count(c, x, acked);
  avoid_congestion(g, every, acked);
}

void note_delay(Connection& c, const TcpContext& x, Duration sample) {
  if (x.settings.congestion_control != CongestionControl::Cubic) return;
  Cubic& k = c.congestion.cubic;
  // Samples just after a recovery say little.
  if (k.epoch != Instant{} && x.now - k.epoch < 1s) return;
  sample = std::max<Duration>(sample, 1us);
  if (k.least_delay == Duration::zero() || sample < k.least_delay) k.least_delay = sample;
  if (!k.found && c.congestion.cwnd < c.congestion.ssthresh) look_for_queue(c, x, sample);
}

void validate_cwnd(Connection& c, const TcpContext& x, bool limited) {
  Congestion& g = c.congestion;
  if (g.cwnd_usage_seq <= c.snd_una || limited ||
      (!g.cwnd_limited && c.packets_out > g.max_packets_out)) {
    g.cwnd_limited = limited;
    g.max_packets_out = c.packets_out;
    g.cwnd_usage_seq = c.snd_nxt;
  }
  if (limited) {
    g.used = 0;
    g.used_at = x.now;
    return;
  }
  // All is sent, and the user could not write what he has: it is the buffer (Linux: tcp_cwnd_validate).
  if (c.found_no_room && c.unsent.empty() &&
      (c.state == TcpState::Established || c.state == TcpState::CloseWait)) {
    wait_for(c, x, Waiting::Buffer);
  }
  g.used = std::max(g.used, c.packets_out);
  if (!x.settings.slow_start_after_idle || x.now - g.used_at < c.rtt.rto) return;
  // Used less than allowed for a whole time-out: the window decays towards what was used (RFC 2861).
  if (c.ca == CongestionState::Open && !c.found_no_room) {
    const std::uint32_t used = std::max(g.used, x.settings.initial_cwnd);
    if (used < g.cwnd) {
      g.ssthresh = std::max(g.ssthresh, (g.cwnd >> 1) + (g.cwnd >> 2));
      g.cwnd = (g.cwnd + used) / 2;
    }
    g.used = 0;
  }
  g.used_at = x.now;
}

void restart_after_idle(Connection& c, const TcpContext& x) {
  Congestion& g = c.congestion;
  if (!x.settings.slow_start_after_idle || c.packets_out > 0) return;
  Duration idle = x.now - c.last_sent;
  if (idle <= c.rtt.rto) return;
  const std::uint32_t restart = std::min(x.settings.initial_cwnd, g.cwnd);
  g.ssthresh = std::max(g.ssthresh, (g.cwnd >> 1) + (g.cwnd >> 2));
  while ((idle -= c.rtt.rto) > Duration::zero() && g.cwnd > restart) g.cwnd /= 2;
  g.cwnd = std::max(g.cwnd, restart);
  g.used = 0;
  g.used_at = x.now;
}

void shift_epoch(Connection& c, const TcpContext& x) {
  Cubic& k = c.congestion.cubic;
  if (k.epoch == Instant{} || x.now <= c.last_sent) return;
  k.epoch = std::min(k.epoch + (x.now - c.last_sent), x.now);
}

void forget_epoch(Connection& c) {
  c.congestion.cubic = Cubic{};
}

}  // namespace lastack
