#include "plan/closed_form.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "doctor/headroom.h"
#include "doctor/kernel_costs.h"

namespace lastack {

namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();
// tcp_max_tw_buckets is half the hash table's buckets, of which there is one for 128 KiB of memory, rounded up to a
// power of two, and 2^19 at most.
constexpr double kMostUsualRecords = 262144;
constexpr std::int64_t kUsualConntrackTimeWait = 120;

double per_second(double capacity, double seconds_each) {
  return seconds_each > 0 ? capacity / seconds_each : kUnlimited;
}

double live_s(const Load& load) {
  return seconds(load.lifetime) + seconds(load.round_trip);
}

// The rate that so many ports bear.
double carried_by(const Load& load, double ports) {
  const double rest = port_rest_s(load);
  // What is refused a record gives its port back at once: rate x live + min(rate x rest, records) <= ports.
  const double records = most_records(load);
  if (rest > 0 && records + records / rest * live_s(load) < ports) {
    return per_second(ports - records, live_s(load));
  }
  return per_second(ports, port_hold_s(load));
}

// Of connections that come evenly at `rate`, how many come until what one of them held may be had again: it is free at
// the end of `hold`, or a moment after.
double come_within(double hold, double rate) {
  return std::floor(rate * hold * (1 + 1e-12)) + 1;
}

// How the ports are used at `rate`, if they were enough.
struct Use {
  double taken = 0;          // of all pools
  bool overflowing = false;  // records are refused
};

Use use_at(const Load& load, double rate) {
  const double pools = port_pools(load);
  const double records = most_records(load);
  if (rate * port_rest_s(load) <= records) {
    return {pools * come_within(port_hold_s(load), rate / pools), false};
  }
  return {pools * come_within(live_s(load), rate / pools) + records, true};
}

// The share of connections at `rate` that find a port of the parity which is tried first. When that has no free one, the
// other serves the rest; and records that are refused are refused to either alike.
double first_share(const Load& load, double rate) {
  const double first = first_parity_ports(load) * port_pools(load);
  const double taken = use_at(load, rate).taken;
  return taken <= first ? 1 : first / taken;
}

// The walk goes on behind the port that it took last, by 1 to 8 steps, all equally likely, or by as many as it had to
// pass over if those are more: on average, where a share of the ports is `blocked`.
double steps_on(double blocked) {
  double steps = 1;
  double passed = 1;  // the probability to pass over so many
  for (int i = 1; i < 8; ++i) {
    passed *= blocked;
    steps += 1 - (1 - passed) * i / 8;
  }
  return steps + passed * blocked / (1 - blocked);
}

// How long a record lasts whose four-tuple is taken again, one of `tuples` of which `rate` are used a second, all alike.
// Of the connections a share of `recorded` leaves a record.
double record_lasts_s(const Load& load, double tuples, double rate, double recorded) {
  const double lasts = time_wait_s(load);
  // From the beginning of a connection to its record; and the next SYN comes to the other end as much later as the last
  // ACK did.
  const double live = load.peer_closes_first ? seconds(load.lifetime) : live_s(load);
  const double uses = tuples / rate;  // from one use to the next
  const double hold = live_s(load) + recorded * port_rest_s(load);
  if (uses <= hold) return std::min(lasts, std::max(port_rest_s(load), uses - live));
  switch (load.source_port) {
    case PortSource::Explicit:
      return std::min(lasts, uses - live);  // the program takes them in turn
    case PortSource::BindZero:
      return (uses - live) * -std::expm1(-lasts / (uses - live));  // by chance
    case PortSource::Connect:
    case PortSource::OwnRange:
      break;
  }
  // Whole rounds of the walk: in the first of them the port is still taken or resting, in each later one it is taken
  // with the same probability.
  const double steps = steps_on(hold / uses);
  const double round = uses / steps;
  const double resting = std::floor(port_hold_s(load) / round);
  const double waiting =
      std::max(1.0, steps - recorded * resting - (1 - recorded) * std::floor(live_s(load) / round));
  const double time = live + lasts - resting * round;
  if (time <= 0) return lasts;
  const double rounds = std::floor(time / round);
  const double still = std::pow(1 - 1 / waiting, rounds);
  return resting * round + round * waiting * (1 - still) + (time - rounds * round) * still - live;
}

// Records at the end that makes them. Of the connections a share of `recorded` leaves one; the others are refused it.
double records_at(const Load& load, double rate, double recorded = 1) {
  if (!load.peer_closes_first && !reuse_applies(load)) return recorded * rate * time_wait_s(load);
  const double pairs = load.pairs();
  const double first = first_parity_ports(load);
  const double share = first_share(load, rate);
  const auto of = [&](double ports, double r) {
    return ports > 0 && r > 0 ? recorded * r * record_lasts_s(load, pairs * ports, r, recorded) : 0;
  };
  return of(first, rate * share) + of(port_room(load).open - first, rate * (1 - share));
}

// The share of connections that leave a record.
double recorded_share(const Load& load, double rate) {
  const double most = most_records(load);
  if (records_at(load, rate) <= most) return 1;
  double low = 0;
  double high = 1;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (records_at(load, rate, middle) <= most ? low : high) = middle;
  }
  return low;
}

double conntrack_rest_s(const Load& load) {
  return static_cast<double>(std::max<std::int64_t>(
      0, load.settings.nf_conntrack_tcp_timeout_time_wait.value_or(kUsualConntrackTimeWait)));
}

}  // namespace

double port_pools(const Load& load) {
  return load.source_port == PortSource::BindZero ? load.sources : load.pairs();
}

double time_wait_s(const Load& load) {
  return seconds(load.settings.time_wait_length());
}

bool reuse_applies(const Load& load) {
  if (!load.settings.timestamps_on() || !load.peer_timestamps) return false;
  switch (load.source_port) {
    case PortSource::Explicit:
      return true;  // linux-facts 17: whatever the mode and the delay
    case PortSource::BindZero:
      return false;
    case PortSource::Connect:
    case PortSource::OwnRange:
      break;
  }
  return reuse_covers(load.settings, load.loopback);
}

double port_rest_s(const Load& load) {
  if (load.peer_closes_first) return 0;
  if (!reuse_applies(load)) return time_wait_s(load);
  if (load.source_port == PortSource::Explicit) return 0;
  return std::min(seconds(load.settings.reuse_delay()), time_wait_s(load));
}

double port_hold_s(const Load& load) {
  return live_s(load) + port_rest_s(load);
}

double most_records(const Load& load) {
  const auto limit = load.settings.tcp_max_tw_buckets;
  return limit ? static_cast<double>(std::max<std::int64_t>(0, *limit)) : kMostUsualRecords;
}

double carried_by_ports(const Load& load) {
  return carried_by(load, port_room(load).open * port_pools(load));
}

double carried_at(const Load& load, double rate) {
  const double pools = port_pools(load);
  const double ports = port_room(load).open * pools;
  const double records = most_records(load);
  const double resting =
      rate * std::min(1.0, ports / (pools * come_within(port_hold_s(load), rate / pools)));
  if (port_rest_s(load) <= 0 || records >= ports) return resting;
  const double overflowing =
      rate * std::min(1.0, (ports - records) / (pools * come_within(live_s(load), rate / pools)));
  return std::max(resting, overflowing);
}

double first_parity_ports(const Load& load) {
  const RangeRoom room = port_room(load);
  switch (load.source_port) {
    case PortSource::Connect:
      return room.open_first_parity;
    case PortSource::BindZero:
      return room.open_second_parity;
    case PortSource::OwnRange:
    case PortSource::Explicit:
      break;
  }
  return room.open;
}

double carried_by_first_parity(const Load& load) {
  if (first_parity_ports(load) >= port_room(load).open) return kUnlimited;
  return carried_by(load, first_parity_ports(load) * port_pools(load));
}

double walk_s(const Load& load) {
  return first_parity_ports(load) * (load.source_port == PortSource::BindZero
                                         ? kernel_cost::kPassedBoundPortSeconds
                                         : kernel_cost::kPassedPortSeconds);
}

double processor_full_at(const Load& load) {
  const double walk = walk_s(load);
  return walk > 0 ? carried_by_first_parity(load) + 1 / walk : kUnlimited;
}

double carried_by_records(const Load& load) {
  if (load.peer_closes_first) return kUnlimited;
  const double records = most_records(load);
  if (!reuse_applies(load)) return per_second(records, time_wait_s(load));
  // No more records than ports; up to there they grow with the rate.
  if (records >= port_room(load).open * port_pools(load)) return kUnlimited;
  double low = 0;
  double high = carried_by_ports(load);
  if (records_at(load, high) <= records) return kUnlimited;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (records_at(load, middle) <= records ? low : high) = middle;
  }
  return low;
}

double carried_by_descriptors(const Load& load) {
  return per_second(static_cast<double>(load.descriptors), seconds(load.lifetime));
}

double carried_by_descriptors_at(const Load& load, double rate) {
  return rate * std::min(1.0, static_cast<double>(load.descriptors) /
                                  come_within(seconds(load.lifetime), rate));
}

double carried_by_conntrack(const Load& load) {
  const auto most = load.settings.nf_conntrack_max;
  if (!most || *most <= 0) return kUnlimited;
  return per_second(static_cast<double>(*most), live_s(load) + conntrack_rest_s(load));
}

Demand demand_at(const Load& load, double rate) {
  Demand d;
  const RangeRoom room = port_room(load);
  const double pools = port_pools(load);
  d.open = rate * live_s(load);
  d.descriptors = rate * seconds(load.lifetime);
  const double records = records_at(load, rate);
  if (load.peer_closes_first) {
    d.time_waits_there = records;
  } else {
    d.records_wanted = records;
    d.time_waits_here = std::min(records, most_records(load));
    d.overflow_per_second = rate * (1 - recorded_share(load, rate));
  }
  d.ports = (d.open + std::min(rate * port_rest_s(load), most_records(load))) / pools;
  if (const double first = first_share(load, std::min(rate, carried_at(load, rate))); first < 1) {
    d.dear_share = 1 - first * std::min(1.0, carried_at(load, rate) / rate);
    d.processors = rate * d.dear_share * walk_s(load);
  }
  // A port has a bucket, and a port with an address another one; pairs share them.
  const double taken = d.open + d.time_waits_here;
  const double buckets = std::min<double>(taken, room.open) +
                         std::min(taken, room.open * static_cast<double>(load.sources));
  d.bytes_here = d.open * kernel_cost::kOpenSocketBytes +
                 d.time_waits_here * kernel_cost::kRecordBytes +
                 buckets * kernel_cost::kBindBucketBytes;
  d.bytes_there =
      d.open * kernel_cost::kOpenSocketBytes + d.time_waits_there * kernel_cost::kRecordBytes;
  d.conntrack = rate * (live_s(load) + conntrack_rest_s(load));
  return d;
}

double cycle_s(const Load& load, double rate) {
  const double pools = port_pools(load);
  const bool overflowing = use_at(load, carried_at(load, rate)).overflowing;
  return come_within(overflowing ? live_s(load) : port_hold_s(load), rate / pools) * pools / rate;
}

double first_failure_s(const Load& load, double rate) {
  if (rate <= carried_by_ports(load)) return kUnlimited;
  return port_room(load).open * port_pools(load) / rate;
}

}  // namespace lastack
