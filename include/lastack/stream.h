// A TCP connection and a listener, as a task uses them. Each is the owner of one socket of a node, moved and not copied.
//
// Lifetime. Destroying it is close(). It may outlive its node: then calls give Err::bad_descriptor. Whoever waits on it in
// another task while it is closed gets Err::canceled. Threads: that of its node.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "lastack/operation.h"

namespace lastack {

class Node;
class TcpStream;

namespace detail {

class [[nodiscard]] ReadOperation final : public OperationOf<ReadOperation, std::size_t> {
 public:
  enum class How : std::uint8_t { Some, Peek, Full };
  ReadOperation(CoreRef core, SocketId socket, std::span<std::byte> into, How how)
      : OperationOf(std::move(core), socket), into_(into), how_(how) {}

 private:
  bool attempt() override;
  std::span<std::byte> into_;
  std::size_t got_ = 0;
  How how_;
};

class [[nodiscard]] WriteOperation final : public OperationOf<WriteOperation, void> {
 public:
  WriteOperation(CoreRef core, SocketId socket, std::span<const std::byte> head,
                 std::span<const std::byte> body, bool urgent)
      : OperationOf(std::move(core), socket), parts_{head, body}, urgent_(urgent) {}

 private:
  bool attempt() override;
  std::array<std::span<const std::byte>, 2> parts_;
  bool urgent_;
};

class FinishOperation;
class AcceptOperation;
class ConnectOperation;

}  // namespace detail

// What both are.
class TcpSocket {
 public:
  TcpSocket() = default;
  TcpSocket(TcpSocket&& other) noexcept
      : core_(std::move(other.core_)), id_(std::exchange(other.id_, SocketId{})) {}
  TcpSocket& operator=(TcpSocket&& other) noexcept {
    if (this != &other) {
      static_cast<void>(close());
      core_ = std::move(other.core_);
      id_ = std::exchange(other.id_, SocketId{});
    }
    return *this;
  }
  ~TcpSocket() { static_cast<void>(close()); }

  // Whether it has a socket.
  explicit operator bool() const { return id_ != SocketId{}; }
  // For the calls of Host.
  SocketId id() const { return id_; }
  // The host it belongs to; null once that is gone, or if it has no socket.
  Host* host() const { return core_.host(); }

  Outcome<void> set_option(Option option, int value);
  Outcome<int> option(Option option) const;
  Outcome<Endpoint> local() const;
  Outcome<TcpState> state() const;
  // As POSIX's: the number is given back at once, and a connection goes its way: a FIN after what is still to be sent, or
  // a RST where something was left unread. With Option::linger 0 a RST; with more than 0 as if it were off, since nothing
  // here blocks: see TcpStream::close_lingering(). Again: bad_descriptor.
  Outcome<void> close();
  // The socket is no longer this object's, nor closed by it.
  SocketId release();

 protected:
  TcpSocket(detail::CoreRef core, SocketId id) : core_(std::move(core)), id_(id) {}
  detail::CoreRef core_;
  SocketId id_{};
};

class TcpStream : public TcpSocket {
 public:
  TcpStream() = default;

  // What is there, at least a byte; 0: the end.
  detail::ReadOperation read(std::span<std::byte> into) {
    return {core_, id_, into, detail::ReadOperation::How::Some};
  }
  detail::ReadOperation read(std::span<char> into) { return read(std::as_writable_bytes(into)); }
  // The same bytes again next time (MSG_PEEK).
  detail::ReadOperation peek(std::span<std::byte> into) {
    return {core_, id_, into, detail::ReadOperation::How::Peek};
  }
  // As much as there is room for; less only if the end has come.
  detail::ReadOperation read_full(std::span<std::byte> into) {
    return {core_, id_, into, detail::ReadOperation::How::Full};
  }

  // All of it: ends once the last byte is in the send buffer, not when the peer has it. After an error it is not known
  // how much has gone.
  detail::WriteOperation write(std::span<const std::byte> data) {
    return {core_, id_, {}, data, false};
  }
  detail::WriteOperation write(std::string_view text) {
    return write(std::as_bytes(std::span(text)));
  }
  // One after the other, as if joined (writev).
  detail::WriteOperation write(std::span<const std::byte> head, std::span<const std::byte> body) {
    return {core_, id_, head, body, false};
  }
  detail::WriteOperation write(std::string_view head, std::span<const std::byte> body) {
    return write(std::as_bytes(std::span(head)), body);
  }
  // The last byte is urgent (RFC 9293, 3.8.5; RFC 6093 advises against it). The reader sees Readiness::urgent and
  // fetches it with Host::read_urgent(), or finds it in line with Option::urgent_inline.
  detail::WriteOperation write_urgent(std::span<const std::byte> data) {
    return {core_, id_, {}, data, true};
  }

  // Write: a FIN after what was written. Read: read() gives the end from now on. What the peer sends is still taken, as
  // on Linux.
  Outcome<void> shutdown(ShutdownHow how);
  // The orderly end: shuts down writing, reads and forgets until the peer ends as well, and closes. So nothing that the
  // peer has not read yet is lost to a RST. Give it a limit: a peer may send for ever.
  // The stream is empty at once.
  detail::FinishOperation finish();
  // close() as POSIX has it with SO_LINGER of n > 0 seconds: ends when the peer has acknowledged all, the FIN too, or
  // after n seconds (timed_out). Without that option it does not wait. The stream is empty at once.
  detail::FinishOperation close_lingering();
  // RST, whatever the state; the socket is closed.
  Outcome<void> abort();

  Outcome<Endpoint> remote() const;
  Outcome<ConnectionInfo> info() const;
  // SO_ERROR.
  Outcome<Err> take_error();
  Readiness readiness() const;

 private:
  friend class Node;
  friend class detail::AcceptOperation;
  friend class detail::ConnectOperation;
  friend class detail::FinishOperation;
  using TcpSocket::TcpSocket;
};

namespace detail {

class [[nodiscard]] AcceptOperation final : public OperationOf<AcceptOperation, TcpStream> {
 public:
  AcceptOperation(CoreRef core, SocketId socket) : OperationOf(std::move(core), socket) {}

 private:
  bool attempt() override;
};

class [[nodiscard]] FinishOperation final : public OperationOf<FinishOperation, void> {
 public:
  enum class How : std::uint8_t { ToTheEnd, Linger };
  FinishOperation(CoreRef core, TcpStream stream, How how)
      : OperationOf(std::move(core), stream.id()), stream_(std::move(stream)), how_(how) {}
  ~FinishOperation() override { leave(); }

 private:
  bool attempt() override;
  void fail(Err error) override;
  bool close(Outcome<void> result);
  TcpStream stream_;
  How how_;
  bool begun_ = false;
};

}  // namespace detail

inline detail::FinishOperation TcpStream::finish() {
  return {core_, std::move(*this), detail::FinishOperation::How::ToTheEnd};
}
inline detail::FinishOperation TcpStream::close_lingering() {
  return {core_, std::move(*this), detail::FinishOperation::How::Linger};
}

class TcpListener : public TcpSocket {
 public:
  TcpListener() = default;

  // The next connection that has been opened to it. Err::too_many_files: HostOptions::most_sockets.
  detail::AcceptOperation accept() { return {core_, id_}; }

 private:
  friend class Node;
  using TcpSocket::TcpSocket;
};

}  // namespace lastack
