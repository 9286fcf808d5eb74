// From an observation to a diagnosis: every namespace is put on the table, every kind of trouble looks at
// it, and what was found is ordered by how much it hurts.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/finding.h"
#include "doctor/text.h"

namespace lastack {

namespace {

const NamespaceSnapshot* same_namespace(const HostSnapshot& earlier, const NamespaceSnapshot& ns) {
  for (const NamespaceSnapshot& other : earlier.namespaces) {
    if (other.inode == ns.inode && other.name == ns.name) return &other;
  }
  return nullptr;
}

// How connections ended in this namespace, and by whose hand.
void summarize(const Case& c, Diagnosis& out, const std::string& label) {
  const Counters& k = c.ns.counters;
  std::uint64_t last_minute = 0;
  for (const Destination& d : c.sockets().destinations) last_minute += d.states[TcpState::TimeWait];
  for (const Service& s : c.sockets().services) last_minute += s.states[TcpState::TimeWait];

  std::string text;
  if (c.ns.sockets_read) {
    text = last_minute == 0
               ? "no connection that this host closed first is younger than a minute"
               : fmt::format(
                     "{} connections ended here in the last minute with this host closing first",
                     grouped(last_minute));
  }
  if (c.ns.counters_read) {
    const std::uint64_t opened =
        c.moved(&Counters::ActiveOpens) + c.moved(&Counters::PassiveOpens) -
        std::min(c.moved(&Counters::AttemptFails),
                 c.moved(&Counters::ActiveOpens) + c.moved(&Counters::PassiveOpens));
    // Those that are closing still have not ended; CurrEstab leaves them out.
    std::uint64_t open = c.sampled() ? 0 : k.CurrEstab;
    if (!c.sampled() && c.ns.sockets_read) {
      for (const TcpState s :
           {TcpState::FinWait1, TcpState::FinWait2, TcpState::Closing, TcpState::LastAck}) {
        open += c.sockets().states[s];
      }
    }
    const std::uint64_t ended = opened - std::min(opened, open);
    const std::uint64_t here = c.moved(&Counters::TW) + c.moved(&Counters::TWKilled) +
                               c.moved(&Counters::TCPTimeWaitOverflow);
    if (ended > 0) {
      const double share = std::min(1.0, static_cast<double>(here) / static_cast<double>(ended));
      text += fmt::format("{}{}: {} ended, {} closed by this host first, {} by peers or by reset",
                          text.empty() ? "" : "; ",
                          c.sampled() ? "in " + span(c.sampled_s) : "since the start",
                          grouped(ended), percent(share), percent(1 - share));
      out.totals.push_back({label + "ended", static_cast<std::int64_t>(ended)});
      out.totals.push_back({label + "closed_here_first_share", share});
    }
  }
  if (!text.empty()) out.summary.emplace_back(label + "connections", text);
  if (c.ns.sockets_read) {
    out.totals.push_back(
        {label + "closed_here_in_last_minute", static_cast<std::int64_t>(last_minute)});
    for (TcpState s : kAllTcpStates) {
      if (s == TcpState::Closed) continue;
      std::string name(to_string(s));
      std::transform(name.begin(), name.end(), name.begin(), [](char ch) {
        return ch >= 'A' && ch <= 'Z' ? static_cast<char>(ch + 32) : ch;
      });
      out.totals.push_back({label + name, static_cast<std::int64_t>(c.sockets().states[s])});
    }
    std::string states;
    for (TcpState s : kAllTcpStates) {
      if (c.sockets().states[s] == 0) continue;
      states += fmt::format("{}{} {}", states.empty() ? "" : ", ", grouped(c.sockets().states[s]),
                            to_string(s));
    }
    out.summary.emplace_back(label + "sockets", states.empty() ? "none" : states);
  }
}

void summarize_room(Diagnosis& out) {
  if (!out.headroom.empty()) {
    const Headroom& h = out.headroom.front();
    std::string text =
        fmt::format("{} -> {}   {} of {} ports", h.source.to_string(), h.remote.to_string(),
                    percent(h.share()), grouped(std::uint64_t{h.capacity}));
    if (h.opens_per_second > 0) {
      text += fmt::format(", {} of {}", rate(h.opens_per_second), rate(h.sustains_per_second));
    }
    out.summary.emplace_back("tightest destination", text);
  }
}

void summarize_descriptors(const HostSnapshot& host, Diagnosis& out) {
  const Process* tightest = nullptr;
  double share = -1;
  for (const Process& p : host.processes) {
    if (!p.descriptor_limit || *p.descriptor_limit == 0) continue;
    const double s = static_cast<double>(p.descriptors) / static_cast<double>(*p.descriptor_limit);
    if (s > share) {
      share = s;
      tightest = &p;
    }
  }
  std::string text;
  if (tightest != nullptr) {
    text = fmt::format("{} {} of {}", name_of(*tightest), percent(share),
                       grouped(*tightest->descriptor_limit));
  }
  if (host.files_max > 0) {
    text += fmt::format(
        "{}system {} of {}", text.empty() ? "" : " · ",
        percent(static_cast<double>(host.files_open) / static_cast<double>(host.files_max)),
        grouped(host.files_max));
    out.totals.push_back({"files_open", static_cast<std::int64_t>(host.files_open)});
  }
  if (!text.empty()) out.summary.emplace_back("descriptors", text);
}

}  // namespace

Severity Diagnosis::worst() const {
  Severity worst = Severity::Notice;
  for (const Finding& f : findings) worst = std::max(worst, f.severity);
  return worst;
}

Diagnosis diagnose(const Observation& observation) {
  const HostSnapshot& host = observation.now;
  Diagnosis out;
  out.hostname = host.hostname;
  out.kernel = host.kernel;
  out.wall_time_ns = host.wall_time_ns;
  out.not_read = host.not_read;
  // A namespace that was asked for and could not be entered may be the sick one.
  out.guessed = std::any_of(host.not_read.begin(), host.not_read.end(),
                            [](const NotRead& n) { return n.what.starts_with("namespace "); });

  for (const NamespaceSnapshot& ns : host.namespaces) {
    Case c{.host = host, .ns = ns};
    if (observation.earlier) {
      c.before = same_namespace(*observation.earlier, ns);
      if (c.before != nullptr) {
        c.sampled_s = seconds(ns.at - c.before->at);
        // Looks the wrong way round, or of another machine or boot, compare nothing.
        if (c.sampled_s <= 0 || observation.earlier->hostname != host.hostname) {
          c.before = nullptr;
          c.sampled_s = 0;
        }
      }
    }
    out.sampled_s = std::max(out.sampled_s, c.sampled_s);
    out.took_s += seconds(ns.took);
    out.namespaces.push_back(ns.name);
    const std::string label = host.namespaces.size() > 1 ? ns.name + " " : "";
    for (const NotRead& n : ns.not_read) {
      out.not_read.push_back({label.empty() ? n.what : ns.name + ": " + n.what, n.why, n.mend});
    }
    if (ns.sockets.interrupted) {
      out.not_read.push_back({label + "a few sockets",
                              "the tables changed while they were read; counts are approximate",
                              ""});
    }
    if (ns.sockets.sockets_dropped > 0) {
      out.not_read.push_back({label + fmt::format("{} sockets of {} small groups by destination",
                                                  grouped(ns.sockets.sockets_dropped),
                                                  grouped(ns.sockets.groups_dropped)),
                              "too many destinations to keep them all apart", ""});
    }
    const std::size_t first = out.findings.size();
    if (ns.sockets_read) {
      out.looked = true;
      if (!ns.settings.ip_local_port_range) {
        out.guessed = true;
        out.not_read.push_back({label + "the range of local ports",
                                "32768-60999 is assumed; if it is narrower, ports run out sooner "
                                "than said here",
                                ""});
      }
      c.room = room_of(ns);
      c.pool = find_bind_pool(ns);
      for (std::size_t i = 0; i < ns.sockets.destinations.size(); ++i) {
        c.uses.push_back(port_use(ns, c.before, i, c.room, c.pool));
        if (ns.sockets.destinations[i].ports_taken() > 0)
          out.headroom.push_back(c.uses.back().head);
      }
      find_port_trouble(c, out.findings);
      find_listener_trouble(c, out.findings);
      find_close_wait(c, out.findings);
      find_piling_up(c, out.findings);
      find_short_connections(c, out.findings);
      find_idle(c, out.findings);
    }
    find_time_wait(c, out.findings);
    find_conntrack(c, out.findings);
    review_settings(c, out.findings);
    // To see that it worked one has to look at the same namespace.
    for (std::size_t i = first; i < out.findings.size(); ++i) {
      for (Remedy& r : out.findings[i].remedies) {
        if (r.check.starts_with("lastack doctor") && !r.check.starts_with("lastack doctor on ")) {
          r.check = inside(c, r.check);
        }
      }
    }
    summarize(c, out, label);
  }
  find_descriptor_trouble(host, out.findings);
  review_host_settings(host, out.findings);
  if (host.is_endpoint) {
    for (Finding& f : out.findings) speak_of_an_endpoint(f);
  }

  std::stable_sort(out.findings.begin(), out.findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  std::stable_sort(out.headroom.begin(), out.headroom.end(),
                   [](const Headroom& a, const Headroom& b) { return a.share() > b.share(); });
  constexpr std::size_t kHeadroomShown = 64;
  if (out.headroom.size() > kHeadroomShown) out.headroom.resize(kHeadroomShown);
  summarize_room(out);
  summarize_descriptors(host, out);
  return out;
}

}  // namespace lastack
