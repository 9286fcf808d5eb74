#include "lastack/census.h"

#include <algorithm>

namespace lastack {

namespace {

constexpr PortRange kUsualRange{32768, 60999};

std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15;
  h ^= h >> 29;
  return h;
}

bool is_live(const SocketRecord& s) {
  return !s.compact && s.state != TcpState::TimeWait;
}

}  // namespace

Census::Census(const Settings& settings,
               const std::unordered_map<std::uint64_t, std::int32_t>* remembered, bool remember)
    : range_(settings.ip_local_port_range.value_or(kUsualRange)),
      reserved_(settings.ip_local_reserved_ports),
      time_wait_length_(settings.time_wait_length()),
      remembered_(remembered),
      remember_(remember) {
  index_groups(1024);
}

void Census::index_groups(std::size_t slots) {
  slots_.assign(slots, kNone);
  for (std::uint32_t i = 0; i < groups_.size(); ++i) {
    std::size_t at = groups_[i].key.hash() & (slots - 1);
    while (slots_[at] != kNone) at = (at + 1) & (slots - 1);
    slots_[at] = i;
  }
}

std::uint64_t Census::Key::hash() const {
  std::uint64_t h = std::uint64_t{port} << 1 | (service ? 1 : 0);
  for (std::uint64_t w : words()) h = mix(h ^ w);
  return h;
}

std::uint32_t Census::find_or_add(const Key& key) {
  if (last_group_ != kNone && groups_[last_group_].key == key) return last_group_;
  const std::size_t slot_mask = slots_.size() - 1;
  std::size_t at = key.hash() & slot_mask;
  while (slots_[at] != kNone) {
    if (groups_[slots_[at]].key == key) return last_group_ = slots_[at];
    at = (at + 1) & slot_mask;
  }
  if (groups_.size() >= kMostGroups) {
    give_up_small_groups();
    return find_or_add(key);
  }
  const auto index = static_cast<std::uint32_t>(groups_.size());
  groups_.emplace_back().key = key;
  slots_[at] = index;
  if (groups_.size() * 2 > slots_.size()) index_groups(slots_.size() * 2);
  return last_group_ = index;
}

// Lossy counting (Manku and Motwani, 2002): groups that are still small when the table is full go.
void Census::give_up_small_groups() {
  std::vector<std::uint32_t> moved(groups_.size(), kNone);
  std::size_t kept = 0;
  do {
    small_ = small_ == 0 ? 1 : small_ * 2;
    kept =
        static_cast<std::size_t>(std::count_if(groups_.begin(), groups_.end(), [&](const Group& g) {
          return g.total > small_ || g.backlog_listeners > 0;
        }));
  } while (kept > kMostGroups / 2 && small_ < UINT32_MAX / 2);
  std::vector<Group> remaining;
  remaining.reserve(kept);
  for (std::uint32_t i = 0; i < groups_.size(); ++i) {
    Group& g = groups_[i];
    if (g.total > small_ || g.backlog_listeners > 0) {
      moved[i] = static_cast<std::uint32_t>(remaining.size());
      remaining.push_back(std::move(g));
    } else {
      ++groups_dropped_;
      sockets_dropped_ += g.total;
    }
  }
  groups_ = std::move(remaining);
  last_group_ = kNone;
  index_groups(slots_.size());

  constexpr std::uint32_t kNoGroup = (1U << 28) - 1;
  for (Live& live : live_) {
    const std::uint32_t to = live.group == kNoGroup ? kNone : moved[live.group];
    live.group = (to == kNone ? kNoGroup : to) & kNoGroup;
  }
  for (auto& [port, services] : services_) {
    for (std::uint32_t& s : services) s = moved[s];
  }
  decltype(remembered_time_wait_) time_wait;
  for (const auto& [who, count] : remembered_time_wait_) {
    if (moved[who.second] != kNone) time_wait[{who.first, moved[who.second]}] = count;
  }
  remembered_time_wait_ = std::move(time_wait);
}

void Census::add_listener(const SocketRecord& listener) {
  const Endpoint& local = listener.tuple.local;
  const std::uint32_t index = find_or_add({local.address, {}, local.port, true});
  Group& g = groups_[index];
  if (g.backlog_listeners == 0) services_[local.port].push_back(index);
  if (g.backlog_listeners < UINT16_MAX) ++g.backlog_listeners;
  g.v6_only = listener.v6_only;
  ++g.states[static_cast<std::size_t>(TcpState::Listen)];
  // Of several listeners on one endpoint the fullest matters.
  if (std::uint64_t{listener.receive_queue} * std::max(g.backlog, 1U) >=
      std::uint64_t{g.accept_queue} * std::max(listener.send_queue, 1U)) {
    g.accept_queue = listener.receive_queue;
    g.backlog = listener.send_queue;
  }
  ++states_[TcpState::Listen];
  ++seen_;
  listening_.insert(local.port);
  held_.insert(local.port);
  if (listener.inode != 0 && live_.size() < kMostLive) {
    live_.push_back({listener.inode, index & ((1U << 28) - 1),
                     static_cast<std::uint32_t>(TcpState::Listen) & 15U, kNone});
  }
}

// The listener that would have accepted a connection to `local`: that of the address itself before
// a wildcard of the family before a dual-stack wildcard.
std::uint32_t Census::service_for(const Endpoint& local) const {
  if (!listening_.contains(local.port)) return kNone;
  const auto found = services_.find(local.port);
  if (found == services_.end()) return kNone;
  const bool v4 = local.address.is_v4();
  std::uint32_t best = kNone;
  int best_rank = 0;
  for (std::uint32_t index : found->second) {
    const Group& g = groups_[index];
    const bool wildcard = g.key.local.is_unspecified();
    const bool same_family = g.key.local.is_v4() == v4;
    int rank = 0;
    if (g.key.local == local.address) {
      rank = 3;
    } else if (wildcard && same_family) {
      rank = 2;
    } else if (wildcard && v4 && !g.v6_only) {
      rank = 1;
    }
    if (rank > best_rank) {
      best_rank = rank;
      best = index;
    }
  }
  return best;
}

// Which side opened it? A row does not say, but the ports do.
bool Census::accepted(const SocketRecord& socket, std::uint32_t service) const {
  const Port local = socket.tuple.local.port;
  const Port remote = socket.tuple.remote.port;
  if (socket.state == TcpState::SynSent) return false;
  if (service != kNone) {
    // Connected to from a port in the range that something also listens on: a connection of ours
    // whose port a listener took later (both with SO_REUSEADDR) goes to a service, not to an
    // ephemeral port.
    const bool outgoing = range_.contains(local) &&
                          (remote < 1024 || service_for(socket.tuple.remote) != kNone) &&
                          !range_.contains(remote);
    return !outgoing;
  }
  if (range_.contains(local)) return false;
  // No listener (any more), and not a port that connect() would choose.
  return range_.contains(remote) || local < remote;
}

std::uint32_t Census::group_of(const SocketRecord& socket) {
  const FourTuple& t = socket.tuple;
  const std::uint32_t service = service_for(t.local);
  if (accepted(socket, service)) {
    if (service != kNone) return service;
    return find_or_add({t.local.address, {}, t.local.port, true});
  }
  return find_or_add({t.local.address, t.remote.address, t.remote.port, false});
}

void Census::add(const SocketRecord& s) {
  ++seen_;
  ++states_[s.state];
  const std::uint32_t index = group_of(s);
  Group& g = groups_[index];
  ++g.total;
  ++g.states[static_cast<std::size_t>(s.state)];

  if (s.compact && s.state == TcpState::FinWait2) {
    ++g.compact_fin_wait_2;
    ++compact_fin_wait_2_;
  }
  Duration age{};
  if (s.state == TcpState::TimeWait) {
    age = std::max(Duration::zero(), time_wait_length_ - s.timer_remaining);
    const std::uint32_t nth = g.states[static_cast<std::size_t>(TcpState::TimeWait)] - 1;
    if (nth < kFirstAges) {
      g.first_ages[nth] =
          static_cast<std::uint16_t>(std::min<Duration::rep>(age / kAgeUnit, UINT16_MAX));
    } else {
      if (!g.closes) g.closes = std::make_unique<CloseHistogram>(time_wait_length_);
      g.closes->add(age);
    }
    if (remembered_ != nullptr && s.cookie != 0) {
      if (const auto owner = remembered_->find(s.cookie); owner != remembered_->end()) {
        ++remembered_time_wait_[{owner->second, index}];
      }
    }
  }
  if (!g.key.service) {
    const Port port = s.tuple.local.port;
    if (!range_.contains(port) || reserved_.contains(port)) {
      ++g.ports_outside;
    } else {
      used_.insert(port);
      const bool first = ((port ^ range_.low) & 1) == 0;
      if (held_.contains(port)) {
        ++g.ports_held;
      } else if (first) {
        ++g.first_parity;
      } else {
        ++g.second_parity;
      }
      if (s.state == TcpState::TimeWait) {
        (first ? g.time_wait_first : g.time_wait_second) += 1;
        (first ? g.age_ms_first : g.age_ms_second) +=
            static_cast<std::uint64_t>(age / std::chrono::milliseconds(1));
      }
    }
    if (s.tuple.local == s.tuple.remote && self_connected_.size() < 8) {
      self_connected_.push_back(s.tuple);
    }
  }
  if (!is_live(s)) return;

  ++live_count_;
  if (!g.key.service && range_.contains(s.tuple.local.port)) ++live_outgoing_;
  if (s.state == TcpState::CloseWait && s.receive_queue > 0) {
    // The FIN counts as one in the receive queue until read() has returned 0 for it.
    ++g.close_wait_end_unread;
    g.close_wait_unread += s.receive_queue - 1;
  }
  if (s.inode == 0) {
    switch (s.state) {
      case TcpState::FinWait1:
      case TcpState::FinWait2:
      case TcpState::Closing:
      case TcpState::LastAck:
        ++g.orphans;
        ++orphans_;
        break;
      case TcpState::Established:
      case TcpState::CloseWait:
        ++g.unaccepted;
        break;
      case TcpState::Listen:
      case TcpState::SynSent:
      case TcpState::SynReceived:
      case TcpState::TimeWait:
      case TcpState::Closed:
        break;
    }
    return;
  }
  if (live_.size() < kMostLive) {
    live_.push_back(
        {s.inode, index & ((1U << 28) - 1), static_cast<std::uint32_t>(s.state) & 15U, kNone});
  }
  if (remember_ && s.cookie != 0 && cookies_.size() < kMostLive / 4) {
    cookies_.emplace_back(s.cookie, s.inode);
  }
}

void Census::mark_bound(const SocketRecord& s) {
  const Port port = s.tuple.local.port;
  const bool was_held = held_.contains(port);
  held_.insert(port);
  const std::uint32_t index = group_of(s);
  Group& g = groups_[index];
  if (g.key.service || was_held || !range_.contains(port) || reserved_.contains(port)) return;
  std::uint32_t& parity = ((port ^ range_.low) & 1) == 0 ? g.first_parity : g.second_parity;
  if (parity == 0) return;  // opened since it was counted
  --parity;
  ++g.ports_held;
}

void Census::add_details(const SocketRecord& s, const ConnectionDetails& d) {
  // Before its handshake is over a connection has agreed on nothing: it does not tell whether the peer has timestamps.
  if (s.state == TcpState::SynSent || s.state == TcpState::SynReceived) return;
  const std::uint32_t index = group_of(s);
  TcpDetails& out = details_[index];
  ++out.looked_at;
  if (d.timestamps) ++out.with_timestamps;
  if (s.state == TcpState::CloseWait) {
    // The FIN came with an ACK, so the last ACK is no older than the FIN (linux-facts, "Reading
    // it").
    out.close_wait_age = std::max(out.close_wait_age, d.since_ack_received);
    const auto ms = std::min<Duration::rep>(d.since_ack_received / 1ms, UINT32_MAX);
    if (close_wait_ages_.size() < kMostLive / 2) {
      close_wait_ages_.emplace_back(index, static_cast<std::uint32_t>(ms));
    }
  }
  if (s.state == TcpState::Established && s.timer == TimerKind::None) {
    const Duration idle =
        std::min({d.since_data_sent, d.since_data_received, d.since_ack_received});
    if (idle >= kIdle) {
      ++out.idle_without_keepalive;
      out.longest_idle = std::max(out.longest_idle, idle);
    }
  }
}

bool Census::suspicious() const {
  if (states_[TcpState::CloseWait] >= 16 || states_[TcpState::FinWait2] >= 100 ||
      states_[TcpState::SynSent] >= 32 || !self_connected_.empty()) {
    return true;
  }
  const std::uint32_t half = range_.size() / 2;
  return std::any_of(groups_.begin(), groups_.end(), [&](const Group& g) {
    return !g.key.service && g.first_parity + g.second_parity + g.ports_held >= half / 2;
  });
}

void Census::index_live() {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(64, live_.size() * 2));
  live_slots_.assign(slots, kNone);
  for (std::uint32_t i = 0; i < live_.size(); ++i) {
    std::size_t at = mix(live_[i].inode) & (slots - 1);
    while (live_slots_[at] != kNone) at = (at + 1) & (slots - 1);
    live_slots_[at] = i;
  }
}

bool Census::own(std::uint64_t inode, std::uint32_t process) {
  owners_looked_up_ = true;
  if (live_slots_.empty()) index_live();
  const std::size_t slot_mask = live_slots_.size() - 1;
  for (std::size_t at = mix(inode) & slot_mask; live_slots_[at] != kNone;
       at = (at + 1) & slot_mask) {
    Live& live = live_[live_slots_[at]];
    if (live.inode != inode) continue;
    if (live.owner == kNone) live.owner = process;
    return true;
  }
  return false;
}

void Census::remember_into(std::unordered_map<std::uint64_t, std::int32_t>& owners,
                           const std::function<std::int32_t(std::uint32_t)>& pid_of) const {
  if (live_slots_.empty()) return;
  const std::size_t slot_mask = live_slots_.size() - 1;
  for (const auto& [cookie, inode] : cookies_) {
    for (std::size_t at = mix(inode) & slot_mask; live_slots_[at] != kNone;
         at = (at + 1) & slot_mask) {
      const Live& live = live_[live_slots_[at]];
      if (live.inode != inode) continue;
      if (live.owner != kNone) owners[cookie] = pid_of(live.owner);
      break;
    }
  }
}

void Census::fill(SocketGroup& out, const Group& g, std::uint32_t index) const {
  for (TcpState s : kAllTcpStates) out.states[s] = g.states[static_cast<std::size_t>(s)];
  out.compact_fin_wait_2 = g.compact_fin_wait_2;
  out.orphans = g.orphans;
  out.unaccepted = g.unaccepted;
  out.close_wait_end_unread = g.close_wait_end_unread;
  out.close_wait_unread_bytes = g.close_wait_unread;
  out.closes = g.closes ? *g.closes : CloseHistogram(time_wait_length_);
  const std::uint64_t first = std::min<std::uint64_t>(out.states[TcpState::TimeWait], kFirstAges);
  for (std::size_t i = 0; i < first; ++i) out.closes.add(g.first_ages[i] * kAgeUnit);
  if (const auto d = details_.find(index); d != details_.end()) out.details = d->second;
}

SocketCensus Census::finish(const std::function<std::uint32_t(std::int32_t)>& process_of) {
  SocketCensus out;
  out.states = states_;
  out.compact_fin_wait_2 = compact_fin_wait_2_;
  out.orphans = orphans_;
  out.owners_looked_up = owners_looked_up_;
  out.held_by_bind = held_;
  out.used_outgoing = used_;
  out.self_connected = self_connected_;
  out.interrupted = interrupted_;
  out.groups_dropped = groups_dropped_;
  out.sockets_dropped = sockets_dropped_;

  std::sort(close_wait_ages_.begin(), close_wait_ages_.end());
  for (std::size_t i = 0; i < close_wait_ages_.size();) {
    std::size_t end = i;
    while (end < close_wait_ages_.size() &&
           close_wait_ages_[end].first == close_wait_ages_[i].first) {
      ++end;
    }
    details_[close_wait_ages_[i].first].close_wait_age_median =
        std::chrono::milliseconds(close_wait_ages_[i + (end - i) / 2].second);
    i = end;
  }

  // The groups worth keeping: most ports first, then most sockets; ties by address, so that the
  // same sockets always give the same census.
  std::vector<std::uint32_t> order(groups_.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::uint32_t x, std::uint32_t y) {
    const Group& a = groups_[x];
    const Group& b = groups_[y];
    const auto ports = [](const Group& g) { return g.first_parity + g.second_parity; };
    if (ports(a) != ports(b)) return ports(a) > ports(b);
    if (a.total != b.total) return a.total > b.total;
    return std::tie(a.key.port, a.key.remote, a.key.local) <
           std::tie(b.key.port, b.key.remote, b.key.local);
  });
  std::vector<std::pair<std::uint32_t, std::uint32_t>> place(groups_.size(), {kNone, kNone});
  for (std::uint32_t index : order) {
    const Group& g = groups_[index];
    if (g.key.service ? out.services.size() >= kMostKept : out.destinations.size() >= kMostKept) {
      ++out.groups_dropped;
      out.sockets_dropped += g.total;
      continue;
    }
    if (g.key.service) {
      place[index].second = static_cast<std::uint32_t>(out.services.size());
      Service& s = out.services.emplace_back();
      fill(s, g, index);
      s.local = {g.key.local, g.key.port};
      s.listeners = g.backlog_listeners;
      s.accept_queue = g.accept_queue;
      s.backlog = g.backlog;
      s.v6_only = g.v6_only;
    } else {
      place[index].first = static_cast<std::uint32_t>(out.destinations.size());
      Destination& d = out.destinations.emplace_back();
      fill(d, g, index);
      d.source = g.key.local;
      d.remote = {g.key.remote, g.key.port};
      d.ports_first_parity = g.first_parity;
      d.ports_second_parity = g.second_parity;
      d.ports_held = g.ports_held;
      d.ports_outside = g.ports_outside;
      const auto mean = [](std::uint64_t sum, std::uint32_t n) -> Duration {
        return n == 0 ? Duration{} : std::chrono::milliseconds(sum / n);
      };
      d.mean_age_first_parity = mean(g.age_ms_first, g.time_wait_first);
      d.mean_age_second_parity = mean(g.age_ms_second, g.time_wait_second);
    }
  }

  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, StateCounts> owned;
  const auto place_of = [&](std::uint32_t group) {
    return group < place.size() ? place[group] : std::pair{kNone, kNone};
  };
  for (const Live& live : live_) {
    if (live.owner == kNone) continue;
    const auto [destination, service] = place_of(live.group);
    ++owned[{live.owner, destination, service}][static_cast<TcpState>(live.state)];
  }
  for (const auto& [who, count] : remembered_time_wait_) {
    const std::uint32_t process = process_of(who.first);
    if (process == kNone) continue;
    const auto [destination, service] = place_of(who.second);
    owned[{process, destination, service}][TcpState::TimeWait] += count;
  }
  for (const auto& [who, states] : owned) {
    out.owned.push_back({std::get<0>(who), std::get<1>(who), std::get<2>(who), states});
  }
  return out;
}

}  // namespace lastack
