#include "services/http_fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lastack {
namespace {

constexpr std::size_t kPiece = std::size_t{128} << 10;

// RFC 9110, 8.8.3, and not weak.
bool is_strong_tag(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  text = text.substr(1, text.size() - 2);
  return std::none_of(text.begin(), text.end(), [](char c) {
    return c == '"' || c == 127 || static_cast<unsigned char>(c) <= ' ';
  });
}

}  // namespace

HttpVersion version_of(const HttpHead& head) {
  HttpVersion version;
  if (const auto tag = head.field("ETag")) {
    if (is_strong_tag(*tag)) version.tag = *tag;
    return version;  // beside a tag a date is not to be used
  }
  const auto modified = head.field("Last-Modified");
  const auto sent = head.field("Date");
  const auto then = modified ? parse_http_date(*modified) : std::nullopt;
  const auto now = sent ? parse_http_date(*sent) : std::nullopt;
  // In the second in which it was sent the file may have changed again.
  if (then && now && *now > *then) version.modified = *modified;
  return version;
}

Result<void> HttpFetch::start(const Endpoint& to, const HttpUrl& url, const HttpPart& there,
                              Instant now) {
  const bool v6_literal = url.host.find(':') != std::string::npos;
  request_ = fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}{}{}{}\r\nUser-Agent: lastack\r\nAccept: */*\r\n"
      "Accept-Encoding: identity\r\n",
      url.path, v6_literal ? "[" : "", url.host, v6_literal ? "]" : "",
      url.port == 80 ? "" : ":" + std::to_string(url.port));
  there_ = there;
  if (there.length > 0) {
    request_ += fmt::format("Range: bytes={}-\r\n", there.length);
    const std::string& condition = there.version.condition();
    if (!condition.empty()) request_ += fmt::format("If-Range: {}\r\n", condition);
  }
  request_ += "Connection: close\r\n\r\n";
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

void HttpFetch::resume(Instant now) {
  paused_ = false;
  if (!done_) go_on(now);
}

Result<void> HttpFetch::put(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  const std::uint64_t at = so_far_.offset + so_far_.bytes;
  if (so_far_.whole && bytes.size() > *so_far_.whole - at) {
    return failure(fmt::format("more has come than the {} bytes that there are", *so_far_.whole));
  }
  auto taken = sink_(at, bytes);
  if (taken) so_far_.bytes += bytes.size();
  return taken;
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
  while (!paused_) {
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
      if (auto taken = put(std::span(room).first(n)); !taken) {
        fail(taken.error().message, now);
        return;
      }
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
    switch (head_.look(std::string_view(input_).substr(at_), head)) {
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
    head_ = {};
    if (complete_) return false;
  }
  return take_body();
}

Result<void> HttpFetch::take_head(const HttpHead& head) {
  const auto status = parse_decimal(head.start[1]);
  if (!http_minor(head.start[0]) || !status || *status < 100 || *status > 599) {
    return failure("the answer is not HTTP/1.0 or 1.1");
  }
  if (*status < 200 && *status != 101) return {};  // the answer proper follows
  so_far_.status = static_cast<int>(*status);
  so_far_.version = version_of(head);
  if (*status == 416 && there_.length > 0) {
    const auto range = head.field("Content-Range");
    if (range && range->starts_with("bytes */")) so_far_.whole = parse_decimal(range->substr(8));
    complete_ = true;
    return same_version(head);
  }
  if (*status != 200 && *status != 206)
    return failure(fmt::format("the server answers {} {}", head.start[1], head.start[2]));
  if (auto taken = take_length(head); !taken) return taken;
  if (*status == 206) {
    if (auto taken = take_range(head); !taken) return taken;
  } else {
    so_far_.whole = left_;
    so_far_.restarted = there_.length > 0;
  }
  return on_head_ ? on_head_(so_far_) : Result<void>{};
}

// The length of the body, by RFC 9112, 6.3.
Result<void> HttpFetch::take_length(const HttpHead& head) {
  phase_ = Phase::Body;
  if (const auto coding = head.field("Transfer-Encoding")) {
    // In one field, alone: what else it may list was not asked for, and would have to be undone.
    chunked_ = head.count("Transfer-Encoding") == 1 && head.lists("Transfer-Encoding", "chunked") &&
               coding->find(',') == std::string_view::npos;
    if (!chunked_) return failure("the answer is encoded in a way that is not understood");
    phase_ = Phase::ChunkSize;
  } else if (const auto length = head.field("Content-Length")) {
    left_ = parse_decimal(*length);
    if (!left_ || head.count("Content-Length") > 1) return failure("Content-Length is no number");
    complete_ = left_ == 0;
  }
  return {};
}

// "bytes 5-9/10": what was asked for, or else it is no continuation.
Result<void> HttpFetch::take_range(const HttpHead& head) {
  const auto range = head.field("Content-Range");
  if (there_.length == 0 || !range || !range->starts_with("bytes ")) {
    return failure("the server sends a range that nobody asked for");
  }
  const std::string_view text = range->substr(6);
  const std::size_t dash = std::min(text.find('-'), text.size());
  const std::size_t slash = std::min(text.find('/', dash), text.size());
  const auto number = [&](std::size_t begin, std::size_t end) {
    return begin < end ? parse_decimal(text.substr(begin, end - begin)) : std::nullopt;
  };
  const std::uint64_t last = number(dash + 1, slash).value_or(0);
  so_far_.offset = there_.length;
  so_far_.whole = number(slash + 1, text.size());
  if (number(0, dash) != there_.length || last < there_.length ||
      so_far_.whole.value_or(UINT64_MAX) <= last) {
    return failure("the server sends another range than the one asked for");
  }
  const std::uint64_t length = last - there_.length + 1;
  if (left_.value_or(length) != length) {
    return failure("the answer is of another length than the range that it names");
  }
  if (!chunked_) left_ = length;
  return same_version(head);
}

// A server that knows no If-Range sends the rest of whatever it has now.
Result<void> HttpFetch::same_version(const HttpHead& head) {
  const HttpVersion& before = there_.version;
  const auto tag = head.field("ETag");
  const auto modified = head.field("Last-Modified");
  // The tag has to be there again in what is joined; a date that was the condition may be left out (RFC 9110, 15.3.7).
  const bool other_tag = !before.tag.empty() && tag != before.tag && (tag || so_far_.status == 206);
  const bool other_date = !before.modified.empty() && modified && *modified != before.modified;
  const bool other_length = there_.whole && so_far_.whole && *there_.whole != *so_far_.whole;
  if (!other_tag && !other_date && !other_length) return {};
  changed_ = true;
  return failure(other_tag && !tag
                     ? "the server does not say whether it still has the version (ETag " +
                           before.tag + ") whose beginning is there"
                     : "the server has another version now than the one whose beginning is there");
}

Result<bool> HttpFetch::take_body() {
  for (;;) {
    const std::string_view rest = std::string_view(input_).substr(at_);
    switch (phase_) {
      case Phase::Body: {
        const std::size_t n = static_cast<std::size_t>(
            std::min<std::uint64_t>(left_.value_or(rest.size()), rest.size()));
        if (auto taken = put(std::as_bytes(std::span(rest.substr(0, n)))); !taken) {
          return tl::unexpected(std::move(taken.error()));
        }
        at_ += n;
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
