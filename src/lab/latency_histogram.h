// How long something took, for any number of somethings in 15 KiB. Buckets grow with the value, 32 to
// each doubling, so that a quantile is off by at most 1/32 of itself.
#pragma once

#include <array>
#include <cstdint>

#include "lastack/time.h"

namespace lastack {

class LatencyHistogram {
 public:
  void add(Duration took);
  LatencyHistogram& operator+=(const LatencyHistogram& other);

  std::uint64_t count() const { return count_; }
  // The least bucket's upper end below which at least the share `q` of all lies; 0 when there is none.
  Duration quantile(double q) const;
  Duration median() const { return quantile(0.5); }
  Duration p99() const { return quantile(0.99); }

 private:
  static constexpr unsigned kPerDoubling = 32;
  // Up to 2^63 ns, which is as far as Duration goes.
  static constexpr std::size_t kBuckets = kPerDoubling * 60;
  static std::size_t bucket_of(std::uint64_t ns);
  static std::uint64_t upper_end(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace lastack
