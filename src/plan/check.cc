#include "plan/check.h"

#include <algorithm>
#include <cmath>

#include "plan/trial.h"

namespace lastack {

namespace {

constexpr double kMostPorts = 1024;    // of all pools of a trial together
constexpr double kFewPorts = 64;       // of one pool: less would be another load
constexpr double kMostAttempts = 2e5;  // of a trial, where it can be made smaller
constexpr double kMostRate = 2e8;      // a second: time is counted in nanoseconds
constexpr double kFewPairs = 8;
// Of what a way out carries, so many times as much is offered, and to each pool so many connections while a port is held:
// a port that is free again then waits for no more than a hundredth of that.
constexpr double kOffered = 1.25;
constexpr double kOfferedWithin = 100.3;
constexpr double kNearlyAll = 0.99;
constexpr std::int64_t kPlenty = 0x7fffffff;
constexpr double kEnoughMeasured = 1000;  // connections
constexpr double kManyBursts = 20;        // in a TIME_WAIT: as good as evenly

Duration from_seconds(double s) {
  return std::chrono::round<Duration>(std::chrono::duration<double>(s));
}

// A load made smaller, and by how much.
struct Scaled {
  Load load;
  double fraction = 1;  // small = full size x fraction, of everything that is counted
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

Scaled scaled(const Load& load, bool full_size, double most_ports) {
  Scaled s{load, 1};
  if (full_size) return s;
  s.load.sources = std::min<std::uint32_t>(
      load.sources, load.destinations > 1 ? 2 : static_cast<std::uint32_t>(kFewPairs));
  s.load.destinations =
      std::min(load.destinations, static_cast<std::uint32_t>(kFewPairs) / s.load.sources);
  const double pools = port_pools(s.load);
  s.fraction = pools / port_pools(load);
  const RangeRoom room = port_room(load);
  const double most =
      std::clamp(std::floor(most_ports / pools), 1.0, static_cast<double>(room.open));
  const auto first =
      static_cast<std::uint32_t>(std::lround(most * room.open_first_parity / room.open));
  take_ports(s.load, first, static_cast<std::uint32_t>(most) - first);
  s.fraction *= most / room.open;
  s.load.rate = load.rate * s.fraction;
  s.load.descriptors = static_cast<std::uint64_t>(
      std::max(1.0, std::round(static_cast<double>(load.descriptors) * s.fraction)));
  s.load.settings.tcp_max_tw_buckets =
      static_cast<std::int64_t>(std::round(most_records(load) * s.fraction));
  s.load.settings.nf_conntrack_max.reset();
  return s;
}

// A trial, and what it is a trial of.
struct Arranged {
  Scaled scaled;
  TrialOptions options;
  double cycle = 0;  // seconds: what happens repeats itself after so long
  double attempts() const { return options.rate * seconds(options.warm + options.measured); }
};

// As large as it may be, or smaller where that takes long.
template <class Arrange>
Arranged sized(const Load& load, bool full_size, Arrange&& arrange) {
  for (double most = kMostPorts;; most /= 2) {
    Arranged a = arrange(scaled(load, full_size, most));
    const double pools = port_pools(a.scaled.load);
    const bool may_be_smaller = !full_size && most / 2 >= pools * kFewPorts;
    if (!may_be_smaller || (a.attempts() <= kMostAttempts && a.options.rate <= kMostRate)) return a;
  }
}

// Four-tuples are used again while they have records.
bool takes_again(const Load& load) {
  return load.peer_closes_first || reuse_applies(load);
}

double carried_of(const Load& load) {
  return std::min(carried_at(load, load.rate), carried_by_descriptors_at(load, load.rate));
}

// One limit at a time: where ports are what is short, connections come in bursts, and these may need more records than
// there may be where the mean of them does not.
void lift_records(Load& load, double carried) {
  const bool refused = carried > port_room(load).open * port_pools(load) / port_hold_s(load);
  if (!refused) load.settings.tcp_max_tw_buckets = kPlenty;
}

// Why there is no mean of how many records there are, as words for the page; empty: there is one.
std::string_view why_uneven(const Load& load, const Demand& d, bool out_of_descriptors) {
  if (takes_again(load) && d.dear_share > 0) {
    return "past half the range the walk begins wherever the other parity had its last free port, and evenly coming "
           "connections find the same few again";
  }
  const bool overflowing = d.overflow_per_second > 0;
  if (kManyBursts * seconds(load.lifetime + load.round_trip) < time_wait_s(load)) return {};
  if (takes_again(load) && overflowing) {
    return "every connection has a record until there are as many as there may be, and then none, and when that is over "
           "depends on which ports are had again";
  }
  if (out_of_descriptors && (takes_again(load) || overflowing)) {
    return "out of descriptors connections come in bursts, each as long as one of them is open, and what one burst "
           "leaves the next one finds";
  }
  return {};
}

Arranged arrange_as_asked(Scaled s) {
  if (s.load.rate > carried_by_ports(s.load))
    lift_records(s.load, carried_by_ports(s.load) * (1 - 1e-9));
  const Load& load = s.load;
  const double hold = port_hold_s(load);
  const double lasts = time_wait_s(load);
  const double carried = carried_of(load);
  const Demand d = demand_at(load, carried);
  const bool by_ports = carried_at(load, load.rate) <= carried_by_descriptors_at(load, load.rate);
  Arranged a;
  a.cycle = by_ports ? cycle_s(load, load.rate)
                     : load.rate / carried * static_cast<double>(load.descriptors) / load.rate;
  // Until ports and records are as many as they get: a holding time, and where four-tuples are used again some rounds
  // of all of them.
  double settle = hold + lasts;
  double measured = a.cycle;
  if (takes_again(load)) {
    const double first = first_parity_ports(load) * load.pairs();
    double round = first / (carried * (1 - d.dear_share));
    if (d.dear_share > 0) {
      round =
          std::max(round, (port_room(load).open * load.pairs() - first) / (carried * d.dear_share));
    }
    settle = std::min(settle, hold + 8 * round);
    // How many records there are is chance, until every four-tuple has one.
    measured = 4 * std::min(lasts, 8 * round);
  } else if (d.overflow_per_second > kNearlyAll * carried) {
    // Until there are as many as there may be.
    settle = 2 * a.cycle + most_records(load) / (by_ports ? load.rate : carried);
  } else if (d.overflow_per_second > 0) {
    measured = lasts;
  }
  measured = std::max(measured, kEnoughMeasured / load.rate);
  // A record's place is had by one connection in so long: until they are all had every connection has one, and then none,
  // until the first is free again. So it goes on, and only whole turns have a mean.
  const bool turns = !takes_again(load) && d.overflow_per_second > 0 &&
                     d.overflow_per_second <= kNearlyAll * carried;
  if (turns) measured = std::ceil(measured / lasts - 1e-9) * lasts;
  // Overloaded, what comes repeats itself: whole cycles.
  a.options.rate = load.rate;
  a.options.warm = from_seconds(std::ceil(settle / a.cycle) * a.cycle);
  double cycles = std::ceil(measured / a.cycle - 1e-9);
  if (d.overflow_per_second > kNearlyAll * carried) {
    // The records that came first end together, and until as many have come again there are more ports than later.
    cycles = std::min(cycles, std::floor((hold - seconds(a.options.warm)) / a.cycle));
  }
  a.options.measured = turns && load.rate <= carried
                           ? from_seconds(measured)
                           : from_seconds(std::max(1.0, cycles) * a.cycle);
  // One limit at a time: where ports are the first, what they let through may still come in bursts that need more
  // descriptors.
  a.options.limit_descriptors = !by_ports || load.rate <= carried_by_descriptors(load);
  a.scaled = std::move(s);
  return a;
}

Arranged arrange_way_out(Scaled s) {
  lift_records(s.load, carried_by_ports(s.load) * (1 - 1e-9));
  const Load& load = s.load;
  const double carried = carried_by_ports(load);
  const double pools = port_pools(load);
  const double live = seconds(load.lifetime + load.round_trip);
  const double ports = port_room(load).open * pools;
  // Where most connections skip TIME_WAIT a port's turn is short.
  const bool overflowing = carried > ports / port_hold_s(load) * (1 + 1e-9);
  const double turn = overflowing ? live : port_hold_s(load);
  Arranged a;
  a.options.rate = std::max(kOffered * carried, kOfferedWithin * pools / turn);
  a.cycle = cycle_s(load, a.options.rate);
  // Until every port has been had once, and every record that there may be.
  const double settle = overflowing ? 2 * turn + most_records(load) / a.options.rate : turn;
  a.options.warm = from_seconds(std::ceil(settle / a.cycle) * a.cycle);
  double cycles = std::clamp(std::ceil(kEnoughMeasured / carried / a.cycle), 1.0, 3.0);
  if (overflowing) {  // as above
    cycles = std::min(cycles, std::floor((port_hold_s(load) - seconds(a.options.warm)) / a.cycle));
  }
  a.options.measured = from_seconds(std::max(1.0, cycles) * a.cycle);
  a.scaled = std::move(s);
  return a;
}

// Where connections skip TIME_WAIT there is no steady state for as long as anybody would wait: if each lasts nearly as long as
// that, a burst of them is still one when its records end; and if the others are many, their records end together, and the
// ports are had by whoever comes next.
bool is_steady(const Load& load) {
  const double ports = port_room(load).open * port_pools(load);
  const double carried = carried_by_ports(load);
  const bool overflowing = carried > ports / port_hold_s(load) * (1 + 1e-9);
  if (!overflowing) return true;
  const bool short_ones = 5 * seconds(load.lifetime + load.round_trip) < port_rest_s(load);
  const bool most_skip = carried * port_rest_s(load) > 3 * most_records(load);
  return short_ones && most_skip;
}

bool is_tried(const WayOut& way) {
  return std::isfinite(way.carries) && way.carries > 0 && is_steady(way.with);
}

class Check {
 public:
  Check(const Plan& plan, const CheckOptions& options) : plan_(plan), options_(options) {
    report_.fraction = sized(plan.load, options.full_size, arrange_as_asked).scaled.fraction;
  }

  CheckReport run() {
    std::vector<const WayOut*> ways;
    for (const WayOut& way : plan_.ways) {
      if (is_tried(way)) ways.push_back(&way);
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
    const Arranged a = sized(plan_.load, options_.full_size, arrange_as_asked);
    const Scaled& s = a.scaled;
    const Load& load = s.load;
    const bool by_ports = carried_at(load, load.rate) <= carried_by_descriptors_at(load, load.rate);
    const double carried = carried_of(load);
    const Demand d = demand_at(load, carried);
    const Measured m = measure_for(load, a.options);
    const std::string subject = "as asked";
    const double all = 1 / s.fraction;
    const double one_a_second = all / a.cycle;
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
    const std::string_view uneven = why_uneven(load, d, !by_ports && failing > 0);
    const auto records = [&](const char* what, double predicted, double measured, double unit) {
      if (uneven.empty()) {
        compare(subject, what, predicted * all, measured * all, unit);
      } else {
        report_.not_compared.push_back({what, std::string(uneven)});
      }
    };
    records("time_wait_here", d.time_waits_here, m.time_waits_here, all);
    records("time_wait_there", d.time_waits_there, m.time_waits_there, all);
    if (!load.peer_closes_first) {
      records("overflow_per_second", d.overflow_per_second, m.overflow_per_second, one_a_second);
    }
    // Which parity has the records that are not refused is history, and out of descriptors connections come in bursts.
    if (first_parity_ports(load) < port_room(load).open && by_ports &&
        (d.overflow_per_second == 0 || d.dear_share == 0)) {
      compare(subject, "dear_share", d.dear_share, m.second_parity_share, 0.002);
    }
  }

  void way_out(const WayOut& way) {
    const Arranged a = sized(way.with, options_.full_size, arrange_way_out);
    const Measured m = measure_for(a.scaled.load, a.options);
    const double all = way.each / a.scaled.fraction;
    compare(way.id, "carries_per_second", way.carries, m.opened_per_second * all,
            all / seconds(a.options.measured));
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
  double size = sized(plan.load, options.full_size, arrange_as_asked).attempts();
  for (const WayOut& way : plan.ways) {
    if (is_tried(way)) size += sized(way.with, options.full_size, arrange_way_out).attempts();
  }
  return size;
}

}  // namespace lastack
