#include "doctor/text.h"

#include <fmt/format.h>

#include <cmath>

namespace lastack {

std::string grouped(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string grouped(std::int64_t n) {
  return n < 0 ? "-" + grouped(static_cast<std::uint64_t>(-(n + 1)) + 1)
               : grouped(static_cast<std::uint64_t>(n));
}

std::string percent(double share) {
  const double p = share * 100;
  if (p > 0 && p < 0.1) return "less than 0.1 %";
  // Near the end a tenth matters: 99.96 must not read 100.
  if (p < 10 || (p > 90 && p < 100)) {
    const std::string text = fmt::format("{:.1f}", p > 90 ? std::min(p, 99.9) : p);
    return (text.ends_with(".0") ? text.substr(0, text.size() - 2) : text) + " %";
  }
  return fmt::format("{:.0f} %", p);
}

std::string rate_number(double n) {
  n = std::min(n, 1e15);  // what is more is no rate
  return n >= 10 ? grouped(static_cast<std::uint64_t>(std::llround(n))) : fmt::format("{:.1f}", n);
}

std::string rate(double per_second) {
  if (per_second <= 0) return "0/s";
  if (per_second >= 0.5) return rate_number(per_second) + "/s";
  return fmt::format("{:.1f}/min", per_second * 60);
}

std::string span(double s) {
  if (s < 0) s = 0;
  if (s < 0.0995) return fmt::format("{:.0f} ms", s * 1000);
  if (s < 9.95) return fmt::format("{:.1f} s", s);
  if (s < 120) return fmt::format("{:.0f} s", s);
  const auto whole = static_cast<std::uint64_t>(s);
  if (s < 7200) return fmt::format("{} min", whole / 60);
  if (s < 2 * 86400) return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} days", whole / 86400);
}

std::string bytes(std::uint64_t n) {
  const auto d = static_cast<double>(n);
  if (d < 1e3) return fmt::format("{} B", n);
  if (d < 1e6) return fmt::format("{:.1f} kB", d / 1e3);
  if (d < 1e9) return fmt::format("{:.1f} MB", d / 1e6);
  return fmt::format("{:.1f} GB", d / 1e9);
}

std::string_view loud(Severity severity) {
  switch (severity) {
    case Severity::Problem:
      return "PROBLEM";
    case Severity::Warning:
      return "WARNING";
    case Severity::Notice:
      return "notice";
  }
  return "";
}
std::string plural(std::uint64_t n, const std::string& noun) {
  return grouped(n) + " " + noun + (n == 1 ? "" : "s");
}

}  // namespace lastack
