#include "services/http_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <vector>

namespace lastack {
namespace {

constexpr int kBacklog = 4096;
constexpr std::size_t kPiece = std::size_t{64} << 10;
// A body no longer than this goes in one write with its head.
constexpr std::uint64_t kShortBody = 16384;
constexpr std::int64_t kFirstDate = -62'135'596'800;  // the first second of the year 1

std::array<std::byte, kPiece>& scratch() {
  thread_local std::array<std::byte, kPiece> bytes;
  return bytes;
}

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 412:
      return "Precondition Failed";
    case 416:
      return "Range Not Satisfiable";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::string_view content_type(std::string_view path) {
  struct Known {
    std::string_view ending, type;
  };
  static constexpr std::array<Known, 14> kKnown{{{".html", "text/html; charset=utf-8"},
                                                 {".htm", "text/html; charset=utf-8"},
                                                 {".txt", "text/plain; charset=utf-8"},
                                                 {".md", "text/plain; charset=utf-8"},
                                                 {".css", "text/css"},
                                                 {".js", "text/javascript"},
                                                 {".json", "application/json"},
                                                 {".xml", "application/xml"},
                                                 {".svg", "image/svg+xml"},
                                                 {".png", "image/png"},
                                                 {".jpg", "image/jpeg"},
                                                 {".gif", "image/gif"},
                                                 {".pdf", "application/pdf"},
                                                 {".gz", "application/gzip"}}};
  for (const Known& known : kKnown) {
    if (path.ends_with(known.ending)) return known.type;
  }
  return "application/octet-stream";
}

// Whether a list of entity tags has this one ("*" has all). The weak comparison: ours are strong (RFC 9110, 8.8.3.2).
bool lists_tag(std::string_view list, std::string_view tag) {
  return list == "*" || list.find(tag) != std::string_view::npos;
}

}  // namespace

struct HttpServer::Answer {
  int status = 200;
  bool keep = true;
  bool body = true;          // not for HEAD
  std::uint64_t length = 0;  // as Content-Length has it
  std::string fields;
};

Result<void> HttpServer::listen(Port port) {
  auto listener = listen_on(host_, port, kBacklog);
  if (!listener) return tl::unexpected(std::move(listener.error()));
  listener_ = *listener;
  events_.own(listener_, *this);
  return {};
}

const std::string& HttpServer::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_of_) {
    date_of_ = now;
    date_ = http_date(now);
  }
  return date_;
}

void HttpServer::accept(Instant now) {
  held_back_ = false;
  auto socket = host_.accept(listener_);
  for (; socket; socket = host_.accept(listener_)) {
    ++counts_.accepted;
    ++counts_.open;
    events_.own(*socket, *this);
    sessions_[*socket].since = now;
    // An answer is written whole; what is left of it need not wait for an ACK.
    (void)host_.set_option(*socket, Option::no_delay, 1, now);
    on_event(*socket, now);
  }
  held_back_ = socket.error() == Err::too_many_files;
}

void HttpServer::on_event(SocketId socket, Instant now) {
  if (socket == listener_) {
    accept(now);
    return;
  }
  const auto found = sessions_.find(socket);
  if (found == sessions_.end() || go_on(socket, found->second, now)) return;
  end(socket, now, false);
}

void HttpServer::end(SocketId socket, Instant now, bool reset) {
  sessions_.erase(socket);
  events_.release(socket);
  --counts_.open;
  (void)(reset ? host_.abort(socket, now) : host_.close(socket, now));
  if (held_back_) accept(now);
}

void HttpServer::end_all(Instant now) {
  for (const auto& [socket, session] : sessions_) {
    events_.release(socket);
    (void)host_.abort(socket, now);
  }
  counts_.open = 0;
  sessions_.clear();
}

void HttpServer::sweep(Instant now) {
  std::vector<SocketId> late;
  for (const auto& [socket, session] : sessions_) {
    const bool between = session.phase == Phase::Request && !session.head.begun();
    const Duration most = session.phase == Phase::Lingering ? options_.lingering
                          : between                         ? options_.idle
                                                            : options_.patience;
    if (now - session.since > most) late.push_back(socket);
  }
  for (const SocketId socket : late) {
    const Phase phase = sessions_[socket].phase;
    if (phase != Phase::Lingering) ++counts_.timed_out;
    // Half an answer must not look like a whole one.
    end(socket, now, phase == Phase::Answer);
  }
  // Another service of the host may have given a socket back, which no event tells.
  if (held_back_) accept(now);
}

bool HttpServer::go_on(SocketId socket, Session& session, Instant now) {
  for (bool again = true; again;) {
    again = false;
    bool open = true;
    switch (session.phase) {
      case Phase::Request:
        open = read_request(socket, session, now, again);
        break;
      case Phase::Answer:
        open = send_answer(socket, session, now, again);
        break;
      case Phase::Lingering:
        open = linger(socket, now);
        break;
    }
    if (!open) return false;
  }
  return true;
}

bool HttpServer::read_request(SocketId socket, Session& session, Instant now, bool& again) {
  for (;;) {
    HttpHead head;
    const bool had_begun = session.head.begun();
    const HeadState state = session.head.look(session.input, head);
    if (!had_begun && session.head.begun()) session.since = now;
    if (state == HeadState::Incomplete && session.input.size() < kMostHttpHead) {
      const auto got = host_.read(socket, scratch(), now);
      if (!got) {
        if (got.error() == Err::would_block) return true;
        ++counts_.failed;
        return false;
      }
      if (*got == 0) return false;
      session.input.append(reinterpret_cast<const char*>(scratch().data()), *got);
      continue;
    }
    ++counts_.requests;
    ++session.requests;
    if (state == HeadState::Complete && head.length <= kMostHttpHead) {
      answer_request(session, head);
      session.input.erase(0, head.length);
    } else {
      refuse(session, state == HeadState::Bad ? 400 : 431, false, true);
    }
    session.head = {};
    session.phase = Phase::Answer;
    again = true;
    return true;
  }
}

bool HttpServer::send_answer(SocketId socket, Session& session, Instant now, bool& again) {
  while (session.written < session.output.size()) {
    const auto bytes = std::as_bytes(std::span(session.output)).subspan(session.written);
    const auto put = host_.write(socket, bytes, now, false, session.left > 0);
    if (!put) {
      if (put.error() == Err::would_block) return true;
      ++counts_.failed;
      return false;
    }
    session.written += *put;
    session.since = now;
    counts_.bytes_out += *put;
  }
  while (session.left > 0) {
    const std::size_t most = std::min<std::uint64_t>(session.left, kPiece);
    const ssize_t got =
        ::pread(session.file.get(), scratch().data(), most, static_cast<off_t>(session.offset));
    if (got <= 0) {
      // The file has become shorter, or cannot be read: what was promised cannot be kept, and only a reset says so.
      ++counts_.failed;
      (void)host_.set_option(socket, Option::linger, 0, now);
      return false;
    }
    const auto bytes = std::span(scratch()).first(static_cast<std::size_t>(got));
    const bool more = session.left > bytes.size();
    const auto put = host_.write(socket, bytes, now, false, more);
    if (!put) {
      if (put.error() == Err::would_block) return true;
      ++counts_.failed;
      return false;
    }
    session.offset += *put;
    session.left -= *put;
    session.since = now;
    counts_.bytes_out += *put;
  }
  session.file.reset();
  again = true;
  if (session.keep) {
    session.phase = Phase::Request;
    return true;
  }
  session.phase = Phase::Lingering;
  (void)host_.shutdown(socket, ShutdownHow::Write, now);
  return true;
}

bool HttpServer::linger(SocketId socket, Instant now) {
  for (;;) {
    const auto got = host_.read(socket, scratch(), now);
    if (!got) return got.error() == Err::would_block;
    if (*got == 0) return false;
  }
}

// --- What is answered

void HttpServer::begin(Session& session, const Answer& answer) {
  session.keep = answer.keep;
  session.written = 0;
  session.output = fmt::format("HTTP/1.1 {} {}\r\nServer: lastack\r\nDate: {}\r\n{}", answer.status,
                               reason(answer.status), date(), answer.fields);
  if (answer.status != 304) {
    session.output += fmt::format("Content-Length: {}\r\n", answer.length);
  }
  session.output += answer.keep ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
}

void HttpServer::refuse(Session& session, int status, bool keep, bool body, std::string_view more) {
  const std::string text = fmt::format("{} {}\n", status, reason(status));
  Answer answer;
  answer.status = status;
  answer.keep = keep;
  answer.length = text.size();
  answer.fields = fmt::format("Content-Type: text/plain; charset=utf-8\r\n{}", more);
  session.left = 0;
  if (status >= 400) ++counts_.refused;
  begin(session, answer);
  if (body) session.output += text;
}

void HttpServer::answer_request(Session& session, const HttpHead& head) {
  const auto minor = http_minor(head.start[2]);
  if (!minor) {
    refuse(session, head.start[2].starts_with("HTTP/") ? 505 : 400, false, true);
    return;
  }
  const bool head_only = head.start[0] == "HEAD";
  bool keep =
      *minor == 1 ? !head.lists("Connection", "close") : head.lists("Connection", "keep-alive");
  if (options_.most_requests != 0 && session.requests >= options_.most_requests) keep = false;
  // One Host, or none before 1.1 (RFC 9112, 3.2).
  const std::size_t hosts = head.count("Host");
  if (hosts > 1 || (*minor == 1 && hosts == 0) ||
      !is_http_authority(head.field("Host").value_or(""))) {
    refuse(session, 400, false, !head_only);
    return;
  }
  // Nothing asked of files has a body; where one would end is not guessed.
  const bool no_body = head.count("Content-Length") == 0 ||
                       (head.count("Content-Length") == 1 && head.field("Content-Length") == "0");
  if (head.field("Transfer-Encoding") || !no_body) {
    refuse(session, head.field("Transfer-Encoding") ? 501 : 400, false, !head_only);
    return;
  }
  if (head.start[0] != "GET" && !head_only) {
    constexpr std::array<std::string_view, 7> kOthers{"POST",  "PUT",   "DELETE", "OPTIONS",
                                                      "TRACE", "PATCH", "CONNECT"};
    const bool known = std::find(kOthers.begin(), kOthers.end(), head.start[0]) != kOthers.end();
    refuse(session, known ? 405 : 501, keep, true, known ? "Allow: GET, HEAD\r\n" : "");
    return;
  }
  Answer answer;
  answer.keep = keep;
  answer.body = !head_only;
  answer_file(session, head, answer);
}

void HttpServer::answer_file(Session& session, const HttpHead& head, Answer& answer) {
  std::string_view target = head.start[1];
  // A proxy's form, http://host/path, is a server's duty as well (RFC 9112, 3.2.2).
  bool good = true;
  if (target.starts_with("http://")) {
    const std::size_t end = std::min(target.find_first_of("/?#", 7), target.size());
    good = end > 7 && is_http_authority(target.substr(7, end - 7));
    target = end == target.size() || target[end] != '/' ? "/" : target.substr(end);
  }
  auto path = plain_path(target);
  if (!good || !path) {
    refuse(session, 400, answer.keep, answer.body);
    return;
  }
  const std::string_view asked = target.substr(0, target.find_first_of("?#"));
  auto file = root_.find(*path);
  if (file && file->directory) {
    if (!asked.ends_with('/')) {
      refuse(session, 301, answer.keep, answer.body,
             fmt::format("Location: /{}{}\r\n", percent_encoded(*path), path->empty() ? "" : "/"));
      return;
    }
    *path += path->empty() ? "index.html" : "/index.html";
    file = root_.find(*path);
  }
  if (!file || file->directory) {
    const int number = file ? ENOENT : file.error().number;
    const int status = number == ENOENT                                           ? 404
                       : number == EACCES || number == EPERM                      ? 403
                       : number == EMFILE || number == ENFILE || number == ENOMEM ? 503
                                                                                  : 500;
    refuse(session, status, answer.keep, answer.body);
    return;
  }

  const std::string tag = fmt::format("\"{:x}-{:x}-{:x}.{:x}\"", file->inode, file->size,
                                      file->modified, file->modified_ns);
  // Not later than now (RFC 9110, 8.8.2.1), and of a year that a date has digits for.
  const std::int64_t modified =
      std::clamp<std::int64_t>(file->modified, kFirstDate, std::time(nullptr));
  answer.fields =
      fmt::format("Content-Type: {}\r\nLast-Modified: {}\r\nETag: {}\r\nAccept-Ranges: bytes\r\n",
                  content_type(*path), http_date(modified), tag);
  // The order of RFC 9110, 13.2.2.
  if (const auto match = head.field("If-Match"); match && !lists_tag(*match, tag)) {
    refuse(session, 412, answer.keep, answer.body);
    return;
  }
  bool unchanged = false;
  if (const auto none = head.field("If-None-Match")) {
    unchanged = lists_tag(*none, tag);
  } else if (const auto since = head.field("If-Modified-Since")) {
    const auto when = parse_http_date(*since);
    unchanged = when && modified <= *when;
  }
  if (unchanged) {
    answer.status = 304;
    session.left = 0;
    begin(session, answer);
    return;
  }
  ByteRange range{0, file->size};
  if (const auto wanted = head.field("Range"); wanted && answer.body) {
    const auto condition = head.field("If-Range");
    const bool holds = !condition || *condition == tag || parse_http_date(*condition) == modified;
    const RangeKind kind = holds ? parse_range(*wanted, file->size, range) : RangeKind::Whole;
    if (kind == RangeKind::Unsatisfiable) {
      refuse(session, 416, answer.keep, answer.body,
             fmt::format("Content-Range: bytes */{}\r\n", file->size));
      return;
    }
    if (kind == RangeKind::Part) {
      answer.status = 206;
      answer.fields += fmt::format("Content-Range: bytes {}-{}/{}\r\n", range.first,
                                   range.first + range.length - 1, file->size);
    } else {
      range = {0, file->size};
    }
  }
  answer.length = range.length;
  begin(session, answer);
  session.offset = range.first;
  session.left = answer.body ? range.length : 0;
  session.file = std::move(file->fd);
  if (session.left == 0 || session.left > kShortBody) return;
  // Head and body in one piece: one packet for most small files.
  const std::size_t head_length = session.output.size();
  session.output.resize(head_length + session.left);
  const ssize_t got = ::pread(session.file.get(), session.output.data() + head_length, session.left,
                              static_cast<off_t>(session.offset));
  if (got == static_cast<ssize_t>(session.left)) {
    session.left = 0;
  } else {
    session.output.resize(head_length);  // send_answer() finds out what is wrong
  }
}

}  // namespace lastack
