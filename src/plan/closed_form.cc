#include "plan/closed_form.h"

#include <algorithm>
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

double carried_by_first_parity(const Load& load) {
  if (load.source_port != PortSource::Connect) return kUnlimited;
  return carried_by(load, port_room(load).open_first_parity * port_pools(load));
}

double walk_s(const Load& load) {
  return port_room(load).open_first_parity * kernel_cost::kPassedPortSeconds;
}

double processor_full_at(const Load& load) {
  const double walk = walk_s(load);
  return walk > 0 ? carried_by_first_parity(load) + 1 / walk : kUnlimited;
}

double carried_by_records(const Load& load) {
  if (load.peer_closes_first) return kUnlimited;
  const double records = most_records(load);
  // With reuse there are no more records than ports.
  if (reuse_applies(load) && records >= port_room(load).open * port_pools(load)) return kUnlimited;
  return per_second(records, time_wait_s(load));
}

double carried_by_descriptors(const Load& load) {
  return per_second(static_cast<double>(load.descriptors), seconds(load.lifetime));
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
  const double made = rate * time_wait_s(load);
  const double first_parity = carried_by_first_parity(load);
  d.open = rate * live_s(load);
  d.descriptors = rate * seconds(load.lifetime);
  // A four-tuple has one record at most. Where ports are used again before their records end, the walk goes round the
  // first parity, and leaves it for what that cannot carry.
  double tuples = pools * room.open;
  if (load.source_port == PortSource::Connect) {
    tuples =
        std::min(tuples, pools * room.open_first_parity + std::max(0.0, rate - first_parity) *
                                                              (live_s(load) + time_wait_s(load)));
  }
  const double records = std::min(made, std::max(0.0, tuples - d.open));
  if (load.peer_closes_first) {
    d.time_waits_there = records;
  } else {
    d.records_wanted = reuse_applies(load) ? records : made;
    d.time_waits_here = std::min(d.records_wanted, most_records(load));
    d.overflow_per_second = std::max(0.0, rate - carried_by_records(load));
  }
  d.ports = (d.open + std::min(rate * port_rest_s(load), most_records(load))) / pools;
  if (rate > first_parity) {
    d.dear_share = 1 - first_parity / rate;
    d.processors = (rate - first_parity) * walk_s(load);
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

double first_failure_s(const Load& load, double rate) {
  if (rate <= carried_by_ports(load)) return kUnlimited;
  return port_room(load).open * port_pools(load) / rate;
}

}  // namespace lastack
