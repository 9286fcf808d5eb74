#include "swarm/swarm.h"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <unordered_map>

#include "audit/diagram_audit.h"
#include "audit/host_audit.h"

namespace lastack::test {
namespace {

constexpr Port kService = 80;

// Bytes that tell which connection and direction they belong to, and where in it.
std::byte expected(std::uint32_t flow, std::size_t side, std::size_t at) {
  const auto x = static_cast<std::uint32_t>((flow * 2 + side + 1) * 0x9e3779b1U + at * 0x85ebca6bU);
  return static_cast<std::byte>((x ^ x >> 15) >> 8);
}

enum class Ending : std::uint8_t {
  AfterWriting,  // close() at once; what comes then is not wanted
  Half,          // shutdown, read to the end, close
  AfterReading,  // the other end first
  Abort,         // RST, some time
  Early,         // close() without reading what is there
};

struct End {
  std::size_t host = 0;
  std::optional<SocketId> socket;
  bool was_open = false;  // there has been a socket
  std::size_t size = 0, written = 0, read = 0;
  Ending ending = Ending::AfterReading;
  std::size_t abort_at = 0;
  std::uint32_t read_at_most = 4096;
  std::uint32_t reads_in = 100;  // percent of the ticks
  bool shut = false;             // no more is written
  bool finished = false;         // all was written, and the end told: shutdown() or close()
  bool got_end = false;
  bool failed = false;
  bool cut_short = false;  // the user did that
  Err error = Err::none;
  std::uint32_t idle = 0;  // ticks without anything
};

struct Flow {
  std::uint32_t number = 0;
  FourTuple tuple;  // as the one that connects sees it
  SeqNum iss;
  bool simultaneous = false;
  bool exposed = false;          // a segment of an earlier incarnation could still be on the wire
  bool same_tick = false;        // and its timestamp could be of the same tick
  bool after_time_wait = false;  // whose TIME_WAIT was in force when this one began
  bool corrupted = false;
  bool twice = false;  // accepted again, from the ACK of its cookie
  std::array<End, 2> ends;
  bool over() const { return !ends[0].socket && !ends[1].socket; }
};

struct IncarnationHash {
  std::size_t operator()(const std::pair<FourTuple, std::uint32_t>& key) const {
    SecretHash hash(SecretKey{3, 4});
    hash.add(key.first.local.address);
    hash.add(key.first.remote.address);
    hash.add(std::uint64_t{key.first.local.port} << 48 |
             std::uint64_t{key.first.remote.port} << 32 | key.second);
    return hash.finish();
  }
};

FourTuple mirrored(const FourTuple& t) {
  return {t.remote, t.local};
}

class Run {
 public:
  Run(const SwarmPlan& plan, Choices& choices, SwarmStats& stats)
      : plan_(plan),
        choices_(choices),
        stats_(stats),
        wire_(plan.wire, choices),
        hosts_{Host(watched(plan.hosts[0], sees_[0])), Host(watched(plan.hosts[1], sees_[1]))} {}

  std::string go() {
    set_up();
    for (std::uint32_t step = 0; step < plan_.steps && fine() && !choices_.over(); ++step) {
      if (choices_.chance(15)) open_some();
      users_act();
      change_something();
      Duration rest = plan_.tick + plan_.tick * choices_.below(100) / 100;
      if (choices_.below(400) == 399) rest = 1s * choices_.between(1, 70);
      run_for(rest);
      audit_both();
    }
    drain();
    for (const auto& flow : flows_) count(*flow);
    if (fine()) check_counters();
    if (fine()) end_of_all();
    stats_.packets += wire_.counts.sent[0] + wire_.counts.sent[1];
    stats_.lost += wire_.counts.lost;
    stats_.replayed += wire_.counts.replayed;
    stats_.corrupted += wire_.counts.corrupted;
    stats_.resets += wire_.counts.resets[0] + wire_.counts.resets[1];
    for (const Host& host : hosts_) {
      stats_.recycled += host.counters().TWRecycled;
      stats_.paws += host.counters().PAWSEstab + host.counters().PAWSTimewait;
    }
    ++stats_.runs;
    return complaint_;
  }

 private:
  static HostOptions watched(HostOptions options, HostObserver& by) {
    options.observer = &by;
    return options;
  }
  bool fine() const { return complaint_.empty(); }
  void complain(const std::string& what) {
    if (!complaint_.empty()) return;
    complaint_ = what + " at " + std::to_string(seconds(now_.time_since_epoch())) + " s";
  }
  void complain(const Flow& flow, const std::string& what) {
    complain(what + ", connection " + std::to_string(flow.number) + " " + flow.tuple.to_string() +
             (flow.exposed ? " (an earlier one could be on the wire)" : ""));
  }

  IpAddress address(std::size_t host, bool v6) const {
    if (!v6) return IpAddress::v4(0x0a000001 + static_cast<std::uint32_t>(host));
    return *IpAddress::parse(host == 0 ? "fd00::1" : "fd00::2");
  }

  void set(Host& host, std::string_view name, const std::string& value) {
    if (const auto done = host.set(name, value); !done) complain(done.error().message);
  }

  void set_up() {
    for (std::size_t h = 0; h < 2; ++h) {
      hosts_[h].add_address(address(h, false));
      hosts_[h].add_address(address(h, true));
      set(hosts_[h], "ip_local_port_range", "40000 " + std::to_string(40000 + plan_.ports - 1));
      for (const auto& [name, value] : plan_.settings[h]) set(hosts_[h], name, value);
      // One for both families.
      const SocketId listener = *hosts_[h].open(Host::Family::V6);
      hosts_[h].set_option(listener, Option::reuse_address, 1, now_);
      if (!hosts_[h].bind(listener, {IpAddress(), kService})) complain("no bind()");
      if (!hosts_[h].listen(listener, plan_.backlog)) complain("no listen()");
      listeners_[h] = listener;
    }
  }

  // --- Time and packets

  // LASTACK_TRACE=<client's port>: what goes over the wire of its connections.
  void trace(const char* what, std::size_t host, std::span<const std::byte> packet) const {
    static const char* const wanted = std::getenv("LASTACK_TRACE");
    if (wanted == nullptr) return;
    const auto ip = parse_ip(packet);
    if (!ip) return;
    const auto s = parse_tcp(ip->payload, ip->header, Checksum::Trust);
    const auto port = static_cast<Port>(std::atoi(wanted));
    if (!s || (s->source != port && s->destination != port)) return;
    std::fprintf(stderr, "%.6f host %zu %s %s:%u > %s:%u flags %03x seq %u ack %u len %zu win %u",
                 seconds(now_.time_since_epoch()), host, what,
                 ip->header.source.to_string().c_str(), s->source,
                 ip->header.destination.to_string().c_str(), s->destination, s->flags,
                 s->seq.value(), s->ack.value(), s->payload.size(), s->window);
    if (s->options.timestamps) {
      std::fprintf(stderr, " ts %u %u", s->options.timestamps->value, s->options.timestamps->echo);
    }
    for (const SackBlock& b : s->options.sack_blocks()) {
      std::fprintf(stderr, " sack %u-%u", b.left.value(), b.right.value());
    }
    std::fprintf(stderr, "\n");
  }

  void collect() {
    for (std::size_t h = 0; h < 2; ++h) {
      for (auto p = hosts_[h].next_packet(); !p.empty(); p = hosts_[h].next_packet()) {
        trace("sends", h, p);
        wire_.send(h, p, hosts_[h].segment_size(), now_);
      }
    }
  }
  void run_for(Duration time) {
    const Instant stop = now_ + time;
    for (std::uint32_t turns = 0;; ++turns) {
      collect();
      Instant next = std::min({hosts_[0].next_deadline(), hosts_[1].next_deadline(), wire_.next()});
      if (next > stop) break;
      if (turns > 2'000'000) return complain("time stands still");
      now_ = std::max(now_, next);
      while (wire_.next() <= now_) {
        const Wire::Arrival arrival = wire_.take();
        trace("gets", arrival.to, arrival.packet);
        const std::uint64_t before = hosts_[arrival.to].counters().InSegs;
        hosts_[arrival.to].receive(arrival.packet, now_);
        arrived_[arrival.to] += hosts_[arrival.to].counters().InSegs - before;
        collect();
      }
      for (Host& host : hosts_) host.advance(now_);
    }
    now_ = std::max(now_, stop);
    for (Host& host : hosts_) host.advance(now_);
  }

  void audit_both() {
    for (std::size_t h = 0; h < 2 && fine(); ++h) {
      if (const std::string what = HostAudit::check(hosts_[h], now_); !what.empty()) {
        complain("host " + std::to_string(h) + ": " + what);
      }
      sees_[h].finish_event();
      if (fine() && !sees_[h].complaint().empty()) {
        complain("host " + std::to_string(h) + ": " + sees_[h].complaint());
      }
    }
  }

  // --- Connections

  void open_some() {
    const std::size_t open = static_cast<std::size_t>(
        std::count_if(flows_.begin(), flows_.end(), [](const auto& f) { return !f->over(); }));
    if (open >= plan_.most_open) return;
    if (plan_.simultaneous && choices_.chance(15)) {
      open_from_both();
    } else {
      open_one(plan_.both_ways && choices_.chance(40) ? 1 : 0);
    }
  }

  void plan_end(End& end, std::size_t host) {
    end.host = host;
    switch (choices_.below(4)) {
      case 0:
        end.size = 0;
        break;
      case 1:
        end.size = choices_.below(200);
        break;
      default:
        end.size = choices_.below(plan_.longest);
    }
    end.ending = static_cast<Ending>(plan_.aborts ? choices_.below(3) : 1 + choices_.below(2));
    if (plan_.aborts && choices_.chance(12)) {
      end.ending = choices_.chance(50) ? Ending::Abort : Ending::Early;
      end.abort_at = choices_.below(static_cast<std::uint32_t>(end.size) + 1);
    }
    end.read_at_most = choices_.chance(30) ? 1 + choices_.below(500) : 4096;
    end.reads_in = choices_.chance(30) ? 5 + choices_.below(60) : 100;
  }

  void user_options(Host& host, SocketId socket) {
    const auto maybe = [&](Option option, int value) {
      if (choices_.chance(8)) host.set_option(socket, option, value, now_);
    };
    maybe(Option::no_delay, 1);
    maybe(Option::receive_buffer, static_cast<int>(choices_.below(8000)));
    maybe(Option::send_buffer, static_cast<int>(choices_.below(20000)));
    maybe(Option::max_segment, static_cast<int>(choices_.between(88, 1460)));
    maybe(Option::keep_alive, 1);
    maybe(Option::keep_idle, static_cast<int>(choices_.between(1, 100)));
    maybe(Option::linger2, static_cast<int>(choices_.below(130)) - 1);
    maybe(Option::quick_ack, static_cast<int>(choices_.below(2)));
    maybe(Option::user_timeout, static_cast<int>(choices_.between(60'000, 600'000)));
    maybe(Option::not_sent_low, static_cast<int>(choices_.between(1, 20000)));
    maybe(Option::traffic_class, static_cast<int>(choices_.below(256)));
    maybe(Option::hop_limit, static_cast<int>(choices_.between(1, 255)));
  }

  Flow& add_flow() {
    flows_.push_back(std::make_unique<Flow>());
    Flow& flow = *flows_.back();
    flow.number = static_cast<std::uint32_t>(flows_.size());
    return flow;
  }

  // After connect(): what could still be on the wire of an earlier incarnation.
  void register_flow(Flow& flow, Host& host, SocketId socket, Instant last, bool record) {
    const Connection* c = HostAudit::connection(host, socket);
    flow.tuple = c->tuple;
    flow.iss = c->iss;
    if (last != Instant::min()) {
      ++stats_.reincarnations;
      flow.exposed = now_ - last < plan_.wire.lifetime;
      // A cookie's timestamp is up to 64 ms old.
      flow.same_tick = now_ - last < 70ms;
      flow.after_time_wait = record;
    }
    if (flow.exposed) ++stats_.exposed;
    incarnations_[{flow.tuple, flow.iss.value()}] = flow.number;
    ++stats_.connections;
  }

  void open_one(std::size_t from) {
    Host& host = hosts_[from];
    const bool v6 = plan_.v6 && choices_.chance(40);
    const auto opened = host.open(v6 || choices_.chance(20) ? Host::Family::V6 : Host::Family::V4);
    if (!opened) return complain("no socket");
    const SocketId socket = *opened;
    user_options(host, socket);
    if (choices_.chance(25)) {
      // A port of the user's choice, out of the same range or beside it.
      host.set_option(socket, Option::reuse_address, 1, now_);
      const auto port = static_cast<Port>(40000 + choices_.below(plan_.ports + 2));
      if (!host.bind(socket, {address(from, v6), port})) {
        host.close(socket, now_);
        return;
      }
    }
    const Endpoint to{address(1 - from, v6), kService};
    const std::vector<FourTuple> records = time_waits(from);
    const auto result = host.connect(socket, to, now_);
    if (result || result.error() != Err::in_progress) {
      if (result ||
          (result.error() != Err::address_not_available && result.error() != Err::address_in_use)) {
        complain("connect() says " + std::to_string(result ? 0 : static_cast<int>(result.error())));
      }
      host.close(socket, now_);
      return;
    }
    ++begun_[from];
    Flow& flow = add_flow();
    const FourTuple tuple = HostAudit::connection(host, socket)->tuple;
    const bool record = std::find(records.begin(), records.end(), tuple) != records.end();
    // The SYN is not on the wire yet: this is about the earlier ones.
    register_flow(flow, host, socket, wire_.last_sent(tuple), record);
    if (record && !plan_.timestamps_ever()) {
      complain(flow, "connect() overran a TIME_WAIT without timestamps");
    }
    plan_end(flow.ends[0], from);
    plan_end(flow.ends[1], 1 - from);
    flow.ends[0].socket = socket;
    flow.ends[0].was_open = true;
  }

  std::vector<FourTuple> time_waits(std::size_t h) const {
    std::vector<FourTuple> records;
    HostAudit::impl(hosts_[h]).waits.for_each(
        [&](const TimeWaitRecord& record) { records.push_back(record.tuple); });
    return records;
  }

  void open_from_both() {
    const bool v6 = plan_.v6 && choices_.chance(40);
    const auto offset = static_cast<Port>(choices_.below(3));
    std::array<std::optional<SocketId>, 2> sockets;
    const std::array<Port, 2> ports = {static_cast<Port>(5000 + offset),
                                       static_cast<Port>(6000 + offset)};
    bool good = true;
    for (std::size_t h = 0; h < 2 && good; ++h) {
      sockets[h] = *hosts_[h].open(v6 ? Host::Family::V6 : Host::Family::V4);
      hosts_[h].set_option(*sockets[h], Option::reuse_address, 1, now_);
      good = hosts_[h].bind(*sockets[h], {address(h, v6), ports[h]}).has_value();
    }
    const FourTuple tuple{{address(0, v6), ports[0]}, {address(1, v6), ports[1]}};
    const Instant last = wire_.last_sent(tuple);
    const bool record = HostAudit::in_time_wait(hosts_[0], tuple) ||
                        HostAudit::in_time_wait(hosts_[1], mirrored(tuple));
    for (std::size_t h = 0; h < 2 && good; ++h) {
      const auto result = hosts_[h].connect(*sockets[h], {address(1 - h, v6), ports[1 - h]}, now_);
      good = !result && result.error() == Err::in_progress;
      if (good) ++begun_[h];
    }
    if (!good) {
      for (std::size_t h = 0; h < 2; ++h) {
        if (sockets[h]) hosts_[h].close(*sockets[h], now_);
      }
      return;
    }
    Flow& flow = add_flow();
    flow.simultaneous = true;
    register_flow(flow, hosts_[0], *sockets[0], last, record);
    for (std::size_t h = 0; h < 2; ++h) {
      plan_end(flow.ends[h], h);
      flow.ends[h].socket = *sockets[h];
      flow.ends[h].was_open = true;
    }
  }

  void accept_all(std::size_t h) {
    for (;;) {
      const auto accepted = hosts_[h].accept(listeners_[h]);
      if (!accepted) break;
      const Connection* c = HostAudit::connection(hosts_[h], *accepted);
      const auto found = incarnations_.find({mirrored(c->tuple), c->irs.value()});
      Flow* flow = found == incarnations_.end() ? nullptr : flows_[found->second - 1].get();
      if (flow == nullptr || flow->ends[1].was_open) {
        ++stats_.ghosts;
        if (plan_.wire.replay == 0 && !cookies_) {
          complain("accepted what nobody has opened: " + c->tuple.to_string());
        }
        if (flow != nullptr) flow->twice = true;
        hosts_[h].close(*accepted, now_);
        continue;
      }
      End& end = flow->ends[1];
      end.socket = *accepted;
      end.was_open = true;
    }
  }

  // --- Users

  void users_act() {
    for (std::size_t h = 0; h < 2; ++h) {
      if (!choices_.chance(10)) accept_all(h);
    }
    for (const auto& flow : flows_) {
      for (std::size_t side = 0; side < 2; ++side) {
        if (flow->ends[side].socket) act(*flow, side);
        if (!fine()) return;
      }
    }
  }

  void close_end(End& end) {
    end.finished = true;  // what was written has its end, unless a RST tells otherwise
    hosts_[end.host].close(*end.socket, now_);
    end.socket.reset();
  }
  void fail(Flow& flow, End& end, Err error) {
    end.failed = true;
    end.error = error;
    close_end(end);
    static_cast<void>(flow);
  }

  void act(Flow& flow, std::size_t side) {
    End& end = flow.ends[side];
    Host& host = hosts_[end.host];
    const auto state = host.state(*end.socket);
    if (!state) return complain(flow, "a socket that is not there");
    if (*state == TcpState::SynSent || *state == TcpState::SynReceived) {
      if (!draining_ && plan_.aborts && choices_.below(300) == 299) {
        end.cut_short = true;
        close_end(end);
      }
      return;
    }
    ++end.idle;
    write_some(flow, side);
    if (!end.socket || !fine()) return;
    if (end.ending != Ending::AfterWriting || end.size != end.written || draining_) {
      read_some(flow, side);
      if (!end.socket || !fine()) return;
    }
    const bool all = end.written == end.size;
    switch (end.ending) {
      case Ending::AfterWriting:
        if (!all) break;
        // What has come and was not read makes this a RST.
        if (*host.unread(*end.socket) > 0) end.cut_short = true;
        if (!end.got_end) end.cut_short = true;  // and so does what comes later
        close_end(end);
        return;
      case Ending::Abort:
      case Ending::Early:
        if (end.written < end.abort_at && !(all || end.got_end)) break;
        end.cut_short = true;
        if (end.ending == Ending::Abort) {
          host.abort(*end.socket, now_);
          end.socket.reset();
        } else {
          close_end(end);
        }
        return;
      case Ending::Half:
        if (all && !end.shut) shut(end);
        break;
      case Ending::AfterReading:
        if (all && !end.shut && (end.got_end || end.idle > 400 || (draining_ && end.idle > 2))) {
          shut(end);
        }
        break;
    }
    if (end.shut && end.got_end) close_end(end);
  }

  void shut(End& end) {
    end.shut = end.finished = true;
    hosts_[end.host].shutdown(*end.socket, ShutdownHow::Write, now_);
  }

  void write_some(Flow& flow, std::size_t side) {
    End& end = flow.ends[side];
    if (end.written == end.size || end.shut) return;
    const std::size_t left = end.size - end.written;
    const std::size_t n = draining_ ? left : std::min<std::size_t>(left, 1 + choices_.below(6000));
    buffer_.resize(n);
    for (std::size_t i = 0; i < n; ++i) buffer_[i] = expected(flow.number, side, end.written + i);
    const auto written =
        hosts_[end.host].write(*end.socket, buffer_, now_, false, choices_.chance(5));
    if (written) {
      if (*written > n) return complain(flow, "more written than there was");
      end.written += *written;
      end.idle = 0;
      // What waits for more to come shall not wait for ever.
      if (end.written == end.size) {
        hosts_[end.host].set_option(*end.socket, Option::no_delay, 1, now_);
      }
    } else if (written.error() != Err::would_block) {
      fail(flow, end, written.error());
    }
  }

  void read_some(Flow& flow, std::size_t side) {
    End& end = flow.ends[side];
    if (end.got_end) return;
    if (!draining_ && !choices_.chance(end.reads_in)) return;
    const End& other = flow.ends[1 - side];
    for (int turns = 0; turns < 64; ++turns) {
      buffer_.resize(draining_ ? 65536 : end.read_at_most);
      const auto n = hosts_[end.host].read(*end.socket, buffer_, now_);
      if (!n) {
        if (n.error() != Err::would_block) fail(flow, end, n.error());
        return;
      }
      if (*n > buffer_.size()) return complain(flow, "more read than there was room for");
      if (*n == 0) {
        end.got_end = true;
        if (!other.finished || end.read != other.written) {
          corruption(flow, "an end of file after " + std::to_string(end.read) + " of " +
                               std::to_string(other.written) + " bytes");
        }
        return;
      }
      end.idle = 0;
      for (std::size_t i = 0; i < *n; ++i) {
        if (buffer_[i] == expected(flow.number, 1 - side, end.read + i)) continue;
        corruption(flow, "byte " + std::to_string(end.read + i) + " is not what was sent");
        break;
      }
      end.read += *n;
      stats_.bytes += *n;
      if (end.read > other.written && !flow.corrupted) {
        corruption(flow, "more read than was written");
      }
      if (!draining_) return;
    }
  }

  void corruption(Flow& flow, const std::string& what) {
    if (flow.corrupted) return;
    flow.corrupted = true;
    bool permitted = false;
    if (plan_.timestamps) {
      permitted = flow.exposed && flow.same_tick;
    } else {
      // Whoever overruns a TIME_WAIT is found in open_one(): what is left are ends without one.
      permitted = flow.exposed;
    }
    // The ACK of a cookie makes a connection as often as it comes, once the first has gone (RFC 4987, 3.6).
    if (flow.twice && hosts_[flow.ends[1].host].counters().SyncookiesRecv > 0) permitted = true;
    if (permitted) {
      ++stats_.permitted;
      stats_.last_permitted = what + ", connection " + std::to_string(flow.number) + " " +
                              flow.tuple.to_string() + " at " +
                              std::to_string(seconds(now_.time_since_epoch()));
    } else {
      complain(flow, what);
    }
  }

  // --- Things that happen besides

  void change_something() {
    if (!plan_.vary_settings || choices_.below(40) != 39) return;
    Host& host = hosts_[choices_.below(2)];
    switch (choices_.below(9)) {
      case 0:
        set(host, "tcp_fin_timeout", std::to_string(choices_.between(1, 90)));
        break;
      case 1:
        set(host, "tcp_rfc1337", std::to_string(choices_.below(2)));
        break;
      case 2:
        set(host, "tcp_sack", std::to_string(choices_.below(2)));
        break;
      case 3:
        set(host, "tcp_window_scaling", std::to_string(choices_.below(2)));
        break;
      case 4:
        set(host, "tcp_syncookies", std::to_string(choices_.below(3)));
        cookies_ = true;
        break;
      case 5:
        set(host, "tcp_ecn", std::to_string(choices_.below(3)));
        break;
      case 6:
        static_cast<void>(host.snapshot(now_));
        break;
      case 7:
        set(host, "tcp_abort_on_overflow", std::to_string(choices_.below(2)));
        break;
      case 8:
        if (plan_.wire.mtu < 1500) {
          wire_.plan.mtu = choices_.chance(50) ? 1500 : choices_.between(1280, 1499);
        }
        break;
    }
  }

  // --- The end

  // Without faults what has begun comes to its end.
  void drain() {
    if (!fine()) return;
    draining_ = true;
    wire_.faults = false;
    Duration tick = 100ms;
    // Stuck is what has not moved a byte for three hours: through a window of two segments, and with users who read twice
    // a minute, all of it may take longer.
    Instant moved = now_;
    std::uint64_t bytes = stats_.bytes;
    for (;;) {
      users_act();
      if (stats_.bytes != bytes) {
        bytes = stats_.bytes;
        moved = now_;
      }
      if (!fine()) return;
      for (std::size_t h = 0; h < 2; ++h) accept_all(h);
      bool over = true;
      for (const auto& flow : flows_) {
        for (End& end : flow->ends) {
          if (!end.socket) continue;
          over = false;
          // The other end is gone without a trace: no time-out of TCP's ends an idle connection.
          const End& other = flow->ends[&end == &flow->ends[0] ? 1 : 0];
          if (!other.socket && end.idle > 50 &&
              (other.failed || other.cut_short || !other.was_open || flow->corrupted ||
               has_cut_off(hosts_[other.host]) || has_reset_strangers(hosts_[end.host]))) {
            end.cut_short = true;
            close_end(end);
          }
        }
      }
      if (over) break;
      if (now_ - moved > 3h) {
        for (const auto& flow : flows_) {
          for (const End& end : flow->ends) {
            if (end.socket) {
              const End& other = flow->ends[&end == &flow->ends[0] ? 1 : 0];
              return complain(*flow, "stuck: " + state_of(end) + "; the other: " +
                                         (other.socket ? state_of(other) : fate_of(other)));
            }
          }
        }
      }
      run_for(tick);
      tick = std::min<Duration>(tick * 5 / 4, 30s);
      audit_both();
      if (!fine()) return;
    }
  }

  // Whether a host has given up connections by itself: their ends may not have heard of it.
  static bool has_cut_off(const Host& host) {
    const Counters& c = host.counters();
    return c.TCPAbortOnMemory + c.TCPAbortOnTimeout + c.TCPAbortOnLinger + c.TCPAbortOnData +
               c.TCPAbortOnClose + c.TWKilled !=
           0;
  }
  // Whether a host has answered segments with a RST because their SYN cookie could not be made out. A FIN that overtakes
  // the data between the handshake and it is such a one; the data then opens the connection, and the RST, on its way by
  // now, ends the other half of it (Linux does the same: a cookie keeps nothing of what it was made for).
  static bool has_reset_strangers(const Host& host) {
    return host.counters().SyncookiesFailed != 0;
  }
  static std::string fate_of(const End& end) {
    return std::string("gone, plan ") + std::to_string(static_cast<int>(end.ending)) +
           (end.failed ? ", failed " + std::to_string(static_cast<int>(end.error)) : "") +
           (end.cut_short ? ", cut short" : "") + (end.got_end ? ", has its end" : "") + ", " +
           std::to_string(end.written) + "/" + std::to_string(end.size) + " written, " +
           std::to_string(end.read) + " read";
  }
  std::string state_of(const End& end) const {
    const Connection* c = HostAudit::connection(hosts_[end.host], *end.socket);
    return std::string(to_string(c->state)) + " on host " + std::to_string(end.host) + ", " +
           std::to_string(end.written) + "/" + std::to_string(end.size) + " written, " +
           std::to_string(end.read) + " read, window " + std::to_string(c->snd_wnd) + ", " +
           std::to_string(c->send_buffer.size()) + " to send, " + std::to_string(c->packets_out) +
           " out, timer " + std::to_string(static_cast<int>(c->send_timer_is));
  }

  void count(const Flow& flow) {
    const auto complete = [&](std::size_t side) {
      const End& end = flow.ends[side];
      return end.got_end && end.read == flow.ends[1 - side].size;
    };
    if (flow.ends[0].was_open && flow.ends[1].was_open) ++stats_.established;
    if (complete(0) && complete(1)) ++stats_.whole;
    if (flow.ends[0].failed || flow.ends[1].failed) ++stats_.errors;
  }

  void check_counters() {
    collect();
    for (std::size_t h = 0; h < 2; ++h) {
      const Counters& c = hosts_[h].counters();
      const auto same = [&](const char* what, std::uint64_t counted, std::uint64_t seen) {
        if (counted == seen) return;
        complain(std::string(what) + " of host " + std::to_string(h) + " is " +
                 std::to_string(counted) + ", seen were " + std::to_string(seen));
      };
      // As Linux counts: what goes again is counted apart, a SYN,ACK that goes again in both places, and that of a
      // simultaneous open in none.
      const std::uint64_t sent = wire_.counts.sent[h];
      if (sent < c.OutSegs || sent > c.OutSegs + c.RetransSegs + begun_[h])
        same("OutSegs + RetransSegs", c.OutSegs + c.RetransSegs, sent);
      same("OutRsts", c.OutRsts, wire_.counts.resets[h]);
      same("ActiveOpens", c.ActiveOpens, begun_[h]);
      same("InSegs", c.InSegs, arrived_[h]);
    }
  }

  void end_of_all() {
    for (std::size_t h = 0; h < 2; ++h) hosts_[h].close(listeners_[h], now_);
    // The last retransmissions of orphans, FIN_WAIT_2 and TIME_WAIT.
    const Instant begun = now_;
    std::string what = "time";
    while (!what.empty() && now_ - begun < 40min) {
      run_for(30s);
      audit_both();
      if (!fine()) return;
      what.clear();
      for (std::size_t h = 0; h < 2; ++h) {
        // Of a host that waits for ever only the other one can be empty.
        if (HostAudit::waits_for_ever(hosts_[h])) continue;
        if (const std::string left = HostAudit::check_empty(hosts_[h]); !left.empty()) {
          what += "host " + std::to_string(h) + ": " + left;
        }
      }
    }
    if (!what.empty()) complain(what);
  }

  const SwarmPlan& plan_;
  Choices& choices_;
  SwarmStats& stats_;
  Wire wire_;
  std::array<DiagramAudit, 2> sees_;  // live longer than the hosts
  std::array<Host, 2> hosts_;
  std::array<SocketId, 2> listeners_{};
  std::array<std::uint64_t, 2> begun_{};
  std::array<std::uint64_t, 2> arrived_{};
  std::vector<std::unique_ptr<Flow>> flows_;
  std::unordered_map<std::pair<FourTuple, std::uint32_t>, std::uint32_t, IncarnationHash>
      incarnations_;
  Instant now_{1000s};
  bool draining_ = false;
  bool cookies_ = true;  // they take over by themselves
  std::string complaint_;
  Bytes buffer_;
};

}  // namespace

bool SwarmPlan::timestamps_ever() const {
  return timestamps || some_timestamps;
}

SwarmPlan SwarmPlan::any(Choices& choices) {
  SwarmPlan plan;
  WirePlan& w = plan.wire;
  w.delay = 100us * choices.between(1, 300);
  w.jitter = choices.chance(50) ? w.delay * choices.below(3) : Duration::zero();
  if (!choices.chance(15)) {  // else a perfect one
    w.loss = choices.below(4) * choices.below(5);
    w.doubled = choices.below(3) * choices.below(5);
    w.late = choices.below(3) * choices.below(8);
    w.corrupt = choices.below(3) * choices.below(3);
    w.replay = choices.chance(50) ? choices.below(20) : 0;
  }
  static constexpr std::array<Duration, 4> kLatest = {50ms, 400ms, 5s, 25s};
  w.latest = kLatest[choices.below(4)];
  // Within the MSL that 60 s of TIME_WAIT are made for, or far beyond.
  static constexpr std::array<Duration, 4> kLifetimes = {25s, 10s, 120s, 600s};
  w.lifetime = kLifetimes[choices.below(4)];
  if (choices.chance(20)) w.mtu = choices.between(1280, 1499);

  plan.timestamps = !choices.chance(30);
  plan.some_timestamps = !plan.timestamps && choices.chance(20);
  plan.aborts = choices.chance(60);
  plan.ports = choices.between(1, 8);
  plan.steps = choices.between(100, 700);
  plan.most_open = choices.between(1, 16);
  static constexpr std::array<std::uint32_t, 4> kLongest = {60'000, 3'000, 200'000, 300};
  plan.longest = kLongest[choices.below(4)];
  plan.tick = 500us * choices.between(1, 60);
  plan.v6 = choices.chance(40);
  plan.both_ways = choices.chance(40);
  plan.simultaneous = choices.chance(30);
  plan.backlog = static_cast<int>(choices.between(0, 16));
  plan.time_wait = !choices.chance(5);
  const bool one_profile = choices.chance(80);
  const auto profile = static_cast<Profile>(choices.chance(40) ? choices.below(3) : 0);
  for (std::size_t h = 0; h < 2; ++h) {
    HostOptions& o = plan.hosts[h];
    o.name = h == 0 ? "first" : "second";
    o.seed = choices.below(0xffffffff);
    o.profile = one_profile ? profile : static_cast<Profile>(choices.below(3));
    o.port_choice = choices.chance(40) ? PortChoice::LinuxWalk : PortChoice::Flat;
    if (choices.chance(20)) o.gso_max_size = 65536;
    if (choices.chance(10)) o.mtu = static_cast<std::uint16_t>(choices.between(1280, 9000));
    if (!plan.time_wait) o.time_wait_length = Duration::zero();
    auto& s = plan.settings[h];
    const auto set = [&](const char* name, const std::string& value) {
      s.emplace_back(name, value);
    };
    const bool stamps = plan.timestamps || (plan.some_timestamps && h == choices.below(2));
    set("tcp_timestamps", stamps ? (choices.chance(20) ? "2" : "1") : "0");
    set("tcp_tw_reuse", std::to_string(choices.below(3)));
    if (choices.chance(30)) set("tcp_tw_reuse_delay", std::to_string(choices.between(1, 2000)));
    if (choices.chance(15)) {
      set("tcp_max_tw_buckets", std::to_string(choices.below(6)));
      plan.guarded = false;
    }
    if (choices.chance(20)) set("tcp_rfc1337", "1");
    if (choices.chance(20)) set("tcp_sack", "0");
    if (choices.chance(20)) set("tcp_window_scaling", "0");
    if (choices.chance(20)) set("tcp_syncookies", std::to_string(choices.below(3)));
    if (choices.chance(20)) set("tcp_ecn", std::to_string(choices.below(3)));
    if (choices.chance(20)) set("tcp_fin_timeout", std::to_string(choices.between(1, 90)));
    if (choices.chance(20)) set("tcp_abort_on_overflow", "1");
    if (choices.chance(20)) set("tcp_congestion_control", "reno");
    if (choices.chance(10)) set("tcp_recovery", std::to_string(choices.below(8)));
    if (choices.chance(10)) set("tcp_early_retrans", std::to_string(choices.below(5)));
    if (choices.chance(10)) set("tcp_frto", std::to_string(choices.below(3)));
    if (choices.chance(10)) set("tcp_max_orphans", std::to_string(choices.below(4)));
    if (choices.chance(15))
      set("tcp_rmem", "2304 " + std::to_string(choices.between(2304, 9000)) + " 20000");
    if (choices.chance(15))
      set("tcp_wmem", "4608 " + std::to_string(choices.between(4608, 9000)) + " 20000");
  }
  return plan;
}

void SwarmStats::add(const SwarmStats& o) {
  runs += o.runs;
  connections += o.connections;
  established += o.established;
  reincarnations += o.reincarnations;
  exposed += o.exposed;
  whole += o.whole;
  errors += o.errors;
  ghosts += o.ghosts;
  permitted += o.permitted;
  bytes += o.bytes;
  packets += o.packets;
  lost += o.lost;
  replayed += o.replayed;
  corrupted += o.corrupted;
  recycled += o.recycled;
  paws += o.paws;
  resets += o.resets;
}

std::string SwarmStats::to_string() const {
  const auto n = [](std::uint64_t v) { return std::to_string(v); };
  return n(runs) + " runs, " + n(connections) + " connections, " + n(established) +
         " established, " + n(whole) + " whole, " + n(errors) + " with an error, " +
         n(reincarnations) + " on a four-tuple used before, " + n(exposed) +
         " of them with old segments possibly on the wire, " + n(recycled) + " by tcp_tw_reuse, " +
         n(paws) + " segments stopped by PAWS, " + n(ghosts) + " ghosts, " + n(permitted) +
         " corruptions that TCP cannot prevent; " + n(bytes) + " bytes read, " + n(packets) +
         " packets, " + n(lost) + " lost, " + n(replayed) + " replayed, " + n(corrupted) +
         " corrupted, " + n(resets) + " resets";
}

std::string run_swarm(const SwarmPlan& plan, Choices& choices, SwarmStats& stats) {
  return Run(plan, choices, stats).go();
}

std::string run_swarm(std::uint64_t seed, SwarmStats& stats) {
  Choices choices(seed);
  const SwarmPlan plan = SwarmPlan::any(choices);
  return run_swarm(plan, choices, stats);
}

}  // namespace lastack::test
