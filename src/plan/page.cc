#include "plan/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "doctor/kernel_costs.h"
#include "doctor/text.h"
#include "model/printable.h"

namespace lastack {

namespace {

constexpr std::size_t kMostSeen = 5;

class Page {
 public:
  explicit Page(const TextStyle& style)
      : color_(style.color), width_(std::max<std::size_t>(style.width, 60)) {}

  void line(const std::string& text = "") { out_ += text + "\n"; }

  // Words are kept whole; lines after the first begin at `hanging`.
  void wrapped(const std::string& first, std::string_view text, std::size_t hanging) {
    std::string current = first;
    bool fresh = true;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(' '), text.size());
      if (!fresh && current.size() + 1 + end > width_) {
        line(current);
        current.assign(hanging, ' ');
        fresh = true;
      }
      if (!fresh) current += ' ';
      current += text.substr(0, end);
      fresh = false;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    line(current);
  }

  std::string take() { return std::move(out_); }
  bool color() const { return color_; }

 private:
  bool color_;
  std::size_t width_;
  std::string out_;
};

std::string count(double n) {
  if (!std::isfinite(n)) return "-";
  return grouped(static_cast<std::uint64_t>(std::ceil(std::min(n, 1e15) - 1e-6)));
}

std::string memory(double n) {
  return bytes(static_cast<std::uint64_t>(std::min(n, 1e18)));
}

std::string carries(double n) {
  return std::isfinite(n) ? rate(n) : "any rate";
}

std::string processors(double n) {
  return n < 1 ? percent(n) + " of a processor" : fmt::format("{:.1f} processors", n);
}

// The call that finds a local port.
std::string chooser(const Load& load) {
  return load.source_port == PortSource::BindZero ? "bind()" : "connect()";
}

std::string label(const Plan& p, LimitKind kind) {
  switch (kind) {
    case LimitKind::Ports:
      return p.load.source_port == PortSource::BindZero ? "ports of each source address"
             : p.load.pairs() == 1                      ? "local ports"
                                                        : "local ports of each pair";
    case LimitKind::FirstParity:
      return "  of them, before " + chooser(p.load) + " is dear";
    case LimitKind::Records:
      return "TIME_WAIT records here";
    case LimitKind::Descriptors:
      return "descriptors of the process";
    case LimitKind::Conntrack:
      return "conntrack entries";
  }
  return "";
}

std::string noun(LimitKind kind) {
  switch (kind) {
    case LimitKind::Ports:
    case LimitKind::FirstParity:
      return "local ports";
    case LimitKind::Records:
      return "TIME_WAIT records";
    case LimitKind::Descriptors:
      return "descriptors";
    case LimitKind::Conntrack:
      return "conntrack entries";
  }
  return "";
}

std::string beyond(const Plan& p, LimitKind kind) {
  switch (kind) {
    case LimitKind::Ports:
      return p.load.source_port == PortSource::BindZero ? "bind(): EADDRINUSE"
                                                        : "connect(): EADDRNOTAVAIL";
    case LimitKind::FirstParity:
      return fmt::format("{} walks {} ports", chooser(p.load), count(first_parity_ports(p.load)));
    case LimitKind::Records:
      return "connections skip TIME_WAIT";
    case LimitKind::Descriptors:
      return "socket(): EMFILE";
    case LimitKind::Conntrack:
      return "packets are dropped";
  }
  return "";
}

std::string question(const Load& load) {
  return fmt::format("{} new connections to {} from {}, each open for {}; {} closes first",
                     rate(load.rate), plural(load.destinations, "destination"),
                     load.sources == 1 ? std::string("1 source address")
                                       : grouped(std::uint64_t{load.sources}) + " source addresses",
                     span(load.lifetime), load.peer_closes_first ? "the other end" : "this host");
}

std::string sentence(const Plan& p) {
  const Limit* first = p.breaks_first();
  if (p.failing > 0) {
    std::string text = fmt::format("{} run out: {} carried of {}", noun(first->kind),
                                   rate(p.carries), rate(p.load.rate));
    if (first->kind == LimitKind::Ports) {
      text += fmt::format("; the first failure after {}, then {} of all attempts fail",
                          span(p.first_failure_s), percent(p.failing));
    }
    return text;
  }
  std::string text;
  if (p.demand.overflow_per_second > 0) {
    text = fmt::format(
        "{} connections skip TIME_WAIT, and with it the protection from old segments and lost ACKs",
        rate(p.demand.overflow_per_second));
  } else if (p.demand.dear_share > 0) {
    text = fmt::format("it fits, but {} is dear: {} of all calls walk half the range",
                       chooser(p.load), percent(p.demand.dear_share));
  } else {
    text = "it fits";
  }
  if (first == nullptr) return text + ", and no rate is too high";
  return text + fmt::format("; {} are the first to run out, at {} ({} of that is asked)",
                            noun(first->kind), rate(p.carries), percent(p.load.rate / p.carries));
}

void origin(const PlanOrigin& o, Page& page) {
  std::string head = printable(o.hostname) + " · " +
                     (o.kernel.starts_with("LastAck") ? "" : "Linux ") + printable(o.kernel);
  if (o.chosen) head += " · namespace " + printable(o.seen[*o.chosen].net_namespace);
  head += o.sampled_s > 0 ? fmt::format(" · seen over {}", span(o.sampled_s)) : " · 1 look";
  page.line(head);
  if (o.seen.empty()) {
    page.line(
        "no destination to which connections are opened was seen; range, settings and limits are this host's");
  } else {
    page.line(fmt::format("{:<52}{:>10}{:>10}{:>9}{:>9}", "destination", "opened", "carries",
                          "share", "ports"));
  }
  for (std::size_t i = 0; i < o.seen.size(); ++i) {
    const SeenLoad& s = o.seen[i];
    const bool chosen = o.chosen && *o.chosen == i;
    if (i >= kMostSeen && !chosen) continue;
    page.line(fmt::format(
        "{:<52}{:>10}{:>10}{:>9}{:>9}",
        (chosen ? "* " : "  ") + s.source.to_string() + " -> " + s.remote.to_string(),
        rate(s.load.rate), carries(s.carries), percent(s.carries > 0 ? s.load.rate / s.carries : 1),
        grouped(std::uint64_t{s.ports_taken})));
  }
  if (o.seen.size() > kMostSeen)
    page.line(fmt::format("  and {} more", grouped(std::uint64_t{o.seen.size() - kMostSeen})));
  if (o.chosen) {
    for (const std::string& assumed : o.seen[*o.chosen].assumed) page.wrapped("  ", assumed, 2);
  }
  page.line();
}

void verdict(const Plan& p, Page& page) {
  std::string mark;
  switch (fit_of(p)) {
    case Fit::Breaks:
      mark = page.color() ? "\x1b[1;31mPROBLEM\x1b[0m  " : "PROBLEM  ";
      break;
    case Fit::AtAPrice:
      mark = page.color() ? "\x1b[33mWARNING\x1b[0m  " : "WARNING  ";
      break;
    case Fit::Fits:
      mark = "fits     ";
      break;
  }
  page.wrapped(mark, sentence(p), 9);
}

void limits(const Plan& p, Page& page) {
  page.line(fmt::format("{:<36}{:>11}{:>12}{:>12}  {}", "", "needed", "there are", "carries",
                        "beyond that"));
  bool assumed = false;
  for (const Limit& l : p.limits) {
    assumed = assumed || l.assumed;
    page.line(fmt::format("{:<36}{:>11}{:>12}{:>12}  {}", label(p, l.kind), count(l.needed),
                          count(l.there_is) + (l.assumed ? "*" : " "), carries(l.carries),
                          beyond(p, l.kind)));
  }
  if (assumed) page.line("* the usual number; --set and --descriptors tell another");
  const Demand& d = p.demand;
  page.wrapped(
      "memory of the kernel  ",
      fmt::format("{} here: {} open, {} TIME_WAIT; {} at the other end: {} open, {} TIME_WAIT",
                  memory(d.bytes_here), count(d.open), count(d.time_waits_here),
                  memory(d.bytes_there), count(d.open), count(d.time_waits_there)),
      22);
  if (d.dear_share > 0) {
    page.wrapped(
        "processor             ",
        fmt::format("{} of all {} walk past {} ports, {:.2f} ms each: {} or more at {}",
                    percent(d.dear_share), chooser(p.load), count(first_parity_ports(p.load)),
                    walk_s(p.load) * 1e3, processors(d.processors), rate(p.load.rate)),
        22);
  }
}

void ways(const Plan& p, Page& page) {
  page.line(fit_of(p) == Fit::Fits ? "Should it be more, best first, with what it would carry"
                                   : "What helps, best first, with what it would carry");
  std::size_t number = 0;
  for (const WayOut& way : p.ways) {
    std::string text = way.text;
    if (!way.enough) text += " (not enough)";
    if (way.enough && way.cheap < p.load.rate)
      text += fmt::format(" ({} is dear beyond {})", chooser(way.with), rate(way.cheap));
    page.wrapped(fmt::format("{:>2}. {:>10}  ", ++number, carries(way.carries)), text, 16);
    page.wrapped(fmt::format("{:16}price  ", ""), way.price, 23);
    if (!way.caution.empty()) page.wrapped(fmt::format("{:16}mind   ", ""), way.caution, 23);
    for (const std::string& command : way.commands) page.line(fmt::format("{:16}{}", "", command));
  }
  std::string list;
  for (const std::string& item : p.will_not_help) list += (list.empty() ? "" : "; ") + item;
  page.wrapped("will not help: ", list, 2);
}

std::string quantity(const Comparison& c, double n) {
  if (c.what.ends_with("_share")) return percent(n);
  if (c.what.ends_with("_per_second")) return n == 0 ? "0/s" : rate(n);
  if (c.what.ends_with("_s"))
    return n < 10 ? fmt::format("{:.3f} s", n) : fmt::format("{:.1f} s", n);
  return n < 10 && n != 0 ? fmt::format("{:.2f}", n)
                          : grouped(static_cast<std::uint64_t>(std::llround(n)));
}

std::string words(const std::string& what) {
  if (what == "opened_per_second") return "opened";
  if (what == "failed_per_second") return "failed for want of a port";
  if (what == "without_descriptor_per_second") return "failed for want of a descriptor";
  if (what == "first_failure_s") return "first failure";
  if (what == "open") return "open at a time";
  if (what == "time_wait_here") return "TIME_WAIT here";
  if (what == "time_wait_there") return "TIME_WAIT at the other end";
  if (what == "overflow_per_second") return "skip TIME_WAIT";
  if (what == "dear_share") return "walk past half the range";
  return what == "carries_per_second" ? "carries" : what;
}

void checked(const CheckReport& check, Page& page) {
  page.line(fmt::format("{:<16}{:<34}{:>14}{:>14}{:>12}", "Check", "", "closed form", "endpoint",
                        "deviation"));
  for (const Comparison& c : check.comparisons) {
    page.line(fmt::format("{:<16}{:<34}{:>14}{:>14}{:>10.2f} %{}", c.subject, words(c.what),
                          quantity(c, c.predicted), quantity(c, c.measured), c.deviation * 100,
                          c.agrees ? "" : "  DISAGREES"));
  }
  // One reason, and all that it is the reason for.
  for (auto n = check.not_compared.begin(); n != check.not_compared.end();) {
    std::string what = words(n->what);
    const std::string& why = n->why;
    while (++n != check.not_compared.end() && n->why == why) what += ", " + words(n->what);
    page.wrapped("", fmt::format("not compared: {}: {}", what, why), 2);
  }
  page.wrapped(
      "",
      fmt::format(
          "{}: {} in {} of virtual time between two hosts in memory, {}; agreed is up to {} or one connection",
          check.agrees() ? "They agree" : "They disagree", plural(check.connections, "attempt"),
          span(check.virtual_s),
          check.fraction < 1 ? fmt::format("at {:.3g} of the size", check.fraction)
                             : std::string("at full size"),
          percent(kAgreement)),
      0);
}

}  // namespace

Fit fit_of(const Plan& plan) {
  if (plan.failing > 0) return Fit::Breaks;
  return plan.demand.dear_share > 0 || plan.demand.overflow_per_second > 0 ? Fit::AtAPrice
                                                                           : Fit::Fits;
}

std::string to_text(const PlanPage& what, const TextStyle& style) {
  Page page(style);
  if (what.origin != nullptr) origin(*what.origin, page);
  page.wrapped("", question(what.plan.load), 0);
  page.line();
  verdict(what.plan, page);
  page.line();
  limits(what.plan, page);
  page.line();
  ways(what.plan, page);
  if (what.check != nullptr) {
    page.line();
    checked(*what.check, page);
  }
  return page.take();
}

}  // namespace lastack
