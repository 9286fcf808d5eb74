// What a user asks of the host: POSIX's calls with POSIX's errors.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "stack/host_impl.h"
#include "stack/options_check.h"
#include "tcp/calls.h"
#include "tcp/output.h"
#include "tcp/send_space.h"
#include "tcp/state.h"
#include "tcp/timers.h"

namespace lastack {

Err err_of(TcpError error) {
  switch (error) {
    case TcpError::None:
      return Err::none;
    case TcpError::Refused:
    case TcpError::PortUnreachable:
      return Err::connection_refused;
    case TcpError::Reset:
      return Err::connection_reset;
    case TcpError::TimedOut:
      return Err::timed_out;
    case TcpError::Aborted:
      return Err::connection_aborted;
    case TcpError::BrokenPipe:
      return Err::broken_pipe;
    case TcpError::NetworkUnreachable:
      return Err::network_unreachable;
    case TcpError::HostUnreachable:
      return Err::host_unreachable;
    case TcpError::HostDown:
      return Err::host_down;
    case TcpError::HostIsolated:
      return Err::host_isolated;
    case TcpError::Prohibited:
      return Err::access_denied;
    case TcpError::ProtocolUnreachable:
      return Err::protocol_unreachable;
    case TcpError::Protocol:
      return Err::protocol_error;
    case TcpError::MessageTooBig:
      return Err::message_too_big;
    case TcpError::NotSupported:
      return Err::not_supported;
    case TcpError::NoMemory:
      return Err::no_buffers;
  }
  return Err::invalid;
}

namespace {

using tl::unexpected;

PortHolder holder_of(const Connection& c) {
  PortHolder holder;
  holder.address = c.tuple.local.address;
  holder.v6_only = c.options.v6_only;
  holder.reuse_address = c.options.reuse_address;
  holder.reuse_port = c.options.reuse_port;
  return holder;
}

OwnPortRange own_range(const Connection& c) {
  OwnPortRange own;
  if ((c.options.port_range & 0xffff) != 0) own.low = static_cast<Port>(c.options.port_range);
  if (c.options.port_range >> 16 != 0) own.high = static_cast<Port>(c.options.port_range >> 16);
  return own;
}

}  // namespace

Host::Host(HostOptions options) : impl_(std::make_unique<Impl>(checked(std::move(options)))) {}
Host::~Host() = default;
Host::Host(Host&&) noexcept = default;
Host& Host::operator=(Host&&) noexcept = default;

void Host::add_address(const IpAddress& address) {
  if (const auto fine = check(impl_->options, {&address, 1}); !fine) {
    throw std::invalid_argument(fine.error().message);
  }
  if (impl_->address_set.insert(address).second) impl_->addresses.push_back(address);
}
bool Host::has_address(const IpAddress& address) const {
  return impl_->is_local(address);
}
Result<void> Host::set(std::string_view name, std::string_view value) {
  return impl_->set(name, value);
}

// Finds a local port for the four-tuple; a record in TIME_WAIT on it is taken over.
bool Host::Impl::choose_port(const UserOptions& of, FourTuple& tuple,
                             std::optional<TimeWaits::Reuse>& reused) {
  waits.advance(now);  // tells which ports have rested
  LocalPorts::Wanted wanted{
      .source = tuple.local.address, .destination = tuple.remote, .own_range = {}};
  if ((of.port_range & 0xffff) != 0) wanted.own_range.low = static_cast<Port>(of.port_range);
  if (of.port_range >> 16 != 0) wanted.own_range.high = static_cast<Port>(of.port_range >> 16);
  const bool loopback = tuple.local.address.is_loopback() || tuple.remote.address.is_loopback();
  const TimeWaitSettings::Reuse mode = waits.settings().reuse;
  wanted.reuse_allowed = mode == TimeWaitSettings::Reuse::On ||
                         (mode == TimeWaitSettings::Reuse::Loopback && loopback);
  const auto take_over = [&](const FourTuple& candidate) {
    if (connections.find(candidate) != kNoConnection) return false;
    if (!has_record(candidate)) return true;
    reused = waits.try_reuse(candidate, TimeWaits::PortIs::Automatic, now, counters);
    return reused.has_value();
  };
  if (options.port_choice == PortChoice::LinuxWalk) {
    const auto port = ports.walk(wanted, random.next(), [&](Port candidate) {
      tuple.local.port = candidate;
      return take_over(tuple);
    });
    if (!port) return false;
    tuple.local.port = *port;
    return true;
  }
  for (int tries = 0; tries < 16; ++tries) {
    const auto choice = ports.choose(wanted, random.next());
    if (!choice) return false;
    tuple.local.port = choice->port;
    // One that is free has neither connection nor record: what connect() has made takes its port, and where others
    // hold a port none is chosen.
    if (!choice->reuse || take_over(tuple)) {
      ports.expect(choice->port);
      return true;
    }
  }
  return false;
}

// --- Sockets

Outcome<SocketId> Host::open(Family family) {
  const auto index = impl_->new_socket();
  if (!index) return unexpected(Err::too_many_files);
  Socket& socket = impl_->sockets[*index];
  socket.v6 = family == Family::V6;
  socket.connection = impl_->connections.allocate();
  Connection& c = impl_->connections[socket.connection];
  c.user = *index + 1;
  impl_->count_memory(c);  // small buffers may lie ready
  if (!socket.v6) c.tuple.local.address = IpAddress::v4(0);
  return impl_->id_of(*index);
}

Outcome<void> Host::bind(SocketId id, const Endpoint& local) {
  Impl& h = *impl_;
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  Connection& c = h.connections[socket->connection];
  // A socket whose connection is over may be bound again, as Linux has it (though not connected again).
  if (c.bound_port != 0 || c.state != TcpState::Closed || socket->listener != 0) {
    return unexpected(Err::invalid);
  }
  const bool v4 = local.address.is_v4();
  if (!socket->v6 && !v4) return unexpected(Err::family_not_supported);
  if (socket->v6 && v4 && c.options.v6_only) return unexpected(Err::invalid);
  if (!local.address.is_unspecified() && !h.is_local(local.address) &&
      h.settings.ip_nonlocal_bind.value_or(0) == 0) {
    return unexpected(Err::address_not_available);
  }
  PortHolder asks = holder_of(c);
  asks.address = local.address;
  Port port = local.port;
  if (port == 0) {
    if (c.options.bind_no_port) {  // the port can wait for connect() (linux-facts 21)
      c.tuple.local.address = local.address;
      socket->address_bound = true;
      return {};
    }
    const auto chosen = h.ports.choose_for_bind(asks, own_range(c), h.random.next());
    if (!chosen) return unexpected(Err::address_in_use);  // linux-facts 20
    port = *chosen;
  } else if (!h.ports.bindings().may_bind(port, asks)) {
    return unexpected(Err::address_in_use);
  }
  c.tuple.local = {local.address, port};
  c.bound_port = port;
  c.port_named = local.port != 0;
  h.hold(socket->connection, port, asks);
  return {};
}

Outcome<void> Host::listen(SocketId id, int backlog) {
  Impl& h = *impl_;
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  Connection& c = h.connections[socket->connection];
  const auto most = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(h.settings.somaxconn.value_or(4096), 0, 1 << 20));
  const std::uint32_t length =
      backlog < 0 ? most : std::min(static_cast<std::uint32_t>(backlog), most);
  if (Listener* listener = h.listener_at(socket->listener)) {
    listener->backlog = length;
    return {};
  }
  if (c.state != TcpState::Closed || socket->was_connected) return unexpected(Err::invalid);
  if (c.bound_port == 0) {
    // A listener needs its port now, whatever IP_BIND_ADDRESS_NO_PORT says.
    const bool later = std::exchange(c.options.bind_no_port, false);
    socket->address_bound = false;
    const auto bound = bind(id, {c.tuple.local.address, 0});
    c.options.bind_no_port = later;
    if (!bound) return bound;
  }
  PortHolder asks = holder_of(c);
  const PortHolder bound = h.ports.bindings().holder(h.holds[socket->connection].terms);
  h.let_go(socket->connection);
  asks.listening = true;
  if (!h.ports.bindings().may_listen(c.bound_port, asks)) {
    h.hold(socket->connection, c.bound_port, bound);
    return unexpected(Err::address_in_use);
  }
  h.hold(socket->connection, c.bound_port, asks);
  auto listener = std::make_unique<Listener>();
  listener->local = c.tuple.local;
  listener->socket = socket->connection;
  listener->v4 = !socket->v6;
  listener->v6_only = c.options.v6_only;
  listener->backlog = length;
  if ((h.tcp.fast_open & fast_open_bit::kAllListeners) != 0 &&
      (h.tcp.fast_open & fast_open_bit::kServer) != 0) {
    FastOpen::OfSocket& fast = h.fast_open.sockets[h.index_of(socket)];
    if (fast.queue == 0) fast.queue = length;
  }
  socket->listener = h.add_listener(std::move(listener));
  h.saw_call(c, SeenCall::Listen);
  h.saw_state(c.tuple, TcpState::Closed, TcpState::Listen);
  c.state = TcpState::Listen;
  c.state_since = h.now;
  return {};
}

void Host::Impl::renew(const Socket& socket) {
  Connection& c = connections[socket.connection];
  Connection fresh;
  fresh.options = c.options;
  fresh.user = c.user;
  fresh.state_since = now;
  fresh.bound_port = c.bound_port;
  fresh.port_named = c.port_named;
  fresh.tuple.local.port = c.bound_port;
  if (c.bound_port != 0) {
    fresh.tuple.local.address = ports.bindings().holder(holds[socket.connection].terms).address;
  } else if (socket.address_bound) {
    fresh.tuple.local.address = c.tuple.local.address;
  } else if (!socket.v6) {
    fresh.tuple.local.address = IpAddress::v4(0);
  }
  memory -= c.memory;
  c = std::move(fresh);
}

Outcome<void> Host::connect(SocketId id, const Endpoint& remote, Instant at) {
  Impl& h = *impl_;
  h.see(at);
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  if (socket->listener != 0) return unexpected(Err::is_connected);
  const ConnectionIndex index = socket->connection;
  Connection& c = h.connections[index];
  if (opening(c)) {
    return unexpected(socket->connecting ? Err::already : Err::in_progress);
  }
  // How the attempt went is told once; after a failure the socket is as good as new (Linux:
  // __inet_stream_connect, tcp_disconnect).
  if (socket->connecting) {
    socket->connecting = false;
    if (c.state != TcpState::Closed) return {};
    const Err why = c.error != TcpError::None ? take(c) : Err::connection_aborted;
    socket->was_connected = false;
    h.renew(*socket);
    return unexpected(why);
  }
  if (socket->was_connected || c.state != TcpState::Closed) return unexpected(Err::is_connected);
  Endpoint to = remote;
  const bool v4 = to.address.is_v4();
  if (!socket->v6 && !v4) return unexpected(Err::family_not_supported);
  if (v4 && c.options.v6_only) return unexpected(Err::network_unreachable);
  if (to.address.is_unspecified()) {  // this host, as Linux has it
    to.address = v4 ? IpAddress::v4(0x7f000001) : *IpAddress::parse("::1");
  }
  if (v4 ? to.address.v4_value() >> 28 == 0xe || to.address.v4_value() == 0xffffffff
         : to.address.bytes()[0] == 0xff) {
    return unexpected(Err::network_unreachable);  // MUST-46
  }
  Endpoint from = c.tuple.local;
  if (from.address.is_unspecified()) {
    const auto source = h.source_for(to.address);
    if (!source) return unexpected(Err::network_unreachable);
    from.address = *source;
  }
  if (from.address.is_v4() != v4) return unexpected(Err::invalid);

  FourTuple tuple{from, to};
  const bool chosen = c.bound_port != 0;
  std::optional<TimeWaits::Reuse> reused;
  if (chosen) {
    if (h.connections.find(tuple) != kNoConnection) return unexpected(Err::address_not_available);
    if (h.has_record(tuple)) {
      reused = h.waits.try_reuse(tuple, TimeWaits::PortIs::Chosen, h.now, h.counters);
      if (!reused) return unexpected(Err::address_not_available);
    }
  } else if (!h.choose_port(c.options, tuple, reused)) {
    return unexpected(Err::address_not_available);
  }

  // Of what shutdown() did to it, or to an attempt before, nothing stays.
  if (c.origin != TcpState::Closed || c.fin_queued || c.read_shutdown) h.renew(*socket);
  TcpContext& x = h.context();
  SeqNum isn = h.choose_isn(tuple);
  if (reused) {
    isn = reused->isn;  // linux-facts 18
    c.ts_recent = reused->ts_recent;
    c.ts_recent_at = h.now;
    c.ts_recent_valid = true;
  }
  c.tuple = tuple;
  c.hashed = true;
  h.connections.insert(index);
  h.saw_call(c, SeenCall::Connect);
  open_active(c, x,
              {.tuple = tuple,
               .iss = isn,
               .ts_offset = h.timestamp_offset(tuple),
               .mtu = h.options.mtu,
               .not_before = h.quiet_until()});
  // Only now, since what says who holds the port has to come from memory where ports are many.
  if (!chosen) {
    PortHolder holder = holder_of(c);
    holder.by_connect = true;
    h.hold(index, tuple.local.port, holder);
  }
  h.ports.take(tuple);
  c.port_taken = true;
  socket->connecting = true;
  socket->was_connected = true;
  h.settle(index);
  return unexpected(Err::in_progress);
}

Outcome<SocketId> Host::accept(SocketId id, Endpoint* peer) {
  Impl& h = *impl_;
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  Listener* listener = h.listener_at(socket->listener);
  if (listener == nullptr) return unexpected(Err::invalid);
  if (listener->ready.empty()) return unexpected(Err::would_block);
  const bool v6 = socket->v6;
  const auto fresh = h.new_socket();
  if (!fresh) return unexpected(Err::too_many_files);
  const ConnectionIndex index = listener->ready.front();
  listener->ready.pop_front();
  Socket& child = h.sockets[*fresh];
  child.v6 = v6;
  child.connection = index;
  child.was_connected = true;
  Connection& c = h.connections[index];
  h.saw_call(c, SeenCall::Accept);
  if (peer != nullptr) *peer = c.tuple.remote;
  c.user = *fresh + 1;
  c.in_accept_queue = false;
  c.listener = 0;
  h.announce(*fresh);
  return h.id_of(*fresh);
}

Outcome<std::size_t> Host::read(SocketId id, std::span<std::byte> out, Instant at, bool peek) {
  Impl& h = *impl_;
  h.see(at);
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  if (socket->listener != 0) return unexpected(Err::not_connected);
  Connection& c = h.connections[socket->connection];
  if (!c.receive_buffer.empty()) {
    TcpContext& x = h.context();
    h.saw_call(c, SeenCall::Read);
    const std::size_t n = lastack::read(c, x, out, peek);
    if (c.fin_received && c.receive_buffer.empty()) c.end_read = true;
    h.settle(socket->connection);
    if (n > 0 || out.empty()) return n;
  }
  // After a FIN it is the end, even if a RST has come as well (Linux: SOCK_DONE). shutdown() is weaker.
  if (c.error != TcpError::None && !c.fin_received) return unexpected(take(c));
  if (c.fin_received || c.read_shutdown) {
    if (!peek) c.end_read = true;
    return 0;
  }
  if (opening(c)) return unexpected(Err::would_block);
  if (c.state == TcpState::Closed) {
    if (!socket->was_connected) return unexpected(Err::not_connected);
    return 0;
  }
  return unexpected(Err::would_block);
}

// Linux: tcp_recv_urg.
Outcome<std::byte> Host::read_urgent(SocketId id, Instant at, bool peek) {
  Impl& h = *impl_;
  h.see(at);
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  if (socket->listener != 0) return unexpected(Err::not_connected);
  Connection& c = h.connections[socket->connection];
  if (c.options.urgent_inline || c.urgent == Urgent::None || c.urgent == Urgent::Read) {
    return unexpected(Err::invalid);
  }
  if (c.urgent == Urgent::Coming) return unexpected(Err::would_block);
  if (!peek) c.urgent = Urgent::Read;
  return c.urgent_byte;
}

Outcome<bool> Host::at_mark(SocketId id) const {
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  return impl_->connections[socket->connection].at_urgent_mark();
}

Outcome<std::size_t> Host::write(SocketId id, std::span<const std::byte> data, Instant at,
                                 bool urgent, bool more, bool end_of_record) {
  Impl& h = *impl_;
  h.see(at);
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  if (socket->listener != 0) return unexpected(Err::broken_pipe);
  Connection& c = h.connections[socket->connection];
  if (c.error != TcpError::None) return unexpected(take(c));
  if (opening(c)) return unexpected(Err::would_block);
  if (c.fin_queued || c.state == TcpState::Closed || c.state == TcpState::TimeWait) {
    return unexpected(Err::broken_pipe);
  }
  if (data.empty()) return 0;
  TcpContext& x = h.context();
  h.saw_call(c, SeenCall::Write);
  const std::size_t n =
      lastack::write(c, x, data, {.urgent = urgent, .more = more, .end_of_record = end_of_record});
  h.settle(socket->connection);
  if (n == 0) return unexpected(Err::would_block);
  return n;
}

Outcome<void> Host::shutdown(SocketId id, ShutdownHow how, Instant at) {
  Impl& h = *impl_;
  h.see(at);
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  Connection& c = h.connections[socket->connection];
  if (socket->listener != 0) {
    if (how == ShutdownHow::Write) return {};
    h.saw_call(c, SeenCall::Shutdown);
    h.close_listener(socket->listener);
    socket->listener = 0;
    h.saw_state(c.tuple, TcpState::Listen, TcpState::Closed);
    c.state = TcpState::Closed;
    c.state_since = h.now;
    return {};
  }
  if (!opening(c))
    socket->connecting = false;       // connect() has nothing more to tell (Linux: inet_shutdown)
  if (c.state == TcpState::Closed) {  // shut all the same (Linux: inet_shutdown)
    if (how != ShutdownHow::Write) c.read_shutdown = true;
    if (how != ShutdownHow::Read) c.fin_queued = true;
    return unexpected(Err::not_connected);
  }
  TcpContext& x = h.context();
  h.saw_call(c, SeenCall::Shutdown);
  if (c.state == TcpState::SynSent) {
    // As Linux has it, whatever direction was meant: the attempt is over, and another one may follow.
    disconnect(c, x);
    socket->connecting = socket->was_connected = false;
    h.settle(socket->connection);
    return {};
  }
  if (how != ShutdownHow::Write) {
    c.read_shutdown = true;
    c.news |= news::kReadable;
  }
  if (how != ShutdownHow::Read) shutdown_write(c, x);
  h.settle(socket->connection);
  return {};
}

Outcome<void> Host::close(SocketId id, Instant at) {
  return impl_->close(id, at, SeenCall::Close);
}

Outcome<void> Host::Impl::close(SocketId id, Instant at, SeenCall call) {
  Impl& h = *this;
  h.see(at);
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  const std::uint32_t number = h.index_of(socket);
  const ConnectionIndex index = socket->connection;
  Connection& c = h.connections[index];
  h.saw_call(c, call);
  if (socket->listener != 0) {
    h.close_listener(socket->listener);
    h.saw_state(c.tuple, TcpState::Listen, TcpState::Closed);
  }
  h.release_socket(number);
  c.user = 0;
  if (c.state == TcpState::Closed || c.state == TcpState::Listen) {
    h.forget(index);
    return {};
  }
  TcpContext& x = h.context();
  ++h.orphans;
  c.orphan_counted = true;
  // Too many of them, or too little memory for what this one has yet to send: it is cut off (linux-facts 10).
  constexpr std::size_t kLeastToMind = 4608;
  const bool too_many = static_cast<std::int64_t>(h.orphans) > h.most_orphans();
  if (too_many || (x.memory_full && c.send_buffer.size() > kLeastToMind)) {
    ++h.counters.TCPAbortOnMemory;
    lastack::abort(c, x);
  } else {
    lastack::close(c, x);
    if (c.state == TcpState::FinWait1) h.waits.expect(c.tuple);
  }
  h.settle(index);
  return {};
}

Outcome<void> Host::abort(SocketId id, Instant at) {
  Impl& h = *impl_;
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  Connection& c = h.connections[socket->connection];
  c.options.linger = true;
  c.options.linger_seconds = 0;
  return h.close(id, at, SeenCall::Abort);
}

Outcome<void> Host::destroy(const FourTuple& tuple, Instant at) {
  Impl& h = *impl_;
  h.see(at);
  const ConnectionIndex index = h.connections.find(tuple);
  if (index == kNoConnection) {
    if (!h.waits.abort(tuple, h.now)) return unexpected(Err::not_connected);
    return {};
  }
  Connection& c = h.connections[index];
  TcpContext& x = h.context();
  h.saw_call(c, SeenCall::Abort);
  abort_connection(c, x, TcpError::Aborted);
  h.settle(index);
  return {};
}

}  // namespace lastack
