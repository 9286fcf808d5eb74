#include "lastack/host_snapshot.h"

#include <algorithm>

namespace lastack {

void CloseHistogram::add(Duration ago, std::uint32_t count) {
  if (width_ <= Duration::zero()) return;
  const auto bin = std::clamp<Duration::rep>(ago / width_, 0, kBins - 1);
  std::uint32_t& n = bins_[static_cast<std::size_t>(bin)];
  n = count > UINT32_MAX - n ? UINT32_MAX : n + count;
}

double CloseHistogram::closed_within(Duration ago) const {
  double n = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    const Duration start = width_ * static_cast<Duration::rep>(i);
    if (ago <= start) break;
    const double share = std::min(1.0, seconds(ago - start) / seconds(width_));
    n += share * bins_[i];
  }
  return n;
}

std::uint64_t CloseHistogram::total() const {
  std::uint64_t n = 0;
  for (std::uint32_t b : bins_) n += b;
  return n;
}

}  // namespace lastack
