#include "stack/host_impl.h"

#include <algorithm>
#include <utility>

#include "stack/profile.h"
#include "tcp/calls.h"
#include "tcp/output.h"
#include "tcp/seen.h"
#include "tcp/state.h"
#include "tcp/timers.h"

namespace lastack {

Host::Impl::Impl(HostOptions chosen)
    : options(std::move(chosen)),
      settings(options.settings),
      random(options.seed),
      isn_key(random.key()),
      offset_key(random.key()),
      port_key(random.key()),
      cookie_key(random.key()),
      connections(random.key()),
      waits(random.key(), TimeWaitSettings::from(settings), *this),
      ports{random.key(), random.key()},  // braces: from left to right, whatever the compiler
      address_set(8, AddressHash{random.key()}) {
  tcp.gso_max_size = options.gso_max_size;
  tcp.device_holds_last_packet = options.device_holds_last_packet;
  tcp.rack_forgets_undone = options.rack_forgets_undone;
  const ProfileRules profile = profile_rules(options.profile);
  isn_tick = profile.isn_tick;
  tcp.window_scaling = profile.window_scaling;
  tcp.sack = profile.sack;
  challenges.random = random.next();
  const auto of_cookies = [&](std::uint64_t number) {
    SecretHash hash(cookie_key);
    hash.add(number);
    return hash.finish();
  };
  fast_open.keys.first = {of_cookies(0), of_cookies(1)};
  resolve_settings();
}

// RFC 6528: a clock and a keyed hash of the four-tuple (MUST-8, 9).
SeqNum Host::Impl::choose_isn(const FourTuple& tuple) {
  const auto clock = static_cast<std::uint32_t>(now.time_since_epoch() / isn_tick);
  return SeqNum(static_cast<std::uint32_t>(hash_tuple(isn_key, tuple)) + clock);
}

// tcp_timestamps 1: a place of its own for each pair of addresses; 2: the clock as it is.
std::uint32_t Host::Impl::timestamp_offset(const FourTuple& tuple) {
  if (settings.tcp_timestamps.value_or(1) != 1) return 0;
  const std::size_t ends = tuple.local.address.bytes()[15] ^ tuple.remote.address.bytes()[15];
  OffsetOf& o = offsets_[ends % offsets_.size()];
  if (o.local != tuple.local.address || o.remote != tuple.remote.address) {
    SecretHash hash(offset_key);
    hash.add(tuple.local.address);
    hash.add(tuple.remote.address);
    o = {tuple.local.address, tuple.remote.address, static_cast<std::uint32_t>(hash.finish())};
  }
  return o.offset;
}

// One of ours: the destination itself if that is ours, else the first of its family that is not loopback.
std::optional<IpAddress> Host::Impl::source_for(const IpAddress& destination) const {
  if (is_local(destination)) return destination;
  std::optional<IpAddress> found;
  for (const IpAddress& address : addresses) {
    if (address.is_v4() != destination.is_v4()) continue;
    if (!address.is_loopback()) return address;
    if (destination.is_loopback()) return address;
    if (!found) found = address;
  }
  return found;
}

// --- Sockets

Socket* Host::Impl::find(SocketId id) {
  return const_cast<Socket*>(static_cast<const Impl*>(this)->find(id));
}

const Socket* Host::Impl::find(SocketId id) const {
  const std::uint32_t index = socket_slot(id);
  const auto generation = static_cast<std::uint32_t>(static_cast<std::uint64_t>(id) >> 32);
  if (index >= sockets.size()) return nullptr;
  const Socket& socket = sockets[index];
  return socket.open && socket.generation == generation ? &socket : nullptr;
}

std::optional<std::uint32_t> Host::Impl::new_socket() {
  if (open_sockets >= options.most_sockets) return std::nullopt;
  std::uint32_t index;
  if (!free_sockets.empty()) {
    index = free_sockets.back();
    free_sockets.pop_back();
  } else {
    if (sockets.size() > 0xfffff) return std::nullopt;
    index = static_cast<std::uint32_t>(sockets.size());
    sockets.emplace_back();
  }
  const std::uint32_t generation = sockets[index].generation;
  const bool announced = sockets[index].announced;
  sockets[index] = Socket{};
  sockets[index].generation = generation;
  sockets[index].announced = announced;
  sockets[index].open = true;
  ++open_sockets;
  return index;
}

void Host::Impl::release_socket(std::uint32_t index) {
  Socket& socket = sockets[index];
  socket.open = false;
  socket.connection = kNoConnection;
  if (++socket.generation == 0) socket.generation = 1;
  if (!fast_open.sockets.empty()) fast_open.sockets.erase(index);
  free_sockets.push_back(index);
  --open_sockets;
}

void Host::Impl::announce(std::uint32_t socket) {
  if (sockets[socket].announced || !sockets[socket].open) return;
  sockets[socket].announced = true;
  events.push_back(socket);
}

// --- Listeners

Listener* Host::Impl::listener_for(const Endpoint& local, const FourTuple& tuple) {
  const auto found = listeners_by_port.find(local.port);
  if (found == listeners_by_port.end()) return nullptr;
  return found->second.find(local.address, [&] { return hash_tuple(port_key, tuple); });
}

std::uint32_t Host::Impl::add_listener(std::unique_ptr<Listener> listener) {
  if (free_listeners.empty()) {
    listeners.emplace_back();
    listener->number = static_cast<std::uint32_t>(listeners.size());
  } else {
    listener->number = free_listeners.back();
    free_listeners.pop_back();
  }
  listeners_by_port[listener->local.port].add(*listener);
  const std::uint32_t number = listener->number;
  listeners[number - 1] = std::move(listener);
  return number;
}

void Host::Impl::begin_half_open(Listener& listener, ConnectionIndex index) {
  Connection& c = connections[index];
  c.half_open_counted = true;
  ++listener.half_open;
  c.half_open_next = listener.first_half_open;
  if (c.half_open_next != 0) connections[c.half_open_next - 1].half_open_previous = index + 1;
  listener.first_half_open = index + 1;
}

void Host::Impl::end_half_open(Listener& listener, Connection& c) {
  c.half_open_counted = false;
  --listener.half_open;
  if (c.half_open_next != 0) {
    connections[c.half_open_next - 1].half_open_previous = c.half_open_previous;
  }
  if (c.half_open_previous != 0) {
    connections[c.half_open_previous - 1].half_open_next = c.half_open_next;
  } else {
    listener.first_half_open = c.half_open_next;
  }
  c.half_open_next = c.half_open_previous = 0;
}

void Host::Impl::close_listener(std::uint32_t index) {
  Listener* listener = listener_at(index);
  if (listener == nullptr) return;
  const auto at_port = listeners_by_port.find(listener->local.port);
  at_port->second.remove(*listener);
  if (at_port->second.empty()) listeners_by_port.erase(at_port);
  const std::unique_ptr<Listener> kept = std::move(listeners[index - 1]);
  free_listeners.push_back(index);
  // Those in the accept queue never had a user: they are reset. Those half open are forgotten.
  TcpContext& x = context();
  for (const ConnectionIndex child : kept->ready) {
    lastack::abort(connections[child], x);
    settle(child);
    if (connections.is_live(child) && connections[child].state == TcpState::Closed) forget(child);
  }
  while (kept->first_half_open != 0) {
    const ConnectionIndex i = kept->first_half_open - 1;
    Connection& c = connections[i];
    end_half_open(*kept, c);
    c.listener = 0;
    finish(c, x, TcpError::None, By::User);
    settle(i);
  }
}

// --- What an event leaves behind

void Host::Impl::forget(ConnectionIndex index) {
  Connection& c = connections[index];
  timers.clear(index);
  if (c.hashed) {
    connections.erase(index);
    c.hashed = false;
  }
  if (c.port_taken) ports.release(c.tuple);
  let_go(index);
  if (c.orphan_counted) --orphans;
  memory -= c.memory;
  connections.release(index);
}

void Host::Impl::hold(ConnectionIndex index, Port port, const PortHolder& holder) {
  if (index >= holds.size()) holds.resize(std::max<std::size_t>(index + 1, holds.size() * 2));
  holds[index] = {port, ports.hold(port, holder)};
}

void Host::Impl::let_go(ConnectionIndex index) {
  if (index >= holds.size() || holds[index].port == 0) return;
  ports.let_go(holds[index].port, holds[index].terms);
  holds[index].port = 0;
}

void Host::Impl::ended(const TimeWaitRecord& record, TimeWaitEnd how) {
  if (options.observer != nullptr) saw_end(record, how);
  if (options.keep_time_wait_windows) time_wait_windows.erase(record.tuple);
  ports.let_go(record.tuple.local.port, holder_of(record));
  if (how == TimeWaitEnd::Reused) {
    // A new connection takes the four-tuple over with its port, which is not to be had again until that one's record
    // has rested.
    ports.set_reusable(record.tuple, false);
  } else {
    ports.release(record.tuple);
  }
}

void Host::Impl::saw_end(const TimeWaitRecord& record, TimeWaitEnd how) {
  const bool fin_wait_2 = record.armed == Instant{};
  const TcpState from = fin_wait_2 ? TcpState::FinWait2 : TcpState::TimeWait;
  SeenEnd end = SeenEnd::Other;
  switch (how) {
    case TimeWaitEnd::Over:
      options.observer->timer_fired(now, record.tuple,
                                    fin_wait_2 ? SeenTimer::FinWait2 : SeenTimer::TimeWait);
      break;
    case TimeWaitEnd::Reset:
      end = SeenEnd::Reset;
      break;
    case TimeWaitEnd::Reused:
      end = SeenEnd::Reused;
      break;
    case TimeWaitEnd::Reopened:
      return;  // the new connection comes from TIME_WAIT
    case TimeWaitEnd::Evicted:
      end = SeenEnd::Evicted;
      break;
    case TimeWaitEnd::Aborted:
      end = SeenEnd::Aborted;
      break;
  }
  saw_state(record.tuple, from, TcpState::Closed, end);
}

void Host::Impl::leave_record(ConnectionIndex index, bool fin_wait_2) {
  Connection& c = connections[index];
  c.state = TcpState::Closed;
  c.state_since = now;
  ClosedConnection closed{.tuple = c.tuple, .rcv_nxt = c.rcv_nxt, .snd_nxt = c.snd_nxt};
  if (c.timestamps && c.ts_recent_valid) closed.ts_recent = c.ts_recent;
  closed.rto = c.rtt.rto;
  closed.rcv_window = c.receive_window();
  closed.rcv_wscale = c.rcv_wscale;
  closed.ts_recent_at = c.ts_recent_at;
  if (index < holds.size() && holds[index].port != 0) {
    const PortHolder& holder = ports.bindings().holder(holds[index].terms);
    closed.port = {.bound = !holder.by_connect,
                   .reuse_address = holder.reuse_address,
                   .reuse_port = holder.reuse_port};
  }
  const TimeWaits::Entered entered =
      fin_wait_2 ? waits.enter_fin_wait_2(closed, c.fin_wait_2_until, now, counters)
                 : waits.enter(closed, now, counters);
  if (entered == TimeWaits::Entered::Kept && options.keep_time_wait_windows) {
    time_wait_windows[c.tuple] = static_cast<std::uint16_t>(
        std::min<std::uint32_t>(closed.rcv_window >> c.rcv_wscale, 65535));
  }
  if (entered != TimeWaits::Entered::Kept) {
    saw_state(c.tuple, fin_wait_2 ? TcpState::FinWait2 : TcpState::TimeWait, TcpState::Closed,
              entered == TimeWaits::Entered::Refused ? SeenEnd::Refused : SeenEnd::NotKept);
  }
  // A socket that is still open keeps the port that its user chose.
  if (c.user == 0 || c.bound_port == 0) let_go(index);
  if (entered == TimeWaits::Entered::Kept) {
    c.port_taken = false;  // it is the record's now
    TimeWaitRecord record{.tuple = c.tuple, .rcv_nxt = {}, .snd_nxt = {}};
    record.port = closed.port;
    ports.hold(c.tuple.local.port, holder_of(record));
  }
}

namespace {

inline std::uint32_t memory_of(const Connection& c) {
  std::size_t bytes = c.send_buffer.capacity() + c.receive_buffer.capacity() + c.sent.bytes() +
                      c.unsent.bytes() + c.held.bytes();
  if (c.gaps) bytes += c.gaps->capacity() * sizeof(SeqRange);
  if (c.held_beyond) bytes += c.held_beyond->memory();
  return static_cast<std::uint32_t>(std::min<std::size_t>(bytes, 0xffffffff));
}

}  // namespace

// Linux counts what it has set aside (sk_memory_allocated), and tells of pressure when that begins.
void Host::Impl::count_memory(Connection& c) {
  const std::uint32_t counted = memory_of(c);
  if (counted == c.memory) return;
  memory += counted;
  memory -= c.memory;
  c.memory = counted;
  if (memory > memory_pages[1] * kPage) {
    if (!memory_pressure) ++counters.TCPMemoryPressures;
    memory_pressure = true;
  } else if (memory < memory_pages[0] * kPage) {
    memory_pressure = false;
  }
}

bool Host::Impl::settle_news(ConnectionIndex index, Connection& c) {
  const std::uint16_t told = std::exchange(c.news, std::uint16_t{0});
  constexpr std::uint16_t kEnd = news::kTimeWait | news::kFinWait2 | news::kClosed;
  constexpr std::uint16_t kTurn = news::kConnected | news::kState | kEnd;
  if ((told & (news::kBuffers | news::kClosed)) != 0) count_memory(c);
  if ((told & kTurn) != 0) {
    if ((told & news::kConnected) != 0) {
      if (!reopened.empty()) reopened.erase(index);
      ++counters.CurrEstab;
      c.counted_established = true;
    }
    if (c.counted_established && c.state != TcpState::Established &&
        c.state != TcpState::CloseWait) {
      --counters.CurrEstab;
      c.counted_established = false;
    }
    if ((told & kEnd) != 0) {
      settle_end(index, c, told);
      return false;
    }
    if ((told & news::kConnected) != 0 && c.listener != 0 && !c.in_accept_queue && c.user == 0) {
      if (Listener* listener = listener_at(c.listener)) {
        if (c.half_open_counted) end_half_open(*listener, c);
        c.in_accept_queue = true;
        listener->ready.push_back(index);
        announce_user_of(connections[listener->socket]);
      }
    }
  }
  constexpr std::uint16_t kForUser = news::kReadable | news::kWritable | news::kConnected |
                                     news::kPeerClosed | news::kUrgent | news::kState;
  if ((told & kForUser) != 0) announce_user_of(c);
  return true;
}

void Host::Impl::settle_end(ConnectionIndex index, Connection& c, std::uint16_t told) {
  if (c.hashed) {
    connections.erase(index);
    c.hashed = false;
  }
  if ((told & (news::kTimeWait | news::kFinWait2)) != 0) {
    leave_record(index, (told & news::kTimeWait) == 0);
  } else if (const auto old = reopened.find(index); old != reopened.end()) {
    // The SYN was an old duplicate after all: back to TIME-WAIT with what is left of it (MAY-2).
    const TimeWaitRecord record = old->second;
    reopened.erase(old);
    if (waits.restore(record, now)) {
      ports.hold(record.tuple.local.port, holder_of(record));
    } else {
      saw_state(record.tuple, TcpState::TimeWait, TcpState::Closed);
    }
  }
  stop_send_timer(c);
  c.ack_timer = c.keep_timer = c.trim_timer = Instant::max();
  if (c.listener != 0) {
    if (Listener* listener = listener_at(c.listener)) {
      if (c.in_accept_queue) {
        // It stays for accept(), which will read its end.
        if (c.user == 0 && !c.orphan) {
          timers.clear(index);
          announce_user_of(connections[listener->socket]);
          return;
        }
      } else if (c.half_open_counted) {
        end_half_open(*listener, c);
      }
    }
  }
  if (c.user == 0) {
    forget(index);
    return;
  }
  // The port is free for others once the connection is gone, though the socket is still there.
  if (c.port_taken) {
    ports.release(c.tuple);
    c.port_taken = false;
  }
  if (c.bound_port == 0) let_go(index);
  timers.clear(index);
  announce_user_of(c);
}

// --- Packets that no connection sends

// RFC 9293, 3.10.7.1.
void Host::Impl::reply_reset(const TcpSegment& segment, const FourTuple& tuple) {
  if (segment.rst()) return;
  TcpSegment reset;
  reset.source = tuple.local.port;
  reset.destination = tuple.remote.port;
  reset.flags = tcp_flag::kRst;
  if (segment.ack_flag()) {
    reset.seq = segment.ack;
  } else {
    reset.flags |= tcp_flag::kAck;
    reset.ack = segment.end();
  }
  const std::size_t ip_length = ip_header_length(tuple.local.address);
  const std::size_t tcp_length = header_length(reset.options);
  std::byte* packet = out.reserve(ip_length + tcp_length);
  if (packet == nullptr) return;
  write_ip(packet, {.source = tuple.local.address, .destination = tuple.remote.address},
           tcp_length);
  write_tcp_header(packet + ip_length, reset);
  if (!options.checksum_offload) {
    write_tcp_checksum({packet + ip_length, tcp_length}, tuple.local.address, tuple.remote.address);
  }
  out.commit();
  ++counters.OutSegs;
  ++counters.OutRsts;
  if (options.observer != nullptr) options.observer->sent(now, tuple, seen(reset, 0));
}

void Host::Impl::send_plain_ack(const FourTuple& tuple, SeqNum seq, SeqNum ack,
                                std::uint16_t window, std::optional<Timestamps> timestamps) {
  TcpSegment segment;
  segment.source = tuple.local.port;
  segment.destination = tuple.remote.port;
  segment.seq = seq;
  segment.ack = ack;
  segment.flags = tcp_flag::kAck;
  segment.window = window;
  segment.options.timestamps = timestamps;
  const std::size_t ip_length = ip_header_length(tuple.local.address);
  const std::size_t tcp_length = header_length(segment.options);
  std::byte* packet = out.reserve(ip_length + tcp_length);
  if (packet == nullptr) return;
  write_ip(packet, {.source = tuple.local.address, .destination = tuple.remote.address},
           tcp_length);
  write_tcp_header(packet + ip_length, segment);
  if (!options.checksum_offload) {
    write_tcp_checksum({packet + ip_length, tcp_length}, tuple.local.address, tuple.remote.address);
  }
  out.commit();
  ++counters.OutSegs;
  if (options.observer != nullptr) options.observer->sent(now, tuple, seen(segment, 0));
}

}  // namespace lastack
