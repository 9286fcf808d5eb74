// The round trip and the time-out made from it (RFC 6298), in Linux's way: the deviation is a maximum over a
// round trip, and has a floor of 200 ms, so that RTO is at least that much above the smoothed round trip.
#pragma once

#include "tcp/connection.h"

namespace lastack {

void add_rtt_sample(Connection& c, Instant now, Duration sample);
// RTO from what is known, without back-off.
void set_rto(Connection& c);

}  // namespace lastack
