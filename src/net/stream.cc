#include "lastack/stream.h"

#include "net/tasks.h"

namespace lastack {

using tl::unexpected;

// --- Operations

namespace detail {

bool ReadOperation::attempt() {
  Host& host = *core_.host();
  for (;;) {
    const auto n = host.read(socket_, into_.subspan(got_), core_.now(), how_ == How::Peek);
    if (!n) {
      if (n.error() == Err::would_block) return false;
      // What came before the error is told first; the error waits, as on Linux, only where it is kept.
      return done(unexpected(n.error()));
    }
    core_->touch();  // perhaps a window has opened
    got_ += *n;
    if (*n == 0 || how_ != How::Full || got_ == into_.size()) return done(got_);
  }
}

bool WriteOperation::attempt() {
  Host& host = *core_.host();
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    while (!parts_[i].empty()) {
      const bool more = i + 1 < parts_.size() && !parts_[i + 1].empty();
      const auto n = host.write(socket_, parts_[i], core_.now(), urgent_, more);
      if (!n) {
        if (n.error() == Err::would_block) return false;
        return done(unexpected(n.error()));
      }
      core_->touch();
      parts_[i] = parts_[i].subspan(*n);
    }
  }
  return done({});
}

// However it ends, the socket is closed.
bool FinishOperation::close(Outcome<void> result) {
  leave();  // or closing it would cancel this
  const auto closed = stream_.close();
  return done(result ? closed : std::move(result));
}

void FinishOperation::fail(Err error) {
  close(unexpected(error));
}

bool FinishOperation::attempt() {
  Host& host = *core_.host();
  const Instant now = core_.now();
  if (!begun_) {
    begun_ = true;
    if (how_ == How::Linger) {
      const auto seconds = host.option(socket_, Option::linger);
      const auto unread = host.unread(socket_);
      if (!seconds || *seconds <= 0 || (unread && *unread > 0)) return close({});
      limit(std::chrono::seconds(*seconds));
    }
    const auto shut = host.shutdown(socket_, ShutdownHow::Write, now);
    core_->touch();
    if (!shut) return close(unexpected(shut.error()));
  }
  if (how_ == How::Linger) {
    const auto state = host.state(socket_);
    if (state && (*state == TcpState::FinWait1 || *state == TcpState::Closing ||
                  *state == TcpState::LastAck)) {
      return false;
    }
    return close({});
  }
  std::array<std::byte, 4096> thrown_away;
  for (;;) {
    const auto n = host.read(socket_, thrown_away, now);
    if (!n && n.error() == Err::would_block) return false;
    if (!n) return close(unexpected(n.error()));
    core_->touch();
    if (*n == 0) return close({});
  }
}

bool AcceptOperation::attempt() {
  const auto socket = core_.host()->accept(socket_);
  if (!socket) {
    if (socket.error() == Err::would_block) return false;
    return done(unexpected(socket.error()));
  }
  return done(TcpStream(core_, *socket));
}

}  // namespace detail

// --- Sockets

Outcome<void> TcpSocket::set_option(Option option, int value) {
  Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  core_->touch();
  return on->set_option(id_, option, value, core_.now());
}
Outcome<int> TcpSocket::option(Option option) const {
  const Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  return on->option(id_, option);
}
Outcome<Endpoint> TcpSocket::local() const {
  const Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  return on->local(id_);
}
Outcome<TcpState> TcpSocket::state() const {
  const Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  return on->state(id_);
}

Outcome<void> TcpSocket::close() {
  if (!*this) return unexpected(Err::bad_descriptor);
  const detail::CoreRef core = std::move(core_);
  const SocketId socket = std::exchange(id_, SocketId{});
  Host* on = core.host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  core->cancel_all(socket);
  core->touch();
  return on->close(socket, core.now());
}

SocketId TcpSocket::release() {
  core_ = {};
  return std::exchange(id_, SocketId{});
}

Outcome<void> TcpStream::shutdown(ShutdownHow how) {
  Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  core_->touch();
  return on->shutdown(id_, how, core_.now());
}

Outcome<void> TcpStream::abort() {
  if (!*this) return unexpected(Err::bad_descriptor);
  const detail::CoreRef core = std::move(core_);
  const SocketId socket = std::exchange(id_, SocketId{});
  Host* on = core.host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  core->cancel_all(socket);
  core->touch();
  return on->abort(socket, core.now());
}

Outcome<Endpoint> TcpStream::remote() const {
  const Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  return on->remote(id_);
}
Outcome<ConnectionInfo> TcpStream::info() const {
  const Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  return on->info(id_, core_.now());
}
Outcome<Err> TcpStream::take_error() {
  Host* on = host();
  if (on == nullptr) return unexpected(Err::bad_descriptor);
  return on->take_error(id_);
}
Readiness TcpStream::readiness() const {
  const Host* on = host();
  if (on == nullptr) return {.error = true};
  return on->readiness(id_);
}

}  // namespace lastack
