// Numbers as a tired person reads them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lastack/doctor.h"
#include "lastack/time.h"

namespace lastack {

std::string grouped(std::uint64_t n);  // "27,310"
std::string grouped(std::int64_t n);
std::string percent(double share);    // 0.967 -> "96.7 %"; 0.03 -> "3 %"
std::string rate_number(double n);    // "668", "0.4"
std::string rate(double per_second);  // "668/s", "0.4/s", "3/min"
std::string span(double seconds);     // "40 s", "3 h 12 min", "0.4 s"
inline std::string span(Duration d) {
  return span(lastack::seconds(d));
}
std::string bytes(std::uint64_t n);  // "1.2 MB"
// "PROBLEM", "WARNING", "notice": how a finding begins.
std::string_view loud(Severity severity);
// "1 connection", "2 connections"
std::string plural(std::uint64_t n, const std::string& noun);

}  // namespace lastack
