// The round trip and the time-out made from it (RFC 6298), in Linux's way: the deviation is a maximum over a
// round trip, and has a floor of 200 ms, so that RTO is at least that much above the smoothed round trip.
#pragma once

#include "tcp/connection.h"

namespace lastack {

// No round trip takes a day: what seems to has been measured over a jump of the clock.
inline constexpr Duration kLongestRtt = std::chrono::hours(24);

void add_rtt_sample(Connection& c, Instant now, Duration sample);
// RTO from what is known, without back-off.
void set_rto(Connection& c);

}  // namespace lastack
