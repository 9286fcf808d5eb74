#include "lab/scenario/part_words.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "doctor/text.h"  // grouped()
#include "kernel/text.h"  // take_line()
#include "lab/option_names.h"
#include "lab/scenario/column_page.h"
#include "lab/scenario/scenario_reader.h"
#include "model/printable.h"
#include "model/shell_word.h"

namespace lastack::lab {

std::string time_words(Duration time) {
  struct Unit {
    Duration size;
    std::string_view name;
  };
  static constexpr std::array<Unit, 4> kLong{{{24h, "d"}, {1h, "h"}, {1min, "min"}, {1s, "s"}}};
  static constexpr std::array<Unit, 4> kShort{{{1s, "s"}, {1ms, "ms"}, {1us, "us"}, {1ns, "ns"}}};
  if (time >= Duration(1min) && time % Duration(1s) == Duration::zero()) {
    std::string all;
    for (const Unit& unit : kLong) {
      if (time < unit.size) continue;
      all += fmt::format("{}{} {}", all.empty() ? "" : " ", time / unit.size, unit.name);
      time %= unit.size;
    }
    return all;
  }
  for (const Unit& unit : kShort) {
    if (time < unit.size) continue;
    return fmt::format("{:.12g} {}",
                       static_cast<double>(time.count()) / static_cast<double>(unit.size.count()),
                       unit.name);
  }
  return "0 s";
}

std::string on_a_line(std::string_view text) {
  std::string all;
  for (const char c : text) {
    if (c == '\r') {
      all += "\\r";
    } else if (c == '\n') {
      all += "\\n";
    } else {
      all += c;
    }
  }
  return all;
}

namespace {

std::string count(std::uint64_t n, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(n), noun, n == 1 ? "" : "s");
}
std::string share(double of_one) {
  return fmt::format("{:.6g} %", of_one * 100);
}
std::string bits(double a_second) {
  if (a_second >= 1e9) return fmt::format("{:.6g} Gbit/s", a_second / 1e9);
  if (a_second >= 1e6) return fmt::format("{:.6g} Mbit/s", a_second / 1e6);
  if (a_second >= 1e3) return fmt::format("{:.6g} kbit/s", a_second / 1e3);
  return fmt::format("{:.6g} bit/s", a_second);
}
// "first", "2nd"
std::string ordinal(std::uint64_t n) {
  if (n == 1) return "first";
  const bool teen = n % 100 >= 11 && n % 100 <= 13;
  return fmt::format("{}{}", grouped(n),
                     teen          ? "th"
                     : n % 10 == 1 ? "st"
                     : n % 10 == 2 ? "nd"
                     : n % 10 == 3 ? "rd"
                                   : "th");
}

}  // namespace

namespace {

std::string option_words(const std::vector<std::pair<Option, int>>& options) {
  Parts all;
  for (const auto& [option, value] : options)
    all.add(fmt::format("{} = {}", option_name(option), value));
  return all.all();
}

}  // namespace

std::string link_words(const LinkOptions& o) {
  const LinkOptions usual;
  Parts p;
  p.add_if(o.down, "down: all packets are lost");
  p.add("delay " + time_words(o.delay));
  p.add_if(o.jitter > Duration::zero(), "jitter up to " + time_words(o.jitter));
  p.add_if(o.loss > 0, "loss " + share(o.loss));
  p.add_if(o.duplicate > 0, fmt::format("{} duplicated, the copy {} later", share(o.duplicate),
                                        time_words(o.duplicate_delay)));
  p.add_if(o.reorder > 0,
           fmt::format("{} reordered, by up to {}", share(o.reorder), time_words(o.reorder_delay)));
  p.add_if(o.corrupt > 0, share(o.corrupt) + " corrupted");
  p.add_if(o.replay > 0, fmt::format("{} arrive again, up to {} later", share(o.replay),
                                     time_words(o.replay_delay)));
  p.add_if(o.rate > 0, bits(static_cast<double>(o.rate)));
  p.add_if(o.queue != usual.queue,
           fmt::format("a queue of {} bytes", grouped(std::uint64_t{o.queue})));
  p.add_if(o.mtu > 0, fmt::format("MTU {}", o.mtu));
  return p.all();
}

std::string host_words(const HostSpec& h) {
  Parts addresses(" ");
  for (const IpAddress& a : h.addresses) addresses.add(a.to_string());
  Parts p;
  p.add(addresses.all());
  p.add_if(!h.behind.empty(), "behind " + h.behind);
  p.add_if(h.kind == HostKind::Endpoint, "an endpoint in every world");
  p.add_if(h.kind == HostKind::Kernel, "a kernel in every world");
  const HostOptions& o = h.options;
  const HostOptions usual;
  p.add_if(o.profile == Profile::Rfc9293, "profile rfc9293");
  p.add_if(o.profile == Profile::Rfc793, "profile rfc793");
  if (o.msl) p.add("MSL " + time_words(*o.msl));
  if (o.time_wait_length) {
    p.add(*o.time_wait_length == Duration::zero()
              ? "no TIME_WAIT"
              : "TIME_WAIT lasts " + time_words(*o.time_wait_length));
  }
  p.add_if(o.evict_oldest_time_wait, "a full table loses its oldest TIME_WAIT");
  if (o.syn_answer) {
    static constexpr std::array<std::string_view, 4> kAnswers{
        "a challenge ACK", "what the window says", "nothing", "a RST"};
    p.add(fmt::format("answers a SYN for a connection that is there with {}",
                      kAnswers[static_cast<std::size_t>(*o.syn_answer)]));
  }
  p.add_if(o.port_choice != usual.port_choice, "chooses ports as Linux walks them");
  p.add_if(o.most_sockets != usual.most_sockets,
           fmt::format("a limit of {} descriptors", grouped(std::uint64_t{o.most_sockets})));
  p.add_if(o.mtu != usual.mtu, fmt::format("MTU {}", o.mtu));
  return p.all();
}

std::string nat_words(const NatSpec& n) {
  return fmt::format(
      "{}, ports {}-{}; forgets a mapping {} after both sides have closed, or {} after its last packet",
      n.address.to_string(), n.first_port, n.last_port, time_words(n.closed_after),
      time_words(n.forget_after));
}

namespace {

std::string when_words(const std::string& after, Duration begins, Duration ends) {
  Parts p(", ");
  const std::string since = after.empty() ? "" : " after " + after + " has ended";
  if (begins > Duration::zero()) {
    p.add(fmt::format("from {} on{}", time_words(begins), since));
  } else if (!after.empty()) {
    p.add("once " + after + " has ended");
  }
  if (ends != Duration::max()) p.add("until " + time_words(ends) + since);
  return p.all();
}

std::string segment_words(SegmentKind kind, bool several) {
  static constexpr std::array<std::string_view, 8> kOne{
      "packet", "SYN",          "SYN+ACK",  "FIN",
      "RST",    "data segment", "pure ACK", "last ACK (that of a FIN)"};
  static constexpr std::array<std::string_view, 8> kMany{
      "packets", "SYNs",          "SYN+ACKs",  "FINs",
      "RSTs",    "data segments", "pure ACKs", "last ACKs (those of a FIN)"};
  return std::string((several ? kMany : kOne)[static_cast<std::size_t>(kind)]);
}

}  // namespace

std::string fault_words(const FaultSpec& f) {
  static constexpr std::array<std::string_view, 4> kIcmp{
      "administratively prohibited", "port unreachable", "host unreachable", "net unreachable"};
  std::string which;
  if (f.last == UINT64_MAX) {
    which = "all " + segment_words(f.segment, true);
  } else if (f.first == f.last) {
    which = fmt::format("the {} {}", ordinal(f.first), segment_words(f.segment, false));
  } else {
    which = fmt::format("the {} to {} {}", ordinal(f.first), ordinal(f.last),
                        segment_words(f.segment, false));
  }
  std::string way;
  if (!f.from.empty()) way += " from " + f.from;
  if (!f.to.empty()) way += " to " + f.to;
  if (f.connection != 0)
    way +=
        fmt::format(" of the {} connection on the same addresses and ports", ordinal(f.connection));
  std::string deed;
  switch (f.deed) {
    case FaultSpec::Deed::Drop:
      deed = fmt::format("loses {}{}", which, way);
      break;
    case FaultSpec::Deed::Delay:
      deed = fmt::format("delays {}{} by {}", which, way, time_words(f.by));
      break;
    case FaultSpec::Deed::Duplicate:
      deed = fmt::format("duplicates {}{}, the copy comes {} later", which, way, time_words(f.by));
      break;
    case FaultSpec::Deed::Corrupt:
      deed = fmt::format("corrupts {}{}", which, way);
      break;
    case FaultSpec::Deed::Reject:
      deed = fmt::format("rejects {}{}: it is lost, and an ICMP error comes back, {}", which, way,
                         kIcmp[static_cast<std::size_t>(f.icmp)]);
      break;
  }
  Parts p;
  p.add(deed);
  p.add(when_words(f.after, f.begins, f.ends));
  return p.all();
}

std::string change_words(const ChangeSpec& c) {
  const std::string what = !c.nat.empty()    ? "NAT " + c.nat
                           : !c.from.empty() ? fmt::format("the link {} - {}", c.from, c.to)
                                             : "the wire";
  return fmt::format(
      "{}{}, {}: {}", c.at > Duration::zero() ? "after " + time_words(c.at) : "at once",
      c.after.empty() ? "" : fmt::format(", once {} has ended", c.after), what, c.text);
}

namespace {

std::string destination_words(const Destination& d) {
  if (!d.address) return fmt::format("{}:{}", d.host, d.port);
  return Endpoint{*d.address, d.port}.to_string();
}

std::string closing_words(Closing closes) {
  switch (closes) {
    case Closing::First:
      return "closes first";
    case Closing::After:
      return "closes when the other side has";
    case Closing::Never:
      return "never closes";
    case Closing::Reset:
      return "ends connections with a RST";
  }
  return "";
}

// "a request of 1 byte", or what it says.

std::string part_words(std::string_view what, std::size_t size, const std::string& text,
                       std::string_view ends) {
  if (text.empty()) return size == 0 ? "" : fmt::format("{} of {}", what, count(size, "byte"));
  return fmt::format("{}{} \"{}\"", what, ends, on_a_line(text));
}

}  // namespace

std::string server_words(const ServerSpec& s) {
  Parts p("; ");
  p.add(fmt::format(
      "listens on {}{}",
      s.address ? Endpoint{*s.address, s.port}.to_string() : fmt::format("port {}", s.port),
      s.backlog == ServerSpec{}.backlog ? "" : fmt::format(", backlog {}", s.backlog)));
  p.add_if(!s.accepts, "never calls accept()");
  p.add_if(!s.reads, "never reads");
  Parts exchange;
  exchange.add(s.request == 0 ? "answers at once"
                              : part_words("a request", s.request, s.until, " that ends with"));
  exchange.add(part_words("an answer", s.answer, s.says, ""));
  exchange.add_if(s.think > Duration::zero(), time_words(s.think) + " later");
  p.add(exchange.all());
  p.add(s.requests == 0 ? "as many requests of a connection as come"
                        : count(s.requests, "request") + " of a connection");
  p.add(closing_words(s.closes));
  p.add_if(s.idle_limit != Duration::max(),
           "closes a connection that was silent for " + time_words(s.idle_limit));
  p.add(when_words(s.when.after, s.when.begins, s.when.ends));
  return p.all();
}

std::string clients_words(const ClientsSpec& c) {
  Parts p("; ");
  Parts load;
  if (c.rate > 0) load.add(fmt::format("{:.6g} connections a second", c.rate));
  const bool limited = c.at_once != ClientsSpec{}.at_once;
  load.add_if(limited, fmt::format("{}{} at a time", c.rate > 0 ? "at most " : "",
                                   count(c.at_once, "connection")));
  load.add_if(c.count != UINT64_MAX, count(c.count, "connection") + " in all");
  Parts to;
  for (const Destination& d : c.to) to.add(destination_words(d));
  Parts from;
  for (const IpAddress& a : c.sources) from.add(a.to_string());
  p.add(fmt::format("{}, to {}{}", load.all(), to.all(),
                    from.all().empty() ? "" : ", from " + from.all()));
  if (c.requests == 0) {
    p.add("no requests: it only connects");
  } else {
    Parts exchange;
    exchange.add(count(c.requests, "request") + " of a connection");
    exchange.add(part_words("a request", c.request, c.says, ""));
    exchange.add(part_words("an answer", c.answer, c.until, " that ends with"));
    p.add(exchange.all());
  }
  p.add_if(c.pause > Duration::zero(), "pauses " + time_words(c.pause) + " after an answer");
  p.add(closing_words(c.closes));
  p.add("gives up after " + time_words(c.patience));
  p.add_if(!c.options.empty(), "options " + option_words(c.options));
  p.add(when_words(c.when.after, c.when.begins, c.when.ends));
  return p.all();
}

std::string pool_words(const PoolSpec& c) {
  Parts p("; ");
  p.add(fmt::format("{:.6g} requests a second to {} over at most {}, which are kept", c.rate,
                    destination_words(c.to), count(c.size, "connection")));
  Parts exchange;
  exchange.add(part_words("a request", c.request, "", ""));
  exchange.add(part_words("an answer", c.answer, "", ""));
  p.add(exchange.all());
  p.add(fmt::format("waits {} for a free connection, {} for connect(), {} for an answer",
                    time_words(c.waiting), time_words(c.connecting), time_words(c.reading)));
  p.add_if(c.idle_limit != Duration::max(), "closes what was idle for " + time_words(c.idle_limit));
  p.add_if(c.heartbeat != Duration::max(), "asks on what was idle for " + time_words(c.heartbeat));
  p.add_if(!c.options.empty(), "options " + option_words(c.options));
  p.add(when_words(c.when.after, c.when.begins, c.when.ends));
  return p.all();
}

std::string program_words(const ProgramSpec& c) {
  Parts line(" ");
  for (const std::string& word : c.run) {
    line.add(shell_word(on_a_line(word)));
  }
  Parts p("; ");
  p.add(line.all());
  if (c.ready_port != 0)
    p.add(fmt::format("ready when it listens on port {}, within {}", c.ready_port,
                      time_words(c.within)));
  if (c.ready_after) p.add("ready after " + time_words(*c.ready_after));
  p.add_if(c.ready_port == 0 && !c.ready_after, "runs for at most " + time_words(c.within));
  Parts statuses(" or ");
  for (const int status : c.statuses) statuses.add(std::to_string(status));
  p.add(c.statuses.empty() ? "may end with any status"
                           : "has to end with status " + statuses.all());
  p.add_if(c.signal != SIGTERM, fmt::format("is ended with SIG{}", ::sigabbrev_np(c.signal)));
  p.add(when_words(c.after, c.begins, c.ends));
  return p.all();
}

std::vector<std::string> program_more(const ProgramSpec& c) {
  std::vector<std::string> more;
  for (const auto& [name, value] : c.environment)
    more.push_back(fmt::format("environment {}={}", name, value));
  for (const auto& [name, text] : c.files) {
    more.push_back(fmt::format("with a file {}:", name));
    for (std::string_view rest = text; !rest.empty();)
      more.push_back(fmt::format("{}{}", ColumnPage::kAsItIs, take_line(rest)));
  }
  return more;
}

namespace {

std::string waiting(const StepSpec& s) {
  return s.within == StepSpec{}.within || s.deed == StepSpec::Deed::Wait
             ? ""
             : ", within " + time_words(s.within);
}

}  // namespace

std::string deed_words(const StepSpec& s) {
  using Deed = StepSpec::Deed;
  std::string words;
  switch (s.deed) {
    case Deed::Listen:
      words = fmt::format(
          "listen on {}{}: {}",
          s.from_address ? Endpoint{*s.from_address, s.port}.to_string()
                         : fmt::format("port {}", s.port),
          s.backlog == StepSpec{}.backlog ? "" : fmt::format(", backlog {}", s.backlog), s.socket);
      break;
    case Deed::Connect: {
      std::string from;
      if (s.from_address) from = " from " + s.from_address->to_string();
      if (s.from_port != 0)
        from += fmt::format("{} port {}", from.empty() ? " from" : ",", s.from_port);
      words = fmt::format("connect to {}{}: {}", destination_words(s.to), from, s.socket);
      break;
    }
    case Deed::Accept:
      words = fmt::format("accept of {}: {}", s.of, s.socket);
      break;
    case Deed::Read:
      words = s.bytes ? fmt::format("read {} of {}", count(*s.bytes, "byte"), s.socket)
                      : fmt::format("read {} to the end", s.socket);
      if (s.check_fill) words += fmt::format(", counting what is not \"{}\"", s.fill);
      break;
    case Deed::Write:
      words = !s.text.empty() ? fmt::format("write to {}: \"{}\"", s.socket, on_a_line(s.text))
                              : fmt::format("write {} of \"{}\" to {}",
                                            count(s.bytes.value_or(1), "byte"), s.fill, s.socket);
      break;
    case Deed::Shutdown: {
      static constexpr std::array<std::string_view, 3> kHow{"reading", "writing", "both ways"};
      words = fmt::format("shut down {}, {}", s.socket, kHow[static_cast<std::size_t>(s.how)]);
      break;
    }
    case Deed::Close:
      words = "close " + s.socket;
      break;
    case Deed::Abort:
      words = fmt::format("abort {} (a RST)", s.socket);
      break;
    case Deed::Option:
      words = fmt::format("set options of {}", s.socket);
      break;
    case Deed::Wait:
      words = "wait " + time_words(s.time);
      break;
    case Deed::Until:
      words = "until " + (s.until ? s.until->text() : "");
      break;
    case Deed::Set:
      words = fmt::format("set {} = {}", s.setting, s.setting_value);
      break;
    case Deed::Crash:
      words = s.quiet ? "lose all memory, and keep quiet for an MSL" : "lose all memory";
      break;
  }
  if (!s.options.empty()) words += "; " + option_words(s.options);
  words += waiting(s);
  if (s.background) words += "; the next begins at once";
  return words;
}

}  // namespace lastack::lab
