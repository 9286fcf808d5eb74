#include "lab/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace lastack {

// Below 32 ns every value has its own bucket; above, the five bits after the highest one choose it.
std::size_t LatencyHistogram::bucket_of(std::uint64_t ns) {
  if (ns < kPerDoubling) return ns;
  const auto doubling = static_cast<unsigned>(std::bit_width(ns)) - 6;
  return (std::size_t{doubling} + 1) * kPerDoubling + (ns >> doubling) - kPerDoubling;
}

std::uint64_t LatencyHistogram::upper_end(std::size_t bucket) {
  if (bucket < kPerDoubling) return bucket;
  const std::size_t doubling = bucket / kPerDoubling - 1;
  return ((bucket % kPerDoubling + kPerDoubling + 1) << doubling) - 1;
}

void LatencyHistogram::add(Duration took) {
  const auto ns = static_cast<std::uint64_t>(std::max<Duration::rep>(took.count(), 0));
  ++buckets_[bucket_of(ns)];
  ++count_;
}

LatencyHistogram& LatencyHistogram::operator+=(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  return *this;
}

Duration LatencyHistogram::quantile(double q) const {
  if (count_ == 0) return {};
  const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= rank) return Duration(static_cast<Duration::rep>(upper_end(i)));
  }
  return {};
}

}  // namespace lastack
