#include "lab/scenario/scenario_text.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "doctor/text.h"  // grouped()
#include "kernel/text.h"  // take_line()
#include "lab/option_names.h"
#include "lab/scenario/claims.h"
#include "lab/scenario/measure_names.h"
#include "lab/scenario/measure_words.h"
#include "lab/scenario/scenario_reader.h"
#include "model/printable.h"
#include "model/shell_word.h"

namespace lastack::lab {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kWidestName = 24;  // of a column; after a longer one comes a line of its own

// Begins a line that is not wrapped.
constexpr std::string_view kAsItIs = "| ";

// As a scenario writes it: "2 h 4 min", "1.5 s", "100 us".
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

// Ends of lines as a file writes them.
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

// Parts of a sentence, with something between them.
class Parts {
 public:
  explicit Parts(std::string_view between = ", ") : between_(between) {}
  void add(const std::string& part) {
    if (part.empty()) return;
    all_ += (all_.empty() ? "" : between_) + part;
  }
  void add_if(bool really, const std::string& part) {
    if (really) add(part);
  }
  const std::string& all() const { return all_; }

 private:
  std::string between_, all_;
};

// A page of sections: a head at the left, under it rows of columns, the last of which is wrapped.
class Page {
 public:
  void head(std::string_view words) { text_ += fmt::format("\n{}\n", words); }
  void line(std::string_view words) { text_ += fmt::format("{}\n", words); }
  void prose(std::string_view words, std::size_t indent) {
    text_ += std::string(indent, ' ');
    wrap(words, indent);
  }
  struct Row {
    std::vector<std::string> cells;
    std::vector<std::string> below;  // beside nothing, under the last cell
  };
  void rows(const std::vector<Row>& all) {
    std::vector<std::size_t> widths;
    for (const Row& row : all) {
      for (std::size_t i = 0; i + 1 < row.cells.size(); ++i) {
        if (widths.size() <= i) widths.resize(i + 1, 0);
        if (row.cells[i].size() <= kWidestName)
          widths[i] = std::max(widths[i], row.cells[i].size());
      }
    }
    for (const Row& row : all) {
      std::string line = "  ";
      std::size_t hanging = 2;
      for (std::size_t i = 0; i + 1 < row.cells.size(); ++i) {
        hanging += widths[i] == 0 ? 0 : widths[i] + 2;
        line += widths[i] == 0 ? row.cells[i] : fmt::format("{:<{}}", row.cells[i], widths[i]);
        if (widths[i] != 0) line += "  ";
      }
      if (line.size() > hanging) line += fmt::format("\n{}", std::string(hanging, ' '));
      text_ += line;
      wrap(row.cells.back(), hanging);
      for (const std::string& more : row.below) {
        if (more.empty()) continue;
        text_ += std::string(hanging, ' ');
        if (more.starts_with(kAsItIs)) {
          text_ += fmt::format("{}\n", printable(more));
        } else {
          wrap(more, hanging, 2);
        }
      }
    }
  }
  std::string take() { return std::move(text_); }

 private:
  // The line is filled up to `hanging` already.
  void wrap(std::string_view words, std::size_t hanging, std::size_t deeper = 0) {
    std::size_t column = hanging;
    bool begun = false;
    for (std::size_t at = 0; at < words.size();) {
      const std::size_t end = std::min(words.find(' ', at), words.size());
      const std::string_view word = words.substr(at, end - at);
      at = end + 1;
      if (word.empty()) continue;
      if (begun && column + 1 + word.size() > kWidth) {
        text_ += fmt::format("\n{}", std::string(hanging + deeper, ' '));
        column = hanging + deeper;
        begun = false;
      }
      if (begun) text_ += ' ', ++column;
      text_ += printable(word);
      column += word.size();
      begun = true;
    }
    text_ += '\n';
  }

  std::string text_;
};

std::string option_words(const std::vector<std::pair<Option, int>>& options) {
  Parts all;
  for (const auto& [option, value] : options)
    all.add(fmt::format("{} = {}", option_name(option), value));
  return all.all();
}

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
      more.push_back(fmt::format("{}{}", kAsItIs, take_line(rest)));
  }
  return more;
}

// Which host each step's socket is on.
std::vector<std::string> hosts_of(const std::vector<StepSpec>& steps) {
  std::map<std::string, std::string> sockets;
  std::vector<std::string> all;
  for (const StepSpec& s : steps) {
    std::string host = s.host;
    if (host.empty() && s.deed == StepSpec::Deed::Accept) host = sockets[s.of];
    if (host.empty() && !s.socket.empty()) host = sockets[s.socket];
    if (!s.socket.empty()) sockets[s.socket] = host;
    all.push_back(host);
  }
  return all;
}

std::string difference_words(const Difference& d) {
  if (d.after.empty()) return fmt::format("{}: none, in place of {}", d.key, on_a_line(d.before));
  return fmt::format("{} = {}{}", d.key, on_a_line(d.after),
                     d.before.empty() ? "" : fmt::format(", in place of {}", on_a_line(d.before)));
}

class Words {
 public:
  Words(const ScenarioFile& file, const Scenario& base, std::string base_variant,
        std::string called)
      : file_(file), s_(base), base_(std::move(base_variant)), called_(std::move(called)) {}

  std::string all() {
    head();
    hosts();
    wire();
    programs();
    steps();
    course();
    worlds();
    variants();
    checks();
    measured();
    verdicts();
    if (!file_.advice().empty()) {
      page_.head("what follows");
      page_.prose(file_.advice(), 2);
    }
    page_.line("");
    page_.line(fmt::format("run it: lastack lab run {}   (--measures: all that it measures)",
                           printable(shell_word(called_))));
    page_.line(fmt::format("as it is written: lastack lab show --toml {}",
                           printable(shell_word(called_))));
    return page_.take();
  }

 private:
  using Row = Page::Row;

  void head() {
    Parts claims(" ");
    for (const std::string& claim : file_.claims()) claims.add(claim);
    page_.prose(fmt::format("{}: {}", file_.name(), file_.title()), 0);
    for (const std::string& row : file_.claims()) {
      for (const ClaimInfo& info : lab::claims()) {
        if (info.row == row) page_.rows({{{"claim " + row, std::string(info.text)}, {}}});
      }
    }
    if (file_.about().empty()) return;
    page_.line("");
    // Paragraphs are parted by an empty line.
    const std::string& about = file_.about();
    for (std::size_t at = 0; at < about.size();) {
      const std::size_t end = std::min(about.find("\n\n", at), about.size());
      std::string part = about.substr(at, end - at);
      std::replace(part.begin(), part.end(), '\n', ' ');
      if (at > 0) page_.line("");
      page_.prose(part, 0);
      at = end + 2;
    }
  }

  void hosts() {
    page_.head("hosts");
    std::vector<Row> rows;
    for (const HostSpec& h : s_.hosts) {
      Row row{{h.name, host_words(h)}, {}};
      for (const auto& [name, value] : h.settings)
        row.below.push_back(fmt::format("{} = {}", name, value));
      rows.push_back(std::move(row));
    }
    page_.rows(rows);
  }

  void wire() {
    page_.head("between them");
    std::vector<Row> rows{{{"the wire", link_words(s_.wire)}, {}}};
    for (const LinkSpec& l : s_.links)
      rows.push_back({{fmt::format("{} - {}", l.from, l.to), link_words(l.options)}, {}});
    for (const NatSpec& n : s_.nats) rows.push_back({{"NAT " + n.name, nat_words(n)}, {}});
    page_.rows(rows);
    list("faults", s_.faults, fault_words);
    list("what changes meanwhile", s_.changes, change_words);
  }

  template <class Spec>
  void list(std::string_view head, const std::vector<Spec>& all,
            std::string (*words)(const Spec&)) {
    if (all.empty()) return;
    page_.head(head);
    std::vector<Row> rows;
    for (const Spec& one : all) rows.push_back({{one.name, words(one)}, {}});
    page_.rows(rows);
  }

  void programs() {
    std::vector<Row> rows;
    for (const ServerSpec& one : s_.servers)
      rows.push_back({{one.name, one.host, "server: " + server_words(one)}, {}});
    for (const ClientsSpec& one : s_.clients)
      rows.push_back({{one.name, one.host, "clients: " + clients_words(one)}, {}});
    for (const PoolSpec& one : s_.pools)
      rows.push_back({{one.name, one.host, "pool: " + pool_words(one)}, {}});
    for (const ProgramSpec& one : s_.programs)
      rows.push_back({{one.name, one.host, "program: " + program_words(one)}, program_more(one)});
    if (rows.empty()) return;
    page_.head("programs, and on which host");
    page_.rows(rows);
  }

  void steps() {
    if (s_.steps.empty()) return;
    page_.head("steps, one after the other, and on which host");
    const std::vector<std::string> hosts = hosts_of(s_.steps);
    std::vector<Row> rows;
    for (std::size_t i = 0; i < s_.steps.size(); ++i)
      rows.push_back({{s_.steps[i].name, hosts[i], step_text(s_.steps[i])}, {}});
    page_.rows(rows);
  }

  void course() {
    page_.head("course");
    std::vector<Row> rows;
    rows.push_back({{"ends", s_.programs_decide ? "after " + time_words(s_.duration)
                             : s_.programs.empty()
                                 ? "with its last step"
                                 : "with its last step, and the last program that ends by itself"},
                    {}});
    rows.push_back({{"seed", fmt::format("{}; --seed takes another", s_.seed)}, {}});
    if (s_.sample > Duration::zero() && (s_.programs_decide || s_.sample != Duration(50ms)))
      rows.push_back({{"sampled", "every " + time_words(s_.sample)}, {}});
    if (file_.alone())
      rows.push_back({{"alone", "where kernels play, nothing else does meanwhile"}, {}});
    const auto said = [&](std::string_view head, const std::string& words) {
      if (!words.empty()) rows.push_back({{std::string(head), words}, {}});
    };
    said("not on a kernel", file_.not_on_kernel());
    said("long on a kernel", file_.long_on_kernel());
    said("known to differ", file_.differs());
    page_.rows(rows);
  }

  void worlds() {
    std::vector<Row> rows;
    for (const Where where : {Where::Endpoint, Where::Kernel, Where::Mixed}) {
      Row row{{fmt::format("on {}", to_string(where)), ""}, {}};
      Parts p("; ");
      for (const Difference& d : file_.in_world(where)) p.add(difference_words(d));
      row.cells.back() = p.all();
      if (!p.all().empty()) rows.push_back(std::move(row));
    }
    if (rows.empty()) return;
    page_.head("in one world only (--on)");
    page_.rows(rows);
  }

  void variants() {
    if (file_.variants().front().empty()) return;
    page_.head("variants: each is a run of its own");
    std::vector<Row> rows;
    for (const std::string& variant : file_.variants()) {
      std::vector<std::string> lines;
      for (const Difference& d : file_.differences(base_, variant, Where::Endpoint))
        lines.push_back(difference_words(d));
      if (lines.empty()) lines.emplace_back("as above");
      for (const AdviceSpec& a : file_.remedies()) {
        if (a.variant != variant) continue;
        Parts of;
        for (const std::string& one : a.instead_of) of.add(one);
        lines.push_back(fmt::format("{} {}: {}", a.helps ? "a remedy for" : "will not help with",
                                    of.all(), a.text));
        if (!a.caution.empty()) lines.push_back("mind: " + a.caution);
      }
      if (file_.proof()) {
        for (const ProofSpec::Part& part : file_.proof()->parts) {
          if (part.variant != variant) continue;
          if (!part.remedy.empty())
            lines.push_back(fmt::format("a remedy that the finding has: {}{}", part.remedy,
                                        part.told.empty() ? "" : ", \"" + part.told + "\""));
          if (!part.no_help.empty())
            lines.push_back(
                fmt::format("what the finding says will not help: \"{}\"", part.no_help));
        }
      }
      const auto own = [&](std::string_view head, const std::string& words,
                           const std::string& whole) {
        if (!words.empty() && words != whole) lines.push_back(fmt::format("{}: {}", head, words));
      };
      own("not on a kernel", file_.not_on_kernel(variant), file_.not_on_kernel());
      own("long on a kernel", file_.long_on_kernel(variant), file_.long_on_kernel());
      own("known to differ", file_.differs(variant), file_.differs());
      Row row{{variant, lines.front()}, {lines.begin() + 1, lines.end()}};
      rows.push_back(std::move(row));
    }
    page_.rows(rows);
  }

  void checks() {
    if (file_.proof()) {
      page_.head("what the doctor finds");
      page_.rows({{{file_.proof()->host, file_.proof()->finding}, {}}});
    }
    if (file_.checks().empty()) return;
    page_.head("what has to hold");
    for (const CheckSpec& c : file_.checks()) {
      Parts where;
      Parts in(", ");
      for (const std::string& v : c.only_in) in.add(v);
      where.add_if(!c.only_in.empty(), "in " + in.all());
      if (c.only_on) where.add(fmt::format("on {}", to_string(*c.only_on)));
      page_.prose(c.check.text(), 2);
      const std::string more =
          where.all() + (where.all().empty() || c.why.empty() ? "" : ": ") + c.why;
      if (!more.empty()) page_.prose(more, 6);
    }
  }

  void measured() {
    std::vector<std::string> names;
    const auto add = [&](const std::string& name) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    };
    for (const CheckSpec& c : file_.checks()) {
      for (const auto& [variant, name] : c.check.names()) add(name);
    }
    for (const VerdictSpec& v : file_.verdicts()) {
      for (const Placeholder& p : placeholders(v.because)) add(p.name);
    }
    if (file_.proof()) {
      for (const ProofSpec::Column& c : file_.proof()->shows) add(c.measure);
    }
    if (names.empty()) return;
    page_.head("what is measured for it");
    std::size_t width = 0;
    for (const std::string& name : names) width = std::max(width, name.size());
    for (const std::string& name : names) {
      std::string words = measure_words(s_, name);
      if (words == name) words.clear();
      if (file_.proof()) {
        for (const ProofSpec::Column& c : file_.proof()->shows) {
          if (c.measure == name)
            words += fmt::format("{}column \"{}\"", words.empty() ? "" : "; ", c.head);
        }
      }
      page_.line(fmt::format("  {:<{}}  {}", printable(name), width, printable(words)));
    }
  }

  void verdicts() {
    if (file_.verdicts().empty()) return;
    page_.head("what it decides, where all of that holds; {...} is what was measured");
    std::vector<Row> rows;
    for (const VerdictSpec& v : file_.verdicts())
      rows.push_back({{v.claim, fmt::format("{}: {}", v.verdict, v.because)}, {}});
    page_.rows(rows);
  }

  const ScenarioFile& file_;
  const Scenario& s_;
  std::string base_;    // what differences of variants are against
  std::string called_;  // a name of the library, or a path
  Page page_;
};

std::string waiting(const StepSpec& s) {
  return s.within == StepSpec{}.within || s.deed == StepSpec::Deed::Wait
             ? ""
             : ", within " + time_words(s.within);
}

}  // namespace

std::string step_text(const StepSpec& s) {
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

Result<std::string> scenario_text(const ScenarioFile& file, const std::string& called) {
  // What variants are variants of; or the first, where only variants can be played.
  std::string variant;
  auto base = file.scenario(variant, Where::Endpoint, {});
  if (!base) {
    variant = file.variants().front();
    base = file.scenario(variant, Where::Endpoint, {});
  }
  if (!base) return tl::unexpected(base.error());
  return Words(file, *base, variant, called).all();
}

}  // namespace lastack::lab
