#include "differential/differential.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "lab/clock.h"
#include "wire/icmp_error.h"
#include "wire/ip_packet.h"

namespace lastack::differential {
namespace {

constexpr std::array<const char*, 2> kNames = {"kernel", "endpoint"};
constexpr std::uint32_t kPeerIss = 1'000'000;
constexpr std::uint32_t kPeerClock = 100'000;
// Where a connection begins whose record was taken over (linux-facts 13, 18).
constexpr std::uint32_t kBeyondRecord = 65537;
// A kernel's timer fires at a tick after its time, at most an eighth of its length late (the timer wheel).
constexpr Duration kTick = std::chrono::milliseconds(12);

std::int64_t relative(SeqNum seq, SeqNum base) {
  return seq - base;
}

std::string text_of(Err err) {
  return err == Err::none ? "0" : std::strerror(static_cast<int>(err));
}

std::string_view timer_text(TimerKind kind) {
  switch (kind) {
    case TimerKind::None:
      return "none";
    case TimerKind::Retransmit:
      return "retransmit";
    case TimerKind::KeepAlive:
      return "keepalive";
    case TimerKind::TimeWait:
      return "timewait";
    case TimerKind::ZeroWindowProbe:
      return "probe";
  }
  return "?";
}

}  // namespace

std::string flags_text(std::uint16_t flags) {
  constexpr std::array<const char*, 9> kFlagNames = {"FIN", "SYN", "RST", "PSH", "ACK",
                                                     "URG", "ECE", "CWR", "AE"};
  std::string text;
  for (std::size_t i = 0; i < kFlagNames.size(); ++i) {
    if ((flags >> i & 1) == 0) continue;
    if (!text.empty()) text += '|';
    text += kFlagNames[i];
  }
  return text.empty() ? "none" : text;
}

Differential::Differential(World& kernel, World& endpoint)
    : sides_{Side{&kernel, {}, kernel.counters(), {}, 0},
             Side{&endpoint, {}, endpoint.counters(), {}, 0}},
      now_(monotonic_now()) {
  // Both with the same settings, whatever those of this machine are. (CUBIC each socket is given: kernel_world.cc.)
  std::vector<std::string> names = {"tcp_rmem",     "tcp_wmem",           "tcp_ecn",
                                    "tcp_sack",     "tcp_window_scaling", "tcp_reordering",
                                    "tcp_recovery", "tcp_early_retrans",  "ip_local_port_range"};
  for (const SettingInfo& info : setting_table()) {
    if (info.per_namespace) names.emplace_back(info.name);
  }
  for (const std::string& name : names) {
    if (const auto value = kernel.setting(name)) endpoint.set(name, *value);
  }
}

// --- One step

void Differential::fail(const std::string& why) {
  if (over()) return;
  constexpr std::size_t kTail = 60;
  const std::size_t from = history_.size() > kTail ? history_.size() - kTail : 0;
  report_ = "\n";
  for (std::size_t i = from; i < history_.size(); ++i) report_ += history_[i] + '\n';
  report_ += why + '\n';
}

// Where a SYN has taken a record over and the handshake then fails, or does not even begin, Linux has nothing, and
// the endpoint has the record again (MAY-2). No other line may differ.
bool Differential::is_documented() {
  std::vector<std::string> endpoint;
  std::string back;
  for (const Seen& s : sides_[1].seen) {
    const bool returned = std::any_of(peers_.begin(), peers_.end(), [&](const PeerState& p) {
      const auto number = static_cast<std::size_t>(&p - peers_.data()) + 1;
      return p.took_record && s.text.starts_with(fmt::format("= p{} TIME_WAIT small", number));
    });
    if (returned && back.empty()) {
      back = s.text;
    } else {
      endpoint.push_back(s.text);
    }
  }
  std::vector<std::string> kernel;
  for (const Seen& s : sides_[0].seen) kernel.push_back(s.text);
  if (back.empty() || kernel != endpoint) return false;
  deviation_ = back;
  return true;
}

bool Differential::agree(const std::string& what) {
  const auto& kernel = sides_[0].seen;
  const auto& endpoint = sides_[1].seen;
  bool same = kernel.size() == endpoint.size();
  for (std::size_t i = 0; same && i < kernel.size(); ++i) {
    same = kernel[i].text == endpoint[i].text &&
           std::abs(kernel[i].number - endpoint[i].number) <= kernel[i].tolerance;
  }
  if (!same && is_documented()) return false;
  const auto shown = [](const Seen& s) {
    return s.tolerance != 0 || s.number != 0 ? fmt::format("{} {:.5g}", s.text, s.number) : s.text;
  };
  if (same) {
    std::string line = what;
    for (const Seen& s : kernel) {
      if (s.text.starts_with('=') || s.text.starts_with('#')) continue;
      line += "\n      " + shown(s);
    }
    history_.push_back(std::move(line));
    return true;
  }
  // Side by side, the kernel at the left.
  std::vector<std::string> left, right;
  for (const Seen& s : kernel) left.push_back(shown(s));
  for (const Seen& s : endpoint) right.push_back(shown(s));
  std::string table = what + "\n" + fmt::format("    {:<74}  {}", kNames[0], kNames[1]);
  // Lines that both have are put on one row.
  std::size_t i = 0, j = 0;
  const auto row = [&](const std::string& a, const std::string& b, bool differs) {
    table += fmt::format("\n  {} {:<74}  {}", differs ? '!' : ' ', a, b);
  };
  while (i < left.size() || j < right.size()) {
    if (i < left.size() && j < right.size()) {
      if (kernel[i].text == endpoint[j].text) {
        const bool differs = std::abs(kernel[i].number - endpoint[j].number) > kernel[i].tolerance;
        row(left[i], right[j], differs);
        ++i, ++j;
        continue;
      }
      const auto later = [&](const std::vector<Seen>& in, std::size_t from, const Seen& s) {
        return std::any_of(in.begin() + static_cast<std::ptrdiff_t>(from), in.end(),
                           [&](const Seen& other) { return other.text == s.text; });
      };
      if (later(endpoint, j, kernel[i])) {
        row("", right[j++], true);
      } else if (later(kernel, i, endpoint[j])) {
        row(left[i++], "", true);
      } else {
        row(left[i++], right[j++], true);
      }
      continue;
    }
    if (i < left.size()) {
      row(left[i++], "", true);
    } else {
      row("", right[j++], true);
    }
  }
  fail(table);
  return false;
}

void Differential::step(const std::string& what, const std::function<Seen(std::size_t)>& act) {
  if (over()) return;
  meanwhile();
  if (over()) return;
  for (PeerState& p : peers_) p.out.clear();
  now_ = monotonic_now();
  for (std::size_t side = 0; side < 2; ++side) {
    sides_[side].seen.clear();
    const Seen seen = act(side);
    if (!seen.text.empty()) sides_[side].seen.push_back(seen);
    collect(side);
  }
  settle();
  for (std::size_t side = 0; side < 2; ++side) look(side);
  if (!agree(what)) return;
  for (PeerState& p : peers_) {
    if (const auto is = state_of(p); is && *is != TcpState::SynReceived) p.took_record = false;
  }
}

// What timers did since the last line, however short that was.
void Differential::meanwhile() {
  for (Side& side : sides_) side.seen.clear();
  now_ = monotonic_now();
  collect(0);
  sides_[1].world->advance(now_);
  collect(1);
  if (sides_[0].seen.empty() && sides_[1].seen.empty()) return;
  for (std::size_t side = 0; side < 2; ++side) look(side);
  agree("(meanwhile)");
}

// What is due at the next tick belongs to the line that caused it.
void Differential::settle() {
  constexpr Duration kSoon = std::chrono::milliseconds(8);
  if (sides_[1].world->next_deadline() <= monotonic_now() + kSoon) pass(monotonic_now());
}

// Time passes for both, and does not end close to a timer: which side of it would be a matter of luck.
void Differential::pass(Instant until) {
  World& kernel = *sides_[0].world;
  World& endpoint = *sides_[1].world;
  const auto go = [&](Instant to) {
    kernel.advance(to);
    collect(0);
    now_ = std::max(to, monotonic_now());
    endpoint.advance(now_);
    collect(1);
  };
  for (int rounds = 0; rounds < 1000; ++rounds) {
    const Instant deadline = endpoint.next_deadline();
    if (deadline != deadline_) {
      deadline_ = deadline;
      deadline_set_ = now_;
    }
    if (deadline > until + kTick) break;
    const Duration late = kTick + std::max(deadline - deadline_set_, Duration::zero()) / 8;
    go(std::max(deadline, now_) + late);
  }
  if (until > monotonic_now()) go(until);
}

void Differential::collect(std::size_t side) {
  for (const Bytes& packet : sides_[side].world->sent()) {
    sides_[side].seen.push_back(describe(side, packet));
  }
}

std::string Differential::name_of(std::size_t side, const FourTuple& tuple) const {
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (peers_[i].remote == tuple.remote && peers_[i].sides[side].local == tuple.local) {
      return fmt::format("p{}", i + 1);
    }
  }
  // Chosen ports differ: each world has its own secret.
  const auto end = [](const Endpoint& e) {
    return e.address.to_string() + ':' + (e.port >= 32768 ? "*" : std::to_string(e.port));
  };
  return end(tuple.local) + '-' + end(tuple.remote);
}

Differential::Seen Differential::describe(std::size_t side, const Bytes& packet) {
  const auto ip = parse_ip(packet);
  if (!ip) return {"< not an IP packet", 0, 0};
  const auto segment = parse_tcp(ip->payload, ip->header);
  if (!segment) return {"< not a TCP segment", 0, 0};
  const TcpSegment& s = *segment;
  const FourTuple tuple{{ip->header.source, s.source}, {ip->header.destination, s.destination}};
  const std::string name = name_of(side, tuple);
  PeerState* p = nullptr;
  for (PeerState& candidate : peers_) {
    if (candidate.remote == tuple.remote && candidate.sides[side].local == tuple.local) {
      p = &candidate;
    }
  }
  if (p == nullptr) return {fmt::format("< {} {}", name, flags_text(s.flags)), 0, 0};
  PeerSide& mine = p->sides[side];
  mine.last = packet;
  std::string begins;
  if (s.syn() && !s.rst()) {
    const bool repeated = mine.iss && s.seq == *mine.iss;
    if (!repeated) {
      if (mine.iss && s.seq == mine.next + kBeyondRecord) {
        begins = " (65537 beyond)";
        p->took_record = p->took_record || s.ack_flag();
      }
      mine.iss = s.seq;
      mine.next = s.seq + 1;
      mine.ts_seen = false;
    }
    p->timestamps = p->offer.timestamps && s.options.timestamps.has_value();
  }
  const SeqNum base = mine.iss.value_or(SeqNum(0));
  std::string text = fmt::format("< {} {} seq {}{} len {}", name, flags_text(s.flags),
                                 relative(s.seq, base), begins, s.payload.size());
  if (s.rst() && s.seq == SeqNum(0))
    text = fmt::format("< {} {} seq none", name, flags_text(s.flags));
  if (s.ack_flag()) text += fmt::format(" ack {}", relative(s.ack, p->iss));
  if (s.has(URG)) text += fmt::format(" urg {}", s.urgent);
  if (!s.rst()) mine.next = max(mine.next, s.end());
  const TcpOptions& o = s.options;
  if (s.syn()) {
    mine.scale = o.window_scale.value_or(0);
    p->scaled = o.window_scale && p->offer.window_scale;
  }
  if (o.mss) text += fmt::format(" mss {}", *o.mss);
  if (o.window_scale) text += fmt::format(" wscale {}", *o.window_scale);
  if (o.sack_permitted) text += " sackOK";
  for (const SackBlock& b : o.sack_blocks()) {
    text += fmt::format(" sack {}:{}", relative(b.left, p->iss), relative(b.right, p->iss));
  }
  if (o.timestamps) {
    const auto echo = static_cast<std::int32_t>(o.timestamps->echo - kPeerClock);
    text += o.timestamps->echo == 0 ? " ts ecr none" : fmt::format(" ts ecr {}", echo);
    if (mine.ts_seen && static_cast<std::int32_t>(o.timestamps->value - mine.ts_last) < 0) {
      text += " clock back";
    }
    mine.ts_last = o.timestamps->value;
    mine.ts_seen = true;
  }
  if (side == 0) {
    p->out.push_back(s.flags);
    p->window = s.window;
  }
  // A record in TIME_WAIT has no window (timewait/time_wait_record.h), where Linux repeats the last one. The
  // endpoint's has to be 0.
  const bool of_record = std::any_of(rows_[0].begin(), rows_[0].end(), [&](const SocketRecord& r) {
    return r.compact && r.state == TcpState::TimeWait && r.tuple.remote == p->remote &&
           r.tuple.local == p->sides[0].local;
  });
  if (of_record && s.flags == ACK && (side == 0 || s.window == 0)) {
    return {text + " win of a record", 0, 0};
  }
  if (s.syn() || s.rst()) return {text + " win", static_cast<double>(s.window), 0};
  // How a window grows with what arrives depends on the true size of the kernel's buffers. Closed is closed.
  constexpr double kShare = 1.0 / 8, kBytes = 4096;
  const std::uint8_t scale = p->scaled ? mine.scale : 0;
  if (s.window == 0) return {text + " win closed", 0, 0};
  return {text + " win", static_cast<double>(s.window),
          kShare * s.window + kBytes / static_cast<double>(1U << scale)};
}

// The rows and counters of a world, behind its answers.
void Differential::look(std::size_t side) {
  World& world = *sides_[side].world;
  std::vector<Seen> lines;
  rows_[side] = world.rows(now_);
  for (const SocketRecord& r : rows_[side]) {
    const double remaining = seconds(r.timer_remaining);
    std::string text = "= " + name_of(side, r.tuple) + ' ' + std::string(to_string(r.state));
    if (r.compact) text += " small";
    if (r.inode != 0) text += " owned";
    text += fmt::format(" recv-q {} send-q {} timer {}", r.receive_queue, r.send_queue,
                        timer_text(r.timer));
    // Ticks; and what fired late by an eighth was armed anew later by as much.
    const bool waits_again =
        r.timer == TimerKind::Retransmit || r.timer == TimerKind::ZeroWindowProbe;
    // Of those whose ports were chosen, which is which cannot be told.
    const bool nameless = text.find(":*-") != text.npos;
    if (nameless) {
      lines.push_back({text, 0, 0});
    } else {
      lines.push_back({text, remaining, 0.3 + (waits_again ? remaining / 8 : 0)});
    }
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Seen& a, const Seen& b) { return a.text < b.text; });
  const Counters now = world.counters();
  const auto table = counter_table();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::uint64_t was = sides_[side].before.*table[i].member;
    const std::uint64_t is = now.*table[i].member;
    if (is != was && (side == 1 || is_known(now, i))) {
      lines.push_back(
          {fmt::format("# {} {:+}", table[i].name, static_cast<std::int64_t>(is - was)), 0, 0});
    }
  }
  for (std::size_t i = 0; i < closed_.size(); ++i) {
    if (closed_[i]) continue;
    const Readiness ready = world.readiness(static_cast<Handle>(i));
    std::string text = fmt::format("= socket {}", i);
    if (ready.readable) text += " readable";
    if (ready.writable) text += " writable";
    if (ready.read_hung_up) text += " rdhup";
    if (ready.hung_up) text += " hup";
    if (ready.error) text += " error";
    if (ready.urgent) text += " urgent";
    lines.push_back({text, 0, 0});
  }
  auto& seen = sides_[side].seen;
  seen.insert(seen.end(), lines.begin(), lines.end());
}

template <class T>
Differential::Seen Differential::answer(const Outcome<T>& outcome) {
  if (!outcome) return {"-> " + text_of(outcome.error()), 0, 0};
  if constexpr (std::is_void_v<T>) {
    return {"-> ok", 0, 0};
  } else if constexpr (std::is_same_v<T, Err>) {
    return {"-> " + text_of(*outcome), 0, 0};
  } else {
    return {"-> " + std::to_string(*outcome), 0, 0};
  }
}

// --- Settings and time

void Differential::set(const std::string& name, const std::string& value) {
  step(fmt::format("set {} {}", name, value), [&](std::size_t side) -> Seen {
    const bool taken = sides_[side].world->set(name, value);
    return {taken ? "" : "-> refused", 0, 0};
  });
}
void Differential::try_set(const std::string& name, const std::string& value) {
  step(fmt::format("set {} {}", name, value), [&](std::size_t side) -> Seen {
    return {sides_[side].world->set(name, value) ? "-> taken" : "-> refused", 0, 0};
  });
}
void Differential::wait(Duration duration) {
  if (over()) return;
  meanwhile();
  if (over()) return;
  for (PeerState& p : peers_) p.out.clear();
  for (Side& side : sides_) side.seen.clear();
  pass(monotonic_now() + duration);
  for (std::size_t side = 0; side < 2; ++side) look(side);
  agree(fmt::format("wait {} ms", duration / std::chrono::milliseconds(1)));
}

// --- Calls

Sock Differential::open(bool v6) {
  if (over()) return kNoSock;
  const auto number = static_cast<Sock>(closed_.size());
  step(fmt::format("open -> socket {}", number), [&](std::size_t side) -> Seen {
    const auto opened = sides_[side].world->open(v6);
    if (side == 0) closed_.push_back(!opened);
    return answer(opened);
  });
  return number;
}
Err Differential::bind(Sock socket, const Endpoint& local) {
  Err err = Err::none;
  step(fmt::format("bind {} {}", socket, local.to_string()), [&](std::size_t side) {
    const auto bound = sides_[side].world->bind(socket, local);
    if (side == 0 && !bound) err = bound.error();
    return answer(bound);
  });
  return err;
}
Err Differential::listen(Sock socket, int backlog) {
  Err err = Err::none;
  step(fmt::format("listen {} {}", socket, backlog), [&](std::size_t side) {
    const auto listens = sides_[side].world->listen(socket, backlog);
    if (side == 0 && !listens) err = listens.error();
    return answer(listens);
  });
  return err;
}
Err Differential::set_option(Sock socket, Option option, int value) {
  Err err = Err::none;
  step(fmt::format("set option {} of {} to {}", static_cast<int>(option), socket, value),
       [&](std::size_t side) {
         const auto done = sides_[side].world->set_option(socket, option, value, now_);
         if (side == 0 && !done) err = done.error();
         return answer(done);
       });
  return err;
}
void Differential::option(Sock socket, Option option) {
  step(fmt::format("option {} of {}", static_cast<int>(option), socket),
       [&](std::size_t side) { return answer(sides_[side].world->option(socket, option)); });
}
Sock Differential::accept(Sock listener) {
  Sock accepted = kNoSock;
  step(fmt::format("accept {}", listener), [&](std::size_t side) {
    const auto socket = sides_[side].world->accept(listener);
    if (side == 0 && socket) {
      accepted = *socket;
      closed_.push_back(false);
    }
    return answer(socket);
  });
  return accepted;
}
void Differential::read(Sock socket, std::size_t most) {
  step(fmt::format("read {} {}", socket, most),
       [&](std::size_t side) { return answer(sides_[side].world->read(socket, most, now_)); });
}
void Differential::write(Sock socket, std::size_t length) {
  step(fmt::format("write {} {}", socket, length),
       [&](std::size_t side) { return answer(sides_[side].world->write(socket, length, now_)); });
}
void Differential::shutdown(Sock socket, ShutdownHow how) {
  constexpr std::array<const char*, 3> kHow = {"read", "write", "both"};
  step(fmt::format("shutdown {} {}", socket, kHow[static_cast<std::size_t>(how)]),
       [&](std::size_t side) { return answer(sides_[side].world->shutdown(socket, how, now_)); });
}
void Differential::close(Sock socket) {
  step(fmt::format("close {}", socket), [&](std::size_t side) {
    closed_.at(static_cast<std::size_t>(socket)) = true;
    return answer(sides_[side].world->close(socket, now_));
  });
}
void Differential::error(Sock socket) {
  step(fmt::format("SO_ERROR of {}", socket),
       [&](std::size_t side) { return answer(sides_[side].world->take_error(socket)); });
}

Peer Differential::connect(Sock socket, Port to, bool v6) {
  PeerState p;
  p.remote = {v6 ? kThereV6 : kThere, to};
  p.iss = p.next = SeqNum(kPeerIss);
  p.clock = kPeerClock;
  const std::size_t number = peers_.size();
  // A connection with the same four-tuple goes on from what was sent there before.
  std::optional<std::size_t> old;
  peers_.push_back(p);
  step(fmt::format("connect {} {} (p{})", socket, p.remote.to_string(), number + 1),
       [&](std::size_t side) {
         const auto begun = sides_[side].world->connect(socket, p.remote, now_);
         const auto local = sides_[side].world->local(socket);
         PeerState& state = peers_[number];
         if (local) state.sides[side].local = *local;
         for (std::size_t i = 0; i < number; ++i) {
           const PeerState& before = peers_[i];
           if (before.remote != state.remote || before.sides[side].local != *local) continue;
           state.sides[side] = before.sides[side];
           old = i;
         }
         return answer(begun);
       });
  if (old) {
    // It has this name from here on.
    const PeerState before = peers_[*old];
    peers_[number].iss = peers_[number].next = before.next + kBeyondRecord;
    peers_[number].clock = before.clock + 1;
    peers_[number].incarnation = before.incarnation + 1;
    peers_[*old].remote = {};
  }
  return {*this, number};
}
Err Differential::connect_to(Sock socket, const Endpoint& remote) {
  Err err = Err::none;
  step(fmt::format("connect {} {}", socket, remote.to_string()), [&](std::size_t side) {
    const auto begun = sides_[side].world->connect(socket, remote, now_);
    if (side == 0 && !begun) err = begun.error();
    return answer(begun);
  });
  return err;
}
Port Differential::port(Sock socket, int world) const {
  if (over()) return 0;
  const auto local = sides_[static_cast<std::size_t>(world)].world->local(socket);
  return local ? local->port : Port{0};
}

// --- Beginnings

Sock Differential::listen_at(Port port, int backlog, bool reuse_address) {
  const Sock socket = open();
  if (reuse_address) set_option(socket, Option::reuse_address, 1);
  bind(socket, {kHere, port});
  listen(socket, backlog);
  return socket;
}
Peer Differential::peer(Port from, Port to, const Offer& offer, bool v6) {
  PeerState p;
  p.remote = {v6 ? kThereV6 : kThere, from};
  p.offer = offer;
  p.iss = p.next = SeqNum(kPeerIss);
  p.clock = kPeerClock;
  for (PeerSide& side : p.sides) side.local = {v6 ? kHereV6 : kHere, to};
  peers_.push_back(p);
  return {*this, peers_.size() - 1};
}
Differential::Open Differential::established(Sock listener, Port from, Port to,
                                             const Offer& offer) {
  Peer p = peer(from, to, offer);
  p.handshake();
  return {accept(listener), p};
}
Differential::Open Differential::connected(Port to, Port from, bool reuse_address) {
  const Sock socket = open();
  if (from != 0) {
    if (reuse_address) set_option(socket, Option::reuse_address, 1);
    bind(socket, {kHere, from});
  }
  Peer p = connect(socket, to);
  p.out(SYN).in(SYN | ACK).out(ACK);
  return {socket, p};
}

// --- What the script is there for

void Differential::expect(bool holds, const std::string& what) {
  if (!holds) fail("the script expected: " + what);
}
void Differential::note(const std::string& text) {
  if (!over()) history_.push_back("-- " + text);
}
void Differential::counts(const std::string& counter, std::uint64_t rise) {
  if (over()) return;
  const auto index = find_counter(counter);
  if (!index) return fail("no counter " + counter);
  const auto member = counter_table()[*index].member;
  const Counters now = sides_[0].world->counters();
  if (!is_known(now, *index)) return;  // an older kernel
  const std::uint64_t is = now.*member - sides_[0].before.*member;
  expect(is == rise, fmt::format("{} to rise by {}, not by {}", counter, rise, is));
}
void Differential::small_records(std::uint64_t number) {
  step("count small records", [&](std::size_t side) -> Seen {
    return {fmt::format("-> tw {}", sides_[side].world->small_records(now_)), 0, 0};
  });
  if (over()) return;
  const std::uint64_t is = sides_[0].world->small_records(now_);
  expect(is == number, fmt::format("{} small records, not {}", number, is));
}
std::optional<TcpState> Differential::state(const Peer& peer) const {
  return state_of(peers_.at(peer.number_));
}
std::optional<TcpState> Differential::state_of(const PeerState& p) const {
  for (const SocketRecord& r : rows_[0]) {
    if (r.tuple.remote == p.remote && r.tuple.local == p.sides[0].local) return r.state;
  }
  return std::nullopt;
}

// --- Peers

void Differential::send(PeerState& p, std::uint16_t flags, const With& with) {
  const std::string name = fmt::format("p{}", &p - peers_.data() + 1);
  if (over()) return;
  const SeqNum seq = p.next + static_cast<std::uint32_t>(with.seq);
  ++p.clock;
  // A listener that drops the SYN has taken the record all the same, on Linux.
  if ((flags & (SYN | ACK | RST)) == SYN && state_of(p) == TcpState::TimeWait) p.took_record = true;
  std::string what = fmt::format("{} > {} seq {} len {}", name, flags_text(flags),
                                 relative(seq, p.iss), with.length);
  if ((flags & ACK) != 0) what += fmt::format(" ack {:+}", with.ack);
  if (with.window != 65535) what += fmt::format(" win {}", with.window);
  if (with.ts != 0) what += fmt::format(" ts {:+}", with.ts);
  if (with.ecr != 0) what += fmt::format(" ecr {:+}", with.ecr);
  if (!with.timestamps) what += " no ts";
  for (const auto& [left, right] : with.sack) what += fmt::format(" sack {:+}:{:+}", left, right);
  step(what, [&](std::size_t side) -> Seen {
    const PeerSide& mine = p.sides[side];
    TcpSegment s;
    s.source = p.remote.port;
    s.destination = mine.local.port;
    s.seq = seq;
    s.flags = flags;
    s.window = with.window;
    s.urgent = with.urgent;
    if ((flags & ACK) != 0) s.ack = mine.next + static_cast<std::uint32_t>(with.ack);
    const bool opening = (flags & SYN) != 0;
    if (opening) {
      if (p.offer.mss != 0) s.options.mss = p.offer.mss;
      s.options.window_scale = p.offer.window_scale;
      s.options.sack_permitted = p.offer.sack;
    }
    if (with.timestamps && (opening ? p.offer.timestamps : p.timestamps)) {
      const std::uint32_t value = p.clock + static_cast<std::uint32_t>(with.ts);
      const std::uint32_t echo =
          (flags & ACK) != 0 ? mine.ts_last + static_cast<std::uint32_t>(with.ecr) : 0;
      s.options.timestamps = Timestamps{value, echo};
    }
    for (const auto& [left, right] : with.sack) {
      s.options.sack[s.options.sack_count++] = {mine.next + static_cast<std::uint32_t>(left),
                                                mine.next + static_cast<std::uint32_t>(right)};
    }
    const std::size_t ip_length = ip_header_length(p.remote.address);
    const std::size_t tcp_length = header_length(s.options) + with.length;
    Bytes packet(ip_length + tcp_length, std::byte{'y'});
    write_ip(packet.data(), {.source = p.remote.address, .destination = mine.local.address},
             tcp_length);
    write_tcp_header(packet.data() + ip_length, s);
    write_tcp_checksum(std::span(packet).subspan(ip_length), p.remote.address, mine.local.address);
    sides_[side].world->receive(packet, now_);
    return {};
  });
  if (with.seq == 0 && (flags & RST) == 0) {
    p.next += static_cast<std::uint32_t>(with.length) + ((flags & SYN) != 0 ? 1U : 0U) +
              ((flags & FIN) != 0 ? 1U : 0U);
  }
}

Peer& Peer::in(std::uint16_t flags, const With& with) {
  d_->send(d_->peers_.at(number_), flags, with);
  return *this;
}
Peer& Peer::icmp(std::uint8_t type, std::uint8_t code) {
  if (d_->over()) return *this;
  const Differential::PeerState& p = d_->peers_.at(number_);
  const std::string what = fmt::format("p{} > ICMP {}/{}", number_ + 1, type, code);
  d_->step(what, [&](std::size_t side) -> Differential::Seen {
    std::array<std::byte, kMostIcmpError> error;
    const std::size_t n =
        write_icmp_error(error.data(), p.sides[side].last, p.remote.address, type, code, 0);
    d_->sides_[side].world->receive(std::span(error).first(n), d_->now_);
    return {};
  });
  return *this;
}
Peer& Peer::out(std::uint16_t flags) {
  const auto& out = d_->peers_.at(number_).out;
  const bool one = out.size() == 1 && ((out[0] ^ flags) & ~PSH) == 0;
  std::string got;
  for (const std::uint16_t f : out) got += ' ' + flags_text(f);
  d_->expect(one,
             fmt::format("{} in answer, not{}", flags_text(flags), got.empty() ? " nothing" : got));
  return *this;
}
Peer& Peer::nothing() {
  const auto& out = d_->peers_.at(number_).out;
  d_->expect(out.empty(), "no answer, not " + (out.empty() ? "" : flags_text(out[0])));
  return *this;
}
Peer& Peer::shows(TcpState state, bool small) {
  if (d_->over()) return *this;
  const auto& p = d_->peers_.at(number_);
  std::string got = "nothing";
  for (const SocketRecord& r : d_->rows_[0]) {
    if (r.tuple.remote != p.remote || r.tuple.local != p.sides[0].local) continue;
    got = std::string(to_string(r.state)) + (r.compact ? " small" : "");
  }
  const std::string want = std::string(to_string(state)) + (small ? " small" : "");
  d_->expect(got == want, want + ", not " + got);
  return *this;
}
Peer& Peer::gone() {
  if (d_->over()) return *this;
  d_->expect(!d_->state(*this), "no socket or record of the connection");
  return *this;
}
Peer& Peer::handshake() {
  return in(SYN).out(SYN | ACK).in(ACK).nothing();
}
Peer& Peer::again(std::int64_t seq, std::int64_t ts) {
  auto& p = d_->peers_.at(number_);
  p.iss = p.next + static_cast<std::uint32_t>(seq);
  p.next = p.iss;
  p.clock += static_cast<std::uint32_t>(ts - 1);  // in() adds one
  ++p.incarnation;
  return *this;
}
Peer& Peer::offer(const Offer& offer) {
  d_->peers_.at(number_).offer = offer;
  return *this;
}
std::uint32_t Peer::window() const {
  return d_->peers_.at(number_).window;
}
Endpoint Peer::remote() const {
  return d_->peers_.at(number_).remote;
}

}  // namespace lastack::differential
