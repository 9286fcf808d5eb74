// What things cost the kernel, measured on Linux 6.18 (docs/figures.md). Bytes are before hash tables.
#pragma once

#include <cstdint>

namespace lastack::kernel_cost {

inline constexpr std::uint64_t kRecordBytes = 256;  // a TIME_WAIT record
inline constexpr std::uint64_t kBindBucketBytes =
    128;  // a port has one, and a port with an address another
inline constexpr std::uint64_t kClientRecordBytes = 512;  // a record with a port of its own
inline constexpr std::uint64_t kOpenSocketBytes = 3900;   // established and idle

// connect(), in seconds of processor time: with a free port at hand, and for each port that it has to pass over. 668 us
// for the 14,116 ports of one parity of the usual range, 3.5 us with none to walk past.
inline constexpr double kConnectSeconds = 3.5e-6;
inline constexpr double kPassedPortSeconds = 668e-6 / 14116;
// The same of bind() to port 0: 616 us for the 4,096 ports of one parity of a range of 8,192.
inline constexpr double kPassedBoundPortSeconds = 1.5e-7;

}  // namespace lastack::kernel_cost
