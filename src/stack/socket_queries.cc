// What a user may ask of a socket that changes nothing, and what is due: events, packets, time.
#include <algorithm>
#include <utility>

#include "stack/host_impl.h"
#include "tcp/send_space.h"

namespace lastack {

namespace {

using tl::unexpected;

}  // namespace

Outcome<Err> Host::take_error(SocketId id) {
  Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  Connection& c = impl_->connections[socket->connection];
  // What ICMP has said is told as well, if there is nothing worse.
  if (c.error == TcpError::None) return err_of(std::exchange(c.soft_error, TcpError::None));
  return take(c);
}

Outcome<Endpoint> Host::local(SocketId id) const {
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  return impl_->connections[socket->connection].tuple.local;
}

Outcome<Endpoint> Host::remote(SocketId id) const {
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  const Connection& c = impl_->connections[socket->connection];
  if (c.tuple.remote.port == 0 || c.state == TcpState::Closed || c.state == TcpState::SynSent) {
    return unexpected(Err::not_connected);
  }
  return c.tuple.remote;
}

Outcome<TcpState> Host::state(SocketId id) const {
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  return impl_->connections[socket->connection].state;
}

Outcome<std::size_t> Host::unread(SocketId id) const {
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  const Connection& c = impl_->connections[socket->connection];
  // Up to the urgent byte, if there is one ahead (SIOCINQ).
  const std::int32_t to_mark = c.rcv_up - c.read_next();
  const std::size_t have = c.receive_buffer.size();
  if (c.options.urgent_inline || c.urgent == Urgent::None || to_mark < 0) return have;
  return std::min(have, static_cast<std::size_t>(to_mark));
}

Outcome<std::size_t> Host::unacknowledged(SocketId id) const {
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  return impl_->connections[socket->connection].send_buffer.size();
}

Readiness Host::readiness(SocketId id) const {
  Readiness ready;
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) {
    ready.error = true;
    return ready;
  }
  if (const Listener* listener = impl_->listener_at(socket->listener)) {
    ready.readable = !listener->ready.empty();
    return ready;
  }
  const Connection& c = impl_->connections[socket->connection];
  const bool over = c.state == TcpState::Closed;
  ready.error = c.error != TcpError::None || c.error_queued;
  ready.read_hung_up = c.fin_received || c.read_shutdown || (over && socket->was_connected);
  ready.hung_up = over || (c.fin_received && c.fin_queued) || (c.read_shutdown && c.fin_queued);
  // The urgent byte alone is nothing to read.
  const std::size_t hidden = c.at_urgent_mark() && !c.options.urgent_inline ? 1 : 0;
  ready.readable =
      c.receive_buffer.size() >= hidden + std::max(c.options.read_low, 1U) || ready.read_hung_up;
  if (!opening(c)) {
    ready.writable = over || ready.error || c.fin_queued || is_writable(c, impl_->context());
  }
  ready.urgent = c.urgent == Urgent::There;
  return ready;
}

std::optional<SocketId> Host::next_event() {
  Impl& h = *impl_;
  while (!h.events.empty()) {
    const std::uint32_t socket = h.events.front();
    h.events.pop_front();
    h.sockets[socket].announced = false;
    if (h.sockets[socket].open) return h.id_of(socket);
  }
  return std::nullopt;
}

// --- Packets and time

void Host::receive(std::span<const std::byte> packet, Instant at,
                   std::optional<bool> checksum_checked) {
  impl_->receive(packet, at, checksum_checked.value_or(impl_->options.checksum_offload));
}
void Host::advance(Instant at) {
  impl_->advance(at);
}
Instant Host::next_deadline() const {
  return impl_->next_deadline();
}

std::span<const std::byte> Host::next_packet() {
  Impl& h = *impl_;
  if (h.packet_out) h.out.pop();
  h.packet_out = !h.out.empty();
  if (!h.packet_out) return {};
  const OutPacket packet = h.out.front();
  h.last_segment_size = packet.segment_size;
  return packet.bytes;
}
std::uint16_t Host::segment_size() const {
  return impl_->last_segment_size;
}

}  // namespace lastack
