#include "lab/scenario/scenario_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "lab/option_names.h"
#include "lab/scenario/program_reader.h"
#include "lab/scenario/scenario_names.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

constexpr std::size_t kMostHosts = 1000;
// Where no duration is given: how often hosts are looked at, and an end at last.
constexpr Duration kSampleOfSteps = 50ms;
constexpr Duration kLongestSteps = 24h;

constexpr std::array<std::string_view, 3> kKinds{"either", "endpoint", "kernel"};
constexpr std::array<std::string_view, 3> kProfiles{"linux", "rfc9293", "rfc793"};
constexpr std::array<std::string_view, 4> kSynAnswers{"challenge", "by-window", "ignore", "reset"};
constexpr std::array<std::string_view, 2> kPortChoices{"flat", "linux-walk"};
constexpr std::array<std::string_view, 8> kSegments{"any", "SYN",  "SYN+ACK", "FIN",
                                                    "RST", "data", "ACK",     "last ACK"};
constexpr std::array<std::string_view, 5> kFaults{"drop", "delay", "duplicate", "corrupt",
                                                  "reject"};
constexpr std::array<std::string_view, 4> kIcmp{"prohibited", "port", "host", "net"};
constexpr std::array<std::string_view, 4> kClosings{"first", "after", "never", "reset"};
constexpr std::array<std::string_view, 13> kDeeds{
    "listen", "connect", "accept", "read",  "write", "shutdown", "close",
    "abort",  "option",  "wait",   "until", "set",   "crash"};
constexpr std::array<std::string_view, 3> kHows{"read", "write", "both"};

using LinkSets = std::vector<std::function<void(LinkOptions&)>>;

// What it says of a link, and nothing of what it does not say.
LinkSets read_link_sets(TomlTable& t) {
  LinkSets sets;
  const auto set = [&](auto LinkOptions::*member, const auto& value) {
    if (!value) return;
    using Member = std::remove_reference_t<decltype(std::declval<LinkOptions&>().*member)>;
    sets.push_back([member, to = static_cast<Member>(*value)](LinkOptions& o) { o.*member = to; });
  };
  set(&LinkOptions::delay, t.duration("delay"));
  set(&LinkOptions::jitter, t.duration("jitter"));
  set(&LinkOptions::loss, t.number("loss", 0, 1));
  set(&LinkOptions::duplicate, t.number("duplicate", 0, 1));
  set(&LinkOptions::duplicate_delay, t.duration("duplicate_delay"));
  set(&LinkOptions::reorder, t.number("reorder", 0, 1));
  set(&LinkOptions::reorder_delay, t.duration("reorder_delay"));
  set(&LinkOptions::corrupt, t.number("corrupt", 0, 1));
  set(&LinkOptions::replay, t.number("replay", 0, 1));
  set(&LinkOptions::replay_delay, t.duration("replay_delay"));
  set(&LinkOptions::rate, t.number("rate", 0, 1e12));  // bits a second
  set(&LinkOptions::queue, t.whole("queue", 0, 1 << 30));
  set(&LinkOptions::mtu, t.whole("mtu", 0, 65535));
  set(&LinkOptions::down, t.flag("down"));
  return sets;
}

void put_link(TomlTable& t, const LinkSets& sets, LinkOptions& o) {
  for (const auto& set : sets) set(o);
  if (const auto good = check(o); !good)
    t.wrong(static_cast<const toml::node*>(nullptr), good.error().message);
}

void read_link(TomlTable& t, LinkOptions& o) {
  put_link(t, read_link_sets(t), o);
}

ChangeSpec read_change(TomlTable& t, const Names& names, const Scenario& scenario,
                       std::size_t number) {
  ChangeSpec c;
  c.name = fmt::format("change{}", number + 1);
  if (const auto v = t.text("name")) c.name = plain_name(t, "name", *v);
  c.after = names.after(t);
  const auto at = t.duration("at");
  if (at) c.at = *at;
  if (!at && c.after.empty())
    t.wrong("at", "is missing: when? \"2 s\" from the start, or after a step");
  const auto ends = t.texts("between");
  if (t.has("between") && ends.size() != 2) t.wrong("between", "has to be a list of two");
  if (!ends.empty()) {
    c.from = names.host(t, "between", ends[0], true);
    c.to = names.host(t, "between", ends[1], true);
  }
  if (const auto nat = t.text("nat")) {
    const std::vector<std::string_view> known(names.nats.begin(), names.nats.end());
    if (std::find(known.begin(), known.end(), *nat) == known.end())
      t.wrong("nat", fmt::format("names no NAT: \"{}\"{}", printable(*nat), hint(*nat, known)));
    if (!ends.empty())
      t.wrong("between", "does not go with nat: a change is of a link, or of a NAT");
    c.nat = *nat;
    c.closed_after = t.duration("closed_after");
    c.forget_after = t.duration("forget_after");
    c.forget = t.flag("forget").value_or(false);
  } else {
    c.of_link = read_link_sets(t);
    LinkOptions trial = scenario.wire;
    put_link(t, c.of_link, trial);
  }
  t.finish();
  for (const std::string& key : t.keys()) {
    if (key == "name" || key == "after" || key == "at" || key == "between" || key == "nat")
      continue;
    c.text += fmt::format("{}{} = {}", c.text.empty() ? "" : ", ", key, t.written(key));
  }
  if (c.text.empty())
    t.wrong(static_cast<const toml::node*>(nullptr),
            c.nat.empty() ? "change: nothing is changed: delay, loss, rate, down ...?"
                          : "change: nothing is changed: closed_after, forget_after or forget?");
  return c;
}

std::vector<std::pair<Option, int>> read_options(TomlTable& t) {
  std::vector<std::pair<Option, int>> all;
  auto inner = t.table("options");
  if (!inner) return all;
  for (const std::string& key : inner->keys()) {
    const auto option = option_from(key);
    if (!option) {
      inner->wrong(key, fmt::format("is no option{}", hint(key, option_names())));
    }
    all.emplace_back(*option, static_cast<int>(*inner->whole(key, INT32_MIN, INT32_MAX)));
  }
  return all;
}

HostSpec read_host(TomlTable& t, const std::string& name, std::size_t number) {
  HostSpec h;
  h.name = name;
  if (const auto v = t.word("kind", kKinds)) h.kind = static_cast<HostKind>(*v);
  h.addresses = t.addresses("address");
  if (h.addresses.empty()) {
    h.addresses.push_back(
        IpAddress::v4(0x0a000001 + static_cast<std::uint32_t>(number)));  // 10.0.0.1 and up
  }
  if (const auto v = t.text("behind")) h.behind = *v;
  if (auto settings = t.table("settings")) {
    for (const std::string& key : settings->keys()) h.settings[key] = settings->scalar(key);
  }
  HostOptions& o = h.options;
  o.name = name;
  if (const auto v = t.word("profile", kProfiles)) o.profile = static_cast<Profile>(*v);
  if (const auto v = t.word("syn_answer", kSynAnswers)) o.syn_answer = static_cast<SynAnswer>(*v);
  if (const auto v = t.word("port_choice", kPortChoices))
    o.port_choice = static_cast<PortChoice>(*v);
  o.msl = t.duration("msl");
  o.time_wait_length = t.duration("time_wait_length");
  if (const auto v = t.flag("evict_oldest_time_wait")) o.evict_oldest_time_wait = *v;
  if (const auto v = t.whole("descriptors", 1, HostOptions{}.most_sockets)) {
    o.most_sockets = static_cast<std::uint32_t>(*v);
  }
  if (const auto v = t.whole("mtu", 68, 65535)) o.mtu = static_cast<std::uint16_t>(*v);
  // As Linux does for every device: what is sent at once is cut on its way out.
  if (o.profile == Profile::Linux) o.gso_max_size = 65536;
  if (const auto good = check(o, h.addresses); !good)
    t.wrong(static_cast<const toml::node*>(nullptr),
            fmt::format("host {}: {}", name, good.error().message));
  Host trial(o);
  for (const auto& [key, value] : h.settings) {
    const auto set = trial.set(key, value);
    // One that only Linux has is for a kernel host.
    if (!set && set.error().number != EOPNOTSUPP) {
      t.wrong(t.raw().get("settings"), fmt::format("host {}: {}", name, set.error().message));
    }
  }
  t.finish();
  return h;
}

NatSpec read_nat(TomlTable& t, const std::string& name) {
  NatSpec n;
  n.name = name;
  const auto address = t.address("address");
  if (!address) t.wrong("address", "is missing: what the outside sees");
  n.address = *address;
  if (const auto v = t.whole("first_port", 1, 65535)) n.first_port = static_cast<Port>(*v);
  if (const auto v = t.whole("last_port", 1, 65535)) n.last_port = static_cast<Port>(*v);
  if (n.last_port < n.first_port) t.wrong("last_port", "is below first_port");
  if (const auto v = t.duration("closed_after")) n.closed_after = *v;
  if (const auto v = t.duration("forget_after")) n.forget_after = *v;
  t.finish();
  return n;
}

FaultSpec read_fault(TomlTable& t, const Names& names, std::size_t number) {
  FaultSpec f;
  f.name = fmt::format("fault{}", number + 1);
  if (const auto v = t.text("name")) f.name = plain_name(t, "name", *v);
  const auto deed = t.word("do", kFaults);
  if (!deed) t.wrong("do", fmt::format("is missing: {}", fmt::join(kFaults, ", ")));
  f.deed = static_cast<FaultSpec::Deed>(*deed);
  if (const auto v = t.word("segment", kSegments)) f.segment = static_cast<SegmentKind>(*v);
  if (const auto v = t.text("from")) f.from = names.host(t, "from", *v, true);
  if (const auto v = t.text("to")) f.to = names.host(t, "to", *v, true);
  if (const auto v = t.whole("connection", 1, UINT32_MAX))
    f.connection = static_cast<std::uint32_t>(*v);
  if (const toml::node* which = t.node("which")) {
    if (const auto* word = which->as_string(); word != nullptr && **word == "all") {
      f.last = UINT64_MAX;
    } else if (const auto* one = which->as_integer(); one != nullptr && **one > 0) {
      f.first = f.last = static_cast<std::uint64_t>(**one);
    } else if (const auto* list = which->as_array();
               list != nullptr && list->size() == 2 &&
               list->is_homogeneous(toml::node_type::integer) && **list->get(0)->as_integer() > 0 &&
               **list->get(1)->as_integer() >= **list->get(0)->as_integer()) {
      f.first = static_cast<std::uint64_t>(**list->get(0)->as_integer());
      f.last = static_cast<std::uint64_t>(**list->get(1)->as_integer());
    } else {
      t.wrong("which", "has to be a number from 1, two of them [from, to], or \"all\"");
    }
  }
  f.after = names.after(t);
  read_times(t, f.begins, f.ends);
  const auto by = t.duration("by");
  if (by) f.by = *by;
  if (const auto v = t.word("icmp", kIcmp)) {
    if (f.deed != FaultSpec::Deed::Reject) t.wrong("icmp", "belongs to reject");
    f.icmp = static_cast<FaultSpec::Icmp>(*v);
  }
  const bool timed = f.deed == FaultSpec::Deed::Delay || f.deed == FaultSpec::Deed::Duplicate;
  if (timed && !by) t.wrong("by", "is missing: how much later?");
  if (!timed && by) t.wrong("by", "belongs to delay and duplicate");
  t.finish();
  return f;
}

// So many bytes, or these.
void read_size(TomlTable& t, std::string_view key, std::int64_t least, std::size_t& size,
               std::string& text) {
  const toml::node* node = t.node(key);
  if (node != nullptr && node->is_string()) {
    text = *t.text(key);
    size = text.size();
    if (text.empty()) t.wrong(key, "is empty: it is a text, or a number of bytes");
  } else if (const auto v = t.whole(key, least, 1 << 30)) {
    size = static_cast<std::size_t>(*v);
  }
}

ServerSpec read_server(TomlTable& t, const Names& names, std::size_t number) {
  ServerSpec s;
  s.name = fmt::format("server{}", number + 1);
  if (const auto v = t.text("name")) s.name = plain_name(t, "name", *v);
  s.host = names.needed_host(t, "host");
  s.address = t.address("address");
  if (const auto v = t.whole("port", 1, 65535)) s.port = static_cast<Port>(*v);
  if (const auto v = t.whole("backlog", 0, 1 << 20)) s.backlog = static_cast<int>(*v);
  read_size(t, "request", 0, s.request, s.until);
  read_size(t, "answer", 0, s.answer, s.says);
  if (const auto v = t.duration("think")) s.think = *v;
  if (const auto v = t.whole("requests", 0, UINT32_MAX))
    s.requests = static_cast<std::uint32_t>(*v);
  if (const auto v = t.word("closes", kClosings)) s.closes = static_cast<Closing>(*v);
  if (const auto v = t.duration("idle_limit")) s.idle_limit = *v;
  if (const auto v = t.flag("accepts")) s.accepts = *v;
  if (const auto v = t.flag("reads")) s.reads = *v;
  s.when = names.timetable(t);
  if (s.requests == 0 && s.closes == Closing::First && s.idle_limit == Duration::max()) {
    t.wrong("closes",
            "cannot be \"first\" where requests = 0 (as many as come) and there is no idle_limit");
  }
  t.finish();
  return s;
}

ClientsSpec read_clients(TomlTable& t, const Names& names, std::size_t number) {
  ClientsSpec c;
  c.name = fmt::format("clients{}", number + 1);
  if (const auto v = t.text("name")) c.name = plain_name(t, "name", *v);
  c.host = names.needed_host(t, "host");
  for (const std::string& to : t.texts("to")) {
    c.to.push_back(names.destination(t, "to", to));
  }
  if (c.to.empty()) t.wrong("to", "is missing: \"server:80\", or a list of such");
  c.sources = t.addresses("source");
  if (const auto v = t.number("rate", 0.001, 1e7)) c.rate = *v;
  if (const auto v = t.whole("at_once", 1, 1'000'000)) c.at_once = static_cast<std::uint32_t>(*v);
  if (const auto v = t.whole("count", 1, INT64_MAX)) c.count = static_cast<std::uint64_t>(*v);
  read_size(t, "request", 1, c.request, c.says);
  read_size(t, "answer", 0, c.answer, c.until);
  if (const auto v = t.whole("requests", 0, UINT32_MAX))
    c.requests = static_cast<std::uint32_t>(*v);
  if (const auto v = t.duration("pause")) c.pause = *v;
  if (const auto v = t.word("closes", kClosings)) c.closes = static_cast<Closing>(*v);
  if (const auto v = t.duration("patience")) c.patience = *v;
  c.when = names.timetable(t);
  c.options = read_options(t);
  if (c.rate == 0 && c.count == UINT64_MAX && !t.has("at_once")) {
    t.wrong(static_cast<const toml::node*>(nullptr),
            fmt::format("{}: say rate, count or at_once, or it never ends", c.name));
  }
  if (c.rate == 0 && !t.has("at_once")) c.at_once = 1;
  t.finish();
  return c;
}

PoolSpec read_pool(TomlTable& t, const Names& names, std::size_t number) {
  PoolSpec p;
  p.name = fmt::format("pool{}", number + 1);
  if (const auto v = t.text("name")) p.name = plain_name(t, "name", *v);
  p.host = names.needed_host(t, "host");
  const auto to = t.text("to");
  if (!to) t.wrong("to", "is missing: \"server:80\"");
  p.to = names.destination(t, "to", *to);
  if (const auto v = t.number("rate", 0.001, 1e7)) p.rate = *v;
  if (const auto v = t.whole("size", 1, 100'000)) p.size = static_cast<std::uint32_t>(*v);
  if (const auto v = t.whole("request", 1, 1 << 30)) p.request = static_cast<std::size_t>(*v);
  if (const auto v = t.whole("answer", 1, 1 << 30)) p.answer = static_cast<std::size_t>(*v);
  if (const auto v = t.duration("waiting")) p.waiting = *v;
  if (const auto v = t.duration("connecting")) p.connecting = *v;
  if (const auto v = t.duration("reading")) p.reading = *v;
  if (const auto v = t.duration("idle_limit")) p.idle_limit = *v;
  if (const auto v = t.duration("heartbeat")) p.heartbeat = *v;
  p.when = names.timetable(t);
  p.options = read_options(t);
  t.finish();
  return p;
}

StepSpec read_step(TomlTable& t, const Names& names, std::size_t number,
                   std::set<std::string>& sockets) {
  StepSpec s;
  const auto deed = t.word("do", kDeeds);
  if (!deed) t.wrong("do", fmt::format("is missing: {}", fmt::join(kDeeds, ", ")));
  using Deed = StepSpec::Deed;
  s.deed = static_cast<Deed>(*deed);
  s.name = fmt::format("step{}", number + 1);
  if (const auto v = t.text("name")) s.name = plain_name(t, "name", *v);
  if (const auto v = t.duration("within")) s.within = *v;
  if (const auto v = t.flag("background")) s.background = *v;

  const auto known_socket = [&](std::string_view key) {
    const auto name = t.text(key);
    if (!name) t.wrong(key, "is missing: which socket?");
    if (!sockets.contains(*name)) {
      std::vector<std::string_view> known(sockets.begin(), sockets.end());
      t.wrong(key, fmt::format("names no socket of a step before: \"{}\"{}", printable(*name),
                               hint(*name, known)));
    }
    return *name;
  };
  const auto new_socket = [&] {
    const auto name = t.text("socket");
    if (!name) t.wrong("socket", "is missing: what is it to be called?");
    sockets.insert(*name);
    return *name;
  };
  switch (s.deed) {
    case Deed::Listen:
      s.host = names.needed_host(t, "host");
      s.socket = new_socket();
      if (const auto v = t.whole("port", 1, 65535)) s.port = static_cast<Port>(*v);
      if (s.port == 0) t.wrong("port", "is missing");
      s.from_address = t.address("address");
      if (const auto v = t.whole("backlog", 0, 1 << 20)) s.backlog = static_cast<int>(*v);
      s.options = read_options(t);
      break;
    case Deed::Connect: {
      s.host = names.needed_host(t, "host");
      s.socket = new_socket();
      const auto to = t.text("to");
      if (!to) t.wrong("to", "is missing: \"server:80\"");
      s.to = names.destination(t, "to", *to);
      if (const auto v = t.whole("from_port", 1, 65535)) s.from_port = static_cast<Port>(*v);
      s.from_address = t.address("from_address");
      s.options = read_options(t);
      break;
    }
    case Deed::Accept:
      s.of = known_socket("of");
      s.socket = new_socket();
      break;
    case Deed::Read:
    case Deed::Write: {
      s.socket = known_socket("socket");
      if (const auto v = t.whole("bytes", 0, INT64_MAX / 2))
        s.bytes = static_cast<std::uint64_t>(*v);
      const auto fill = t.text("fill");
      if (fill && fill->size() != 1) t.wrong("fill", "has to be one character");
      if (fill) s.fill = (*fill)[0];
      s.check_fill = fill.has_value();
      if (s.deed == Deed::Write) {
        s.text = t.text("text").value_or("");
        if (!s.text.empty() && (s.bytes || fill))
          t.wrong("text", "is all that is written: bytes and fill do not go with it");
        if (!s.text.empty()) s.bytes = s.text.size();
      }
      if (s.deed == Deed::Write && !s.bytes) s.bytes = 1;
      break;
    }
    case Deed::Shutdown:
      s.socket = known_socket("socket");
      if (const auto v = t.word("how", kHows)) s.how = static_cast<ShutdownHow>(*v);
      break;
    case Deed::Close:
    case Deed::Abort:
      s.socket = known_socket("socket");
      break;
    case Deed::Option: {
      s.socket = known_socket("socket");
      const auto options = read_options(t);
      if (options.empty()) t.wrong("options", "is missing: options = { linger = 0 }");
      s.options = options;
      break;
    }
    case Deed::Wait: {
      const auto time = t.duration("time");
      if (!time) t.wrong("time", "is missing: \"2 s\"");
      s.time = *time;
      break;
    }
    case Deed::Until: {
      const auto condition = t.text("holds");
      if (!condition) t.wrong("holds", "is missing: \"client.states.TIME_WAIT == 0\"");
      auto check = Check::parse(*condition);
      if (!check) t.wrong("holds", "is no condition: " + check.error().message);
      s.until = *std::move(check);
      break;
    }
    case Deed::Set:
      s.host = names.needed_host(t, "host");
      if (const auto v = t.text("setting")) s.setting = *v;
      if (s.setting.empty()) t.wrong("setting", "is missing: \"tcp_tw_reuse\"");
      s.setting_value = t.scalar("value");
      break;
    case Deed::Crash:
      s.host = names.needed_host(t, "host");
      if (const auto v = t.flag("quiet")) s.quiet = *v;
      break;
  }
  t.finish();
  return s;
}

// Everything has a name of its own: what stands in the file under `key` as well.
void check_unique(TomlTable& t, std::set<std::string>& seen, const char* key,
                  const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (seen.insert(names[i]).second) continue;
    const std::string what = fmt::format("two things are called \"{}\"", names[i]);
    const toml::node* at = t.node(key);
    if (const toml::table* table = at == nullptr ? nullptr : at->as_table()) {
      if (const toml::node* steps = table->get("steps")) {
        t.table(key)->tables("steps")[i].wrong("name", "is taken: " + what);
        (void)steps;
      }
      t.table(key)->wrong(names[i], "is taken: " + what);
    }
    t.tables(key)[i].wrong("name", "is taken: " + what);
  }
}

template <class Spec>
std::vector<std::string> names_of(const std::vector<Spec>& all) {
  std::vector<std::string> names;
  for (const Spec& one : all) names.push_back(one.name);
  return names;
}

}  // namespace

std::string_view to_string(StepSpec::Deed deed) {
  return kDeeds[static_cast<std::size_t>(deed)];
}

Scenario read_scenario(const toml::table& root, const TomlSource& source) {
  Scenario s;
  TomlTable t(root, "", source);
  // What ScenarioFile has read already.
  for (const std::string_view key :
       {"about", "claims", "not_on_kernel", "long_on_kernel", "differs", "alone", "variant", "on",
        "check", "verdict", "proof", "remedy", "told", "no_help", "advice", "will_not_help",
        "caution", "instead_of"}) {
    (void)t.node(key);
  }
  s.name = plain_name(t, "scenario", t.text("scenario").value_or(""));
  s.title = t.text("title").value_or(s.name);
  if (const auto v = t.whole("seed", 0, INT64_MAX)) s.seed = static_cast<std::uint64_t>(*v);
  if (const auto v = t.duration("duration")) {
    s.duration = *v;
    s.programs_decide = true;
  }
  if (const auto v = t.duration("sample")) s.sample = *v;

  Names names;
  auto hosts = t.table("host");
  if (!hosts) t.wrong("host", "is missing: a scenario has hosts, [host.client] and so on");
  names.hosts = in_file_order(hosts->raw());
  if (names.hosts.size() > kMostHosts)
    t.wrong("host", fmt::format("has more than {} hosts", kMostHosts));
  auto nats = t.table("nat");
  if (nats) names.nats = in_file_order(nats->raw());

  std::set<IpAddress> addresses;
  const auto only_one = [&](TomlTable& in, const IpAddress& address) {
    if (!addresses.insert(address).second)
      in.wrong("address", fmt::format("{} is another's already", address.to_string()));
  };
  if (nats) {
    for (const std::string& name : names.nats) {
      auto one = nats->table(name);
      s.nats.push_back(read_nat(*one, plain_name(*nats, name, name)));
      only_one(*one, s.nats.back().address);
    }
  }
  for (std::size_t i = 0; i < names.hosts.size(); ++i) {
    auto one = hosts->table(names.hosts[i]);
    s.hosts.push_back(read_host(*one, plain_name(*hosts, names.hosts[i], names.hosts[i]), i));
    for (const IpAddress& address : s.hosts.back().addresses) only_one(*one, address);
    const std::string& behind = s.hosts.back().behind;
    if (!behind.empty() &&
        std::find(names.nats.begin(), names.nats.end(), behind) == names.nats.end()) {
      one->wrong("behind", fmt::format("names no NAT: \"{}\"", printable(behind)));
    }
  }

  if (auto wire = t.table("wire")) {
    read_link(*wire, s.wire);
    wire->finish();
  }
  for (TomlTable& link : t.tables("link")) {
    const auto ends = link.texts("between");
    if (ends.size() != 2) link.wrong("between", "has to be a list of two");
    LinkSpec l{names.host(link, "between", ends[0], true),
               names.host(link, "between", ends[1], true), s.wire};
    read_link(link, l.options);
    link.finish();
    s.links.push_back(std::move(l));
  }

  const std::vector<std::string> programs = program_names(t);
  std::set<std::string> sockets;
  if (auto script = t.table("script")) {
    std::size_t number = 0;
    for (TomlTable& step : script->tables("steps")) {
      s.steps.push_back(read_step(step, names, number++, sockets));
      names.steps.push_back(s.steps.back().name);
    }
    script->finish();
  }
  for (TomlTable& one : t.tables("program")) {
    const std::string& name = programs[s.programs.size()];
    s.programs.push_back(read_program(one, names, s, name));
    names.programs.push_back(name);
  }
  for (TomlTable& one : t.tables("change"))
    s.changes.push_back(read_change(one, names, s, s.changes.size()));
  for (TomlTable& fault : t.tables("fault"))
    s.faults.push_back(read_fault(fault, names, s.faults.size()));
  for (TomlTable& one : t.tables("server"))
    s.servers.push_back(read_server(one, names, s.servers.size()));
  for (TomlTable& one : t.tables("clients"))
    s.clients.push_back(read_clients(one, names, s.clients.size()));
  for (TomlTable& one : t.tables("pool")) s.pools.push_back(read_pool(one, names, s.pools.size()));
  t.finish();

  std::set<std::string> all{"wire", "run"};
  check_unique(t, all, "host", names.hosts);
  check_unique(t, all, "nat", names.nats);
  check_unique(t, all, "script", names.steps);
  check_unique(t, all, "program", programs);
  check_unique(t, all, "server", names_of(s.servers));
  check_unique(t, all, "clients", names_of(s.clients));
  check_unique(t, all, "pool", names_of(s.pools));
  check_unique(t, all, "fault", names_of(s.faults));
  check_unique(t, all, "change", names_of(s.changes));
  if (s.steps.empty() && s.clients.empty() && s.pools.empty() && s.programs.empty()) {
    throw Misread{{EINVAL, fmt::format("{}: nothing happens: there is neither [script] nor "
                                       "[[clients]] nor [[pool]] nor [[program]]",
                                       source.file)}};
  }
  // Without a duration it ends with its last step, and with the last program that comes to an end: each has its own limit.
  const bool any_ends = !s.steps.empty() ||
                        (s.clients.empty() && s.pools.empty() &&
                         std::any_of(s.programs.begin(), s.programs.end(), [](const auto& p) {
                           return p.ready_port == 0 && !p.ready_after && p.ends == Duration::max();
                         }));
  if (!s.programs_decide && any_ends) {
    if (s.sample == Duration::zero()) s.sample = kSampleOfSteps;
    s.duration = kLongestSteps;
  }
  if (!any_ends) s.programs_decide = true;
  return s;
}

}  // namespace lastack::lab
