#include "plan/ways_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "doctor/kernel_costs.h"
#include "doctor/text.h"

namespace lastack {

namespace {

constexpr PortRange kWidest{1024, 65535};
// The room that makes a way out one: more is only more.
constexpr double kMostOfAKind = 1e6;

std::uint64_t whole(double n) {
  return static_cast<std::uint64_t>(std::ceil(std::min(std::max(n, 0.0), 1e15) - 1e-9));
}

std::string amount(double n, const char* noun) {
  return plural(whole(n), noun);
}

std::string memory(double n) {
  return bytes(whole(n));
}

void weigh(WayOut& way, const Load& now) {
  way.carries = carried_by_ports(way.with) * way.each;
  way.cheap = carried_by_first_parity(way.with) * way.each;
  way.enough = way.carries >= now.rate;
}

// Few connections, many requests. The one that lasts for n requests is open n times as long and rests once.
WayOut keep_alive(const Load& load, const PlanOptions& options) {
  WayOut way;
  way.id = "keep-alive";
  way.layer = Layer::Program;
  const double ports = port_room(load).open * port_pools(load);
  const double open = load.rate * (seconds(load.lifetime) + seconds(load.round_trip));
  // rate x L + rate / n x rest <= ports
  const double room = ports - open;
  double n = options.requests;
  if (n <= 0) n = room > 0 ? std::max(2.0, std::ceil(load.rate * port_rest_s(load) / room)) : 0;
  const double busy = std::ceil(load.rate * seconds(load.lifetime));
  const double pool = std::ceil(busy * 1.5) + 1;
  if (n == 0 || n > 1e9) n = 1e9;  // for ever
  way.each = n;
  way.with = load;
  way.with.rate = load.rate / n;
  way.with.lifetime = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(seconds(load.lifetime) * n, 1e8)));
  way.text = fmt::format(
      "keep connections open: {} requests over each leave {} new ones; a pool of {} that never closes, none",
      grouped(whole(n)), rate(load.rate / n), grouped(whole(pool)));
  way.price = fmt::format(
      "{} at either end and {} of the kernel's memory for the idle ones; both ends have to agree on how long a connection may idle",
      amount(pool, "descriptor"), memory(pool * kernel_cost::kOpenSocketBytes));
  weigh(way, load);
  return way;
}

WayOut let_peer_close(const Load& load) {
  WayOut way;
  way.id = "peer-closes";
  way.layer = Layer::WhoCloses;
  way.with = load;
  way.with.peer_closes_first = true;
  const Demand d = demand_at(way.with, load.rate);
  way.text =
      "let the back end close first: a port is then free as soon as its connection has ended";
  way.price = fmt::format(
      "{} in TIME_WAIT at the back ends ({} each), {} of memory there, and no port of theirs",
      grouped(whole(d.time_waits_there)), grouped(whole(d.time_waits_there / load.destinations)),
      memory(d.time_waits_there * kernel_cost::kRecordBytes));
  way.caution =
      "a back end must then be able to tell the end of a request: HTTP/1.0, or Connection: close";
  weigh(way, load);
  return way;
}

WayOut wider_range(const Load& load) {
  WayOut way;
  way.id = "range";
  way.layer = Layer::PortChoice;
  way.with = load;
  way.with.settings.ip_local_port_range = kWidest;
  const RangeRoom room = port_room(load);
  weigh(way, load);
  way.text = fmt::format("widen the range to {}-{}: {} ports in place of {}", kWidest.low,
                         kWidest.high, grouped(std::uint64_t{port_room(way.with).open}),
                         grouped(std::uint64_t{room.open}));
  way.price = fmt::format(
      "up to {} more of memory; services that listen within it need their ports reserved",
      memory(std::max(
          0.0, demand_at(way.with, std::min(load.rate, way.carries)).bytes_here -
                   demand_at(load, std::min(load.rate, carried_by_ports(load))).bytes_here)));
  way.commands = {
      "sysctl -w net.ipv4.ip_local_reserved_ports=PORTS-OF-LISTENERS",
      fmt::format("sysctl -w 'net.ipv4.ip_local_port_range={} {}'", kWidest.low, kWidest.high)};
  return way;
}

WayOut bind_late(const Load& load) {
  WayOut way;
  way.id = "bind-late";
  way.layer = Layer::Program;
  way.with = load;
  way.with.source_port = PortSource::Connect;
  weigh(way, load);
  way.text =
      "set IP_BIND_ADDRESS_NO_PORT before bind(): connect() then chooses the port, and each destination has ports of its own";
  way.price = "one setsockopt() in the program, Linux 4.2; no memory";
  return way;
}

// So many of a kind as carry the rate; twice as many where one does.
std::uint32_t enough_of(const Load& load, std::uint32_t now) {
  const double carries = carried_by_ports(load);
  const double want = carries > 0 ? std::ceil(load.rate / (carries / now) - 1e-9) : kMostOfAKind;
  return static_cast<std::uint32_t>(std::min(std::max(want, now * 2.0), kMostOfAKind));
}

WayOut more_sources(const Load& load) {
  WayOut way;
  way.id = "sources";
  way.layer = Layer::MoreTuples;
  way.with = load;
  way.with.sources = enough_of(load, load.sources);
  weigh(way, load);
  way.text =
      fmt::format("{} source addresses in place of {}: each carries {}",
                  grouped(std::uint64_t{way.with.sources}), grouped(std::uint64_t{load.sources}),
                  rate(carried_by_ports(load) / load.sources));
  way.price = fmt::format(
      "{} on this host; the program binds them with IP_BIND_ADDRESS_NO_PORT (else one pool for all destinations)",
      plural(way.with.sources - load.sources, "address") == "1 address"
          ? "1 more address"
          : fmt::format("{} more addresses",
                        grouped(std::uint64_t{way.with.sources - load.sources})));
  return way;
}

WayOut more_destinations(const Load& load) {
  WayOut way;
  way.id = "destinations";
  way.layer = Layer::MoreTuples;
  way.with = load;
  way.with.destinations = enough_of(load, load.destinations);
  weigh(way, load);
  way.text = fmt::format("{} destination ports or addresses in place of {}: each carries {}",
                         grouped(std::uint64_t{way.with.destinations}),
                         grouped(std::uint64_t{load.destinations}),
                         rate(carried_by_ports(load) / load.destinations));
  way.price =
      "further listeners at the back ends, a list of them here; no memory beyond what the load itself needs";
  return way;
}

WayOut reuse(const Load& load) {
  WayOut way;
  way.id = "reuse";
  way.layer = Layer::Reuse;
  way.with = load;
  way.with.settings.tcp_tw_reuse = 1;
  weigh(way, load);
  way.text = fmt::format("tcp_tw_reuse = 1: connect() takes a port {} after its last use",
                         span(load.settings.reuse_delay()));
  way.price =
      "no memory; it hides the churn, and a SYN to a peer that is still in LAST_ACK takes about 11 ms in place of 0.1";
  way.caution = "needs timestamps at both ends; acts at the connecting side only";
  way.commands = {"sysctl -w net.ipv4.tcp_tw_reuse=1"};
  return way;
}

WayOut explicit_ports(const Load& load) {
  WayOut way;
  way.id = "explicit-ports";
  way.layer = Layer::Program;
  way.with = load;
  way.with.source_port = PortSource::Explicit;
  weigh(way, load);
  way.text =
      "choose the source port in the program: bind() with SO_REUSEADDR takes one that is in TIME_WAIT, at once";
  way.price = "the program keeps its own list of ports; no walk of the kernel, so no cliff";
  way.caution = "needs timestamps at both ends, whatever tcp_tw_reuse is";
  return way;
}

}  // namespace

std::vector<WayOut> ways_out(const Load& load, const PlanOptions& options) {
  std::vector<WayOut> ways;
  ways.push_back(keep_alive(load, options));
  if (load.source_port == PortSource::BindZero) ways.push_back(bind_late(load));
  if (!load.peer_closes_first) ways.push_back(let_peer_close(load));
  if (port_room(load).range.size() < kWidest.size()) ways.push_back(wider_range(load));
  ways.push_back(more_sources(load));
  if (load.source_port != PortSource::BindZero) ways.push_back(more_destinations(load));
  const bool stamps = load.settings.timestamps_on() && load.peer_timestamps;
  if (!load.peer_closes_first && stamps && load.source_port != PortSource::Explicit) {
    if (!reuse_applies(load) && load.source_port != PortSource::BindZero)
      ways.push_back(reuse(load));
    ways.push_back(explicit_ports(load));
  }
  return ways;
}

std::vector<std::string> what_will_not_help(const Load& load) {
  std::vector<std::string> out;
  if (load.source_port == PortSource::BindZero) {
    out.push_back("more destinations: what bind() chooses comes from one pool for all of them");
  }
  if (load.peer_closes_first) {
    out.push_back("any setting of TIME_WAIT here: it is made at the other end");
    return out;
  }
  out.push_back("tcp_fin_timeout (bounds FIN_WAIT_2, not TIME_WAIT)");
  out.push_back("a lower tcp_max_tw_buckets (takes the protection away, not the load)");
  if (!load.settings.timestamps_on() || !load.peer_timestamps) {
    out.push_back("tcp_tw_reuse: it never acts without timestamps at both ends");
  } else if (load.settings.tcp_tw_reuse.value_or(2) == 2 && !load.loopback) {
    out.push_back("tcp_tw_reuse=2, as it is: loopback only");
  }
  return out;
}

}  // namespace lastack
