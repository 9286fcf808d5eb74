#include "services/http_fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lastack {
namespace {

constexpr std::size_t kPiece = std::size_t{128} << 10;

}  // namespace

Result<void> HttpFetch::start(const Endpoint& to, const HttpUrl& url, std::uint64_t from,
                              Instant now) {
  const bool v6_literal = url.host.find(':') != std::string::npos;
  request_ =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}{}{}{}\r\nUser-Agent: lastack\r\nAccept: */*\r\n",
                  url.path, v6_literal ? "[" : "", url.host, v6_literal ? "]" : "",
                  url.port == 80 ? "" : ":" + std::to_string(url.port));
  if (from > 0) request_ += fmt::format("Range: bytes={}-\r\n", from);
  request_ += "Connection: close\r\n\r\n";
  from_ = from;
  const auto socket = host_.open(to.address.is_v4() ? Host::Family::V4 : Host::Family::V6);
  if (!socket) return failure("cannot open a socket: " + describe(socket.error()));
  socket_ = *socket;
  open_ = true;
  events_.own(socket_, *this);
  const auto connected = host_.connect(socket_, to, now);
  if (connected || connected.error() == Err::in_progress) return {};
  connect_error_ = connected.error();
  const std::string why = "cannot connect to " + url.host + ": " + describe(connect_error_);
  fail(why, now);
  return failure(why);
}

void HttpFetch::fail(std::string why, Instant now) {
  if (done_) return;
  done_ = true;
  result_ = failure(std::move(why));
  if (open_) {
    open_ = false;
    events_.release(socket_);
    (void)host_.close(socket_, now);
  }
  if (on_end_) on_end_();
}

void HttpFetch::finish(Instant now) {
  done_ = true;
  result_ = so_far_;
  open_ = false;
  events_.release(socket_);
  (void)host_.close(socket_, now);
  if (on_end_) on_end_();
}

void HttpFetch::on_event(SocketId, Instant now) {
  if (!done_) go_on(now);
}

void HttpFetch::go_on(Instant now) {
  if (phase_ == Phase::Connecting) {
    const Readiness ready = host_.readiness(socket_);
    if (ready.error) {
      connect_error_ = host_.take_error(socket_).value_or(Err::none);
      fail("cannot connect: " + describe(connect_error_), now);
      return;
    }
    if (!ready.writable) return;
    phase_ = Phase::Sending;
  }
  if (phase_ == Phase::Sending) {
    while (sent_ < request_.size()) {
      const auto put = host_.write(socket_, std::as_bytes(std::span(request_)).subspan(sent_), now);
      if (!put) {
        if (put.error() == Err::would_block) return;
        fail("cannot send the request: " + describe(put.error()), now);
        return;
      }
      sent_ += *put;
    }
    phase_ = Phase::Head;
  }
  thread_local std::array<std::byte, kPiece> room;
  for (;;) {
    const auto got = host_.read(socket_, room, now);
    if (!got) {
      if (got.error() == Err::would_block) return;
      fail(fmt::format("the connection broke after {} bytes: {}", so_far_.bytes,
                       describe(got.error())),
           now);
      return;
    }
    if (*got == 0) {
      if (phase_ == Phase::Body && !left_ && !chunked_) {
        finish(now);
      } else if (phase_ == Phase::Head) {
        fail("the server closed the connection without an answer", now);
      } else {
        fail(fmt::format("the server closed the connection after {} bytes, {} are missing",
                         so_far_.bytes, chunked_ ? "more" : std::to_string(left_.value_or(0))),
             now);
      }
      return;
    }
    // A body of known length need not be copied once more.
    if (phase_ == Phase::Body && at_ == input_.size() && !chunked_) {
      const std::size_t n =
          static_cast<std::size_t>(std::min<std::uint64_t>(left_.value_or(*got), *got));
      if (auto taken = sink_(so_far_.offset + so_far_.bytes, std::span(room).first(n)); !taken) {
        fail(taken.error().message, now);
        return;
      }
      so_far_.bytes += n;
      if (left_ && (*left_ -= n) == 0) {
        finish(now);
        return;
      }
      continue;
    }
    input_.erase(0, at_);
    at_ = 0;
    input_.append(reinterpret_cast<const char*>(room.data()), *got);
    const auto more = take_input();
    if (!more) {
      fail(more.error().message, now);
      return;
    }
    if (!*more) {
      finish(now);
      return;
    }
  }
}

Result<bool> HttpFetch::take_input() {
  while (phase_ == Phase::Head) {
    HttpHead head;
    switch (parse_http_head(std::string_view(input_).substr(at_), head)) {
      case HeadState::Bad:
        return failure("the answer is not HTTP");
      case HeadState::Incomplete:
        if (input_.size() - at_ > kMostHttpHead)
          return failure("the head of the answer is too long");
        return true;
      case HeadState::Complete:
        break;
    }
    const auto taken = take_head(head);
    if (!taken) return tl::unexpected(taken.error());
    at_ += head.length;
    if (complete_) return false;
  }
  return take_body();
}

// The length of the body, by RFC 9112, 6.3.
Result<void> HttpFetch::take_head(const HttpHead& head) {
  const auto status = parse_decimal(head.start[1]);
  if (!http_minor(head.start[0]) || !status || *status < 100 || *status > 599) {
    return failure("the answer is not HTTP/1.0 or 1.1");
  }
  if (*status < 200 && *status != 101) return {};  // the answer proper follows
  so_far_.status = static_cast<int>(*status);
  phase_ = Phase::Body;
  const auto length = head.field("Content-Length");
  if (head.lists("Transfer-Encoding", "chunked")) {
    chunked_ = true;
    phase_ = Phase::ChunkSize;
  } else if (head.field("Transfer-Encoding")) {
    return failure("the answer is encoded in a way that is not understood");
  } else if (length) {
    left_ = parse_decimal(*length);
    if (!left_ || head.count("Content-Length") > 1) return failure("Content-Length is no number");
    so_far_.whole = left_;
  }
  if (*status == 204 || *status == 304 || left_ == 0) complete_ = true;
  if (*status == 416) {
    const auto range = head.field("Content-Range");
    if (range && range->starts_with("bytes */")) so_far_.whole = parse_decimal(range->substr(8));
    complete_ = true;
    return {};
  }
  if (*status == 200) {
    so_far_.restarted = from_ > 0;
    return {};
  }
  if (*status != 206)
    return failure(fmt::format("the server answers {} {}", head.start[1], head.start[2]));
  // "bytes 5-9/10": what was asked for, or else it is no continuation.
  const auto range = head.field("Content-Range");
  if (from_ == 0 || !range || !range->starts_with("bytes ")) {
    return failure("the server sends a range that nobody asked for");
  }
  const std::string_view text = range->substr(6);
  const std::size_t slash = std::min(text.find('/'), text.size());
  so_far_.offset = from_;
  so_far_.whole = slash < text.size() ? parse_decimal(text.substr(slash + 1)) : std::nullopt;
  if (parse_decimal(text.substr(0, text.find('-'))) != from_) {
    return failure("the server sends another range than the one asked for");
  }
  return {};
}

Result<bool> HttpFetch::take_body() {
  for (;;) {
    const std::string_view rest = std::string_view(input_).substr(at_);
    switch (phase_) {
      case Phase::Body: {
        const std::size_t n = static_cast<std::size_t>(
            std::min<std::uint64_t>(left_.value_or(rest.size()), rest.size()));
        if (n > 0) {
          auto taken =
              sink_(so_far_.offset + so_far_.bytes, std::as_bytes(std::span(rest.substr(0, n))));
          if (!taken) return tl::unexpected(std::move(taken.error()));
        }
        at_ += n;
        so_far_.bytes += n;
        if (!left_) return true;
        *left_ -= n;
        if (*left_ > 0) return true;
        if (!chunked_) return false;
        phase_ = Phase::ChunkEnd;
        break;
      }
      case Phase::ChunkSize:
      case Phase::ChunkEnd:
      case Phase::Trailer: {
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos) {
          if (rest.size() > kMostHttpHead) return failure("a chunk of the answer has no length");
          return true;
        }
        std::string_view line = rest.substr(0, end);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        at_ += end + 1;
        if (phase_ == Phase::ChunkEnd) {
          if (!line.empty()) return failure("a chunk of the answer is longer than it says");
          phase_ = Phase::ChunkSize;
        } else if (phase_ == Phase::Trailer) {
          if (line.empty()) return false;
        } else {
          line = line.substr(0, line.find_first_of("; \t"));
          std::uint64_t size = 0;
          const auto [stop, error] =
              std::from_chars(line.data(), line.data() + line.size(), size, 16);
          if (line.empty() || error != std::errc{} || stop != line.data() + line.size()) {
            return failure("the length of a chunk is no number");
          }
          left_ = size;
          phase_ = size == 0 ? Phase::Trailer : Phase::Body;
        }
        break;
      }
      case Phase::Connecting:
      case Phase::Sending:
      case Phase::Head:
        return failure("internal: no body yet");
    }
  }
}

}  // namespace lastack
