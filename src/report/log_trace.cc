#include "report/log_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <utility>

namespace lastack {
namespace {

constexpr std::size_t kLongestLine = std::size_t{1} << 20;
// A use that ended longer ago is not looked for again.
constexpr std::size_t kUsesBack = 4;
constexpr std::size_t kMostHosts = 0xfff0;

std::size_t mixed(std::size_t hash, const Endpoint& endpoint) {
  for (const unsigned char part : endpoint.address.bytes()) hash = (hash ^ part) * 0x100000001b3U;
  return (hash ^ endpoint.port) * 0x9e3779b97f4a7c15U;
}

// In numbers of a direction, that of `seq`; near the highest one.
std::int64_t unrolled(std::uint32_t seq, std::uint32_t last, std::int64_t last_rel) {
  return last_rel + static_cast<std::int32_t>(seq - last);
}

}  // namespace

std::size_t LogTrace::PairHash::operator()(const FourTuple& tuple) const {
  return mixed(mixed(0xcbf29ce484222325U, tuple.local), tuple.remote);
}

std::uint32_t LogTrace::intern(std::string_view text) {
  if (text.empty()) return 0;
  const auto found = text_index_.find(text);
  if (found != text_index_.end()) return found->second;
  const auto index = static_cast<std::uint32_t>(texts_.size());
  text_index_.emplace(text, index);
  texts_.emplace_back(text);
  return index;
}

std::uint16_t LogTrace::host_index(const std::string& name) {
  if (name == "wire") return kWireHost;
  const auto found = host_index_.find(name);
  if (found != host_index_.end()) return found->second;
  // More hosts than have a number share the last one.
  if (hosts_.size() >= kMostHosts) return static_cast<std::uint16_t>(kMostHosts - 1);
  const auto index = static_cast<std::uint16_t>(hosts_.size());
  host_index_.emplace(name, index);
  hosts_.push_back(name);
  opened_.push_back(0);
  return index;
}

std::uint32_t LogTrace::pair_index(const Endpoint& a, const Endpoint& b) {
  const FourTuple key{std::min(a, b), std::max(a, b)};
  const auto [at, fresh] = pair_index_.try_emplace(key, static_cast<std::uint32_t>(pairs_.size()));
  if (fresh) pairs_.push_back({key.local, key.remote, {}, {}});
  return at->second;
}

std::uint32_t LogTrace::new_use(std::uint32_t pair) {
  const auto index = static_cast<std::uint32_t>(connections_.size());
  TraceConnection c;
  c.opener = pairs_[pair].low;
  c.other = pairs_[pair].high;
  c.pair = pair;
  c.use = static_cast<std::uint32_t>(pairs_[pair].uses.size() + 1);
  c.first_event = static_cast<std::uint32_t>(events_.size());
  connections_.push_back(c);
  uses_.emplace_back();
  pairs_[pair].uses.push_back(index);
  return index;
}

// Each host counts uses by itself, and one of them may have had one that the other never saw. A number that a host has
// not had yet belongs to the latest use, unless the host is in that already: then another begins.
std::uint32_t LogTrace::use_of(std::uint32_t pair, std::uint16_t host, std::uint32_t incarnation) {
  const std::vector<std::uint32_t>& uses = pairs_[pair].uses;
  if (uses.empty()) {
    const std::uint32_t first = new_use(pair);
    if (incarnation != 0) uses_[first].incarnations.push_back({host, incarnation});
    return first;
  }
  const std::uint32_t latest = uses.back();
  if (incarnation == 0) return latest;
  for (std::size_t back = 1; back <= std::min(uses.size(), kUsesBack); ++back) {
    for (const Incarnation& one : uses_[uses[uses.size() - back]].incarnations) {
      if (one.host != host) continue;
      if (one.number == incarnation) return uses[uses.size() - back];
      if (one.number > incarnation) return uses[uses.size() - back];  // of before the log
    }
  }
  const bool here =
      std::any_of(uses_[latest].incarnations.begin(), uses_[latest].incarnations.end(),
                  [&](const Incarnation& one) { return one.host == host; });
  const std::uint32_t use = here ? new_use(pair) : latest;
  uses_[use].incarnations.push_back({host, incarnation});
  return use;
}

bool LogTrace::knows_states(const Pair& pair, std::uint16_t host) {
  return std::any_of(pair.states.begin(), pair.states.end(),
                     [&](const auto& one) { return one.first == host; });
}

bool LogTrace::at_rest(const Pair& pair, std::uint16_t host) const {
  for (const auto& [who, state] : pair.states) {
    if (who == host) {
      return state == TcpState::Closed || state == TcpState::Listen || state == TcpState::TimeWait;
    }
  }
  return true;
}

// A segment belongs to its sender's use, which may not be the receiver's: a SYN in LAST_ACK, an old duplicate.
std::uint32_t LogTrace::use_of_segment(const LifecycleEvent& event, std::uint32_t pair,
                                       std::uint16_t host) {
  if (event.what != Happening::SegmentSent && event.segment_id != 0) {
    const auto sent = sent_.find(event.segment_id);
    // Where an address is translated on the way it has another pair at its other end.
    if (sent != sent_.end() && connections_[sent->second].pair == pair) return sent->second;
  }
  if (host == kWireHost) return use_without_number(event, pair, host);
  const bool opening = event.what == Happening::SegmentReceived && event.segment->syn() &&
                       !event.segment->ack_flag();
  if (opening && !pairs_[pair].uses.empty() && at_rest(pairs_[pair], host)) {
    // The host's number is still that of the use before.
    const std::uint32_t latest = pairs_[pair].uses.back();
    // Of a host whose states are not in the log it is not known that it is at rest: the same SYN has come again.
    const Direction& there =
        uses_[latest].direction[event.tuple->remote == pairs_[pair].low ? 0 : 1];
    if (there.known && !there.guessed && there.base == event.segment->seq &&
        !knows_states(pairs_[pair], host)) {
      return latest;
    }
    for (const Incarnation& one : uses_[latest].incarnations) {
      if (one.host == host) return new_use(pair);
    }
    return latest;
  }
  // A SYN is refused by a host that has had uses of its own, but not this one.
  if (event.segment->rst() && event.segment->ack_flag() && !pairs_[pair].uses.empty()) {
    const bool received = event.what == Happening::SegmentReceived;
    const Endpoint& sender = received ? event.tuple->remote : event.tuple->local;
    const std::uint32_t latest = pairs_[pair].uses.back();
    const Direction& other = uses_[latest].direction[sender == pairs_[pair].low ? 1 : 0];
    if (other.known && !other.guessed && event.segment->ack == other.base + 1) return latest;
  }
  if (event.incarnation == 0) return use_without_number(event, pair, host);
  return use_of(pair, host, event.incarnation);
}

// In a log that does not count uses: another SYN begins one, and until it is answered what else comes from the other end
// belongs to the use before.
std::uint32_t LogTrace::use_without_number(const LifecycleEvent& event, std::uint32_t pair,
                                           std::uint16_t host) {
  const std::vector<std::uint32_t>& uses = pairs_[pair].uses;
  if (uses.empty()) return new_use(pair);
  const bool received = event.what == Happening::SegmentReceived;
  const Endpoint& sender = received ? event.tuple->remote : event.tuple->local;
  const int side = sender == pairs_[pair].low ? 0 : 1;
  const Direction& here = uses_[uses.back()].direction[side];
  const SeenSegment& s = *event.segment;
  if (s.syn() && !s.ack_flag()) {
    // What a host receives may be forged; what it sends is not.
    const bool another = here.known && !here.guessed && here.base != s.seq;
    return another && !received && host != kWireHost ? new_use(pair) : uses.back();
  }
  const bool earlier = !here.known && !s.syn() && uses.size() > 1 &&
                       uses_[uses[uses.size() - 2]].direction[side].known;
  return earlier ? uses[uses.size() - 2] : uses.back();
}

void LogTrace::number_segment(TraceEvent& e, const SeenSegment& s, std::uint32_t pair, int sender) {
  Direction& to = uses_[e.connection].direction[sender];
  Direction& from = uses_[e.connection].direction[1 - sender];
  const std::uint32_t space = s.length + (s.syn() ? 1 : 0) + (s.fin() ? 1 : 0);
  const std::vector<std::uint32_t>& pair_uses = pairs_[pair].uses;
  const std::uint32_t use = connections_[e.connection].use;
  const Use* const before = use > 1 ? &uses_[pair_uses[use - 2]] : nullptr;
  if (s.syn() && (!to.known || to.guessed)) {
    to = {true, false, s.seq, s.seq, 0};
    if (before != nullptr && before->direction[sender].known) {
      const Direction& old = before->direction[sender];
      const std::int64_t above = unrolled(s.seq, old.last, 0);
      const auto apart = static_cast<std::uint64_t>(above < 0 ? -above : above);
      e.detail = intern(fmt::format("use {}: its SYN is {} {} the end of use {}", use, apart,
                                    above < 0 ? "below" : "above", use - 1));
    }
  } else if (!to.known && !s.rst()) {
    to = {true, true, s.seq - 1, s.seq, 1};
  }
  if (to.known) {
    e.seq = unrolled(s.seq, to.last, to.last_rel);
    if (e.seq < 0 && before != nullptr && before->direction[sender].known) {
      const Direction& old = before->direction[sender];
      const std::int64_t there = unrolled(s.seq, old.last, old.last_rel);
      if (there >= 0) e.seq = there, e.seq_of_before = true;
    }
    const std::int64_t end = e.seq + space;
    const bool first_seen = e.what == Happening::SegmentSent || e.id == 0;
    if (first_seen && !e.seq_of_before && e.what != Happening::SegmentDropped) {
      e.again = space > 0 && end <= to.last_rel;
      e.off_sequence = space == 0 && e.seq != to.last_rel;
      if (end > to.last_rel && !s.rst()) {
        to.last_rel = end;
        to.last = s.seq + space;
      }
    }
  }
  if (s.ack_flag()) {
    if (!from.known) from = {true, true, s.ack - 1, s.ack, 1};
    e.ack = unrolled(s.ack, from.last, from.last_rel);
    if (e.ack < 0 && before != nullptr && before->direction[1 - sender].known) {
      const Direction& old = before->direction[1 - sender];
      const std::int64_t there = unrolled(s.ack, old.last, old.last_rel);
      if (there >= 0) e.ack = there, e.ack_of_before = true;
    }
  }
  if (s.sack_count > 0 && from.known) {
    std::string blocks;
    for (std::uint8_t i = 0; i < s.sack_count; ++i) {
      fmt::format_to(std::back_inserter(blocks), "{}{}-{}", i == 0 ? "" : " ",
                     unrolled(s.sack[i].left, from.last, from.last_rel),
                     unrolled(s.sack[i].right, from.last, from.last_rel));
    }
    e.sack = intern(blocks);
  }
}

void LogTrace::add(const LifecycleEvent& event, std::uint64_t line) {
  TraceEvent e;
  e.at = event.at.time_since_epoch().count();
  e.line = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(line, std::numeric_limits<std::uint32_t>::max()));
  e.host = host_index(event.host);
  e.what = event.what;
  e.inferred = event.inferred;
  e.id = event.segment_id;
  e.rule = intern(event.rule);
  e.timer = intern(event.timer);
  e.from = event.from.value_or(TcpState::Closed);
  e.to = event.to.value_or(TcpState::Closed);
  constexpr std::string_view kSegment = "segment ";
  if (event.why.starts_with(kSegment)) {
    const char* const end = event.why.data() + event.why.size();
    const auto [stop, error] = std::from_chars(event.why.data() + kSegment.size(), end, e.cause);
    if (error != std::errc{} || stop != end) e.cause = 0;
  }
  if (e.cause == 0) e.why = intern(event.why);

  const bool listener = event.tuple && event.tuple->remote.port == 0;
  if (listener) e.detail = intern(event.tuple->local.to_string());
  if (event.tuple && !listener) {
    const FourTuple& tuple = *event.tuple;
    const std::uint32_t pair = pair_index(tuple.local, tuple.remote);
    const bool segment = event.segment && e.is_segment();
    e.connection =
        segment ? use_of_segment(event, pair, e.host) : use_of(pair, e.host, event.incarnation);
    if (e.host != kWireHost) {
      endpoint_host_.try_emplace(tuple.local, e.host);
      address_host_.try_emplace(tuple.local.address, e.host);
    }
    TraceConnection& c = connections_[e.connection];
    const bool remote_sent = e.what == Happening::SegmentReceived;
    const Endpoint& where = remote_sent ? tuple.remote : tuple.local;
    Use& use = uses_[e.connection];
    if (!use.opener_known) {
      const bool syn = segment && event.segment->syn();
      const bool answers = syn && event.segment->ack_flag();
      use.opener_known = syn || e.what == Happening::AppConnect;
      if (use.opener_known || c.first_event == events_.size()) {
        const Endpoint& there = where == tuple.local ? tuple.remote : tuple.local;
        c.opener = answers ? there : where;
        c.other = answers ? where : there;
      }
      if (use.opener_known && c.opener == tuple.local && e.host != kWireHost) {
        if (opened_[e.host] == 0) opened_[e.host] = ++openers_;
      }
    }
    e.sender_is_opener = where == c.opener;
    if (segment) {
      const SeenSegment& s = *event.segment;
      e.length = s.length;
      e.flags = s.flags;
      e.window = s.window;
      if (s.timestamps) {
        e.has_timestamps = true;
        e.ts_value = s.timestamps->value;
        e.ts_echo = s.timestamps->echo;
      }
      number_segment(e, s, pair, where == pairs_[pair].low ? 0 : 1);
      if (e.what == Happening::SegmentSent) {
        ++c.segments;
        if (e.id != 0) sent_.try_emplace(e.id, e.connection);
      } else if (e.what == Happening::SegmentReceived && !sent_.contains(e.id)) {
        ++c.segments;
      }
    }
    if (e.what == Happening::StateChanged) {
      auto& states = pairs_[pair].states;
      const auto known = std::find_if(states.begin(), states.end(),
                                      [&](const auto& one) { return one.first == e.host; });
      if (known == states.end()) {
        states.emplace_back(e.host, e.to);
      } else {
        known->second = e.to;
      }
    }
  }
  events_.push_back(e);
}

std::optional<std::uint16_t> LogTrace::host_of(const Endpoint& endpoint) const {
  if (const auto found = endpoint_host_.find(endpoint); found != endpoint_host_.end()) {
    return found->second;
  }
  if (const auto found = address_host_.find(endpoint.address); found != address_host_.end()) {
    return found->second;
  }
  return std::nullopt;
}

std::string LogTrace::name_of(const Endpoint& endpoint) const {
  const auto host = host_of(endpoint);
  return host ? hosts_[*host] : endpoint.address.to_string();
}

std::vector<std::uint16_t> LogTrace::drawing_order() const {
  std::vector<std::uint16_t> order(hosts_.size());
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  // Those that never did come last.
  const auto rank = [&](std::uint16_t host) { return opened_[host] - 1; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint16_t a, std::uint16_t b) { return rank(a) < rank(b); });
  return order;
}

std::string LogTrace::describe(std::uint32_t connection) const {
  const TraceConnection& c = connections_[connection];
  const auto end = [&](const Endpoint& endpoint) {
    const auto host = host_of(endpoint);
    return host ? hosts_[*host] + " " + endpoint.to_string() : endpoint.to_string();
  };
  std::string text = fmt::format("{} -> {}", end(c.opener), end(c.other));
  if (pairs_[c.pair].uses.size() > 1) text += fmt::format(", use {}", c.use);
  return text;
}

Result<std::vector<std::uint32_t>> LogTrace::find(std::string_view which) const {
  std::vector<std::uint32_t> found;
  while (true) {
    const std::size_t comma = which.find(',');
    const std::string_view one = which.substr(0, comma);
    std::uint32_t number = 0;
    const auto [stop, error] = std::from_chars(one.data(), one.data() + one.size(), number);
    if (!one.empty() && error == std::errc{} && stop == one.data() + one.size()) {
      if (number == 0 || number > connections_.size()) {
        return failure(
            fmt::format("there is no connection {}; the log has {}", number, connections_.size()));
      }
      found.push_back(number - 1);
    } else {
      const std::size_t before = found.size();
      for (std::uint32_t i = 0; i < connections_.size() && one.find(':') != one.npos; ++i) {
        const TraceConnection& c = connections_[i];
        for (const Endpoint& endpoint : {c.opener, c.other}) {
          const std::string name = endpoint.to_string();
          const bool port_only = one.front() == ':' && name.ends_with(one);
          if (name == one || port_only) {
            found.push_back(i);
            break;
          }
        }
      }
      if (found.size() == before) {
        return failure(fmt::format(
            "no connection is called '{}': a number from 1, ADDRESS:PORT or :PORT of either end",
            one));
      }
    }
    if (comma == which.npos) break;
    which.remove_prefix(comma + 1);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Result<void> LogTraceReader::line(std::string_view text) {
  const auto event = reader_.read(text);
  if (!event) return tl::unexpected(event.error());
  if (*event) {
    trace_.add(**event, reader_.lines());
  } else if (reader_.lines() == 1) {
    trace_.begin(*reader_.header());
  }
  return {};
}

Result<void> LogTraceReader::feed(std::string_view piece) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    if (end == piece.npos || !rest_.empty()) {
      rest_ += piece.substr(0, end);
      if (rest_.size() > kLongestLine) {
        return failure(
            fmt::format("line {}: longer than {} bytes", reader_.lines() + 1, kLongestLine));
      }
      if (end == piece.npos) return {};
      if (auto read = line(rest_); !read) return read;
      rest_.clear();
    } else if (auto read = line(piece.substr(0, end)); !read) {
      return read;
    }
    piece.remove_prefix(end + 1);
  }
  return {};
}

Result<void> LogTraceReader::finish() {
  if (!rest_.empty()) {
    if (auto read = line(rest_); !read) {
      return failure(read.error().message + " (the log ends within this line)");
    }
    rest_.clear();
  }
  if (!reader_.header()) return failure("the log is empty");
  return {};
}

Result<LogTrace> trace_of(std::string_view log) {
  LogTraceReader reader;
  if (auto fed = reader.feed(log); !fed) return tl::unexpected(fed.error());
  if (auto done = reader.finish(); !done) return tl::unexpected(done.error());
  return reader.take();
}

LogTrace trace_of(const LifecycleHeader& header, std::span<const LifecycleEvent> events) {
  LogTrace trace;
  trace.begin(header);
  std::uint64_t line = 1;
  for (const LifecycleEvent& event : events) trace.add(event, ++line);
  return trace;
}

}  // namespace lastack
