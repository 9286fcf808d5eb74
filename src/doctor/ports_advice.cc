#include "doctor/ports_advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "doctor/text.h"

namespace lastack {

namespace {

std::string check_with_sample() {
  return "lastack doctor --sample 5";
}

// Little's law: connections open at a time = rate x lifetime.
Remedy pool_remedy(const PortUse& use) {
  Remedy r;
  r.layer = Layer::Program;
  const double rate_now = std::max(use.head.opens_per_second, use.busiest_per_second);
  if (use.time_wait >= use.live && rate_now > 0) {
    const double busy = std::max(1.0, static_cast<double>(use.live));
    const auto size = static_cast<std::uint64_t>(std::ceil(busy * 1.5)) + 1;
    r.text = fmt::format(
        "keep connections open: {} at a time carry this load (mean lifetime {}), so a pool of {} "
        "would do "
        "in place of {} new ones",
        grouped(static_cast<std::uint64_t>(busy)), span(busy / rate_now), size, rate(rate_now));
  } else {
    r.text = fmt::format(
        "share connections: {} are open to this one destination at the same time; bound the pool, "
        "or "
        "send several requests over each (HTTP/2, pipelining, a proxy in between)",
        grouped(std::uint64_t{use.live}));
  }
  r.check = check_with_sample();
  return r;
}

Remedy range_remedy(const Case& c, const PortUse& use, const PortRange& wider) {
  Remedy r;
  r.layer = Layer::PortChoice;
  // Listeners that the wider range would take in must not be stolen by connect().
  PortSet reserve = c.settings().ip_local_reserved_ports;
  std::size_t added = 0;
  for (const Service& s : c.sockets().services) {
    if (s.listeners == 0 || !wider.contains(s.local.port) || reserve.contains(s.local.port))
      continue;
    reserve.insert(s.local.port);
    ++added;
  }
  const auto more = static_cast<double>(wider.size()) - static_cast<double>(c.room.range.size());
  const double hold =
      std::max(0.001, use.head.sustains_per_second > 0
                          ? (use.head.capacity - std::min(use.live, use.head.capacity)) /
                                use.head.sustains_per_second
                          : 60.0);
  r.text = fmt::format("widen the range: {}-{} holds {} ports", wider.low, wider.high,
                       grouped(std::uint64_t{wider.size()}));
  if (use.time_wait >= use.live) {
    r.text += fmt::format(" and carries {} in place of {}",
                          rate(use.head.sustains_per_second + more / hold),
                          rate(use.head.sustains_per_second));
  }
  if (added > 0) {
    r.commands.push_back(set_command(c, "net.ipv4.ip_local_reserved_ports", reserve.to_string()));
    r.caution = fmt::format("{} the new range takes in; reserve them first, as shown",
                            plural(added, "listening port"));
  }
  r.commands.push_back(
      set_command(c, "net.ipv4.ip_local_port_range", fmt::format("{} {}", wider.low, wider.high)));
  r.undo = set_command(c, "net.ipv4.ip_local_port_range",
                       fmt::format("{} {}", c.room.range.low, c.room.range.high));
  if (added > 0) {
    r.undo += " && " + set_command(c, "net.ipv4.ip_local_reserved_ports",
                                   c.settings().ip_local_reserved_ports.to_string());
  }
  r.check = check_with_sample();
  return r;
}

std::optional<Remedy> reuse_remedy(const Case& c, const PortUse& use) {
  const Settings& s = c.settings();
  if (use.time_wait == 0) return std::nullopt;
  Remedy r;
  r.layer = Layer::Reuse;
  r.check = check_with_sample() + " (TWRecycled rises)";
  if (!s.timestamps_on() || use.timestamps_refused) return std::nullopt;
  const std::int64_t mode = s.tcp_tw_reuse.value_or(2);
  const double usable = use.head.capacity - std::min(use.live, use.head.capacity);
  if (!use.head.reuse_possible && mode != 1) {
    const double delay = seconds(s.reuse_delay());
    r.text = fmt::format(
        "let connect() reuse TIME_WAIT ports {} after their last use: carries up to {}; {}",
        span(delay), rate(usable / delay),
        use.timestamps_seen ? "timestamps are on at both ends, so it is safe here"
                            : "it needs timestamps at both ends: they are on here, and the "
                              "other end was not seen to refuse them");
    r.commands.push_back(set_command(c, "net.ipv4.tcp_tw_reuse", "1"));
    r.undo = undo_command(c, "net.ipv4.tcp_tw_reuse", mode);
    r.caution = "only the connecting side is affected; it hides the churn rather than ending it";
    return r;
  }
  if (use.head.reuse_possible && s.tcp_tw_reuse_delay && *s.tcp_tw_reuse_delay > 1000) {
    r.text = fmt::format(
        "a TIME_WAIT port may be reused {} after its last use here; the default, 1 s, "
        "carries up to {}",
        span(s.reuse_delay()), rate(usable));
    r.commands.push_back(set_command(c, "net.ipv4.tcp_tw_reuse_delay", "1000"));
    r.undo = undo_command(c, "net.ipv4.tcp_tw_reuse_delay", s.tcp_tw_reuse_delay);
    return r;
  }
  return std::nullopt;
}

}  // namespace

std::vector<Remedy> remedies_for_cost(const Case& c) {
  Remedy steps;
  steps.layer = Layer::PortChoice;
  steps.text = fmt::format(
      "setsockopt(IPPROTO_IP, IP_LOCAL_PORT_RANGE, {} << 16 | {}) before connect() (Linux 6.3): a "
      "range of the socket's own, even the same one, is walked in steps of one and has no cliff",
      c.room.range.high, c.room.range.low);
  steps.check = "lastack doctor, and the CPU time of connect()";
  Remedy ports;
  ports.layer = Layer::PortChoice;
  ports.text = "or choose source ports in the program (bind() with SO_REUSEADDR): no walk at all";
  return {steps, ports};
}

std::vector<Remedy> remedies_for_ports(const Case& c, const PortUse& use) {
  std::vector<Remedy> out;
  const Headroom& h = use.head;
  out.push_back(pool_remedy(use));

  if (use.time_wait > 0) {
    Remedy r;
    r.layer = Layer::WhoCloses;
    r.text = fmt::format(
        "let {} close first: TIME_WAIT moves there, where it costs memory but no ports (this host "
        "then "
        "holds each port only while the connection lives)",
        h.remote.to_string());
    r.check = check_with_sample();
    out.push_back(std::move(r));
  }

  if (use.pooled) {
    Remedy r;
    r.layer = Layer::PortChoice;
    r.text = fmt::format(
        "set IP_BIND_ADDRESS_NO_PORT (Linux 4.2) before bind(): the port is then chosen at "
        "connect(), per "
        "destination, and {} can share the same {} ports",
        plural(c.pool.destinations, "destination"), grouped(std::uint64_t{h.range}));
    r.check = check_with_sample();
    out.push_back(std::move(r));
  }
  const PortRange wide{1024, 65535};
  if (c.room.range.size() < wide.size() * 9 / 10) out.push_back(range_remedy(c, use, wide));
  {
    Remedy r;
    r.layer = Layer::MoreTuples;
    r.text = fmt::format(
        "more four-tuples: a second port or address at {}, or a second source address here, each "
        "adds {} ports",
        h.remote.to_string(), grouped(std::uint64_t{h.capacity}));
    if (use.time_wait >= use.live) r.text += " and " + rate(h.sustains_per_second);
    r.check = check_with_sample();
    out.push_back(std::move(r));
  }
  if (auto reuse = reuse_remedy(c, use)) out.push_back(std::move(*reuse));
  if (use.time_wait > 0 && h.free + h.reusable_now <= std::max(4U, h.capacity / 100)) {
    Remedy r;
    r.layer = Layer::Kill;
    r.text =
        "to get ports back this minute: end the TIME_WAIT records by hand (Linux 6.x, as root)";
    const std::string address = h.remote.address.is_v4() ? h.remote.address.to_string()
                                                         : "[" + h.remote.address.to_string() + "]";
    r.commands.push_back(
        inside(c, fmt::format("ss -tK state time-wait dst {} dport = {}", address, h.remote.port)));
    r.caution =
        "old duplicates and a repeated FIN then meet nothing; the ports are burnt again at the "
        "same rate";
    r.check = "lastack doctor";
    out.push_back(std::move(r));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Remedy& a, const Remedy& b) { return a.layer < b.layer; });
  return out;
}

std::vector<std::string> what_will_not_help(const Case& c, const PortUse& use) {
  std::vector<std::string> out;
  if (use.time_wait == 0) {
    out.push_back("tcp_tw_reuse and every other TIME_WAIT setting: nothing here is in TIME_WAIT");
    return out;
  }
  out.push_back("tcp_fin_timeout (bounds FIN_WAIT_2; TIME_WAIT stays 60 s)");
  out.push_back("tcp_max_tw_buckets (throws away the protection, not the load)");
  const Settings& s = c.settings();
  if (!s.timestamps_on()) {
    out.push_back("tcp_tw_reuse while tcp_timestamps is 0: it never acts without them");
  } else if (use.timestamps_refused) {
    out.push_back("tcp_tw_reuse: the other end refuses timestamps");
  } else if (use.pooled) {
    out.push_back("tcp_tw_reuse: bind() does not look at it");
  } else if (s.tcp_tw_reuse.value_or(2) == 2 && !use.head.reuse_possible) {
    out.push_back("tcp_tw_reuse=2, as it is: loopback only");
  }
  return out;
}

}  // namespace lastack
