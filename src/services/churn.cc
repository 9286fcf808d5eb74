#include "services/churn.h"

#include <algorithm>
#include <array>

#include "services/http_message.h"
#include "wire/bytes.h"
#include "wire/ip_packet.h"

namespace lastack {

Churn::Churn(Host& host, SocketEvents& events, ChurnOptions options)
    : host_(host), events_(events), options_(std::move(options)) {
  if (options_.exchange == ChurnExchange::Echo) request_ = "x";
  if (options_.exchange == ChurnExchange::Http) {
    request_ = "GET " + options_.path + " HTTP/1.0\r\nUser-Agent: lastack\r\n\r\n";
    // One that closes first must not be forestalled by the server.
    if (!options_.peer_first) request_.insert(request_.size() - 2, "Connection: keep-alive\r\n");
  }
  if (options_.end == ChurnEnd::Vanish) {
    vanished_.assign(options_.destinations.size(), std::vector<bool>(65536));
  }
}

bool Churn::fail(Err error) {
  ++counts_.failed;
  ++counts_.failures[error];
  return false;
}

void Churn::forget(SocketId socket, Instant now) {
  sessions_.erase(socket);
  events_.release(socket);
  (void)host_.close(socket, now);
}

bool Churn::begin_one(Instant now) {
  const auto which = static_cast<std::uint32_t>(counts_.attempts % options_.destinations.size());
  const Endpoint& to = options_.destinations[which];
  ++counts_.attempts;
  const auto socket = host_.open(to.address.is_v4() ? Host::Family::V4 : Host::Family::V6);
  if (!socket) return fail(socket.error());
  const auto connected = host_.connect(*socket, to, now);
  if (!connected && connected.error() != Err::in_progress) {
    (void)host_.close(*socket, now);
    return fail(connected.error());
  }
  if (!vanished_.empty()) vanished_[which][host_.local(*socket).value_or(Endpoint{}).port] = false;
  events_.own(*socket, *this);
  Session& session = sessions_[*socket];
  session.begun = now;
  session.destination = which;
  counts_.most_at_once =
      std::max(counts_.most_at_once, static_cast<std::uint32_t>(sessions_.size()));
  return true;
}

void Churn::refill(Instant now) {
  while (!stopped_ && !held_back_ && !all_begun() && sessions_.size() < options_.concurrency) {
    if (options_.rate > 0 &&
        static_cast<double>(counts_.attempts) >= options_.rate * seconds(now - first_)) {
      return;
    }
    // Without a rate a failure that comes at once would be repeated at once.
    if (!begin_one(now)) held_back_ = options_.rate <= 0;
  }
}

void Churn::advance(Instant now) {
  if (!started_) {
    started_ = true;
    first_ = swept_ = now;
  }
  held_back_ = false;
  refill(now);
  if (now - swept_ < 500ms) return;
  swept_ = now;
  std::vector<SocketId> late;
  for (const auto& [socket, session] : sessions_) {
    if (now - session.begun > options_.patience) late.push_back(socket);
  }
  for (const SocketId socket : late) {
    fail(Err::timed_out);
    forget(socket, now);
  }
}

void Churn::on_event(SocketId socket, Instant now) {
  const auto found = sessions_.find(socket);
  if (found == sessions_.end() || go_on(socket, found->second, now)) return;
  forget(socket, now);
  refill(now);
}

bool Churn::go_on(SocketId socket, Session& session, Instant now) {
  if (session.phase == Phase::Connecting) {
    const Readiness ready = host_.readiness(socket);
    if (ready.error) return fail(host_.take_error(socket).value_or(Err::none));
    if (!ready.writable) return true;
    ++counts_.opened;
    counts_.opening += now - session.begun;
    session.phase = Phase::Exchange;
  }
  if (session.phase == Phase::Exchange) {
    const bool open = exchange(socket, session, now);
    if (!open || session.phase == Phase::Exchange) return open;
  }
  std::array<std::byte, 4096> room;
  while (session.phase == Phase::PeersEnd || session.phase == Phase::OurEnd) {
    const auto got = host_.read(socket, room, now);
    if (!got) return got.error() == Err::would_block || fail(got.error());
    counts_.bytes_in += *got;
    if (*got > 0) continue;
    if (session.phase == Phase::PeersEnd) return finish(socket, session, now);
    ++counts_.finished;
    return false;
  }
  return true;
}

bool Churn::take_answer(Session& session, std::span<const std::byte> bytes) {
  counts_.bytes_in += bytes.size();
  if (options_.exchange == ChurnExchange::Echo || session.length_known) {
    session.left -= std::min<std::uint64_t>(session.left, bytes.size());
    return true;
  }
  session.answer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  HttpHead head;
  const HeadState state = session.head.look(session.answer, head);
  if (state == HeadState::Incomplete) return session.answer.size() <= kMostHttpHead;
  if (state == HeadState::Bad) return false;
  const auto length = head.field("Content-Length");
  const std::uint64_t body = length ? parse_decimal(*length).value_or(0) : 0;
  const std::uint64_t here = session.answer.size() - head.length;
  session.left = body - std::min(body, here);
  session.length_known = true;
  session.answer.clear();
  return true;
}

bool Churn::exchange(SocketId socket, Session& session, Instant now) {
  while (session.sent < request_.size()) {
    const auto put =
        host_.write(socket, std::as_bytes(std::span(request_)).subspan(session.sent), now);
    if (!put) return put.error() == Err::would_block || fail(put.error());
    session.sent += *put;
    session.left = 1;  // until it is known
  }
  std::array<std::byte, 16384> room;
  while (session.left > 0) {
    const auto got = host_.read(socket, room, now);
    if (!got) return got.error() == Err::would_block || fail(got.error());
    if (*got == 0) {
      // Its end before its answer, unless the end is the answer.
      if (options_.exchange != ChurnExchange::Http || !options_.peer_first) {
        return fail(Err::connection_aborted);
      }
      return finish(socket, session, now);
    }
    if (!take_answer(session, std::span(room).first(*got))) return fail(Err::protocol_error);
  }
  if (options_.peer_first) {
    session.phase = Phase::PeersEnd;
    return true;
  }
  return finish(socket, session, now);
}

bool Churn::finish(SocketId socket, Session& session, Instant now) {
  switch (options_.end) {
    case ChurnEnd::Close:
      break;
    case ChurnEnd::Shutdown:
      (void)host_.shutdown(socket, ShutdownHow::Write, now);
      session.phase = Phase::OurEnd;
      return true;
    case ChurnEnd::Vanish:
      vanished_[session.destination][host_.local(socket).value_or(Endpoint{}).port] = true;
      [[fallthrough]];
    case ChurnEnd::Reset:
      // close() sends a RST in place of a FIN.
      (void)host_.set_option(socket, Option::linger, 0, now);
      break;
  }
  ++counts_.finished;
  return false;
}

bool Churn::swallows(std::span<const std::byte> packet, bool inbound) const {
  if (vanished_.empty()) return false;
  const auto ip = parse_ip(packet);
  if (!ip || ip->header.protocol != kProtocolTcp || ip->payload.size() < 4) return false;
  const Port from = load16(&ip->payload[0]);
  const Port to = load16(&ip->payload[2]);
  const Endpoint remote =
      inbound ? Endpoint{ip->header.source, from} : Endpoint{ip->header.destination, to};
  for (std::size_t i = 0; i < options_.destinations.size(); ++i) {
    if (options_.destinations[i] == remote && vanished_[i][inbound ? to : from]) return true;
  }
  return false;
}

}  // namespace lastack
