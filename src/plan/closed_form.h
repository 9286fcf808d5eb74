// The arithmetic of short connections. Pure functions of a Load; rates are connections a second of all pairs together,
// times seconds, infinity where there is no limit.
//
//   A port is taken from connect() until connect() may have it again: the lifetime L, a round trip R for closing, and
//   then, where this host closes first, TIME_WAIT of T = 60 s (or what tcp_tw_reuse_delay leaves of it). So
//
//     rate <= pairs x ports / (L + R + T)          28,232 / 60 s = 470.5 a second (claim B4)
//
//   The last term is absent where the other end closes first. Of the ports connect() takes those of one parity as long as
//   there are any (linux-facts 19), so that at a higher rate than pairs x first parity / hold the first parity serves just
//   that much, and of all others each has walked it in vain (claim C2).
//
//   And by Little's law rate x L are open, rate x T in TIME_WAIT (claim C4). The kernel's timer is up to 2 s late for
//   60 s (linux-facts, docs/figures.md), one on average, which makes 463; what follows is without it.
//
//   Connections come evenly, so that a port which may be had again waits for the next one of its pool: it serves every
//   n-th of them, n = floor(rate of the pool x hold) + 1. That matters where ports are few.
//
//   Where a four-tuple is used again while its record lasts (tcp_tw_reuse; a record at the end that accepts), the new
//   connection takes the record's place. connect() goes on 1 to 8 steps behind the port it took last (port_order.h), so
//   that it takes a port in one round of 4.5, and the time to a port's next use is so many rounds, geometrically.
#pragma once

#include <cstdint>

#include "doctor/bind_pool.h"
#include "plan/load.h"

namespace lastack {

// Ports that a pair can have (or, with PortSource::BindZero, a source address).
inline RangeRoom port_room(const Load& load) {
  return room_of(load.settings, load.held);
}
// Sets of ports that there are: pairs, or source addresses with BindZero.
double port_pools(const Load& load);

// TIME_WAIT's length where this host makes it.
double time_wait_s(const Load& load);
// tcp_tw_reuse is on, covers this path, and both ends have timestamps (linux-facts 15, 16).
bool reuse_applies(const Load& load);
// From close() until the port may be had again, and from connect() until then.
double port_rest_s(const Load& load);
double port_hold_s(const Load& load);
// Records that there may be.
double most_records(const Load& load);

// What the ports carry. Beyond it connect() gives EADDRNOTAVAIL (BindZero: bind() EADDRINUSE).
double carried_by_ports(const Load& load);
// Of connections that come evenly at `rate`, what the ports carry: no more than the above.
double carried_at(const Load& load, double rate);
// Ports of a pool in the parity that is tried first: that of the low end, with BindZero the other one (linux-facts 22).
// All of them where the walk goes in steps of one.
double first_parity_ports(const Load& load);
// What they carry before connect() has to walk past one parity (claim C2); infinity where it never has to.
double carried_by_first_parity(const Load& load);
// A connect() (BindZero: a bind()) that passes over a whole parity, in seconds of processor time.
double walk_s(const Load& load);
// The rate at which these walks alone keep one processor busy; infinity where there are none.
double processor_full_at(const Load& load);
// What fits into tcp_max_tw_buckets; beyond it connections skip TIME_WAIT (claim B1).
double carried_by_records(const Load& load);
double carried_by_descriptors(const Load& load);
// Of connections that come evenly at `rate`, as carried_at().
double carried_by_descriptors_at(const Load& load, double rate);
// nf_conntrack_max, where it is given: beyond it packets are dropped. An entry outlives its connection by the
// module's own time-out of TIME_WAIT, 120 s unless set, whoever closes first.
double carried_by_conntrack(const Load& load);

// What there is at `rate`, were there enough of everything.
struct Demand {
  double ports = 0;                // of the busiest pool, at a time
  double open = 0;                 // sockets that are no TIME_WAIT records
  double descriptors = 0;          // of the connecting process
  double records_wanted = 0;       // in TIME_WAIT here, were tcp_max_tw_buckets no limit
  double time_waits_here = 0;      // with it
  double time_waits_there = 0;     // all destinations together
  double overflow_per_second = 0;  // connections that skip TIME_WAIT
  double dear_share = 0;           // of connect() calls that walk one parity to its end
  double processors = 0;           // that these walks keep busy, at least
  double bytes_here =
      0;  // of the kernel, without socket buffers that hold data and without hash tables
  double bytes_there = 0;
  double conntrack = 0;  // entries, were the module loaded
};
Demand demand_at(const Load& load, double rate);

// How often what happens repeats itself when connections come evenly at `rate`: a port's turn.
double cycle_s(const Load& load, double rate);

// When more comes than the ports carry: until the first connect() fails, seconds from an idle start; infinity: never.
double first_failure_s(const Load& load, double rate);

}  // namespace lastack
