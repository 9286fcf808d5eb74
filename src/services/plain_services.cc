#include "services/plain_services.h"

#include <array>

namespace lastack {
namespace {

constexpr int kBacklog = 1024;
constexpr std::size_t kPiece = std::size_t{64} << 10;

// One thread at a time runs a service, and what is in here does not outlive a call.
std::array<std::byte, kPiece>& scratch() {
  thread_local std::array<std::byte, kPiece> bytes;
  return bytes;
}

// RFC 864: 72 of the 95 printable characters in a line, each line one further on; after 95 lines it begins anew.
// Twice over, so that a whole piece can be taken from anywhere in the first.
constexpr std::size_t kPeriod = 95 * 74;
const std::vector<std::byte>& pattern() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> all;
    while (all.size() < kPeriod + kPiece) {
      const std::size_t line = all.size() / 74;
      for (std::size_t i = 0; i < 72; ++i) {
        all.push_back(static_cast<std::byte>(' ' + (line + i) % 95));
      }
      all.push_back(std::byte{'\r'});
      all.push_back(std::byte{'\n'});
    }
    return all;
  }();
  return bytes;
}

}  // namespace

Result<void> PlainService::listen(Port port) {
  auto listener = listen_on(host_, port, kBacklog);
  if (!listener) return tl::unexpected(std::move(listener.error()));
  listener_ = *listener;
  events_.own(listener_, *this);
  return {};
}

void PlainService::accept(Instant now) {
  held_back_ = false;
  auto socket = host_.accept(listener_);
  for (; socket; socket = host_.accept(listener_)) {
    ++counts_.accepted;
    ++counts_.open;
    events_.own(*socket, *this);
    sessions_.try_emplace(*socket);
    on_event(*socket, now);
  }
  held_back_ = socket.error() == Err::too_many_files;
}

void PlainService::look_again(Instant now) {
  if (held_back_) accept(now);
}

void PlainService::on_event(SocketId socket, Instant now) {
  if (socket == listener_) {
    accept(now);
    return;
  }
  const auto found = sessions_.find(socket);
  if (found == sessions_.end() || go_on(socket, found->second, now)) return;
  sessions_.erase(socket);
  events_.release(socket);
  --counts_.open;
  (void)host_.close(socket, now);
  look_again(now);
}

void PlainService::end_all(Instant now) {
  for (const auto& [socket, session] : sessions_) {
    events_.release(socket);
    (void)host_.abort(socket, now);
  }
  counts_.open = 0;
  sessions_.clear();
}

bool PlainService::go_on(SocketId socket, Session& session, Instant now) {
  switch (kind_) {
    case Kind::Echo:
      return echo(socket, session, now);
    case Kind::Discard:
      return discard(socket, now);
    case Kind::Chargen:
      return generate(socket, session, now);
  }
  return false;
}

// What could not be written is kept, and nothing more is read until it is gone: the peer's window closes.
bool PlainService::echo(SocketId socket, Session& session, Instant now) {
  for (;;) {
    if (session.at < session.rest.size()) {
      const auto put = host_.write(socket, std::span(session.rest).subspan(session.at), now);
      if (!put) return put.error() == Err::would_block || failed();
      counts_.bytes_out += *put;
      session.at += *put;
      continue;
    }
    session.rest.clear();
    session.at = 0;
    if (session.ended) return false;
    const auto got = host_.read(socket, scratch(), now);
    if (!got) return got.error() == Err::would_block || failed();
    counts_.bytes_in += *got;
    session.ended = *got == 0;
    const auto bytes = std::span(scratch()).first(*got);
    std::size_t written = 0;
    if (!bytes.empty()) {
      const auto put = host_.write(socket, bytes, now);
      if (!put && put.error() != Err::would_block) return failed();
      written = put.value_or(0);
      counts_.bytes_out += written;
    }
    session.rest.assign(bytes.begin() + static_cast<std::ptrdiff_t>(written), bytes.end());
  }
}

bool PlainService::discard(SocketId socket, Instant now) {
  for (;;) {
    const auto got = host_.read(socket, scratch(), now);
    if (!got) return got.error() == Err::would_block || failed();
    if (*got == 0) return false;
    counts_.bytes_in += *got;
  }
}

// What the peer says is thrown away (RFC 864); that it has closed does not end the stream, its reset does.
bool PlainService::generate(SocketId socket, Session& session, Instant now) {
  while (!session.ended) {
    const auto got = host_.read(socket, scratch(), now);
    if (!got) {
      if (got.error() != Err::would_block) return failed();
      break;
    }
    session.ended = *got == 0;
    counts_.bytes_in += *got;
  }
  for (;;) {
    const auto put = host_.write(socket, std::span(pattern()).subspan(session.at, kPiece), now);
    if (!put) return put.error() == Err::would_block || failed();
    counts_.bytes_out += *put;
    session.at = (session.at + *put) % kPeriod;
  }
}

}  // namespace lastack
