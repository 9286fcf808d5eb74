#include "plan/check.h"

#include <algorithm>
#include <cmath>

#include "plan/trial.h"

namespace lastack {

namespace {

constexpr double kMostPorts = 1024;  // of all pools of a trial together
constexpr double kFewPairs = 8;
constexpr double kOffered = 1.25;  // of what a way out carries

Duration from_seconds(double s) {
  return std::chrono::round<Duration>(std::chrono::duration<double>(s));
}

// A load made smaller, and by how much.
struct Scaled {
  Load load;
  double fraction =
      1;  // small = full size x fraction, of everything that is counted over all pools
  double pool_fraction = 1;  // of what is counted in one pool
};

// So many ports of one parity and of the other.
void take_ports(Load& load, std::uint32_t first, std::uint32_t second) {
  const std::uint32_t longer = std::max(first, second);
  const PortRange range{32768, static_cast<Port>(32768 + 2 * longer - 1)};
  PortSet reserved;
  for (std::uint32_t i = first; i < longer; ++i)
    reserved.insert(static_cast<Port>(range.low + 2 * i));
  for (std::uint32_t i = second; i < longer; ++i)
    reserved.insert(static_cast<Port>(range.low + 2 * i + 1));
  load.settings.ip_local_port_range = range;
  load.settings.ip_local_reserved_ports = reserved;
  load.held = PortSet{};
}

Scaled scaled(const Load& load, bool full_size) {
  Scaled s{load, 1, 1};
  if (full_size) return s;
  s.load.sources = std::min<std::uint32_t>(
      load.sources, load.destinations > 1 ? 2 : static_cast<std::uint32_t>(kFewPairs));
  s.load.destinations =
      std::min(load.destinations, static_cast<std::uint32_t>(kFewPairs) / s.load.sources);
  s.fraction = s.load.pairs() / load.pairs();
  const RangeRoom room = port_room(load);
  const double most = std::floor(kMostPorts / s.load.pairs());
  if (room.open > most) {
    const auto first =
        static_cast<std::uint32_t>(std::lround(most * room.open_first_parity / room.open));
    take_ports(s.load, first, static_cast<std::uint32_t>(most) - first);
    s.pool_fraction = most / room.open;
    s.fraction *= s.pool_fraction;
  }
  s.load.rate = load.rate * s.fraction;
  s.load.descriptors = static_cast<std::uint64_t>(
      std::max(1.0, std::round(static_cast<double>(load.descriptors) * s.fraction)));
  s.load.settings.tcp_max_tw_buckets =
      static_cast<std::int64_t>(std::round(most_records(load) * s.fraction));
  s.load.settings.nf_conntrack_max.reset();
  return s;
}

class Check {
 public:
  Check(const Plan& plan, const CheckOptions& options) : plan_(plan), options_(options) {
    report_.fraction = scaled(plan.load, options.full_size).fraction;
  }

  CheckReport run() {
    std::vector<const WayOut*> ways;
    for (const WayOut& way : plan_.ways) {
      if (std::isfinite(way.carries) && way.carries > 0) ways.push_back(&way);
    }
    std::size_t number = 0;
    const auto begin = [&](std::string_view subject) {
      if (options_.progress) options_.progress(++number, ways.size() + 1, subject);
    };
    begin("as asked");
    as_asked();
    for (const WayOut* way : ways) {
      begin(way->id);
      way_out(*way);
    }
    return std::move(report_);
  }

 private:
  void compare(std::string subject, std::string what, double predicted, double measured,
               double unit) {
    Comparison c{std::move(subject), std::move(what), predicted, measured, 0, false};
    const double difference = measured - predicted;
    if (predicted != 0) c.deviation = difference / predicted;
    if (predicted == 0 && measured != 0) c.deviation = 1;
    c.agrees = std::abs(difference) <= kAgreement * std::abs(predicted) + unit;
    report_.comparisons.push_back(std::move(c));
  }

  Measured measure_for(const Load& load, TrialOptions options) {
    options.seed = options_.seed;
    const Measured m = measure(load, options);
    report_.connections += m.connections;
    report_.virtual_s += seconds(options.warm + options.measured);
    return m;
  }

  void as_asked() {
    const Scaled s = scaled(plan_.load, options_.full_size);
    const Load& load = s.load;
    const bool by_ports = carried_by_ports(load) <= carried_by_descriptors(load);
    // One limit at a time: where ports are the first, what they let through may still come in bursts that need more
    // descriptors.
    const bool descriptors = !by_ports || load.rate <= carried_by_descriptors(load);
    const double carried =
        std::min(load.rate, by_ports ? carried_by_ports(load) : carried_by_descriptors(load));
    const Demand d = demand_at(load, carried);
    // Until ports and records are as many as they get: a holding time, and, where four-tuples are used again, some
    // rounds of all of them.
    const double hold = port_hold_s(load);
    const double tuples = port_room(load).open * port_pools(load);
    const double settle = std::min(time_wait_s(load) + hold, hold + 4 * tuples / carried);
    // Overloaded, what comes repeats itself with every holding time.
    const double whole = std::ceil(std::max(settle, 1e-3) / hold);
    const Measured m = measure_for(
        load, {.rate = load.rate,
               .warm = from_seconds(hold * whole),
               .measured = from_seconds(
                   hold * std::max(1.0, std::ceil(1000 / std::max(1.0, load.rate * hold)))),

               .limit_descriptors = descriptors});
    const std::string subject = "as asked";
    const double all = 1 / s.fraction;
    const double one_a_second = 1 / hold * all;
    compare(subject, "opened_per_second", carried * all, m.opened_per_second * all, one_a_second);
    const double failing = load.rate - carried;
    compare(subject, "failed_per_second", (by_ports ? failing : 0) * all, m.failed_per_second * all,
            one_a_second);
    compare(subject, "without_descriptor_per_second", (by_ports ? 0 : failing) * all,
            m.without_descriptor_per_second * all, one_a_second);
    if (by_ports && failing > 0) {
      compare(subject, "first_failure_s", first_failure_s(load, load.rate),
              m.first_failure_s.value_or(0), 1 / load.rate);
    }
    compare(subject, "open", d.open * all, m.open * all, all);
    compare(subject, "time_wait_here", d.time_waits_here * all, m.time_waits_here * all, all);
    compare(subject, "time_wait_there", d.time_waits_there * all, m.time_waits_there * all, all);
    if (!load.peer_closes_first) {
      compare(subject, "overflow_per_second", d.overflow_per_second * all,
              m.overflow_per_second * all, one_a_second);
    }
    if (load.source_port == PortSource::Connect) {
      compare(subject, "dear_share", d.dear_share, m.second_parity_share, 0.002);
    }
  }

  void way_out(const WayOut& way) {
    const Scaled s = scaled(way.with, options_.full_size);
    const double carried = carried_by_ports(s.load);
    // Until every port has been had once: the holding time, unless connections skip TIME_WAIT.
    const double round = port_room(s.load).open * port_pools(s.load) / carried;
    const Measured m = measure_for(s.load, {.rate = kOffered * carried,
                                            .warm = from_seconds(round),
                                            .measured = from_seconds(2 * round)});
    const double all = way.each / s.fraction;
    compare(way.id, "carries_per_second", way.carries, m.opened_per_second * all, all / round);
  }

  const Plan& plan_;
  const CheckOptions& options_;
  CheckReport report_;
};

}  // namespace

bool CheckReport::agrees() const {
  return std::all_of(comparisons.begin(), comparisons.end(),
                     [](const Comparison& c) { return c.agrees; });
}

CheckReport check(const Plan& plan, const CheckOptions& options) {
  return Check(plan, options).run();
}

double check_size(const Plan& plan, const CheckOptions& options) {
  const auto ports = [&](const Load& load) {
    const Scaled s = scaled(load, options.full_size);
    return port_room(s.load).open * s.load.pairs();
  };
  double size = 6 * ports(plan.load);
  for (const WayOut& way : plan.ways) size += 3 * kOffered * ports(way.with);
  return size;
}

}  // namespace lastack
