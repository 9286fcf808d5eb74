// GET of one URL: the whole of it, or the rest from an offset on. Whether all of it has come is known by Content-Length,
// by the last chunk, or, where there is neither, not at all: then the peer's end is believed, a reset is not.
// The rest is taken only if it is of the version that the beginning is of (RFC 9110, 13.1.5 and 15.3.7.3).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "services/http_message.h"
#include "services/service.h"

namespace lastack {

// Which version of a file: what an answer says that tells one from the next. Empty: nothing in it does.
struct HttpVersion {
  std::string tag;       // ETag, if it is a strong one
  std::string modified;  // else Last-Modified, if it is (RFC 9110, 8.8.2.2)
  const std::string& condition() const { return tag.empty() ? modified : tag; }
};
HttpVersion version_of(const HttpHead& head);

// What is there already of a file.
struct HttpPart {
  std::uint64_t length = 0;
  HttpVersion version;
  std::optional<std::uint64_t> whole;  // length of the whole, where it is known
};

struct FetchResult {
  int status = 0;
  HttpVersion version;
  std::uint64_t bytes = 0;             // of the body, as they came in this answer
  std::uint64_t offset = 0;            // where in the whole they belong
  std::optional<std::uint64_t> whole;  // length of the whole, where the server tells it
  bool restarted = false;              // the rest was asked for, and the server has sent everything
};

class HttpFetch final : public SocketOwner {
 public:
  // Takes the body, a piece at a time, with the place it belongs to; an error ends the fetch.
  using Sink = std::function<Result<void>(std::uint64_t offset, std::span<const std::byte> bytes)>;

  HttpFetch(Host& host, SocketEvents& events, Sink sink)
      : host_(host), events_(events), sink_(std::move(sink)) {}
  // Only the rest, where something is there already.
  Result<void> start(const Endpoint& to, const HttpUrl& url, const HttpPart& there, Instant now);
  void on_event(SocketId socket, Instant now) override;
  // Gives up.
  void fail(std::string why, Instant now);

  // Reads no more until resume(): the peer's window closes. What the sink is given meanwhile is at most one piece.
  void pause() { paused_ = true; }
  void resume(Instant now);

  // Called once, when it is known what comes and where it belongs, before any of it; an error ends the fetch.
  void on_head(std::function<Result<void>(const FetchResult&)> what) { on_head_ = std::move(what); }
  // Called once, when it is done.
  void on_end(std::function<void()> what) { on_end_ = std::move(what); }
  bool done() const { return done_; }
  // Once done.
  const Result<FetchResult>& result() const { return result_; }
  std::uint64_t received() const { return so_far_.bytes; }
  // Whether it failed because the server has another version than the one that is there.
  bool changed() const { return changed_; }
  // What connect() has come to, once done; none: it came through, or nothing came back at all.
  bool connected() const { return phase_ != Phase::Connecting; }
  Err connect_error() const { return connect_error_; }

 private:
  enum class Phase : std::uint8_t { Connecting, Sending, Head, Body, ChunkSize, ChunkEnd, Trailer };
  void go_on(Instant now);
  Result<void> take_head(const HttpHead& head);
  Result<void> take_length(const HttpHead& head);
  Result<void> take_range(const HttpHead& head);
  Result<void> same_version(const HttpHead& head);
  Result<void> put(std::span<const std::byte> bytes);
  // Deals with what is in input_. Whether more of it is needed.
  Result<bool> take_input();
  Result<bool> take_body();
  void finish(Instant now);

  Host& host_;
  SocketEvents& events_;
  Sink sink_;
  std::function<Result<void>(const FetchResult&)> on_head_;
  std::function<void()> on_end_;
  SocketId socket_{};
  bool open_ = false;
  std::string request_;
  std::size_t sent_ = 0;
  HttpPart there_;
  Phase phase_ = Phase::Connecting;
  Err connect_error_ = Err::none;
  std::string input_;
  HttpHeadReader head_;
  std::size_t at_ = 0;                 // in input_
  std::optional<std::uint64_t> left_;  // of the body or the chunk; nothing: until the peer's end
  bool chunked_ = false;
  bool complete_ = false;
  bool changed_ = false;
  bool paused_ = false;
  bool done_ = false;
  FetchResult so_far_;
  Result<FetchResult> result_;
};

}  // namespace lastack
