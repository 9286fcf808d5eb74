// What the benchmarks that print a table of their own share: processor time of this thread, medians, rows.
#pragma once

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <string>
#include <vector>

namespace lastack::bench {

// Seconds. Processor time, since other programs run beside this one.
inline double cpu_now() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Nanoseconds that each of `n` took.
template <class F>
double ns_each(std::size_t n, F&& f) {
  const double start = cpu_now();
  f();
  return (cpu_now() - start) * 1e9 / static_cast<double>(n);
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Of the ratios within each round: the machine's drift cancels.
inline double median_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
  return median(std::move(ratios));
}

// A sequence of numbers without order, the same in each run.
inline std::uint64_t scatter(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

}  // namespace lastack::bench
